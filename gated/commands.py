"""Carry out the office's commands. Each accepted command calls the part of the brain that it is about. `following` uses
this module.

The outcome is one sentence. A failed command affects nothing else.
"""

import asyncio
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from gated.access.access_rules import Refusal
from gated.access.calls import CallReply, Calls
from gated.access.entrance import Entrance
from gated.access.lockdown import begin_lockdown, end_lockdown, read_lockdown
from gated.config import Settings
from gated.config.proposing import propose, propose_models
from gated.errors import (
    ConfigError,
    EnrolmentError,
    GatedError,
    StateError,
    SubjectNotFoundError,
    UnacceptedError,
    WithdrawnError,
)
from gated.face.manifest import load_manifest
from gated.people.held_records import BULK, CHANGED_FACE
from gated.protocol.command_messages import (
    WAITS,
    AcceptQuarantined,
    Action,
    AnnounceBatch,
    AnswerCall,
    ChangeSettings,
    Command,
    Diagnose,
    Enrol,
    ReleaseDoor,
    ReplyFinding,
    Restart,
    Share,
    Suspend,
    SwitchLockdown,
    SwitchModels,
)
from gated.protocol.wire_types import Message
from gated.sync.command_desk import CommandOutcome
from gated.sync.operator_dialog import OperatorDialog
from gated.sync.replica import Replica
from gated.types import SubjectId

log = logging.getLogger(__name__)

T = TypeVar("T")

LEAVE_S = 1.0
"""The time for the answer to leave before a restart, in seconds."""
DOCTOR_S = 60.0
VERIFY_S = 120.0
LONGEST_PART, LONGEST_FINDING = 64, 200

CLOSED = {
    Refusal.LOCKDOWN: CommandOutcome("refused", "a lockdown is active: it denies entry to everyone"),
    Refusal.DOOR: CommandOutcome("refused", "this gate has no such door"),
}
SHOWN = "The person uses their own card or PIN, or a person at the gate runs `gated people quarantine accept`"
WAITING_TEXTS = {
    "": "",
    CHANGED_FACE: f" wait: this person has another face here. {SHOWN}",
    BULK: f" wait: the hourly limit of new faces is reached. {SHOWN}, or the office accepts it",
}
NO_LATCH = CommandOutcome("failed", "the latch does not answer; the door was not released")


class OnSync(Protocol):
    """Runs a function on the office's records, on the thread that owns them."""

    def __call__(self, work: Callable[[Replica], T], /) -> Awaitable[T]:
        """Return the result of `work`, or raise its exception."""


