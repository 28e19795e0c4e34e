"""What the journal of systemd can be asked for: every line of a warning is a warning, also the tenth of one."""

import logging
import subprocess
import sys

import pytest

from gated.health.logs import JournalFormatter

SAYING = """
import logging
from gated.health import logs
logs.set_up()
logging.getLogger("gated.door").warning("one\\ntwo")
logging.getLogger("gated.door").info("three")
"""


def said(**environment):
    command = [sys.executable, "-c", SAYING]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stderr.splitlines()


def test_the_journal_gets_priorities_and_no_second_time():
    assert said(JOURNAL_STREAM="8:1") == ["<4>WARNING gated.door: one", "<4>two", "<6>INFO    gated.door: three"]


def test_a_terminal_gets_the_time_and_no_numbers():
    lines = said()
    assert lines[0][:4].isdigit()
    assert lines[0].endswith("WARNING gated.door: one")
    assert not any(line.startswith("<") for line in lines)


@pytest.mark.parametrize(
    ("level", "number"), [("DEBUG", 7), ("INFO", 6), ("WARNING", 4), ("ERROR", 3), ("CRITICAL", 2)]
)
def test_every_level_has_its_number(level, number):
    record = logging.LogRecord("gated", getattr(logging, level), "", 0, "x", None, None)
    assert JournalFormatter("%(message)s").format(record) == f"<{number}>x"
