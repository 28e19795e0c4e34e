"""A dry run tries every step, reports all problems at once, and changes nothing."""

import os
import shutil
import socket
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

sys.path.append(str(Path(__file__).parents[1]))
from office_at import Office

from gated.cli import main
from gated.config import load_own
from gated.errors import ConfigError
from gated.face.manifest import shipped_manifest
from gated.office.office_creation import create_office
from gated.provision import packages
from gated.provision import step_state as places
from gated.provision.steps import steps
from gated.provision.steps.services import Services

GATE = "gate-2"
ANSWERS = """
site = "market-south"
gate = "gate-2"
code = "what the office showed"
models = "site"
[settings.door]
lock = "strike"
contactpin = 22
[settings.camera]
kind = "replay"
path = "{picture}"
"""


def seen(*folders):
    """Return mode, owner, size and modification time of everything below these folders."""
    facts = {}
    for folder in filter(os.path.lexists, folders):
        for path in (Path(folder), *Path(folder).rglob("*")):
            status = path.lstat()
            facts[path] = (status.st_mode, status.st_uid, status.st_gid, status.st_size, status.st_mtime_ns)
    return facts


def tried(gate):
    """Return every problem that the steps find, and the plan of each step."""
    found, plans = [], {}
    for step in steps(gate):
        says, problems = step.check()
        plans[step.title] = says
        found += [str(problem) for problem in problems]
    return found, plans


@pytest.fixture
def command(tmp_path, picture, monkeypatch):
    """Return a function that runs `gated provision --dry-run` with these answers. It asserts that no file changed, and
    returns exit code and output.
    """
    monkeypatch.setattr(places, "STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)

    def run(text, *words):
        (tmp_path / "answers.toml").write_text(text.format(picture=picture))
        around = (tmp_path, "/etc/gated", "/etc/systemd", "/opt/gated", "/run/gated", "/var/lib/gated")
        before = seen(*around)
        config = ["--config", str(tmp_path / "etc/gated.toml")]
        options = ["--answers", str(tmp_path / "answers.toml"), "--yes"]
        done = CliRunner().invoke(main, [*config, "provision", "--dry-run", *options, *words])
        assert seen(*around) == before
        return done.exit_code, done.output

    return run


def test_five_problems_are_reported_at_once(command, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    code, output = command(ANSWERS)
    assert code == 2
    assert "use sudo" in output
    assert "door.contactpin: unknown key; did you mean 'contact_pin'?" in output
    assert "still has the text of the example" in output
    assert "door.rex_pin: no exit button is connected" in output
    assert "mobilefacenet_128d.onnx: Apache-2.0, foamliu/MobileFaceNet; trained on: MS-Celeb-1M" in output
    assert "is not accepted" in output


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("koisk = true", "koisk: unknown key; did you mean 'kiosk'?"),
        ("contact_pin = 22", "did you mean 'contact_pin' below [settings.door]?"),
        ("[door]\nrex_pin = 23", "door: is a table of the settings; write it as [settings.door]"),
        ("accept_licence = 'yes'", 'accept_licence: "yes" is not valid'),
        ("settings = 5", "settings: write tables, such as [settings.door]"),
    ],
)
def test_a_typing_error_in_the_answers_hides_no_other_problem(command, line, says):
    code, output = command(f'site = "market-south"\ngate = "Gate 2"\n{line}\n')
    assert code == 2
    assert says in output
    assert 'gate.id: "Gate 2" is not valid' in output
    assert "no exit button" in output


def test_flags_that_are_wrong_hide_nothing_else(command):
    text = 'site = "s"\ngate = "Gate 2"\n'
    code, output = command(text, "--set", "foo", "--set", "=", "--set", "door.rex_pin=99", "--releases", "/nowhere")
    assert code == 2
    for fault in ("'foo' is not a setting", "'=' is not a setting", "door.rex_pin: 99 is not valid",
                  "/nowhere: is not a folder", 'gate.id: "Gate 2" is not valid'):  # fmt: skip
        assert fault in output


