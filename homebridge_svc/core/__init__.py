"""The pure core: facts in, orders out, given the time."""
