"""Log lines for the journal of systemd or for a terminal: time, level, part, fact. Never a face, a vector or a name."""

import logging
import os
import sys


def set_up(*, verbose: bool = False) -> None:
    """Send the log to standard error; under systemd without a time, because the journal has its own."""
    stamp = "" if "JOURNAL_STREAM" in os.environ else "%(asctime)s "
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if verbose else logging.INFO,
        format=f"{stamp}%(levelname)-7s %(name)s: %(message)s",
        force=True,
    )
    logging.getLogger("mqtt").setLevel(logging.CRITICAL)  # aiomqtt logs what our link tells already
