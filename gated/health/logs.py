"""Log lines for the journal of systemd or for a terminal: time, level, part, fact. Never a face, a vector or a name."""

import copy
import logging
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

from gated.printable import line, printable

MOST_SIGNS = 20_000
"""Of what a record quotes: longer is cut."""
PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
"""syslog's, as the journal reads them in front of a line (sd-daemon(3)): `journalctl -p warning` finds them."""

DATE = "%Y-%m-%d %H:%M:%S %z"
"""How a line tells its time: with the offset, so that nobody has to guess whose clock it is."""


class OneLineFormatter(logging.Formatter):
    """A record shows every sign that it quotes, and what it quotes begins no line: no text from elsewhere looks like a
    record of its own. Lines that our own sentence has stay.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record, with the trace of its error if it has one."""
        shown = copy.copy(record)
        match record.args:
            case tuple():
                shown.args = tuple(map(_quoted, record.args))
            case Mapping():
                shown.args = {name: _quoted(each) for name, each in record.args.items()}
        return printable(super().format(shown))


def _quoted(it: object) -> Any:
    return it if isinstance(it, int | float) or it is None else line(str(it), MOST_SIGNS)


class JournalFormatter(OneLineFormatter):
    """Each line of a record with its priority before it."""

    def format(self, record: logging.LogRecord) -> str:
        """The record, for the journal of systemd."""
        before = f"<{PRIORITIES.get(record.levelno, 6)}>"
        return "\n".join(before + line for line in super().format(record).splitlines())


def set_up(*, verbose: bool = False, timezone: str = "") -> None:
    """Send the log to standard error; for the journal of systemd, which has a time of its own, with priorities.

    `timezone`: of the site (IANA), for a process that serves one: its log, and those of the processes that it starts,
    tell times in that zone. In the journal, which tells the machine's time, only where that is another.
    """
    said = "%(levelname)-7s %(name)s: %(message)s"
    handler = logging.StreamHandler(sys.stderr)
    is_journal, is_elsewhere = "JOURNAL_STREAM" in os.environ, live_in(timezone)
    dated = f"%(asctime)s {said}"
    handler.setFormatter(
        JournalFormatter(dated if is_elsewhere else said, DATE) if is_journal else OneLineFormatter(dated, DATE)
    )
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler], force=True)
    logging.getLogger("mqtt").setLevel(logging.CRITICAL)  # aiomqtt logs what our link tells already


def live_in(timezone: str) -> bool:
    """Have this process, and those that it starts, count in that zone; whether the machine has another."""
    if not timezone:
        return False
    machine = time.localtime().tm_gmtoff
    os.environ["TZ"] = timezone
    time.tzset()
    return time.localtime().tm_gmtoff != machine
