"""Formats log lines for systemd's journal or a terminal: time, level, part, fact. Logs no face, embedding or name."""

import copy
import logging
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

from gated.printable import line, printable

MOST_SIGNS = 20_000
"""Limits the text that a record quotes, in characters. The rest is cut."""
PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
"""Priorities of syslog, which the journal reads before each line (sd-daemon(3)). `journalctl -p warning` uses them."""

DATE = "%Y-%m-%d %H:%M:%S %z"
"""Format of a line's time, with the offset from UTC, so that the time zone is never in doubt."""


class OneLineFormatter(logging.Formatter):
    """Formatter that shows control characters in quoted text, so that outside text cannot look like a separate record.

    Line breaks in our own sentences stay.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text, with the traceback of its error if it has one."""
        shown = copy.copy(record)
        match record.args:
            case tuple():
                shown.args = tuple(map(_quoted, record.args))
            case Mapping():
                shown.args = {name: _quoted(each) for name, each in record.args.items()}
        return printable(super().format(shown))


def _quoted(value: object) -> Any:
    return value if isinstance(value, int | float) or value is None else line(str(value), MOST_SIGNS)


class JournalFormatter(OneLineFormatter):
    """Formatter that puts the priority before each line of a record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text for systemd's journal."""
        before = f"<{PRIORITIES.get(record.levelno, 6)}>"
        return "\n".join(before + line for line in super().format(record).splitlines())


def set_up(*, verbose: bool = False, timezone: str = "") -> None:
    """Send the log to standard error. For systemd's journal, adds priorities and leaves out the time.

    `timezone`: the site's zone (IANA), for a process that serves one site. The logs of this process and of processes it
    starts then show times in that zone. The journal shows the machine's time, so the time is added there only if the
    zones differ.
    """
    line = "%(levelname)-7s %(name)s: %(message)s"
    handler = logging.StreamHandler(sys.stderr)
    is_journal, is_elsewhere = "JOURNAL_STREAM" in os.environ, live_in(timezone)
    dated = f"%(asctime)s {line}"
    handler.setFormatter(
        JournalFormatter(dated if is_elsewhere else line, DATE) if is_journal else OneLineFormatter(dated, DATE)
    )
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler], force=True)
    logging.getLogger("mqtt").setLevel(logging.CRITICAL)  # the link already reports what aiomqtt logs


def live_in(timezone: str) -> bool:
    """Use this time zone in this process and in processes it starts. Return whether the machine has another offset."""
    if not timezone:
        return False
    machine = time.localtime().tm_gmtoff
    os.environ["TZ"] = timezone
    time.tzset()
    return time.localtime().tm_gmtoff != machine
