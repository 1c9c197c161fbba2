"""Composition root: configuration to objects to tasks; the only module that knows everyone."""
