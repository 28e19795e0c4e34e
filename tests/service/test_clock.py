"""The clock's time is trusted only while a source keeps it, and never without one. Each attack has its own test."""

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.events import ClockDoubted
from gated.service.clock import (
    AGREES,
    ASKED_S,
    EARLIER,
    MOST_JUMP,
    OFFICE,
    OTHERWISE,
    OWED,
    SLACK,
    WallClock,
    not_before,
)
from gated.service.clock_chip import boot_id, chip_began, is_synchronised, steady
from gated.service.clock_file import AGAIN_S, LONG_AGO, NAME, WRITE_S, ClockFile, StoredClock, load
from gated.service.timekeeper import Timekeeper

NOON = datetime(2027, 1, 15, 12, 0, tzinfo=UTC)
LAST = NOON - timedelta(hours=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MINUTE_S, DAY_S = 60.0, 86_400.0
DRIFTED = timedelta(seconds=2500)
"""More than the drift of 500 ppm over 25 days (1080 s)."""


class Machine:
    """A settable clock, a steady clock, a clock chip and a disk. It can restart and lose power."""

    def __init__(self, is_kept=True, *, has_office=True, kept=None, has_battery=True):
        self.wall, self.steady, self.is_kept, self.told = NOON, 1000.0, is_kept, []
        self.has_office, self.has_battery, self.boot, self.disk = has_office, has_battery, "boot 1", kept
        self.chip = NOON
        """The time that the chip shows now."""
        self.begin(LAST)

    def begin(self, last=LONG_AGO):
        """Start the brain's clock with the state from the disk."""
        self.clock = WallClock(
            not_before(self.disk, last, WRITE_S),
            self.told.append,
            lambda: self.is_kept,
            lambda: self.wall,
            lambda: self.steady,
            kept=self.disk,
            boot=self.boot,
            chip=self.chip - timedelta(seconds=self.steady),
            has_office=self.has_office,
        )

    def wait(self, seconds):
        self.wall, self.steady = self.wall + timedelta(seconds=seconds), self.steady + seconds
        self.chip += timedelta(seconds=seconds)
        if self.is_kept:
            self.chip = self.wall  # the kernel sets the chip every 11 minutes
        return self.clock.now()

    def restart(self, *, is_clean=True):
        self.disk = self.clock.kept(is_end=is_clean)
        self.begin()

    def off(self, gone, *, wakes_at=None, is_clean=False):
        """Cut the power for that long. The clock then shows the chip's time, or `wakes_at`."""
        self.disk = self.clock.kept(is_end=is_clean)
        truth = self.wall + gone
        self.chip = self.chip + gone if self.has_battery else datetime.fromtimestamp(0, UTC)
        self.boot, self.steady, self.is_kept = f"after {self.boot}", 5.0, False
        self.wall = wakes_at or self.chip
        self.begin()
        return truth

    def office(self, at, took_s=1.0):
        self.clock.accept_office_time(at, took_s)
        return self.clock.now()


def test_a_clock_that_is_kept_is_believed():
    assert Machine().clock.now() == NOON


def test_a_clock_that_nothing_keeps_is_not():
    machine = Machine(is_kept=False)
    assert machine.clock.now() is None
    assert machine.told == [
        ClockDoubted("no time server was reached since the start, and no proven clock chip kept the time")
    ]


def test_once_right_it_stays_right_through_an_outage_of_the_time_server():
    machine = Machine()
    machine.clock.now()
    machine.is_kept = False
    assert machine.wait(DAY_S) == NOON + DAY
    assert machine.told == []


def test_the_drift_of_a_month_is_corrected_without_a_doubt():
    machine = Machine()
    machine.clock.now()
    machine.is_kept = False
    machine.wait(30 * DAY_S)
    machine.wall, machine.is_kept = machine.wall - timedelta(seconds=130), True
    assert machine.clock.now() == machine.wall


@pytest.mark.parametrize("is_kept", [True, False])
@pytest.mark.parametrize("lived_s", [1.0, DAY_S, 400 * DAY_S])
@pytest.mark.parametrize("s", [36_000, -36_000, 3600, -3600, 400 * DAY_S, 120, -120, 10, -10, 6, -6])
def test_a_jump_is_doubted_whoever_made_it_until_it_is_undone(s, lived_s, is_kept):
    machine = Machine()
    machine.clock.now()
    for _ in range(2):
        machine.wait(lived_s / 2)
    machine.is_kept = is_kept
    machine.wall += timedelta(seconds=s)
    assert machine.clock.now() is None
    assert machine.wait(MINUTE_S) is None
    machine.wall -= timedelta(seconds=s)
    assert machine.clock.now() == machine.wall
    assert [told.is_over for told in machine.told] == [False, True]


def test_a_server_that_leads_it_astray_in_small_steps_is_found_out():
    machine = Machine()
    machine.clock.now()
    for _ in range(30):
        machine.wall += timedelta(seconds=4)
        last = machine.wait(MINUTE_S)
    assert last is None
    assert machine.wall - NOON > timedelta(minutes=2)


@pytest.mark.parametrize("gone_s", [0.0, MINUTE_S, 10 * DAY_S])
def test_a_restart_of_the_brain_forgets_no_jump(gone_s):
    machine = Machine()
    machine.wait(MINUTE_S)
    machine.wall += 10 * HOUR
    assert machine.clock.now() is None
    machine.restart()
    assert machine.wait(gone_s) is None
    machine.wall -= 10 * HOUR
    machine.restart()
    assert machine.clock.now() == machine.wall


def test_a_jump_while_the_brain_was_down_is_one():
    machine = Machine()
    machine.wait(MINUTE_S)
    machine.disk = machine.clock.kept(is_end=True)
    machine.wall += 10 * HOUR
    machine.begin()
    assert machine.clock.now() is None
    assert "jumped" in machine.clock.why


def test_a_power_cut_after_a_jump_is_no_way_to_have_it_believed():
    machine = Machine(has_battery=False)
    machine.wait(MINUTE_S)
    machine.wall += 10 * HOUR
    machine.clock.now()
    truth = machine.off(HOUR)
    machine.wall, machine.is_kept = truth, True
    assert machine.clock.now() is None
    assert machine.clock.why == OWED
    assert machine.office(truth - 10 * HOUR) is None
    machine.wall = truth - 10 * HOUR
    assert machine.office(machine.wall) == machine.wall


def test_a_gate_without_an_office_is_not_in_doubt_for_ever():
    machine = Machine(has_office=False)
    machine.wait(MINUTE_S)
    machine.wall += timedelta(seconds=30)
    assert machine.clock.now() is None
    truth = machine.off(HOUR)
    machine.wall, machine.is_kept = truth, True
    assert machine.clock.now() == truth


# The earliest trusted time


def test_a_time_before_the_last_fact_is_never_believed_whoever_keeps_it():
    machine = Machine()
    machine.wall = LAST - SLACK - timedelta(seconds=1)
    assert machine.clock.now() is None
    assert "newest event" in machine.clock.why


@pytest.mark.parametrize("lived_s", [HOUR.total_seconds(), DAY_S, 30 * DAY_S])
def test_the_earliest_time_that_is_believed_rises_and_outlives_a_power_cut(lived_s):
    machine = Machine(has_battery=False)
    machine.wait(lived_s)
    before = machine.wall
    machine.off(HOUR)
    machine.wall, machine.is_kept = before - timedelta(minutes=10), True
    assert machine.clock.now() is None
    assert machine.clock.why == EARLIER
    machine.wall = before + HOUR
    assert machine.clock.now() == machine.wall


def test_facts_that_were_written_in_doubt_do_not_rule_out_the_right_time():
    kept = StoredClock(floor=NOON)
    assert not_before(kept, NOON + 4000 * DAY, WRITE_S) == NOON
    assert not_before(kept, NOON - 4000 * DAY, WRITE_S) == NOON
    assert not_before(kept, NOON + timedelta(minutes=14), WRITE_S) == NOON + timedelta(minutes=14)
    assert not_before(None, LAST, WRITE_S) == LAST
    assert not_before(StoredClock(), LAST, WRITE_S) == LAST


def test_a_time_server_that_once_lied_does_not_shut_the_hours_for_years():
    machine = Machine()
    machine.wall = NOON + 4000 * DAY
    machine.clock.now()
    truth = machine.off(HOUR) - 4000 * DAY
    machine.wall, machine.is_kept = truth, True
    assert machine.clock.now() is None
    assert machine.office(truth) == truth


def test_the_office_cannot_take_back_what_it_has_agreed_to():
    machine = Machine()
    machine.office(NOON)
    machine.wait(HOUR.total_seconds())
    machine.wall -= timedelta(minutes=30)
    assert machine.office(machine.wall) is None
    machine.off(HOUR)
    machine.wall = NOON
    assert machine.office(NOON) is None


# The chip


def test_a_chip_that_has_proved_nothing_keeps_nothing():
    machine = Machine()
    machine.clock.now()
    machine.off(HOUR)
    assert machine.clock.now() is None


def proved(machine=None):
    """Return a machine whose chip kept the time through a power cut, as a time server confirmed later."""
    machine = machine or Machine()
    machine.wait(MINUTE_S)
    machine.off(HOUR)
    machine.clock.now()
    machine.wall, machine.is_kept = machine.wall + timedelta(seconds=1), True
    machine.wait(MINUTE_S)
    return machine


def test_a_chip_that_kept_the_time_through_a_power_cut_counts_at_the_next_one():
    machine = proved()
    truth = machine.off(30 * DAY)
    assert machine.clock.now() == truth
    machine.wall, machine.is_kept = truth + timedelta(seconds=60), True  # a month of drift makes it this wrong
    assert machine.clock.now() == machine.wall
    machine.wait(DAY_S)
    assert machine.clock.now() == machine.wall


def test_the_office_may_be_the_one_who_says_that_the_chip_was_right():
    machine = Machine()
    machine.wait(MINUTE_S)
    truth = machine.off(HOUR)
    assert machine.office(truth + timedelta(seconds=2)) == truth
    truth = machine.off(DAY)
    assert machine.clock.now() == truth


@pytest.mark.parametrize("how", ["a restart", "a reboot", "switched off in order", "another clock", "late"])
def test_an_event_that_proves_no_clock_chip_leaves_it_unproved(how):
    machine = Machine()
    machine.wait(MINUTE_S)
    match how:
        case "a restart":
            machine.restart(is_clean=False)
        case "a reboot":
            machine.off(timedelta(seconds=40))
        case "switched off in order":  # the power supply may still feed the chip
            machine.off(DAY, is_clean=True)
        case "another clock":
            machine.off(DAY)
            machine.wall += HOUR
        case "late":  # the kernel set the chip from the time server before the program read it
            machine.disk = machine.clock.kept()
            machine.boot, machine.wall = "boot 2", machine.wall + DAY
            machine.begin()
    machine.is_kept = True
    machine.wait(MINUTE_S)
    assert not machine.clock.kept().is_chip_proved


def test_a_chip_without_a_battery_is_never_proved():
    machine = proved(Machine(has_battery=False))
    assert not machine.clock.kept().is_chip_proved


def test_a_chip_whose_battery_dies_counts_no_more_until_it_proves_itself_again():
    machine = proved()
    machine.has_battery = False
    truth = machine.off(DAY)
    assert machine.clock.now() is None
    machine.wall, machine.is_kept = truth, True
    assert machine.wait(MINUTE_S) is not None
    assert not machine.clock.kept().is_chip_proved
    machine.has_battery = True
    machine.off(DAY)
    assert machine.clock.now() is None


def test_a_clock_that_is_not_what_the_chip_says_is_not_kept_by_it():
    machine = proved()
    machine.off(DAY, wakes_at=machine.wall + timedelta(days=3))
    assert machine.clock.now() is None


# The office


def test_the_office_settles_a_doubt_when_it_says_the_same():
    machine = Machine(is_kept=False)
    assert machine.clock.now() is None
    assert machine.office(NOON + timedelta(seconds=20)) == NOON
    assert machine.told[-1] == ClockDoubted("", is_over=True)


@pytest.mark.parametrize(("off", "took_s"), [(AGREES + timedelta(seconds=1), 1.0), (-10 * HOUR, 1.0), (10 * HOUR, 1.0)])
def test_the_office_alone_sets_no_clock(off, took_s):
    machine = Machine(is_kept=False)
    assert machine.office(NOON + off, took_s) is None
    assert machine.wait(1.0) is None


def test_a_word_that_a_broker_held_back_settles_nothing():
    machine = Machine(is_kept=False)
    assert machine.office(NOON - timedelta(seconds=20), ASKED_S + 1) is None


def test_after_a_jump_the_office_decides():
    machine = Machine()
    machine.clock.now()
    machine.wall += timedelta(seconds=45)
    assert machine.clock.now() is None
    assert machine.office(machine.wall) == machine.wall
    machine.wall += 10 * HOUR
    assert machine.office(machine.wall - 10 * HOUR) is None


def test_a_time_server_that_lied_from_the_start_is_contradicted_by_the_office():
    machine = Machine()
    assert machine.clock.now() == NOON
    assert machine.office(NOON - 10 * HOUR) is None
    assert machine.clock.why == OFFICE
    machine.restart()
    assert machine.wait(MINUTE_S) is None
    assert machine.office(machine.wall) == machine.wall


def test_a_clock_that_the_installer_vouches_for_is_not_contradicted_and_its_jumps_are_doubted():
    machine = Machine()
    machine.clock = WallClock(
        LAST, machine.told.append, lambda: True, lambda: machine.wall, lambda: machine.steady, is_vouched=True
    )
    assert machine.office(NOON - 10 * HOUR) == NOON
    machine.wall += HOUR
    assert machine.clock.now() is None


def test_a_broker_that_holds_words_back_contradicts_nobody():
    machine = Machine()
    machine.clock.now()
    machine.wait(DAY_S)
    assert machine.office(NOON, DAY_S + 1) == machine.wall


def test_an_office_with_a_wrong_clock_does_not_shake_what_two_have_agreed_on():
    machine = Machine()
    machine.office(NOON)
    assert machine.office(NOON - 10 * HOUR) == NOON


def slewed(machine, days, *, office=None, rate=499e-6):
    """Let a lying time server shift the clock by `rate`, too little to notice. `office` maps the true time to the
    office's time.

    Returns the final error of the trusted time.
    """
    truth, off = machine.wall, timedelta()
    for _ in range(days * 24):
        machine.wait(3600.0)
        machine.wall += timedelta(seconds=3600.0 * rate)
        truth += HOUR
        if office is not None:
            machine.office(office(truth))
        if (believed := machine.clock.now()) is not None:
            off = believed - truth
    return off


def test_a_time_server_that_lies_ever_so_slowly_is_contradicted_by_the_office():
    machine = Machine()
    assert machine.office(NOON) == NOON
    assert slewed(machine, 60, office=lambda truth: truth) <= OTHERWISE + MOST_JUMP
    assert machine.clock.why == OFFICE
    machine.restart()
    assert machine.wait(MINUTE_S) is None


def test_the_doubt_ends_when_the_time_server_tells_the_right_time_again():
    machine = Machine()
    machine.office(NOON)
    slewed(machine, 20, office=lambda truth: truth)
    assert machine.clock.now() is None
    truth = NOON + 20 * DAY
    machine.wall = truth
    assert machine.office(truth) == truth


@pytest.mark.parametrize("rate", [80e-6, -80e-6])
def test_a_clock_without_a_time_server_that_goes_as_wrong_as_a_quartz_stays_trusted(rate):
    """No office can correct this clock. An error of a few minutes does not justify closing the hours."""
    machine = Machine(is_kept=False)
    assert machine.office(NOON) == NOON
    for day in range(120):
        machine.wait(DAY_S)
        assert machine.office(machine.wall + timedelta(seconds=DAY_S * rate * (day + 1))) == machine.wall


@pytest.mark.parametrize("off", [HOUR, -HOUR, 400 * DAY])
def test_an_office_that_leaves_what_both_agreed_on_contradicts_nobody(off):
    """The office's clock is wrong, or a thief of its key gives a wrong time, at once or slowly."""
    machine = Machine()
    machine.office(NOON)
    for hour in range(48):
        machine.wait(3600.0)
        assert machine.office(machine.wall + off * hour / 47) == machine.wall


def test_an_office_that_was_heard_long_ago_contradicts_nobody():
    """The gate's own clock drifts, and it counts on from the office's old time."""
    machine = Machine()
    machine.clock.now()
    assert machine.office(NOON + AGREES + MOST_JUMP) == NOON
    for _ in range(90):
        machine.wait(DAY_S)
        machine.wall -= timedelta(seconds=DAY_S * 50e-6)
        assert machine.clock.now() == machine.wall


moves = st.lists(
    st.tuples(st.sampled_from(["wait", "jump", "keep", "office", "restart", "cut"]), st.floats(-90_000, 90_000)),
    max_size=25,
)


@given(moves)
def test_with_an_honest_office_no_time_is_ever_believed_that_is_far_from_the_right_one_after_it_was_right(moves):
    """An attacker sets the clock, restarts and cuts the power. After office and clock agreed, the machine trusts no
    wrong time while it has power. After a power cut it trusts no earlier time; one time server counts until the office
    is heard.
    """
    machine, is_cut = Machine(has_battery=False), False
    truth, latest = machine.wall, machine.wall
    machine.office(truth)
    for what, number in moves:
        match what:
            case "wait":
                truth += timedelta(seconds=abs(number))
                machine.wait(abs(number))
            case "jump":
                machine.wall += timedelta(seconds=number)
            case "keep":
                machine.is_kept = number > 0
            case "office":
                machine.office(truth, min(abs(number), 20.0) + 0.1)
                is_cut = False
            case "restart":
                machine.restart(is_clean=number > 0)
            case "cut":
                machine.off(HOUR, wakes_at=machine.wall)
                truth += HOUR
                machine.is_kept, is_cut = False, True
        believed = machine.clock.now()
        if believed is None:
            continue
        assert believed >= latest - SLACK
        latest = max(latest, believed)
        assert is_cut or abs(believed - truth) <= OTHERWISE + DRIFTED


def test_doubt_is_reported_once():
    machine = Machine(is_kept=False)
    for _ in range(5):
        machine.clock.now()
    assert len(machine.told) == 1


def test_the_machine_can_be_asked(tmp_path):
    assert is_synchronised() in (True, False)
    assert 0 < steady() <= steady()
    assert boot_id() == boot_id()
    assert boot_id(tmp_path / "none") == ""
    (tmp_path / "since_epoch").write_text(f"{int(NOON.timestamp())}\n")
    assert chip_began(60.0, tmp_path / "since_epoch") == NOON - timedelta(seconds=60)
    for text in ("", "x", "9" * 30):
        (tmp_path / "since_epoch").write_text(text)
        assert chip_began(60.0, tmp_path / "since_epoch") is None


# On disk


def test_a_stored_clock_state_is_read_back_whole(tmp_path):
    machine = proved()
    kept = machine.clock.kept()
    assert ClockFile(tmp_path, None).write(kept, 0.0)
    assert load(tmp_path) == kept


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"floor": "yesterday"}', b'{"floor": 5}'])
def test_a_file_that_cannot_be_read_begins_anew(tmp_path, content):
    (tmp_path / NAME).write_bytes(content)
    assert load(tmp_path) is None