def test_a_misspelt_exit_button_is_one_fault_and_not_two(command):
    _, output = command('site = "s"\ngate = "g"\n[settings.door]\nrexpin = 23\n')
    assert "did you mean 'rex_pin'?" in output
    assert "no exit button" not in output
    _, output = command('site = "s"\ngate = "g"\n[settings.door]\nrex_pin = 99\n')
    assert "door.rex_pin: 99 is not valid" in output
    assert "no exit button" not in output


def test_a_contradiction_behind_a_misspelt_key_is_found_too(command):
    _, output = command('site = "s"\ngate = "g"\n[settings.door]\ncontactpin = 17\nrex_pin = 23\nfail = "safe"\n')
    assert "did you mean 'contact_pin'?" in output
    assert "door.contact_pin: pin 17 is used twice" in output
    assert "a strike without power is fail-secure" in output


def test_the_real_run_refuses_what_the_dry_run_found(making, answers, taken):
    said = answers({"door": {"pins": "gpio"}}, models="evaluation")
    del said.settings["door"]["rex_pin"]
    with pytest.raises(ConfigError, match="no exit button is connected"):
        taken(making(said))


def test_after_a_clean_dry_run_the_real_run_succeeds(making, answers, taken, root):
    before = seen(root)
    problems, plans = tried(making(answers()))
    assert problems == []
    assert seen(root) == before
    assert plans["folders"].startswith(f"{root}/var/lib/gated would be made")
    taken(making(answers()))
    problems, plans = tried(making(answers()))
    assert problems == []
    assert [plans[title] for title in ("folders", "settings", "models", "services")] == ["done already"] * 4


def test_after_an_installation_a_dry_run_leaves_every_file_as_it_is(making, answers, taken, root):
    taken(making(answers({"cues": {"sound": "alsa", "languages": ["en"]}})))
    before = seen(root)
    assert tried(making(answers({"cues": {"sound": "alsa", "languages": ["en"]}})))[0] == []
    assert seen(root) == before


def test_every_wrong_model_is_named(making, answers, tmp_path, root):
    manifest = tmp_path / "manifest.toml"
    manifest.write_text(shipped_manifest().read_text().replace('folder = "courtyard"\n', ""))
    source = tmp_path / "stick"
    shutil.copytree(shipped_manifest().parent / "courtyard", source)
    next(source.glob("*pad.onnx")).unlink()
    next(source.glob("*embedder.onnx")).write_bytes(b"another")
    tables = {"models": {"dir": str(root / "models"), "manifest": str(manifest)}}
    problems, _ = tried(making(answers(tables, models_from=str(source))))
    assert sum("is not accepted" in problem for problem in problems) == 3
    assert any("courtyard_pad.onnx: is missing" in problem for problem in problems)
    assert any("courtyard_embedder.onnx: differs from the file in the manifest" in problem for problem in problems)
    assert len(problems) == 5


def test_models_without_an_address_and_an_address_without_a_network_are_said(making, answers, tmp_path, root):
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]  # no server listens at this port any more
    text = shipped_manifest().read_text().replace('folder = "courtyard"\n', "")
    url = f'file = "courtyard_pad.onnx"\nurl = "https://127.0.0.1:{port}/pad.onnx"'
    manifest = tmp_path / "manifest.toml"
    manifest.write_text(text.replace('file = "courtyard_pad.onnx"', url))
    tables = {"models": {"dir": str(root / "models"), "manifest": str(manifest)}}
    problems, _ = tried(making(answers(tables, accept_licence=True)))
    assert any("courtyard_embedder.onnx: the manifest has no address for it" in problem for problem in problems)
    assert any("does not answer" in problem and "127.0.0.1" in problem for problem in problems)


def test_a_set_for_demonstration_never_gets_a_real_lock(making, answers):
    tables = {"door": {"pins": "gpio", "rex_pin": 23}}
    problems, _ = tried(making(answers(tables)))
    assert any("is for demonstration and never drives a real lock" in problem for problem in problems)


