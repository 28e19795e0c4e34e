"""Log lines for the journal of systemd or for a terminal: time, level, part, fact. Never a face, a vector or a name."""

import logging
import os
import sys

PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
"""syslog's, as the journal reads them in front of a line (sd-daemon(3)): `journalctl -p warning` finds them."""


class JournalFormatter(logging.Formatter):
    """Each line of a record with its priority before it."""

    def format(self, record: logging.LogRecord) -> str:
        """The record, for the journal of systemd."""
        before = f"<{PRIORITIES.get(record.levelno, 6)}>"
        return "\n".join(before + line for line in super().format(record).splitlines())


def set_up(*, verbose: bool = False) -> None:
    """Send the log to standard error; for the journal of systemd, which has a time of its own, with priorities."""
    said = "%(levelname)-7s %(name)s: %(message)s"
    handler = logging.StreamHandler(sys.stderr)
    is_journal = "JOURNAL_STREAM" in os.environ
    handler.setFormatter(JournalFormatter(said) if is_journal else logging.Formatter(f"%(asctime)s {said}"))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler], force=True)
    logging.getLogger("mqtt").setLevel(logging.CRITICAL)  # aiomqtt logs what our link tells already
