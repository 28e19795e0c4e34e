"""Provisioning writes the units unchanged. "On duty" means one start that stays, not many restarts."""

import json
from pathlib import Path

import pytest

from gated.config import parse
from gated.errors import ProvisionError, UpdateError
from gated.provision import gate_units
from gated.provision.gate_units import READY_S, STEADY_S, check_releases, stays_on_duty, unit_files
from gated.provision.office_machine import UNITS


class Time:
    """A clock that moves by waiting. `on_duty` gives the start of the brain that is on duty at each second."""

    def __init__(self, on_duty):
        self.now, self.on_duty = 0.0, on_duty

    def stays_on_duty(self):
        return stays_on_duty(lambda: self.on_duty(self.now), lambda: self.now, self.wait)

    def wait(self, seconds):
        self.now += seconds


def test_a_brain_that_stays_is_on_duty():
    time = Time(lambda now: "100" if now > 3 else "")
    assert time.stays_on_duty()
    assert time.now == pytest.approx(3 + STEADY_S, abs=2.0)


def test_a_brain_that_is_started_over_and_over_is_not():
    assert not Time(lambda now: str(int(now / (STEADY_S - 2)))).stays_on_duty()


def test_a_brain_that_never_comes_is_not_waited_for_for_ever():
    time = Time(lambda now: "")
    assert not time.stays_on_duty()
    assert time.now == pytest.approx(READY_S, abs=2.0)


def test_the_written_units_are_the_packaged_ones(tmp_path):
    files = unit_files(tmp_path, None, is_pi=False, screen_port=0, releases=None)
    assert sorted(path.name for path in files) == [
        "gated-latch.service",
        "gated-vision.service",
        "gated-vision.socket",
        "gated.service",
        "guard",
        "secure",
    ]
    assert files[tmp_path / "etc/systemd/system/gated.service"].startswith("# The brain")


def test_a_pi_a_display_and_a_nightly_look_have_files_of_their_own(tmp_path):
    files = {
        path.name for path in unit_files(tmp_path, None, is_pi=True, screen_port=8080, releases=Path("/srv/gated"))
    }
    assert {"gated-kiosk.service", "gated-update.service", "gated-update.timer", "gated.conf"} < files


def test_every_shipped_unit_is_written_by_somebody(tmp_path):
    files = {
        path.name for path in unit_files(tmp_path, None, is_pi=True, screen_port=8080, releases=Path("/srv/gated"))
    } | set(UNITS)
    shipped = {path.name for path in gate_units.shipped().iterdir() if path.suffix in {".service", ".socket", ".timer"}}
    assert shipped <= files


@pytest.mark.parametrize(
    ("folder", "line"),
    [("/srv/gated", '"GATED_RELEASES=/srv/gated"'), ("/srv/大门 100%", '"GATED_RELEASES=/srv/大门 100%%"')],
)
def test_the_nightly_look_is_into_the_folder_that_the_installer_named(tmp_path, folder, line):
    files = unit_files(tmp_path, None, is_pi=False, screen_port=0, releases=Path(folder))
    unit = files[tmp_path / "etc/systemd/system/gated-update.service"]
    assert [row for row in unit.splitlines() if row.startswith("Environment=")] == [f"Environment={line}"]


@pytest.mark.parametrize("folder", ["/home/li/releases", "/tmp/releases", "/nowhere/releases", "/etc/hostname"])
def test_a_folder_that_the_nightly_look_could_not_see_is_refused(folder):
    with pytest.raises(ProvisionError, match=rf"{folder}: .*releases"):
        check_releases(Path(folder))


def test_a_folder_that_others_may_write_is_refused_before_anything_runs_from_it(tmp_path, monkeypatch):
    monkeypatch.setattr(gate_units, "HIDDEN", ())
    check_releases(tmp_path)
    tmp_path.chmod(0o777)
    with pytest.raises(UpdateError, match="other users may write it"):
        check_releases(tmp_path)


def test_of_all_that_the_gate_keeps_vision_sees_the_models_that_the_settings_name(tmp_path):
    tables = {
        "state_dir": "/data/state 1",
        "site": {"id": "a"},
        "gate": {"id": "b"},
        "models": {"dir": "/data/state 1/models", "manifest": "/etc/gated/100%.toml"},
        "camera": {"kind": "replay", "path": "/srv/a:b"},
    }
    files = unit_files(tmp_path, parse(tables, tmp_path), is_pi=False, screen_port=0, releases=None)
    unit = files[tmp_path / "etc/systemd/system/gated-vision.service"]
    rows = [row for row in unit.splitlines() if row.startswith(("TemporaryFileSystem=", "BindReadOnlyPaths="))]
    assert rows == [
        'TemporaryFileSystem="/data/state 1:ro"',
        'BindReadOnlyPaths="-/data/state 1/models" "-/etc/gated/100%%.toml" "-/srv/a\\\\:b"',
    ]


def test_the_browser_of_the_screen_reaches_the_gates_own_page_and_nothing_else(tmp_path):
    files = unit_files(tmp_path, None, is_pi=False, screen_port=8123, releases=None)
    policies = json.loads(files[tmp_path / "etc/chromium/policies/managed/gated.json"])
    assert policies["URLAllowlist"] == ["http://127.0.0.1:8123"]
    assert {"*", "chrome://*"} <= set(policies["URLBlocklist"]), "the star alone leaves the browser's own pages"
    assert policies["DeveloperToolsAvailability"] == policies["DefaultWebUsbGuardSetting"] == 2
    refused = ("VideoCaptureAllowed", "AudioCaptureAllowed", "AllowFileSelectionDialogs", "PrintingEnabled")
    assert not any(policies[name] for name in refused)
    assert policies["DownloadRestrictions"] == 3
