"""A machine becomes a gate step by step. After any interruption the next run continues, and no file is lost."""

import os
import pwd
import shutil
import sys
from contextlib import closing
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))
from office_at import Office

from gated.config import load_own
from gated.errors import ConfigError, ModelError, PairingError, ProvisionError, StateError, UpdateError
from gated.face.manifest import shipped_manifest
from gated.provision.step_state import STATE
from gated.provision.steps import steps
from gated.sync.pairing import Pairing
from gated.update.release import Releases

sys.path.append(str(Path(__file__).parents[1] / "update"))
from signing import make_key

SITE, GATE = "market-south", "gate-2"

ALL = ["machine", "folders", "settings", "models", "keys", "camera and pins", "services"]


@pytest.fixture
def models(tmp_path):
    """Return a folder with the model files that come with gated."""
    folder = tmp_path / "models-here"
    shutil.copytree(shipped_manifest().parent / "courtyard", folder)
    return folder


@pytest.fixture
def office(tmp_path, wait_for):
    with closing(Office(tmp_path / "office")) as office:
        wait_for(office.answers, 60)
        yield office


def owner_of(path):
    return pwd.getpwuid(path.stat().st_uid).pw_name


def test_from_an_empty_machine_everything_is_made_and_a_second_run_makes_nothing(making, answers, taken, root):
    done, already = taken(making(answers()))
    assert set(ALL) <= {*done, *already}
    state = root / STATE.lstrip("/")
    assert owner_of(state) == "nobody"
    assert state.stat().st_mode & 0o777 == 0o700
    config = root / "etc/gated/gated.toml"
    assert (config.stat().st_mode & 0o777, config.stat().st_uid) == (0o640, 0)
    settings = load_own(config)
    assert (settings.site.id, settings.gate.id, settings.models.set) == (SITE, GATE, "courtyard")
    assert settings.door.brain_user == "nobody"
    assert {owner_of(path) for path in state.rglob("*")} == {"nobody"}
    assert (root / "etc/systemd/system/multi-user.target.wants/gated.service").is_symlink()
    for script in ("guard", "secure"):
        assert (root / "opt/gated" / script).stat().st_mode & 0o777 == 0o755
    again, _ = taken(making(answers()))
    assert again == ["machine", "keys", "camera and pins"], "what only looks is looked at again"


def test_a_state_folder_in_a_third_users_place_is_refused_and_nothing_is_made_or_given_away(
    making, answers, taken, root
):
    secret = root / "secret"
    secret.mkdir(mode=0o755)
    (root / "var").mkdir()
    (root / "var/lib").symlink_to(secret)
    os.chown(root / "var", 1, 1)
    os.chown(root / "var/lib", 1, 1, follow_symlinks=False)
    (secret / "gated").mkdir(mode=0o755)
    with pytest.raises(StateError, match="would lie where user 1 can replace it"):
        taken(making(answers()), "folders")
    [folders] = [step for step in steps(making(answers())) if step.title == "folders"]
    assert any("would lie where user 1" in str(each) for each in folders.check().problems)
    assert (owner_of(secret / "gated"), (secret / "gated").stat().st_mode & 0o777) == ("root", 0o755)
    assert not (root / "etc/gated").exists()


def test_a_state_folder_in_a_place_of_the_gates_user_is_made_by_that_user(making, answers, taken, root):
    (root / "var/lib").mkdir(parents=True)
    os.chown(root / "var/lib", pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("nobody").pw_gid)
    taken(making(answers()), "settings")
    assert owner_of(root / STATE.lstrip("/")) == "nobody"


def test_settings_in_another_users_place_are_not_written(making, answers, taken, root):
    (root / "etc/gated").mkdir(parents=True)
    os.chown(root / "etc/gated", 1, 1)
    (root / "etc/gated/.gated.toml.draft").symlink_to(root / "made")
    with pytest.raises(StateError, match="would lie where user 1 can replace it"):
        taken(making(answers()), "settings")
    assert not (root / "made").exists()


@pytest.mark.parametrize("upto", ALL)
def test_an_interrupted_install_goes_on_from_there(making, answers, taken, root, upto):
    taken(making(answers()), upto)
    _, already = taken(making(answers()))
    before = ALL[1 : ALL.index(upto) + 1]
    assert set(before) - {"keys", "camera and pins"} <= set(already)
    assert (root / "etc/systemd/system/gated.service").is_file()


