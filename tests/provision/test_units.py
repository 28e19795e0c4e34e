"""The services are written as they came, and "on duty" is one start that stays, not a flicker of many."""

import pytest

from gated.provision import units
from gated.provision.units import READY_S, STEADY_S, settles, unit_files


class Time:
    """Seconds that pass by waiting, and which start of the brain is on duty at each."""

    def __init__(self, on_duty):
        self.now, self.on_duty = 0.0, on_duty

    def settles(self):
        return settles(lambda: self.on_duty(self.now), lambda: self.now, self.wait)

    def wait(self, seconds):
        self.now += seconds


def test_a_brain_that_stays_is_on_duty():
    time = Time(lambda now: "100" if now > 3 else "")
    assert time.settles()
    assert time.now == pytest.approx(3 + STEADY_S, abs=2.0)


def test_a_brain_that_is_started_over_and_over_is_not():
    assert not Time(lambda now: str(int(now / (STEADY_S - 2)))).settles()


def test_a_brain_that_never_comes_is_not_waited_for_for_ever():
    time = Time(lambda now: "")
    assert not time.settles()
    assert time.now == pytest.approx(READY_S, abs=2.0)


def test_what_is_written_is_what_came(tmp_path):
    files = unit_files(tmp_path, is_pi=False, kiosk=False, updates=False)
    assert sorted(path.name for path in files) == ["gated-latch.service", "gated.service", "guard"]
    assert files[tmp_path / "etc/systemd/system/gated.service"].startswith("# The brain")


def test_a_pi_a_display_and_a_nightly_look_have_files_of_their_own(tmp_path):
    files = {path.name for path in unit_files(tmp_path, is_pi=True, kiosk=True, updates=True)}
    assert {"gated-kiosk.service", "gated-update.service", "gated-update.timer", "gated.conf"} < files


def test_every_shipped_unit_is_written_by_somebody(tmp_path):
    files = {path.name for path in unit_files(tmp_path, is_pi=True, kiosk=True, updates=True)}
    shipped = {path.name for path in units.shipped().iterdir() if path.suffix in {".service", ".timer"}}
    assert shipped <= files
