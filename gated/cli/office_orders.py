"""`gated office release|lockdown|enrol|settings|models|restart|diagnose`: orders, and what came of them."""

import getpass
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from gated.cli import show_json
from gated.cli.tables import show
from gated.errors import OfficeError
from gated.events import MAIN, SECOND
from gated.office.orders import Placed
from gated.office.store import Store
from gated.sync.messages import (
    Action,
    ChangeSettings,
    Diagnose,
    Enrol,
    Release,
    Restart,
    SetLockdown,
    SwitchModels,
)

LOOK_S = 0.05
LONGEST_REASON = 200
LONGEST_OPERATOR = 64

wait_option = click.option(
    "--wait", "wait_s", type=click.FloatRange(0, 3600), default=10.0, show_default=True, help="For an answer, so long."
)
operator_option = click.option("--operator", help="Who orders it: a short name; by default that of this account.")
reason_option = click.option("--reason", default="", help="Why; this goes into the gate's journal. Nobody's name.")
json_option = click.option("--json", "as_json", is_flag=True, help="For a program.")


@dataclass(frozen=True, slots=True)
class Wish:
    """Who orders, why, and how long an answer is waited for."""

    operator: str
    reason: str
    wait_s: float
    as_json: bool


def orders(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that all orders have."""
    for option in (json_option, wait_option, reason_option, operator_option):
        command = option(command)
    return command


@click.command()
@click.argument("gate")
@click.option("--door", type=click.Choice([MAIN, SECOND]), default=MAIN, show_default=True)
@click.option("--operator", required=True, help="Who orders it: a short name that can be traced to a person.")
@click.option("--reason", required=True, help="Why; this goes into the gate's journal. Nobody's name.")
@wait_option
@json_option
@click.pass_obj
def release(folder: Path, gate: str, door: str, *, operator: str, reason: str, wait_s: float, as_json: bool) -> None:
    """Let somebody in now. Exit 1 when the gate did not, or did not answer; after 5 s it would not any more."""
    _order(folder, [gate], Release(door), Wish(_operator(operator), reason, wait_s, as_json))


@click.command()
@click.argument("gate", metavar="GATE|all")
@click.argument("on", metavar="on|off", type=click.Choice(["on", "off"]))
@orders
@click.pass_obj
def lockdown(folder: Path, /, gate: str, on: str, **wish: Any) -> None:
    """Let nobody in at a gate, or at all of them, or let people in again. Leaving and fire know nothing of it."""
    with closing(Store.open(folder)) as store:
        gates = [each.gate for each in store.gates()] if gate == "all" else [gate]
    _order(folder, gates, SetLockdown(on == "on"), _wish(wish))


@click.command()
@click.argument("gate")
@click.argument("subject")
@click.option(
    "--within-s", type=click.FloatRange(5, 120), default=60.0, show_default=True, help="The gate tries so long."
)
@orders
@click.pass_obj
def enrol(folder: Path, /, gate: str, subject: str, within_s: float, **wish: Any) -> None:
    """Take the face of somebody known, who has agreed and stands before the gate; waits until it is done."""
    with closing(Store.open(folder)) as store:
        if not any(consent.purpose == "recognise" for consent in store.book.person(subject).consents):
            raise OfficeError(
                f"{subject} has not agreed to be recognised; `gated office person change --consent` notes it"
            )
    asked = _wish(wish)
    _order(folder, [gate], Enrol(subject, within_s), replace(asked, wait_s=max(asked.wait_s, within_s + 10)))


@click.command()
@click.argument("gate")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@orders
@click.pass_obj
def settings(folder: Path, /, gate: str, file: Path, **wish: Any) -> None:
    """Give a gate the settings in FILE (TOML); it goes back to its old ones if it is not well with them."""
    text = file.read_text(encoding="utf-8", errors="replace")
    _order(folder, [gate], ChangeSettings(text), _wish(wish))


@click.command()
@click.argument("gate")
@click.argument("name", metavar="SET")
@orders
@click.pass_obj
def models(folder: Path, /, gate: str, name: str, **wish: Any) -> None:
    """Have a gate fetch a model set if it must, prove it, and use it."""
    _order(folder, [gate], SwitchModels(name), _wish(wish))


@click.command()
@click.argument("gate")
@orders
@click.pass_obj
def restart(folder: Path, /, gate: str, **wish: Any) -> None:
    """Have a gate begin anew; the door stays as secure as it was."""
    _order(folder, [gate], Restart(), _wish(wish))


@click.command()
@click.argument("gate")
@orders
@click.pass_obj
def diagnose(folder: Path, /, gate: str, **wish: Any) -> None:
    """Show what a gate's doctor says."""
    _order(folder, [gate], Diagnose(), _wish(wish))


def _wish(options: dict[str, Any]) -> Wish:
    return Wish(_operator(options["operator"]), options["reason"], options["wait_s"], options["as_json"])


def _operator(name: str | None) -> str:
    name = (name or getpass.getuser()).strip()
    if not (name.isprintable() and 0 < len(name) <= LONGEST_OPERATOR):
        raise click.BadParameter(f"write a name, of up to {LONGEST_OPERATOR} characters", param_hint="--operator")
    return name


def _order(folder: Path, gates: Sequence[str], action: Action, wish: Wish) -> None:
    """Place the order at each gate, wait, and say what came of it. Exit 1 unless every gate has done it."""
    if not (wish.reason.isprintable() and len(wish.reason) <= LONGEST_REASON):
        raise click.BadParameter(f"write one line of up to {LONGEST_REASON} characters", param_hint="--reason")
    give_up_at = time.monotonic() + wish.wait_s
    with closing(Store.open(folder)) as store:
        at = datetime.now(UTC)
        numbers = [store.orders.place(gate, action, wish.operator, wish.reason, at) for gate in gates]
        while True:
            placed = [store.orders.get(number) for number in numbers]
            if time.monotonic() >= give_up_at or not any(each.is_open for each in placed):
                break
            time.sleep(LOOK_S)
    if wish.as_json:
        show_json([_row(each) for each in placed])
    for each in [] if wish.as_json else placed:
        click.echo(_sentence(each, wish.wait_s), err=each.state != "done")
        if each.findings:
            show(["part", "level", "says"], [[f.part, f.level, f.says] for f in each.findings])
    sys.exit(0 if all(each.state == "done" for each in placed) else 1)


def _row(placed: Placed) -> dict[str, Any]:
    return {
        "order": placed.id,
        "gate": placed.gate,
        "state": placed.state,
        "why": placed.why,
        "findings": placed.findings,
    }


def _sentence(placed: Placed, wait_s: float) -> str:
    why = f": {placed.why}" if placed.why else ""
    match placed.state:
        case "new":
            return f"{placed.gate}: nobody has sent it in {wait_s:g} s; is `gated office serve` running?"
        case "sent":
            good = f"it would still do it until {placed.good_s:.0f} s after it was asked"
            return f"{placed.gate} did not answer within {wait_s:g} s; {good}"
        case "unanswered":
            return f"{placed.gate} did not do it{why}; the order is void"
        case _:
            return f"{placed.gate}: {placed.state}{why}"
