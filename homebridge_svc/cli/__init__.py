"""The command line: one file per command; parses, calls, prints."""


def main() -> None:
    """Entry point of the console script."""
