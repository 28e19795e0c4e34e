"""Every line of a warning has the level of a warning in the systemd journal, also its tenth line."""

import logging
import os
import re
import subprocess
import sys
import time
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from gated.service.logs import JournalFormatter, set_up

SAYING = """
import logging
import os
import re
from gated.service import logs
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


IN_A_ZONE = """
import logging, os, subprocess, sys
from gated.service import logs
logs.set_up(timezone="Asia/Shanghai")
logging.getLogger("gated").info("ours")
subprocess.run([sys.executable, "-c", "from gated.service import logs; import logging; logs.set_up();"
                "logging.getLogger('gated').info('a worker')"])
"""


def in_a_zone(**environment):
    command = [sys.executable, "-c", IN_A_ZONE]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **environment})
    return done.stderr.splitlines()


@pytest.mark.parametrize("machine", ["UTC", "America/New_York", "Asia/Shanghai"])
def test_a_line_tells_its_time_in_the_zone_of_the_site_whatever_zone_the_machine_has(machine):
    lines = in_a_zone(TZ=machine)
    assert [line.split("  ")[0].split(" INFO")[0].split()[2] for line in lines] == ["+0800", "+0800"]
    now = datetime.now(ZoneInfo("Asia/Shanghai"))
    assert all(abs(now - datetime.strptime(line[:25], "%Y-%m-%d %H:%M:%S %z")) < timedelta(minutes=5) for line in lines)


def test_a_line_without_a_site_tells_its_offset_all_the_same():
    assert re.match(r"[0-9-]{10} [0-9:]{8} [+-][0-9]{4} ", said(TZ="UTC")[0])


def test_the_journal_shows_the_time_of_the_site_on_a_machine_of_another_zone():
    ours, _ = in_a_zone(TZ="UTC", JOURNAL_STREAM="8:1")
    assert ours.startswith("<6>")
    assert "+0800 INFO" in ours
    ours, _ = in_a_zone(TZ="Asia/Shanghai", JOURNAL_STREAM="8:1")
    assert ours == "<6>INFO    gated: ours"


def test_a_command_in_a_tests_process_leaves_the_log_and_the_zone_to_the_next_test_as_they_were(as_before):
    root = logging.getLogger()
    before = (root.level, root.handlers[:], os.environ.get("TZ"), time.tzname)
    with as_before():
        set_up(verbose=True, timezone="Asia/Kathmandu")
        assert (root.level, time.tzname[0]) == (logging.DEBUG, "+0545")
    assert (root.level, root.handlers[:], os.environ.get("TZ"), time.tzname) == before