def test_a_quiet_day_writes_a_hundred_times_and_a_clock_that_is_pushed_about_wears_no_card(tmp_path):
    file, machine, writes = ClockFile(tmp_path, None), Machine(), 0
    for _ in range(int(DAY_S / 10)):
        machine.wait(10.0)
        writes += file.write(machine.clock.kept(), machine.steady)
    assert writes <= DAY_S / WRITE_S + 2
    writes = 0
    for turn in range(360):
        machine.wall += timedelta(hours=1 if turn % 2 else -1)
        machine.wait(10.0)
        writes += file.write(machine.clock.kept(), machine.steady)
    assert 0 < writes <= 3600 / AGAIN_S + 2


async def test_the_disk_has_its_thread_only_when_something_is_due(tmp_path, monkeypatch):
    settings = SimpleNamespace(state=tmp_path, site=SimpleNamespace(clock="trusted"), sync=SimpleNamespace(url=""))
    timekeeper, looks, written = Timekeeper(settings, LONG_AGO, lambda _: None), [], []

    async def pause(_):
        looks.append(1)
        if len(looks) == 100:
            raise asyncio.CancelledError

    async def on_a_thread(work, *arguments):
        written.append(work(*arguments))

    monkeypatch.setattr(asyncio, "sleep", pause)
    monkeypatch.setattr(asyncio, "to_thread", on_a_thread)
    with pytest.raises(asyncio.CancelledError):
        await timekeeper.run()
    assert written == [True]


