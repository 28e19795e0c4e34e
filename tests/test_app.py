"""Tests the gate as a whole: real processes, real models, real pictures, mock pins."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from gated import app, brain_run
from gated.config import load
from gated.errors import StateError

pytestmark = [pytest.mark.slow, pytest.mark.long]

HOLD_S = 1.5


def enrol(gate, name, photo, check=0):
    arguments = ["--name", name, "--household", name, "--photo", photo, "--consent", "paper-1", "--notice", "v1"]
    return json.loads(gate.invoke("enrol", *arguments, "--json", check=check).stdout)["subject"]


def show(gate, *pictures, **camera):
    """Put pictures before the camera, in this order."""
    frames = gate.folder / "frames"
    frames.mkdir(exist_ok=True)
    for number, picture in enumerate(pictures):
        shutil.copy(picture, frames / f"{number:02}_{picture.name}")
    gate.write(camera={"hold_s": HOLD_S, **camera})


@pytest.fixture(scope="module")
def enrolled(gate_at, shared, tmp_path_factory):
    """Return a state folder with two enrolled persons, and their subjects."""
    with gate_at(tmp_path_factory.mktemp("enrolled")) as gate:
        return gate.state, {name: enrol(gate, name, shared / f"faces/{name}_1.jpg") for name in ("obama", "biden")}


@pytest.fixture
def home(gate, shared, enrolled):
    """Return a gate with two enrolled persons."""
    state, gate.subjects = enrolled
    gate.faces, gate.asks = shared / "faces", gate.invoke
    shutil.copytree(state, gate.state)
    return gate


def on_duty(gate, *arguments, env=None):
    """Start a brain, wait until it sees, and return its process."""
    seeing = lambda: sum(e["worker"] == "vision" for e in gate.events("worker_ready"))  # noqa: E731
    before = seeing()
    brain = gate.start("run", *arguments, env=env)
    gate.wait_for(lambda: seeing() > before)
    return brain


def test_residents_are_let_in_and_nobody_else(home):
    pictures = ["obama_2", "stranger_1", "biden_2", "pad_attack", "pad_bona_fide"]
    show(home, *(home.faces / f"{p}.jpg" for p in pictures))
    home.run("run", "--once", check=0)
    granted = [e["subject"] for e in home.events("access_granted")]
    assert granted == [home.subjects["obama"], home.subjects["biden"]]
    assert [e["reason"] for e in home.events("access_denied")] == ["unknown", "attack", "unknown"]
    assert sum(line["on"] for line in home.trace()) == 2
    assert home.run("events", "verify", check=0)


def test_a_picture_of_somebody_enrolled_does_not_open(home):
    enrol(home, "neighbour", home.faces / "pad_bona_fide.jpg")
    show(home, home.faces / "pad_attack.jpg", home.faces / "pad_bona_fide.jpg")
    home.run("run", "--once", check=0)
    assert [e["reason"] for e in home.events("access_denied")] == ["attack"]
    assert len(home.events("access_granted")) == 1


def test_a_small_face_in_the_background_never_opens(home, tmp_path):
    """The child behind the two men is enrolled from an enlarged crop, but is too far away to be at the gate."""
    from PIL import Image

    group = Image.open(home.faces / "obama_and_biden.jpg")
    child = tmp_path / "child.png"
    group.crop((1600, 930, 2000, 1330)).resize((1200, 1200)).save(child)
    for subject in home.subjects.values():
        home.run("people", "remove", subject, "--yes", check=0)
    home.write(face={"max_yaw_deg": 90.0, "max_pitch_deg": 90.0})
    home.run("enrol", "--name", "c", "--household", "c", "--photo", child, "--consent", "x", "--notice", "v1")
    show(home, home.faces / "obama_and_biden.jpg")
    home.run("run", "--once", check=0)
    assert home.events("access_granted") == []
    assert not any(line["on"] for line in home.trace())


def test_a_person_suspended_or_removed_at_run_time_is_refused(home):
    show(home, home.faces / "obama_2.jpg", home.faces / "biden_2.jpg", loop=True)
    on_duty(home)
    home.wait_for(lambda: len(home.events("access_granted")) >= 2)
    home.run("people", "suspend", home.subjects["obama"], check=0)
    home.run("people", "remove", home.subjects["biden"], "--yes", check=0)
    time.sleep(HOLD_S + 1.5)
    before = len(home.events("access_granted"))
    home.wait_for(lambda: {"suspended", "unknown"} <= {e["reason"] for e in home.events("access_denied")})
    assert len(home.events("access_granted")) == before


def test_a_person_enrolled_at_run_time_is_let_in(home):
    show(home, home.faces / "pad_bona_fide.jpg", home.faces / "stranger_1.jpg", loop=True)
    on_duty(home)
    home.wait_for(lambda: home.events("access_denied"))
    subject = enrol(home, "new", home.faces / "pad_bona_fide.jpg")
    home.wait_for(lambda: subject in [e["subject"] for e in home.events("access_granted")])


def test_a_killed_vision_is_replaced_within_3_s_and_the_gate_says_degraded_meanwhile(home):
    show(home, home.faces / "obama_2.jpg", home.faces / "stranger_1.jpg", loop=True)
    on_duty(home)
    (vision,) = home.children("vision")
    killed_at = time.monotonic()
    os.kill(vision, signal.SIGKILL)
    home.wait_for(lambda: len([e for e in home.events("worker_ready") if e["worker"] == "vision"]) == 2)
    told = [e for e in home.events("worker_lost", "degraded", "worker_ready") if e.get("worker") != "latch"]
    lost = next(i for i, e in enumerate(told) if e["kind"] == "worker_lost")
    assert told[lost]["why"] == "ended by SIGKILL"
    assert [e["kind"] for e in told[lost:]] == ["worker_lost", "degraded", "worker_ready", "degraded"]
    assert [e.get("lost") for e in told[lost:] if e["kind"] == "degraded"] == [["vision"], []]
    print(f"vision was back {time.monotonic() - killed_at:.1f} s after it was killed, the asking included")
    granted = len(home.events("access_granted"))
    home.wait_for(lambda: len(home.events("access_granted")) > granted)


def test_a_stopped_vision_is_replaced(home):
    show(home, home.faces / "obama_2.jpg", loop=True)
    on_duty(home)
    (vision,) = home.children("vision")
    os.kill(vision, signal.SIGSTOP)
    home.wait_for(lambda: home.children("vision") not in ([vision], []))
    assert home.events("worker_lost")[0]["why"] == "it is silent"


def test_a_killed_latch_is_replaced_within_3_s_and_no_release_is_carried_over(home):
    home.write(door={"release_s": 20.0})
    show(home, home.faces / "obama_2.jpg")
    on_duty(home)
    home.wait_for(home.lock_is_on)
    (latch,) = home.children("latch")
    killed_at = time.monotonic()
    os.kill(latch, signal.SIGKILL)
    home.wait_for(lambda: not home.lock_is_on())
    assert home.trace()[-1]["t"] - killed_at < 3
    time.sleep(1.5)
    assert not home.lock_is_on()


KILLS = int(os.environ.get("GATED_KILLS", "4"))


@pytest.mark.parametrize("is_endless", [True, False])
def test_a_recording_that_ends_does_not_begin_before_the_brain_sees_it(home, monkeypatch, is_endless):
    """Otherwise a brain on a busy machine misses the first people, and grants nothing."""
    show(home, home.faces / "stranger_1.jpg", loop=is_endless)
    found = []

    async def ends(settings, config, start, vision, latch, *, once):
        found.append(vision.has_early)

    monkeypatch.setattr(app, "keep_memory_secret", lambda: None)  # this process is not a gate
    monkeypatch.setattr(brain_run, "run", ends)
    asyncio.run(app.run(load(home.config), home.config))
    assert found == [is_endless]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_the_lock_drops_within_the_pulse_when_the_brain_is_gone(home, how):
    """`GATED_KILLS` sets the number of rounds."""
    pulse_s = 0.8
    home.write(door={"release_s": pulse_s})
    show(home, home.faces / "obama_2.jpg")
    latch = home.start_latch()
    for _ in range(KILLS):
        before = len(home.trace())
        brain = home.start("run")
        home.wait_for(lambda n=before: len(home.trace()) > n and home.lock_is_on())
        brain.send_signal(how)
        home.wait_for(lambda: not home.lock_is_on(), pulse_s + 10)
        on, off = home.trace()[-2:]
        assert off["t"] - on["t"] <= pulse_s + 0.25
        brain.kill()
        brain.wait()
    assert latch.poll() is None


def test_sigterm_stops_everything_within_3_s_in_mirror_order(home):
    home.write(door={"release_s": 20.0})
    show(home, home.faces / "obama_2.jpg")
    brain = on_duty(home)
    home.wait_for(home.lock_is_on)
    workers = home.children("vision") + home.children("latch")
    began = time.monotonic()
    brain.terminate()
    assert brain.wait(10) == 0
    took_s = time.monotonic() - began
    print(f"stopped in {took_s:.2f} s")
    assert not home.lock_is_on()
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    told = [(e["kind"], e.get("cause") or e.get("why")) for e in home.events()][-2:]
    assert told == [("door_secured", "stop"), ("stopped", "SIGTERM")]


def test_a_second_brain_on_the_same_state_is_refused_and_the_first_goes_on(home):
    show(home, home.faces / "obama_2.jpg", loop=True)
    brain = on_duty(home)
    done = home.run("run", check=3)
    assert done.stderr.count("\n") == 1
    assert str(brain.pid) in done.stderr
    assert brain.poll() is None


def test_the_workers_start_before_the_parts_of_the_brain_are_imported():
    """The brain needs numpy and the databases. A worker that waits for them makes the start longer."""
    code = "import sys, gated.app; print(sorted({'numpy', 'sqlite3', 'gated.brain'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_brain_that_cannot_start_leaves_no_worker(home, monkeypatch):
    """The latch and vision are started before the brain finds out."""
    show(home, home.faces / "stranger_1.jpg", loop=True)

    workers = []

    async def fails(settings, config, start, vision, latch, *, once):
        workers.extend((vision._early.process.process, latch._early.process))
        raise StateError("no brain today")

    monkeypatch.setattr(app, "keep_memory_secret", lambda: None)  # this process is not a gate
    monkeypatch.setattr(brain_run, "run", fails)
    with pytest.raises(StateError, match="no brain today"):
        asyncio.run(app.run(load(home.config), home.config))
    assert len(workers) == 2
    assert all(worker.returncode is not None for worker in workers)


def test_systemd_gets_ready_watchdog_and_stopping(home):
    show(home, home.faces / "stranger_1.jpg", loop=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(home.folder / "notify"))
        manager.settimeout(20)
        brain = home.start("run", env={"NOTIFY_SOCKET": str(home.folder / "notify"), "WATCHDOG_USEC": "200000"})
        words = set()
        while not {b"READY=1", b"WATCHDOG=1"} <= words:
            words.add(manager.recv(100))
        brain.terminate()
        while b"STOPPING=1" not in words:
            words.add(manager.recv(100))
        assert brain.wait(10) == 0


def test_a_grey_camera_is_reported_once_and_its_faces_are_no_attacks(home):
    for name in ("obama_2", "biden_2", "stranger_1"):
        Image.open(home.faces / f"{name}.jpg").convert("L").convert("RGB").save(home.folder / f"grey_{name}.png")
    greys = [home.folder / f"grey_{name}.png" for name in ("obama_2", "biden_2", "stranger_1")]
    show(home, *greys, home.faces / "obama_2.jpg")
    home.run("run", "--once", check=0)
    denied = [e["reason"] for e in home.events("access_denied")]
    assert denied
    assert set(denied) == {"poor_quality"}
    assert [e["subject"] for e in home.events("access_granted")] == [home.subjects["obama"]]
    lost = ["colour" in e["lost"] for e in home.events("degraded")]
    assert [now for now, before in zip(lost, [False, *lost], strict=False) if now != before] == [True, False]
    assert home.run("events", "list").stdout.count("attack") == 0


def test_without_models_the_gate_runs_and_reports_that_it_cannot_see(home):
    show(home, home.faces / "obama_2.jpg")
    home.write(models={"dir": str(home.folder / "nowhere")})
    brain = home.start("run")
    home.wait_for(lambda: home.events("worker_lost"))
    assert "yunet" in home.events("worker_lost")[0]["why"]
    assert home.events("degraded")[-1]["lost"] == ["vision"]
    time.sleep(2)
    assert len(home.events("worker_lost")) == 1
    brain.terminate()
    assert brain.wait(10) == 0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"models": {"set": "nowhere"}}, "nowhere"),
        ({"models": {"dir": "/nowhere"}}, "/nowhere"),
        ({"camera": {"path": "/nowhere"}, "models": {"dir": "models", "set": "courtyard"}}, "/nowhere"),
    ],
)
def test_a_recording_that_can_never_be_shown_ends_as_check_does(gate, change, says):
    gate.write(**{table: dict(value) for table, value in change.items()})
    done = gate.run("run", "--once", check=3)
    assert says in done.stderr.splitlines()[-1]
    assert done.stderr.splitlines()[-1].startswith("gated: ")
    checked = gate.run("check", check=3).stdout
    assert done.stderr.splitlines()[-1].removeprefix("gated: ") in checked


def test_settings_changed_between_two_starts_are_reported(home):
    show(home, home.faces / "stranger_1.jpg", hold_s=0.2)
    home.run("run", "--once", check=0)
    home.run("run", "--once", check=0)
    assert home.events("config_changed") == []
    home.write(camera={"fps": 12.0})
    home.run("run", "--once", check=0)
    (changed,) = home.events("config_changed")
    assert changed["before_sha256"] != changed["after_sha256"]


def test_no_name_no_household_and_no_consent_is_in_a_log_or_an_event(home):
    name, household, consent = "Zhang-Wei-Unmistakable", "Flat-4711", "Paper-0815"
    photo = home.faces / "pad_bona_fide.jpg"
    done = home.run(
        "enrol", "--name", name, "--household", household, "--photo", photo, "--consent", consent, "--notice", "v1"
    )
    show(home, photo, home.faces / "obama_2.jpg")
    brain = home.start("run", "--once", "-v")
    brain.wait(60)
    subject = home.events("access_granted")[0]["subject"]
    suspended = home.run("people", "suspend", subject, check=0)
    asked = [done, suspended]
    assert all(name in each.stdout for each in asked)  # each caller gets the answer on its own terminal
    said = home.log() + str(home.events()) + "".join(each.stderr for each in asked)
    assert subject in said
    logs = [p for p in home.folder.rglob("*") if p.suffix in (".log", ".jsonl") or p.name.startswith("journal.db")]
    assert {"run.log", "trace.jsonl", "journal.db"} <= {p.name for p in logs}
    written = said.encode() + b"".join(p.read_bytes() for p in logs)
    for secret in (name, household, consent):
        assert secret.encode() not in written
