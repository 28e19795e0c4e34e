"""The doctor's looks change nothing, and report only what they have seen."""

import asyncio
import http.server
import os
import socket
import sqlite3
import sys
import threading
import wave
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gated.config import Settings, parse
from gated.cues.cue import Situation
from gated.cues.prompts import prompt_path
from gated.cues.screen import Screen
from gated.doctor import checks, handover_chinese
from gated.events import Degraded, Started, Stopped
from gated.journal.journal import Journal
from gated.runtime.confinement import STEPS, WORDS
from gated.service import timekeeper
from gated.service.clock_file import ClockFile, StoredClock

SHARED = Path(__file__).parents[3] / "shared"


@pytest.fixture
def settings(tmp_path):
    """Return a function that makes settings in their own folder, with changed tables."""

    def make(**tables) -> Settings:
        plain = {"state_dir": "state", "site": {"id": "s"}, "gate": {"id": "g"}, "door": {"pins": "mock"}}
        plain |= {"camera": {"kind": "replay", "path": "frames"}}
        return parse(plain | tables, tmp_path)

    return make


@pytest.fixture
def port():
    """Return a TCP port with no server."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@pytest.fixture
def stranger():
    """Yield the port of a web server that does not belong to gated."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def light(finding):
    assert finding.light == "green" or finding.next_step
    return finding.light


def test_missing_models_are_red(settings):
    finding = checks.models(settings(models={"dir": "nowhere"}))
    assert light(finding) == "red"
    assert "nowhere" in finding.result


@pytest.mark.skipif(not (SHARED / "models").exists(), reason="needs the real models beside the project")
def test_verified_models_are_green_and_an_altered_one_is_red(settings, tmp_path):
    assert light(checks.models(settings(models={"dir": str(SHARED / "models")}))) == "green"
    folder = tmp_path / "altered"
    folder.mkdir()
    for file in (SHARED / "models").iterdir():
        (folder / file.name).symlink_to(file)
    for victim in folder.glob("*.onnx"):
        altered = victim.read_bytes()[:-1] + b"\0"
        victim.unlink()
        victim.write_bytes(altered)
    assert light(checks.models(settings(models={"dir": str(folder)}))) == "red"


def test_a_demo_model_set_never_drives_a_real_lock(settings, tmp_path):
    manifest = (Path(__file__).parents[2] / "models" / "manifest.toml").read_text()
    (tmp_path / "manifest.toml").write_text(manifest.replace('grade = "evaluation"', 'grade = "demo"'))
    door = {"pins": "gpio", "rex_pin": 23}
    demo = settings(models={"manifest": "manifest.toml"}, door=door, camera={"kind": "picamera2"})
    finding = checks.models(demo)
    assert (light(finding), "demonstration" in finding.result) == ("red", True)


def test_a_recording_as_camera_is_never_green(settings, tmp_path):
    (tmp_path / "frames").mkdir()
    assert light(checks.camera(settings(), is_lost=False)) == "amber"


def test_a_missing_recording_and_a_lost_camera_are_red(settings, tmp_path):
    assert light(checks.camera(settings(), is_lost=False)) == "red"
    (tmp_path / "frames").mkdir()
    assert light(checks.camera(settings(), is_lost=True)) == "red"


def test_a_pi_without_picamera2_gets_the_install_command(settings, monkeypatch):
    monkeypatch.setitem(sys.modules, "picamera2", None)
    finding = checks.camera(settings(camera={"kind": "picamera2"}, door={"pins": "gpio"}), is_lost=False)
    assert light(finding) == "red"
    assert "python3-picamera2" in finding.next_step


def test_usb_readers_are_present_or_red(settings, tmp_path):
    (tmp_path / "there").touch()
    devices = [str(tmp_path / "there"), str(tmp_path / "unplugged")]
    found = {finding.part: light(finding) for finding in checks.readers(settings(readers={"devices": devices}))}
    assert found == {f"reader {devices[0]}": "green", f"reader {devices[1]}": "red"}


def test_a_usb_reader_that_this_user_cannot_read_is_red(settings, open_folder):
    if os.getuid() != 0:
        pytest.fail("the suite runs as root")
    device = open_folder / "reader"
    device.touch(0o600)
    was = settings(readers={"devices": [str(device)]})
    pid = os.fork()  # os.access checks the real user; only another process can change that user safely
    if pid == 0:
        os.setuid(65534)
        os._exit([finding.light for finding in checks.readers(was)] != ["red"])
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_the_pass_key_is_readable_or_red(settings, tmp_path):
    key = settings(readers={"pass_key": "site.pub"})
    assert [light(finding) for finding in checks.readers(key)] == ["red"]
    (tmp_path / "site.pub").write_bytes(b"no key")
    assert [light(finding) for finding in checks.readers(key)] == ["red"]
    pem = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "site.pub").write_bytes(pem)
    assert [light(finding) for finding in checks.readers(key)] == ["green"]


def test_a_gate_without_prompts_is_amber(settings):
    assert light(checks.prompts(settings())) == "amber"


