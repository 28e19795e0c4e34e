"""Pauses Python's cyclic garbage collector while a process starts, because most objects made then stay."""

import gc


def rest() -> None:
    """Stop the search for cycles. Reference counting still frees memory."""
    gc.disable()


def watch() -> None:
    """Resume the search for cycles.

    Excludes all objects that exist now, so that no search scans them and delays the process.
    """
    gc.freeze()
    gc.enable()