def test_a_disk_that_fails_stops_no_clock(tmp_path):
    machine, file = Machine(), ClockFile(tmp_path / "nowhere", None)
    machine.wait(1.0)
    assert not file.write(machine.clock.kept(), machine.steady)
    (tmp_path / "nowhere").mkdir()
    assert file.write(machine.clock.kept(), machine.steady + AGAIN_S)


def test_the_smallest_jump_that_is_none_stays_trusted():
    machine = Machine()
    machine.clock.now()
    machine.wall += MOST_JUMP - timedelta(milliseconds=1)
    assert machine.clock.now() == machine.wall


@pytest.mark.parametrize(
    "text",
    [
        '{"floor":"2026-01-01T00:00:00"}',
        '{"floor":"0001-01-01T00:00:00Z"}',
        '{"floor":"9999-12-31T23:59:59Z"}',
        '{"confirmed":"0001-01-01T00:00:00Z"}',
        '{"said":{"earliest":"2026-01-01T00:00:00","latest":"2026-01-01T00:00:00Z"}}',
        '{"anchor":{"first":"9999-12-31T23:59:59Z","first_s":0,"last":"2026-01-01T00:00:00Z","kept_s":0}}',
        '{"floor":1e400}',
        "[]",
        "",
    ],
)
def test_a_damaged_file_begins_anew_and_stops_no_gate(tmp_path, text):
    (tmp_path / NAME).write_text(text)
    assert load(tmp_path) is None