def test_missing_prompts_are_counted(settings):
    finding = checks.prompts(settings(cues={"sound": "alsa", "languages": ["zh"]}))
    assert light(finding) == "amber"
    assert finding.result.startswith(f"{len(Situation)} are missing")


def test_complete_prompts_are_green(settings, tmp_path):
    with_sound = settings(cues={"sound": "alsa", "languages": ["en"]})
    for situation in Situation:
        path = prompt_path(with_sound.prompts, situation, "en")
        path.parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(48_000)
            file.writeframes((b"\x00\x58" + b"\x00\xa8") * 24_000)
    assert light(checks.prompts(with_sound)) == "green"


def test_a_gate_without_a_screen_is_green(settings):
    assert light(checks.screen(settings(), has_brain=True)) == "green"


def test_a_free_port_is_green_before_the_start_and_red_beside_a_brain(settings, port):
    with_screen = settings(cues={"screen_port": port})
    assert light(checks.screen(with_screen, has_brain=False)) == "green"
    assert light(checks.screen(with_screen, has_brain=True)) == "red"


@pytest.mark.parametrize("has_brain", [True, False])
def test_a_port_of_another_program_is_red(settings, stranger, has_brain):
    finding = checks.screen(settings(cues={"screen_port": stranger}), has_brain=has_brain)
    assert (light(finding), "another program" in finding.result) == ("red", True)


async def test_the_gates_own_page_is_recognised(settings, port):
    serving = asyncio.create_task(Screen(port, ("zh", "en")).run())
    async with asyncio.timeout(20):
        while await asyncio.to_thread(checks.page_on, port) is None:
            await asyncio.sleep(0.05)
    finding = await asyncio.to_thread(checks.screen, settings(cues={"screen_port": port}), has_brain=True)
    serving.cancel()
    assert (light(finding), str(port) in finding.result) == ("green", True)


def test_a_port_with_an_invalid_answer_is_not_the_gates():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            for _ in range(2):
                with listener.accept()[0] as caller:
                    caller.sendall(b"\xff\x00 hello\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        assert checks.page_on(listener.getsockname()[1]) is False


def test_a_missing_state_folder_is_not_created(settings):
    finding = checks.state_folder(settings())
    assert light(finding) == "amber"
    assert not settings().state.exists()


def test_an_existing_state_folder_shows_its_free_space(settings):
    settings().state.mkdir()
    finding = checks.state_folder(settings())
    assert "MB free" in finding.result
    assert light(finding) in ("green", "amber", "red")


@pytest.mark.parametrize(("free", "expected"), [(500_000_000, "green"), (100_000_000, "amber"), (1_000_000, "red")])
def test_a_nearly_full_disk_is_reported(settings, monkeypatch, free, expected):
    settings().state.mkdir()
    real = os.statvfs(settings().state)
    fields = [*real[:1], 1, *real[2:4], free, *real[5:]]
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(fields))
    assert light(checks.state_folder(settings())) == expected


def test_a_file_instead_of_the_state_folder_is_red(settings):
    settings().state.write_text("a file")
    assert light(checks.state_folder(settings())) == "red"


def test_a_state_folder_of_another_user_is_reported(settings):
    settings().state.mkdir()
    os.chown(settings().state, 65534, 65534)
    finding = checks.state_folder(settings())
    assert (light(finding), "another user" in finding.result) == ("amber", True)


def test_the_check_creates_no_journal(settings):
    past = checks.JournalCheck(settings())
    assert light(past.finding) == "amber"
    assert not settings().state.exists()
    assert past.lost == frozenset()


def written(settings, *events):
    with_facts = settings()
    journal = Journal.open(with_facts.state, "s", "g")
    for event in events:
        journal.append(event, datetime(2027, 1, 15, 12, 0, tzinfo=UTC))
    head = journal.position().head_hash
    journal.close()
    return with_facts, head


def test_a_valid_journal_shows_its_head(settings):
    with_facts, head = written(settings, Started("1", "0"), Degraded(["vision"]))
    past = checks.JournalCheck(with_facts)
    assert light(past.finding) == "green"
    assert head[:16] in past.finding.result
    assert (past.lost, past.last_at) == ({"vision"}, datetime(2027, 1, 15, 12, 0, tzinfo=UTC))


def test_an_altered_journal_is_red_and_its_losses_are_still_shown(settings):
    with_facts, _ = written(settings, Stopped("SIGTERM"), Degraded(["vision"]))
    with closing(sqlite3.connect(with_facts.state / "journal.db")) as database:
        database.execute("UPDATE event SET body = replace(body, 'SIGTERM', 'nothing') WHERE seq = 1")
        database.commit()
    past = checks.JournalCheck(with_facts)
    assert (light(past.finding), "row 1" in past.finding.result) == ("red", True)
    assert past.lost == {"vision"}


def test_an_invalid_journal_file_is_red(settings):
    settings().state.mkdir()
    (settings().state / "journal.db").write_bytes(b"no database" * 1000)
    assert light(checks.JournalCheck(settings()).finding) == "red"