class CommandRunner:
    """Executes accepted commands, each once, on the event loop. Several commands may run at the same time."""

    def __init__(
        self,
        settings: Settings,
        config: Path,
        entrance: Entrance,
        calls: Calls,
        *,
        on_sync: OnSync,
        send: Callable[[Message], None],
        stop: Callable[[str], None],
        lost: Callable[[], Collection[str]],
    ) -> None:
        """Store the parts. `config`: the path of the settings. `send`: sends a message to the office. `stop`: ends the
        brain, and systemd restarts it. `lost`: returns the parts that are lost now.
        """
        self._settings, self._config, self._entrance, self._calls = settings, config, entrance, calls
        self._on_sync, self._send, self._stop, self._lost = on_sync, send, stop, lost

    async def perform(self, command: Command, talk: OperatorDialog) -> CommandOutcome:
        """Carry out a command, which may take minutes. Return the outcome. Raises nothing.

        `talk`: the exchange with the waiting operator. A long command is confirmed again before a step that cannot be
        undone.
        """
        try:
            return await self._perform(command, command.action, talk)
        except ConfigError as error:
            return _refused(error)
        except UnacceptedError as error:
            return CommandOutcome("refused", str(error), (ReplyFinding("share", WAITS, str(error)[:LONGEST_FINDING]),))
        except (EnrolmentError, SubjectNotFoundError, WithdrawnError) as error:
            return CommandOutcome("refused", str(error))
        except GatedError as error:
            return CommandOutcome("failed", str(error))
        except Exception:
            log.exception("command %s could not be carried out", command.id)
            return CommandOutcome("failed", "an internal error; read the gate's log")

    async def _perform(self, command: Command, action: Action, talk: OperatorDialog) -> CommandOutcome:
        match action:
            case ReleaseDoor(door):
                refusal = self._entrance.credentials.handle_remote(command.id, door)
                return CommandOutcome("done") if refusal is None else CLOSED.get(refusal, NO_LATCH)
            case AnswerCall(answer, door):
                return self._answer(command.id, door, answer)
            case SwitchLockdown(on):
                refused = await asyncio.to_thread(self._set_lockdown, on, command.operator)
                self._entrance.request_reload()
                return refused or CommandOutcome("done")
            case Suspend(subject, n):
                return await self._suspend(subject, n)
            case Enrol(subject, within_s):
                min_eye_px = self._settings.face.min_enrol_eye_px
                result = await self._entrance.faces.enrol(SubjectId(subject), within_s, min_eye_px, talk, self._counts)
                agreed = f", and agreed here to: {', '.join(result.consents)}" if result.consents else ""
                return CommandOutcome("done", f"{result.templates} templates{WAITING_TEXTS[result.waits]}{agreed}")
            case Share(subject, to):
                self._send(await self._on_sync(lambda replica: replica.share(subject, to)))
                return CommandOutcome("done")
            case SwitchModels(model_set):
                talk.show_progress("downloads the model set")
                await asyncio.to_thread(self._pull, model_set)
                talk.show_progress("verifies the model set")
                await self._gated("models", "verify", model_set, within_s=VERIFY_S)
                await talk.confirm("the model set is installed and verified")
                await asyncio.to_thread(propose_models, self._config, model_set, self._lost())
                return self._restart()
            case ChangeSettings(toml):
                await asyncio.to_thread(propose, self._config, toml, self._lost())
                return self._restart()
            case Restart():
                return self._restart()
            case AnnounceBatch(people, hours):
                return await self._on_sync(lambda replica: replica.announce(people, hours))
            case AcceptQuarantined(subjects):
                return await self._on_sync(lambda replica: replica.accept(subjects, command.operator))
            case Diagnose():
                return CommandOutcome("done", findings=await self._findings())

    async def _counts(self, subject: SubjectId, embedder_sha256: str) -> bool:
        """Count a first face by a new model set as a new person, if the hourly limit allows it.

        Return whether it does.
        """
        return await self._on_sync(lambda replica: replica.may_join(subject, embedder_sha256, time.monotonic()))

    def _answer(self, command: str, door: str, answer: CallReply) -> CommandOutcome:
        """Give the office's answer to the caller at the door. "opening" also releases the door; if the release fails,
        the call gets no answer.
        """
        at, why = self._calls.door_of(door)
        if why:
            return CommandOutcome("refused", why)
        if answer == "opening" and (refusal := self._entrance.credentials.handle_remote(command, at)) is not None:
            return CLOSED.get(refusal, NO_LATCH)
        self._calls.apply_answer(at, answer)
        return CommandOutcome("done")

    def _set_lockdown(self, on: bool, by: str) -> CommandOutcome | None:
        """Begin or end a lockdown. The record keeps the first operator.

        Return a refusal if the lockdown began at the gate. The office cannot end such a lockdown. Otherwise return
        None.
        """
        state = self._settings.state
        lockdown = read_lockdown(state)
        if not on and lockdown is not None and lockdown.at_gate:
            return CommandOutcome("refused", "it was set at the gate; `gated lockdown off` there ends it")
        if not on:
            end_lockdown(state, by)
        elif lockdown is None:
            begin_lockdown(state, by, datetime.now(UTC))
        return None

    async def _suspend(self, subject: str, n: int) -> CommandOutcome:
        if not await self._on_sync(lambda replica: replica.suspend(subject, n)):
            return CommandOutcome("refused", f"no person here has the id {subject}")
        self._entrance.request_reload()
        return CommandOutcome("done")

    def _pull(self, model_set: str) -> None:
        """Download the files of the model set. The operator's command accepts their licences. Raises `ModelError`,
        `BusyError`.
        """
        from gated.face.model_files import pull_set  # loads a client of HTTP

        models = self._settings.models
        load_manifest(models).model_set(model_set).check_grade(self._settings.door.pins)
        pull_set(models, model_set, accept=True)

    def _restart(self) -> CommandOutcome:
        asyncio.get_running_loop().call_later(LEAVE_S, self._stop, "restart")
        return CommandOutcome("done")

    async def _findings(self) -> tuple[ReplyFinding, ...]:
        """Return the doctor's findings. The doctor exits with 1 if a finding is red."""
        printed = await self._gated("doctor", "--json", within_s=DOCTOR_S, well=(0, 1))
        return tuple(found.finding() for found in msgspec.json.decode(printed, type=_Diagnosis).findings)

    async def _gated(self, *arguments: str, within_s: float, well: Collection[int] = (0,)) -> bytes:
        """Run one of our own commands and return its output. It runs in its own process, because the brain loads no
        models.

        Raises `StateError` with the last line of its errors if its exit status is not in `well`.
        """
        own = ["-P", "-m", "gated", "--config", str(self._config), "--models", self._settings.models.dir]
        pipe, name = asyncio.subprocess.PIPE, f"gated {' '.join(arguments)}"
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *own,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(within_s):
                printed, error_output = await process.communicate()
        except TimeoutError as error:
            raise StateError(f"`{name}` did not end within {within_s:.0f} s; run it at the gate") from error
        finally:
            with suppress(ProcessLookupError):
                process.kill()
        if process.returncode not in well:
            last = error_output.decode(errors="replace").strip().rpartition("\n")[2]
            raise StateError(last.removeprefix("gated: ") or f"`{name}` ended with status {process.returncode}")
        return printed


def _refused(error: ConfigError) -> CommandOutcome:
    """Return the outcome for wrong settings: each key with its problem. The findings hold all, even if one sentence is
    too short.
    """
    parts = [problem.partition(":") for problem in error.problems]
    findings = [ReplyFinding(key[:LONGEST_PART], "refused", why.strip()[:LONGEST_FINDING]) for key, _, why in parts]
    return CommandOutcome("refused", "; ".join(error.problems), tuple(findings))


class _Found(msgspec.Struct, frozen=True):
    """One finding in the doctor's output."""

    part: str
    light: str
    says: str
    next_step: str

    def finding(self) -> ReplyFinding:
        """Return the finding as a message."""
        text = f"{self.says} -> {self.next_step}" if self.next_step else self.says
        return ReplyFinding(self.part[:LONGEST_PART], self.light, text[:LONGEST_FINDING])


class _Diagnosis(msgspec.Struct, frozen=True):
    findings: list[_Found]
