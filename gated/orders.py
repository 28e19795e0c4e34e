"""What the office orders, carried out: each command that counts becomes an act of the part that it is about.

Whatever comes of it is said in one sentence; nothing that goes wrong with an order goes any further.
"""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from gated.access.entrance import Entrance
from gated.access.lockdown import begin_lockdown, end_lockdown, read_lockdown
from gated.access.rights import Refusal
from gated.config import Settings
from gated.config.trial import propose, propose_models
from gated.errors import ConfigError, EnrolmentError, GatedError, ModelError, StateError, SubjectNotFoundError
from gated.face.manifest import load_manifest
from gated.face.pull import pull_set
from gated.sync.commands import Outcome
from gated.sync.messages import (
    Action,
    ChangeSettings,
    Command,
    Diagnose,
    Enrol,
    Finding,
    Message,
    Release,
    Restart,
    SetLockdown,
    Share,
    Suspend,
    SwitchModels,
)
from gated.sync.replica import Replica
from gated.types import SubjectId

log = logging.getLogger(__name__)

T = TypeVar("T")

LEAVE_S = 1.0
"""So long the answer has to leave before a restart."""
DOCTOR_S = 60.0
VERIFY_S = 120.0
LONGEST_PART, LONGEST_SAYS = 64, 200

CLOSED = {
    Refusal.LOCKDOWN: Outcome("refused", "there is a lockdown: nobody is let in until it is ended"),
    Refusal.DOOR: Outcome("refused", "this gate has no such door"),
}
NO_LATCH = Outcome("failed", "the latch does not answer; the door was not released")


class OnSync(Protocol):
    """Has the office's records do something, on the thread that they belong to."""

    def __call__(self, work: Callable[[Replica], T], /) -> Awaitable[T]:
        """What `work` gives, or raises."""


class Orders:
    """Carries out commands that count, each once, in the loop's thread. Several may be under way at a time."""

    def __init__(
        self,
        settings: Settings,
        config: Path,
        entrance: Entrance,
        *,
        on_sync: OnSync,
        send: Callable[[Message], None],
        stop: Callable[[str], None],
        lost: Callable[[], Collection[str]],
    ) -> None:
        """`config`: the settings' file. `send`: what else the office is told. `stop`: ends the brain, which systemd
        starts again. `lost`: the parts that are lost now.
        """
        self._settings, self._config, self._entrance = settings, config, entrance
        self._on_sync, self._send, self._stop, self._lost = on_sync, send, stop, lost

    async def perform(self, command: Command) -> Outcome:
        """Carry a command out, which may take minutes; what came of it. Raises nothing."""
        try:
            return await self._perform(command, command.action)
        except (ConfigError, EnrolmentError, SubjectNotFoundError) as error:
            return Outcome("refused", _sentence(error))
        except GatedError as error:
            return Outcome("failed", _sentence(error))
        except Exception:
            log.exception("command %s could not be carried out", command.id)
            return Outcome("failed", "an error inside; see the gate's log")

    async def _perform(self, command: Command, action: Action) -> Outcome:
        match action:
            case Release(door):
                refusal = self._entrance.ways.remote(command.id, door)
                return Outcome("done") if refusal is None else CLOSED.get(refusal, NO_LATCH)
            case SetLockdown(on):
                await asyncio.to_thread(self._set_lockdown, on, command.operator)
                self._entrance.look()
                return Outcome("done")
            case Suspend(subject, n):
                return await self._suspend(subject, n)
            case Enrol(subject, within_s):
                min_eye_px = self._settings.face.min_enrol_eye_px
                templates = await self._entrance.faces.enrol(SubjectId(subject), within_s, min_eye_px)
                return Outcome("done", f"{templates} templates")
            case Share(subject, to):
                self._send(await self._on_sync(lambda replica: replica.share(subject, to)))
                return Outcome("done")
            case SwitchModels(model_set):
                await asyncio.to_thread(self._pull, model_set)
                await self._gated("models", "verify", model_set, within_s=VERIFY_S)
                await asyncio.to_thread(propose_models, self._config, model_set, self._lost())
                return self._restart()
            case ChangeSettings(toml):
                await asyncio.to_thread(propose, self._config, toml, self._lost())
                return self._restart()
            case Restart():
                return self._restart()
            case Diagnose():
                return Outcome("done", findings=await self._findings())

    def _set_lockdown(self, on: bool, by: str) -> None:
        """Who ordered it first stands in the order."""
        state = self._settings.state
        if not on:
            end_lockdown(state, by)
        elif read_lockdown(state) is None:
            begin_lockdown(state, by, datetime.now(UTC))

    async def _suspend(self, subject: str, n: int) -> Outcome:
        if not await self._on_sync(lambda replica: replica.suspend(subject, n)):
            return Outcome("refused", f"nobody here is called {subject}")
        self._entrance.look()
        return Outcome("done")

    def _pull(self, model_set: str) -> None:
        """Have the set's files here; who orders it accepts their licences. Raises `ModelError`, and `BusyError`."""
        models = self._settings.models
        if self._settings.door.pins == "gpio" and load_manifest(models).model_set(model_set).grade == "demo":
            raise ModelError(f"{model_set!r} is for demonstration and never drives a real lock")
        pull_set(models, model_set, accept=True)

    def _restart(self) -> Outcome:
        asyncio.get_running_loop().call_later(LEAVE_S, self._stop, "restart")
        return Outcome("done")

    async def _findings(self) -> tuple[Finding, ...]:
        """What the doctor says, who ends with 1 when something is red."""
        printed = await self._gated("doctor", "--json", within_s=DOCTOR_S, well=(0, 1))
        return tuple(found.finding() for found in msgspec.json.decode(printed, type=_Diagnosis).findings)

    async def _gated(self, *arguments: str, within_s: float, well: Collection[int] = (0,)) -> bytes:
        """What one of our own commands prints. It has a process to itself: it loads models, and the brain shall not.

        Raises `StateError` with its last word when it does not end `well`.
        """
        command = ["-m", "gated", "--config", str(self._config), "--models", self._settings.models.dir, *arguments]
        pipe, name = asyncio.subprocess.PIPE, f"gated {' '.join(arguments)}"
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, start_new_session=True
        )
        try:
            async with asyncio.timeout(within_s):
                printed, said = await process.communicate()
        except TimeoutError as error:
            raise StateError(f"`{name}` has not ended in {within_s:.0f} s; try it at the gate") from error
        finally:
            with suppress(ProcessLookupError):
                process.kill()
        if process.returncode not in well:
            last = said.decode(errors="replace").strip().rpartition("\n")[2]
            raise StateError(last.removeprefix("gated: ") or f"`{name}` ended with status {process.returncode}")
        return printed


class _Found(msgspec.Struct, frozen=True):
    """A finding as the doctor prints it."""

    part: str
    light: str
    says: str
    next_step: str

    def finding(self) -> Finding:
        """As it is sent."""
        says = f"{self.says} -> {self.next_step}" if self.next_step else self.says
        return Finding(self.part[:LONGEST_PART], self.light, says[:LONGEST_SAYS])


class _Diagnosis(msgspec.Struct, frozen=True):
    findings: list[_Found]


def _sentence(error: GatedError) -> str:
    return "; ".join(error.problems) if isinstance(error, ConfigError) else str(error)
