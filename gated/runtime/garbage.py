"""Python's search for cycles of garbage rests while a process starts: nearly all that is made then stays."""

import gc


def rest() -> None:
    """From here on no cycle is looked for; memory that no cycle holds is given back as ever."""
    gc.disable()


def watch() -> None:
    """Look for cycles again, but never among what is there already, so that nobody waits while that is gone through."""
    gc.freeze()
    gc.enable()