def test_a_journal_of_another_gate_is_red(settings):
    with_facts, _ = written(settings, Stopped("SIGTERM"))
    assert with_facts.gate.id == "g"
    assert light(checks.JournalCheck(settings(gate={"id": "other"})).finding) == "red"


def test_a_clock_trusted_by_the_settings_is_green_unless_it_is_in_the_past(settings):
    trusted = settings(site={"id": "s", "clock": "trusted"})
    assert light(checks.clock(trusted, datetime.fromtimestamp(0, UTC))) == "green"
    finding = checks.clock(trusted, datetime.now(UTC) + timedelta(days=1))
    assert (light(finding), "earlier" in finding.result) == ("amber", True)


def test_a_wrongly_trusted_time_can_be_undone_as_the_doctor_describes(settings):
    """No office can correct the time here. The rows written in doubt hold the right time."""
    gate = settings(site={"id": "s", "clock": "trusted"})
    gate.state.mkdir(exist_ok=True)
    lie = datetime.now(UTC) + timedelta(days=4000)
    assert ClockFile(gate.state, None).write(StoredClock(floor=lie), 0.0)
    finding = checks.clock(gate, datetime.now(UTC))
    assert "earlier than the newest event" in finding.result
    assert str(gate.state / "clock.json") in finding.next_step
    (gate.state / "clock.json").unlink()
    assert light(checks.clock(gate, datetime.now(UTC))) == "green"


def test_an_unsynchronised_clock_is_amber(settings, monkeypatch):
    for is_kept, expected in ((True, "green"), (False, "amber")):
        monkeypatch.setattr(timekeeper, "is_synchronised", lambda is_kept=is_kept: is_kept)
        assert light(checks.clock(settings(), datetime.fromtimestamp(0, UTC))) == expected


# Fonts of the gate screen


@pytest.fixture
def fonts(tmp_path, monkeypatch):
    """Return a function that makes `fc-list` print this text. With None, `fc-list` is missing."""

    def fc_list_prints(text):
        monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
        if text is not None:
            (tmp_path / "fc-list").write_text(f"#!/bin/sh\nprintf '{text}'\n")
            (tmp_path / "fc-list").chmod(0o755)
        else:
            monkeypatch.setenv("PATH", str(tmp_path))

    return fc_list_prints


@pytest.mark.parametrize(("text", "wanted"), [("Noto Sans CJK SC\\n", "green"), ("", "amber"), (None, "amber")])
def test_a_screen_without_a_chinese_font_names_the_package(settings, fonts, text, wanted):
    fonts(text)
    (finding,) = checks.letters(settings(cues={"screen_port": 8080}))
    assert finding.light == wanted
    assert wanted == "green" or "fonts-noto-cjk" in finding.next_step


def test_without_a_screen_or_chinese_no_font_is_needed(settings, fonts):
    fonts("")
    assert list(checks.letters(settings())) == []
    assert list(checks.letters(settings(cues={"screen_port": 8080, "languages": ["en"]}))) == []


@pytest.fixture
def units(tmp_path):
    folder = tmp_path / "etc/systemd/system"
    folder.mkdir(parents=True)
    return folder


def as_service(units):
    (units / "gated.service").write_text("")
    (units / "sockets.target.wants").mkdir()
    (units / "sockets.target.wants/gated-vision.socket").symlink_to("../gated-vision.socket")


def test_a_vision_without_its_own_user_gets_the_command_to_add_one(units, tmp_path):
    (units / "gated.service").write_text("")
    (finding,) = checks.vision(tmp_path, [])
    assert (light(finding), finding.next_step) == ("amber", "run `sudo gated provision`")
    assert "Landlock and seccomp confine it" in finding.result


def test_a_vision_with_its_own_unit_and_user_is_green(units, tmp_path):
    as_service(units)
    assert [(light(each), each.result) for each in checks.vision(tmp_path, [])] == [
        ("green", "is a service with a user of its own; Landlock and seccomp confine it")
    ]


def test_a_vision_on_a_desk_is_green_if_the_kernel_confines_it(tmp_path):
    assert [light(finding) for finding in checks.vision(tmp_path, [])] == ["green"]


@pytest.mark.parametrize("is_service", [True, False])
@pytest.mark.parametrize("lack", WORDS)
def test_a_missing_kernel_confinement_is_reported_with_the_fix(units, tmp_path, lack, is_service):
    if is_service:
        as_service(units)
    first, *others = checks.vision(tmp_path, [lack])
    assert (light(first), "confine" in first.result) == ("green" if is_service else "amber", False)
    assert [(light(each), each.result, each.next_step) for each in others] == [("amber", WORDS[lack], STEPS[lack])]
    assert handover_chinese.sentence(WORDS[lack]) != WORDS[lack]
    assert handover_chinese.sentence(STEPS[lack]) != STEPS[lack]


def test_the_confinement_is_tested_in_its_own_process():
    assert "untried" not in checks.missing_confinement()
    assert Path("/etc/hostname").read_text()


def test_check_shows_how_vision_runs(gate):
    (row,) = [each for each in gate.json("check")["checks"] if each["part"] == "vision"]
    assert "is a child of the brain" in (row["warning"] or row["says"])