def test_missing_pins_and_a_missing_camera_come_together(making, answers, monkeypatch):
    monkeypatch.setitem(sys.modules, "picamera2", None)
    tables = {"door": {"pins": "gpio", "rex_pin": 23}, "camera": {"kind": "picamera2", "path": ""}}
    problems, _ = tried(making(answers(tables, models="evaluation")))
    assert any(problem.startswith("camera: ") for problem in problems)
    assert any(problem.startswith("pins: ") for problem in problems)


def test_a_full_disk_and_a_wrong_setting_come_together(making, answers, full_disk):
    tables = {"": {"state_dir": str(full_disk / "gated")}, "door": {"rex_pni": 5}}
    problems, _ = tried(making(answers(tables)))
    assert any("MB free" in problem for problem in problems)
    assert any("did you mean 'rex_pin'" in problem for problem in problems)


def test_lines_of_the_firmware_are_reported_and_not_written(making, answers, root):
    (root / "boot/firmware").mkdir(parents=True)
    (root / "boot/firmware/config.txt").write_text("dtparam=audio=on\n")
    before = seen(root)
    problems, plans = tried(making(answers(), confirm=lambda text: pytest.fail("nobody is to be asked")))
    assert problems == []
    assert plans["firmware"].endswith("would get: dtparam=watchdog=on")
    assert seen(root) == before


def test_obstacles_for_the_units_are_reported(making, answers, root):
    (root / "etc").mkdir()
    (root / "etc/systemd").write_text("no folder")
    assert any("etc/systemd: is not a folder" in problem for problem in tried(making(answers()))[0])


def test_missing_packages_are_named_with_what_to_do(making, answers, monkeypatch):
    asked = []

    def run(*words):
        asked.append(words)
        return subprocess.CompletedProcess(words, 100, "", "E: Unable to locate package cage")

    monkeypatch.setattr(packages, "_run", run)
    monkeypatch.setattr(packages, "_has_sessions", lambda: True)
    for home in ("gated.provision.packages", "gated.provision.steps.services"):
        monkeypatch.setattr(f"{home}.has_lists", lambda: True)
    monkeypatch.setattr(shutil, "which", lambda name: None if name in ("cage", "chromium") else f"/usr/bin/{name}")
    problems, plans = tried(making(answers(kiosk=True)))
    assert plans["packages"] == "would be installed: cage, chromium, fonts-noto-cjk"
    assert any("Unable to locate package cage" in problem and "connect the network" in problem for problem in problems)
    assert all("--simulate" in words for words in asked if words[0] == "apt-get")


# -- the office -------------------------------------------------------------------------------------------------------


@pytest.fixture
def office(tmp_path, wait_for):
    with closing(Office(tmp_path / "office")) as office:
        wait_for(office.answers, 60)
        yield office


def test_a_valid_code_is_verified_and_not_used(making, answers, taken, office):
    code = office.code()
    for _ in range(7):  # more than the permitted number of wrong tries
        assert tried(making(answers(code=code)))[0] == []
    assert "office" in taken(making(answers(code=code)))[0]
    assert tried(making(answers(code=code)))[1]["office"] == "done already"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda code: code[:-1] + ("0" if code[-1] != "0" else "2"), "letter or more of this code is wrong"),
        (lambda code: "hello", "this is no pairing code"),
        (lambda code: code.replace("gate-2", "gate-3"), "letter or more of this code is wrong"),
    ],
)
def test_a_wrong_code_is_reported_without_a_request(making, answers, office, change, says):
    problems, _ = tried(making(answers(code=change(office.code()))))
    assert len(problems) == 1
    assert says in problems[0]


def test_a_replaced_code_is_reported_with_the_reason_of_the_office(making, answers, office):
    code = office.code()
    office.code()
    problems, _ = tried(making(answers(code=code)))
    assert problems == ["the office did not give this code; compare it with what `gated office invite` shows"]


def test_a_different_site_is_reported(making, answers, office):
    problems, _ = tried(making(answers(code=office.code(), site="market-north")))
    assert any("this office belongs to another site" in problem for problem in problems)


