"""Vision runs as its own service: three users as the units define them, and what each user can reach."""

import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from gated.config import ModelSettings
from gated.face.manifest import load_set
from gated.face.vision_messages import VisionConfined, VisionSettings, ready_with
from gated.runtime.channel import BlockingChannel

sys.path.append(str(Path(__file__).parent))
from contracts.activation import Activated, python_for

pytestmark = pytest.mark.slow

BRAIN, LATCH, VISION = "daemon", "bin", "nobody"
"""Users that every Debian has, in place of gated, gated-latch and gated-vision."""

PROBE = r"""
import contextlib, json, os, socket, struct, sys
import msgspec
from gated.door.latch_messages import Hello, ReleaseLock

latch, vision, *files = sys.argv[1:]

def tried(attempt):
    try:
        return attempt()
    except OSError as error:
        return type(error).__name__

def release():
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(20)
        sock.connect(latch)
        for message in (Hello(), ReleaseLock("visit", 5.0, 0.0, "main", "grant")):
            body = msgspec.msgpack.encode(message)
            with contextlib.suppress(BrokenPipeError):
                sock.sendall(struct.pack("<I", len(body)) + body)
        return msgspec.msgpack.decode(sock.recv(4096)[4:])["why"]

def dial():
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(vision)
    return "dialled"

print(json.dumps([tried(release), tried(dial), *(tried(lambda: len(open(f, "rb").read())) for f in files)]))
"""