def test_settings_that_are_there_are_never_written_over(making, answers, taken, root):
    taken(making(answers()), "settings")
    config = root / "etc/gated/gated.toml"
    config.write_text(config.read_text() + "\n# mine\n")
    taken(making(answers()))
    assert config.read_text().endswith("# mine\n")


def test_answers_that_the_settings_do_not_follow_are_named(making, answers, taken, root):
    taken(making(answers()), "settings")
    second = making(answers({"door": {"lock_pin": 27}}, models="evaluation"))
    taken(second, "settings")
    said = [finding for finding in second.told if finding.part == "settings"]
    assert [finding.light for finding in said] == ["amber"]
    assert said[0].result.endswith("models.set, door.lock_pin")
    assert str(root / "etc/gated/gated.toml") in said[0].next_step
    same = making(answers())
    taken(same, "settings")
    assert not [finding for finding in same.told if finding.part == "settings"]


def test_another_gates_settings_are_not_taken_over(making, answers, taken):
    taken(making(answers()), "settings")
    with pytest.raises(ProvisionError, match=r"is for market-south/gate-2, not market-south/gate-3; give those names"):
        taken(making(answers(gate="gate-3")))


def test_settings_that_are_none_are_refused_whole_and_nothing_is_left(making, answers, taken, root):
    with pytest.raises(ConfigError, match="did you mean 'rex_pin'"):
        taken(making(answers({"door": {"rex_pni": 5}})))
    assert list((root / "etc/gated").iterdir()) == []


def test_a_full_disk_is_reported_before_any_step(making, answers, taken, full_disk, root):
    with pytest.raises(ProvisionError, match="MB free .*free some space"):
        taken(making(answers({"": {"state_dir": str(full_disk / "gated")}})))
    assert not (root / "etc/gated").exists()


def test_a_32_bit_system_ends_it_at_once(making, answers, taken, root, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "armv7l")
    with pytest.raises(ProvisionError, match=r"Raspberry Pi OS Lite \(64-bit\)"):
        taken(making(answers()))
    assert not (root / "etc").exists()


def test_a_wrong_model_file_is_thrown_away_and_the_right_one_taken_the_next_time(
    making, answers, taken, tmp_path, models, root
):
    manifest = tmp_path / "manifest.toml"
    text = shipped_manifest().read_text()
    manifest.write_text(text.replace('folder = "courtyard"\n', ""))
    tables = {"models": {"dir": str(root / "models"), "manifest": str(manifest)}}
    wrong = tmp_path / "wrong"
    shutil.copytree(models, wrong)
    victim = next(wrong.glob("*detector.onnx"))
    victim.write_bytes(victim.read_bytes()[:-1] + b"x")
    (root / "models").mkdir(parents=True)
    with pytest.raises(ModelError, match="is another file .*find the one that the manifest names"):
        taken(making(answers(tables, models_from=str(wrong), accept_licence=True)))
    done, already = taken(making(answers(tables, models_from=str(models), accept_licence=True)))
    assert "models" in done
    assert {"folders", "settings"} <= set(already)


def test_a_licence_that_nobody_accepted_stops_it(making, answers, taken, tmp_path, models, root):
    manifest = tmp_path / "manifest.toml"
    manifest.write_text(shipped_manifest().read_text().replace('folder = "courtyard"\n', ""))
    tables = {"models": {"dir": str(root / "models"), "manifest": str(manifest)}}
    (root / "models").mkdir(parents=True)
    with pytest.raises(ModelError, match="--accept-licence"):
        taken(making(answers(tables, models_from=str(models))))


def test_a_gate_joins_its_office_and_does_not_a_second_time(making, answers, taken, office, root):
    code = office.code()
    done, _ = taken(making(answers(code=code)))
    assert "office" in done
    settings = load_own(root / "etc/gated/gated.toml")
    assert settings.sync.url == office.place.url
    assert Pairing.find(settings.state) is not None
    assert {owner_of(path) for path in (settings.state / "pairing").rglob("*")} == {"nobody"}
    _, already = taken(making(answers(code=code)))
    assert "office" in already


def test_a_wrong_code_is_reported_and_the_correct_one_continues(making, answers, taken, office):
    code = office.code()
    wrong = code[:-1] + ("0" if code[-1] != "0" else "2")
    with pytest.raises(PairingError, match="letter or more"):
        taken(making(answers(code=wrong)))
    done, already = taken(making(answers(code=code)))
    assert "office" in done
    assert {"folders", "settings", "models"} <= set(already)