def test_a_missing_network_to_the_office_is_reported_with_all_other_faults(making, answers, office):
    code = office.code()
    office.close()
    problems, _ = tried(making(answers({"door": {"rex_pni": 5}}, code=code)))
    assert any("nobody answers at localhost" in problem for problem in problems)
    assert any("did you mean 'rex_pin'" in problem for problem in problems)


def test_an_office_without_an_answer_is_reported_as_a_doubt(making, answers, tmp_path, monkeypatch):
    from gated.provision.steps import office as step

    monkeypatch.setattr(step, "prove_code", lambda code, site: False)
    place = places_of(tmp_path)
    gate = making(answers(code=place))
    assert tried(gate)[0] == []
    assert [finding.part for finding in gate.told if finding.light == "amber"][-1] == "office"


def places_of(tmp_path):
    """Return a code of an office whose server does not run."""
    from gated.office.mosquitto import Place
    from gated.office.registrar import Registrar
    from gated.office.store import Store

    folder = tmp_path / "quiet"
    create_office(folder, "market-south", Place("localhost", 1, 2), datetime.now(UTC))
    with closing(Store.open(folder)) as store, closing(Registrar(folder, store)) as registrar:
        return registrar.invite(GATE, datetime.now(UTC)).text()


def test_a_gate_with_a_display_gets_the_page_its_port_and_its_user(making, answers, taken, root, monkeypatch):
    users = []
    monkeypatch.setattr("gated.provision.steps.services.missing", lambda needs: [])
    monkeypatch.setattr(packages, "add_user", lambda name, groups=(): users.append(name))
    taken(making(answers({"cues": {"screen_port": 9000}}, kiosk=True)))
    assert users == ["gated-kiosk"]
    unit = (root / "etc/systemd/system/gated-kiosk.service").read_text()
    assert "ExecStart=/opt/gated/screen http://127.0.0.1:9000/" in unit
    assert (root / "opt/gated/screen").stat().st_mode & 0o777 == 0o755


def test_without_a_port_of_its_own_the_screen_gets_8080(making, answers, taken, root, monkeypatch):
    monkeypatch.setattr("gated.provision.steps.services.missing", lambda needs: [])
    monkeypatch.setattr(packages, "add_user", lambda name, groups=(): None)
    taken(making(answers(kiosk=True)), "settings")
    assert load_own(root / "etc/gated/gated.toml").cues.screen_port == 8080


def test_the_missing_settings_of_a_later_display_are_reported(making, answers, taken):
    taken(making(answers()), "settings")
    problems, _ = tried(making(answers(kiosk=True)))
    assert any("write screen_port = 8080 below [cues]" in problem for problem in problems)
    with pytest.raises(ConfigError, match="screen_port"):
        taken(making(answers(kiosk=True)))


def test_a_keyboard_at_the_display_can_neither_reboot_nor_halt_the_machine(making, answers, taken, root, monkeypatch):
    monkeypatch.setattr("gated.provision.steps.services.missing", lambda needs: [])
    monkeypatch.setattr(packages, "add_user", lambda name, groups=(): None)

    def services():
        return Services(making(answers({"cues": {"screen_port": 9000}}, kiosk=True)))

    taken(services().making)
    assert (root / "etc/systemd/system/ctrl-alt-del.target").readlink() == Path("/dev/null")
    assert "kernel.sysrq = 0" in (root / "etc/sysctl.d/90-gated-kiosk.conf").read_text()
    assert "CtrlAltDelBurstAction=none" in (root / "etc/systemd/system.conf.d/gated-kiosk.conf").read_text()
    keys = (root / "etc/systemd/logind.conf.d/gated-kiosk.conf").read_text()
    assert {"HandlePowerKey=ignore", "HandleRebootKey=ignore", "NAutoVTs=0"} <= set(keys.splitlines())
    assert services().is_done()
    (root / "etc/systemd/system/ctrl-alt-del.target").unlink()
    assert not services().is_done()


def test_without_a_display_the_keys_stay_as_they_are(making, answers, taken, root):
    taken(making(answers()))
    assert not list(root.glob("etc/**/*kiosk*"))
    assert not (root / "etc/systemd/system/ctrl-alt-del.target").is_symlink()
