"""A brain killed at the moment it answers a guess has already counted the guess. Uses a real process and SIGKILL."""

import signal
import subprocess
import sys

from gated.access.guess_store import GuessStore

BRAIN = """
import asyncio, os, signal, sys
from pathlib import Path
from zoneinfo import ZoneInfo
from gated.access.guess_store import GuessStore
from gated.access.guess_budget import GuessBudget
from gated.access.schedules import Calendar
from gated.access.credential_service import CredentialService
from gated.access.permissions import Permissions
from gated.config import ReaderSettings
from gated.people.keyring import KeyRing

state, digits = Path(sys.argv[1]), sys.argv[2]
settings = ReaderSettings(attempts=2, rest_s=3600)

def answer(outcome):
    os.write(1, outcome.result.encode())
    os.kill(os.getpid(), signal.SIGKILL)

ring = KeyRing.open_best(state, "yard")
permissions = Permissions(ring, Calendar({}, (), ZoneInfo("UTC")), {"main"})
credentials = CredentialService(settings, ring, permissions, {"main": 8.0},
    release=lambda *_, **__: None, report=lambda _: None, on_outcome=answer, wall=lambda: None,
    budget=GuessBudget(settings, GuessStore(state)))
asyncio.run(credentials.handle_pin(digits))
"""


def test_a_kill_between_a_guess_and_its_answer_restores_no_guess(tmp_path):
    answers = []
    for digits in ("860100", "860101", "860102"):
        command = [sys.executable, "-c", BRAIN, tmp_path, digits]
        brain = subprocess.run(command, capture_output=True, timeout=120, check=False)
        assert brain.returncode == -signal.SIGKILL, brain.stderr
        answers.append(brain.stdout)
    assert answers == [b"refused", b"resting", b"resting"]
    log = GuessStore(tmp_path)
    assert len(log.restored) == 2
    log.close()