class Courtyard:
    """A gate whose parts run as different users, as the units define, in a folder that all users may enter."""

    def __init__(self, gate, folder: Path) -> None:
        self.gate, self.folder, self.run = gate, folder, folder / "run"
        gate.folder, gate.state, gate.config = folder, folder / "state", folder / "gated.toml"
        gate.trace_file = self.run / "trace.jsonl"
        self._processes: list[subprocess.Popen] = []

    def lay_out(self, shared: Path) -> None:
        self._own(self.run, LATCH, 0o750, group=BRAIN)  # RuntimeDirectory=gated, of gated-latch.service
        self._own(self.gate.state, BRAIN, 0o700)  # StateDirectory=gated, of gated.service
        frames = self.folder / "frames"
        frames.mkdir()
        shutil.copy(shared / "faces/stranger_1.jpg", frames / "1.jpg")
        self.gate.write(
            state_dir=str(self.gate.state),
            camera={"path": str(frames), "loop": True},
            models={"dir": str(shared / "models"), "set": "evaluation"},
            door={"socket": str(self.run / "latch.sock"), "trace": str(self.gate.trace_file), "brain_user": BRAIN},
        )
        self.gate.config.chmod(0o644)

    def start(self, user: str, *words: str) -> subprocess.Popen:
        program, environment = python_for(user)
        extra = [pwd.getpwnam(BRAIN).pw_gid] if user == LATCH else []
        with (self.folder / f"{words[0]}.log").open("ab") as log:
            process = subprocess.Popen(
                [program, "-P", "-m", "gated", "--config", str(self.gate.config), *words], env=environment, user=user,
                group=pwd.getpwnam(user).pw_gid, extra_groups=extra, cwd="/", stdout=log, stderr=log,
            )  # fmt: skip
        self._processes.append(process)
        return process

    def events(self, kind: str) -> list[dict]:
        """Return the events of a kind. The brain's user reads them, because the suite's Python may be root's alone."""
        program, environment = python_for(BRAIN)
        done = subprocess.run(
            [program, "-P", "-m", "gated", "--config", str(self.gate.config), "events", "list", "--json"],
            env=environment, user=BRAIN, group=pwd.getpwnam(BRAIN).pw_gid, extra_groups=[], cwd="/",
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        return [event for event in json.loads(done.stdout or "[]") if event["kind"] == kind]

    def probe(self, user: str, *files: Path) -> list:
        """Return what this user can reach: the lock, vision's socket, and files."""
        program, environment = python_for(user)
        words = [str(self.run / "latch.sock"), str(self.folder / "vision.sock"), *map(str, files)]
        done = subprocess.run(
            [program, "-P", "-c", PROBE, *words], env=environment, user=user, group=pwd.getpwnam(user).pw_gid,
            extra_groups=[], cwd="/", capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    @staticmethod
    def _own(folder: Path, user: str, mode: int, group: str = "") -> None:
        folder.mkdir()
        os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(group or user).pw_gid)
        folder.chmod(mode)


@pytest.fixture
def courtyard(gate, open_folder, shared):
    there = Courtyard(gate, open_folder)
    there.lay_out(shared)
    yield there
    there.close()


@pytest.fixture
def vision(courtyard):
    path = courtyard.folder / "vision.sock"
    service = Activated(path, BRAIN, VISION, ["vision", "--service"], courtyard.folder / "vision.log")
    with contextlib.closing(service):
        yield service


def sees(courtyard, vision, times):
    def is_seeing():
        return sum(event["worker"] == "vision" for event in courtyard.events("worker_ready")) >= times

    courtyard.gate.wait_for(is_seeing, timeout_s=90)
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{vision.pid}/status").read_text().splitlines())
    assert status["Uid"].split()[0] == str(pwd.getpwnam(VISION).pw_uid)
    return status


def test_visions_user_reaches_neither_latch_nor_databases_and_the_gate_sees_by_it(courtyard, vision):
    courtyard.start(LATCH, "latch")
    courtyard.gate.wait_for((courtyard.run / "latch.sock").exists)
    brain = courtyard.start(BRAIN, "run", "--service", "--vision-socket", str(courtyard.folder / "vision.sock"))
    status = sees(courtyard, vision, 1)
    assert (status["Seccomp"], status["NoNewPrivs"], status["Groups"].split()) == ("2", "1", [])

    state, run = courtyard.gate.state, courtyard.run
    secrets = [state / name for name in ("people.db", "templates.db", "journal.db", "keys/site.key")]
    assert all(path.exists() for path in secrets[:3])
    assert courtyard.probe(VISION, *secrets) == ["PermissionError"] * (2 + len(secrets))
    # The folder's mode is not the only check: the latch asks the kernel for the peer's user.
    run.chmod(0o755)
    (run / "latch.sock").chmod(0o666)
    for user in (VISION, LATCH):
        assert "may not command this latch" in courtyard.probe(user)[0]
    assert not [row for row in courtyard.gate.trace() if row["on"]]

    os.kill(vision.pid, signal.SIGSEGV)  # vision crashes
    sees(courtyard, vision, 2)
    os.kill(vision.pid, signal.SIGSTOP)  # vision hangs, and the brain has no right to kill it
    sees(courtyard, vision, 3)
    brain.kill()  # the brain restarts
    brain.wait()
    courtyard.start(BRAIN, "run", "--service", "--vision-socket", str(courtyard.folder / "vision.sock"))
    sees(courtyard, vision, 4)
    assert len(set(vision.starts)) >= 4


def test_a_vision_that_lies_about_its_models_opens_nothing(gate, shared, tmp_path):
    """A compromised vision says that every face matches. The brain reads its own manifest instead."""
    models = ModelSettings(dir=str(shared / "models"), set="evaluation")
    honest = ready_with(load_set(models))
    lies = msgspec.structs.replace(honest, threshold=1e-9, pad_threshold=1e-9)
    path, calls = tmp_path / "vision.sock", []
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen(4)

        def answer():
            for word in (lies, honest):
                call, _ = listening.accept()
                channel = BlockingChannel[VisionSettings](call, VisionSettings)
                channel.receive()
                channel.send(VisionConfined(()))
                channel.send(word)
                with contextlib.suppress(EOFError):
                    channel.receive()  # ends when the brain closes the connection
                calls.append(word)
                call.close()

        liar = threading.Thread(target=answer, daemon=True)
        liar.start()
        gate.start("latch")
        gate.start("run", "--service", "--vision-socket", str(path))
        gate.wait_for(lambda: gate.events("worker_ready") and any(
            event["worker"] == "vision" for event in gate.events("worker_ready")), 60, 0.3)  # fmt: skip
    assert calls[0] is lies  # the brain closed that connection and heard the honest vision
    assert any("other models" in event.get("why", "") or "has others than the manifest" in event.get("why", "")
               for event in gate.events("worker_lost"))  # fmt: skip
