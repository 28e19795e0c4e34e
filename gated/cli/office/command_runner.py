"""Places commands for gates, waits for their results and reports them. A command is valid only while this process
waits. It is withdrawn before the operator is told.
"""

import select
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from gated import names
from gated.cli import show_json, streams
from gated.cli.table_output import show
from gated.errors import GatedError, OfficeError
from gated.office.command_store import new_id
from gated.office.running_processes import Waiting, is_served, require_served
from gated.office.store import Store
from gated.office.stored_command import CommandContent, StoredCommand, check_content
from gated.printable import line
from gated.protocol.command_messages import Action
from gated.protocol.status_messages import LIVE

POLL_S = 0.05
SERVED_S = 0.5
"""Interval between checks that the office still serves, in seconds."""
LONGEST_REASON = 200
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

NOT_SERVED = "`gated office serve` ended"
INTERRUPTED = "you interrupted it"
NOT_CONFIRMED = "you did not confirm it"


@dataclass(frozen=True, slots=True)
class CommandOptions:
    """The operator, the reason and the waiting time, in seconds, of a command."""

    operator: str
    reason: str
    wait_s: float
    as_json: bool
    question: str = ""
    """Question to the operator before the gate executes the command; empty asks nothing."""


class _InterruptedError(BaseException):
    """Raised by SIGINT, SIGTERM, or SIGHUP from a closed terminal."""


def run_command(folder: Path, gates: Sequence[str], action: Action, options: CommandOptions) -> None:
    """Place the command at each gate, wait, and report the results. Exit with 1 unless every gate executed it."""
    placed = place_and_wait(folder, gates, action, options)
    if options.as_json:
        show_json([_row(each) for each in placed])
    for each in [] if options.as_json else placed:
        streams.echo(_sentence(each), err=each.state != "done")
        if each.findings:
            show(["part", "level", "says"], [[f.part, f.level, f.says] for f in each.findings])
    sys.exit(0 if all(each.state == "done" for each in placed) else 1)


def place_and_wait(folder: Path, gates: Sequence[str], action: Action, options: CommandOptions) -> list[StoredCommand]:
    """Place the command at each gate. Wait until each result is known or the command is void."""
    if not (options.reason.isprintable() and len(options.reason) <= LONGEST_REASON):
        raise click.BadParameter(f"write one line of up to {LONGEST_REASON} characters", param_hint="--reason")
    with closing(Store.open(folder)) as store:
        gates = [store.gate(names.id_of(gate)).gate for gate in gates]
        for gate in gates:
            check_content(gate, CommandContent(options.operator, options.reason, action))
            _refuse_old(store, gate)
        require_served(folder, gates)
        ids = [new_id() for _ in gates]
        with closing(Waiting(folder, ids)) as waiting:
            return _CommandWait(folder, store, waiting, options).run(dict(zip(ids, gates, strict=True)), action)


def _refuse_old(store: Store, gate: str) -> None:
    """Refuse a gate of an older version. Such a gate cannot ask whether the operator still waits, so it would carry out
    a late command.
    """
    status = store.gate(gate).status
    if status is not None and LIVE not in status.can:
        raise OfficeError(
            f"{gate} has gated {status.version}, which cannot check whether you still wait; update that gate first. "
            "Nothing was sent"
        )