def test_a_code_for_another_gate_is_not_tried(making, answers, taken, office):
    with pytest.raises(ProvisionError, match="the code is for gate-2, and this gate is gate-9"):
        taken(making(answers(code=office.code(), gate="gate-9")))


def test_an_unreachable_office_is_reported_and_the_code_stays_valid(making, answers, taken, office, wait_for):
    code = office.code()
    office.close()
    with pytest.raises(PairingError, match="nobody answers .*this gate has a network"):
        taken(making(answers(code=code)))
    office.serve()
    wait_for(office.answers, 60)
    assert "office" in taken(making(answers(code=code)))[0]


def test_a_missing_camera_stops_it_before_anything_is_started(making, answers, taken, root, monkeypatch):
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(ProvisionError, match="camera: .*ribbon"):
        taken(making(answers({"camera": {"kind": "picamera2", "path": ""}})))
    assert not (root / "etc/systemd").exists()


def test_lines_of_the_firmware_are_shown_before_they_are_written(making, answers, taken, root):
    (root / "boot/firmware").mkdir(parents=True)
    path = root / "boot/firmware/config.txt"
    path.write_text("dtparam=audio=on\n")
    asked = []
    with pytest.raises(ProvisionError, match="was not changed"):
        taken(making(answers(), confirm=lambda text: asked.append(text) or False))
    assert "dtparam=watchdog=on" in asked[0]
    assert path.read_text() == "dtparam=audio=on\n"
    done, _ = taken(making(answers()))
    assert "firmware" in done
    assert path.read_text().startswith("dtparam=audio=on\n# gated: begin\n[all]\n")
    assert "firmware" in taken(making(answers()))[1]
    assert (root / "etc/systemd/system.conf.d/gated.conf").is_file()


def test_provisioning_needs_root(making, answers, taken, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ProvisionError, match="use sudo"):
        taken(making(answers()), "folders")


def test_without_the_gates_user_it_says_who_makes_it(making, answers, taken, monkeypatch):
    monkeypatch.setattr("gated.provision.step_state.USER", "no-such-user")
    with pytest.raises(ProvisionError, match="systemd/install"):
        taken(making(answers()))


def test_unreadable_prompts_are_reported_without_a_traceback(making, answers, taken):
    with pytest.raises(StateError, match=r"/nowhere: No such file.*'nobody' may read"):
        taken(making(answers({"cues": {"sound": "alsa", "languages": ["en"]}}, prompts_from="/nowhere")))


def test_unwritable_services_are_reported_without_a_traceback(making, answers, taken, root):
    (root / "etc").mkdir()
    (root / "etc/systemd").write_text("no folder")
    with pytest.raises(StateError, match="etc/systemd.*check that the card can be written, and free some space"):
        taken(making(answers()))


def test_prompts_are_spoken_where_there_is_sound(making, answers, taken, root):
    done, _ = taken(making(answers({"cues": {"sound": "alsa", "languages": ["en"]}})))
    assert "prompts" in done
    prompts = root / STATE.lstrip("/") / "prompts/en"
    assert len(list(prompts.glob("*.wav"))) > 10
    assert {owner_of(path) for path in prompts.iterdir()} == {"nobody"}


# -- the signer of other versions --------------------------------------------------------------------------------------


def test_the_release_key_is_believed_from_then_on_and_another_does_not_take_its_place(
    making, answers, taken, root, tmp_path
):
    make_key(tmp_path / "keys")
    make_key(tmp_path / "keys", "thief")
    said = taken(making(answers(release_key=str(tmp_path / "keys/release.pub"))))[0]
    assert "release key" in said
    believed = Releases(root / "opt/gated").keys
    assert [key.comment for key in believed] == ["release"]
    taken(making(answers(release_key=str(tmp_path / "keys/thief.pub"))))
    assert Releases(root / "opt/gated").keys == believed


@pytest.mark.parametrize("text", ["", "ssh-rsa AAAA", None])
def test_a_file_that_is_no_release_key_is_refused_and_not_installed(making, answers, taken, root, tmp_path, text):
    if text is not None:
        (tmp_path / "release.pub").write_text(text)
    with pytest.raises(UpdateError, match=r"release\.pub"):
        taken(making(answers(release_key=str(tmp_path / "release.pub"))))
    assert not (root / "opt/gated/release.pub").exists()
