"""Pauses Python's cyclic garbage collector at the start of a process: most objects from that time stay."""

import gc


def rest() -> None:
    """Stop the search for cycles. Reference counting still frees memory."""
    gc.disable()


def watch() -> None:
    """Resume the search for cycles.

    Excludes all existing objects from the search: scanning them would delay the process.
    """
    gc.freeze()
    gc.enable()