class _CommandWait:
    """One wait for the commands that a single call placed."""

    def __init__(self, folder: Path, store: Store, waiting: Waiting, options: CommandOptions) -> None:
        self._folder, self._commands, self._waiting, self._options = folder, store.commands, waiting, options
        self._printed: dict[str, str] = {}
        self._served_at = 0.0

    def run(self, gates: dict[str, str], action: Action) -> list[StoredCommand]:
        """Place the commands, and wait until no further result can come."""
        why = INTERRUPTED
        try:
            with _interruptible():
                for command_id, gate in gates.items():
                    self._commands.place(
                        gate, action, self._options.operator, self._options.reason, datetime.now(UTC),
                        command_id=command_id, is_confirmed=not self._options.question,
                    )  # fmt: skip
                why = self._wait(list(gates))
        except _InterruptedError:
            pass
        except GatedError as error:
            why = str(error)
        finally:
            with _undisturbed():
                placed = self._finish(gates, why)
        return placed

    def _wait(self, ids: Sequence[str]) -> str:
        """Wait until no command is open. Return the reason to stop earlier, or an empty string."""
        give_up_at = time.monotonic() + self._options.wait_s
        while True:
            self._waiting.heartbeat()
            placed = [self._commands.get(command_id) for command_id in ids]
            if not any(each.is_open for each in placed):
                return ""
            if time.monotonic() >= give_up_at:
                return f"no answer in {self._options.wait_s:g} s"
            if not self._is_served([each.gate for each in placed if each.is_open]):
                return NOT_SERVED
            for each in placed:
                self._print_progress(each)
                if self._is_declined(each):
                    return NOT_CONFIRMED
            time.sleep(POLL_S)

    def _finish(self, gates: dict[str, str], why: str) -> list[StoredCommand]:
        """Withdraw the commands that no gate has begun, and wait for all others. Writes to
        disk before it reports.
        """
        known = [command_id for command_id in gates if self._is_placed(command_id)]
        for command_id in known:
            self._commands.withdraw(command_id, why)
        while True:
            placed = [self._commands.conclude(command_id, time.monotonic()) for command_id in known]
            if not any(each.is_open for each in placed):
                return placed
            time.sleep(POLL_S)

    def _is_placed(self, command_id: str) -> bool:
        try:
            self._commands.get(command_id)
        except OfficeError:
            return False
        return True

    def _is_served(self, gates: Sequence[str]) -> bool:
        if time.monotonic() < self._served_at + SERVED_S:
            return True
        self._served_at = time.monotonic()
        return all(is_served(self._folder, gate) for gate in gates)

    def _print_progress(self, stored: StoredCommand) -> None:
        """Print what the gate reports it is doing, each message once."""
        if stored.progress and self._printed.get(stored.id) != stored.progress:
            self._printed[stored.id] = stored.progress
            with suppress(OSError):
                streams.echo(f"{stored.gate}: {stored.progress}", err=True)

    def _is_declined(self, stored: StoredCommand) -> bool:
        """Ask the operator once the gate requests confirmation. Return whether the operator declined."""
        if stored.state != "asked" or stored.is_confirmed:
            return False
        if f"{stored.id}?" not in self._printed:
            self._printed[f"{stored.id}?"] = ""
            click.echo(line(f"{self._options.question} [y/N] "), nl=False, err=True)
        if not select.select([sys.stdin], [], [], 0)[0]:
            return False
        if sys.stdin.readline().strip().lower() not in ("y", "yes", "是"):
            return True
        self._commands.confirm(stored.id)
        return False


@contextmanager
def _interruptible() -> Iterator[None]:
    """Turn a signal into `_InterruptedError`, which only ends the waiting."""

    def interrupt(*_: object) -> None:
        """Raise `_InterruptedError` in the main thread."""
        raise _InterruptedError

    with _signals(interrupt):
        yield


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ignore signals while the command ends; this takes seconds."""
    with _signals(signal.SIG_IGN):
        yield


@contextmanager
def _signals(handler: Any) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = [signal.signal(number, handler) for number in SIGNALS]
    try:
        yield
    finally:
        for number, old in zip(SIGNALS, before, strict=True):
            signal.signal(number, old)


def _row(stored: StoredCommand) -> dict[str, Any]:
    return {
        "order": stored.id,
        "gate": stored.gate,
        "state": stored.state,
        "why": stored.why,
        "findings": stored.findings,
    }


def _sentence(stored: StoredCommand) -> str:
    why = f": {stored.why}" if stored.why else ""
    match stored.state:
        case "cancelled":
            return f"{stored.gate}: not done{why}. The command is void, and the gate will not carry it out later"
        case "unknown":
            return (
                f"{stored.gate}: the result is unknown. The gate has not answered, and may have carried out the "
                f"command; later, `gated office events --gate {stored.gate}` shows the result"
            )
        case _:
            return f"{stored.gate}: {stored.state}{why}"
