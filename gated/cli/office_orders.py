"""`gated office release|answer|lockdown|enrol|settings|models|restart|diagnose`: send commands to gates, and report the
results.
"""

import getpass
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import click

from gated import names
from gated.cli import streams
from gated.cli.office_people import somebody
from gated.cli.ordering import Wish, order
from gated.cli.places import DOORS, Name
from gated.cli.who import called, is_asked
from gated.config.handwritten import HandwritingError, read_text, toml_of
from gated.errors import ConfigError, OfficeError
from gated.events import MAIN
from gated.office.store import Store
from gated.runtime.named import reading
from gated.sync.confirm import PATIENCE_S
from gated.sync.messages import (
    AnswerCall,
    ChangeSettings,
    Diagnose,
    Enrol,
    Release,
    Restart,
    SetLockdown,
    SwitchModels,
)

LONGEST_OPERATOR = 64
WAIT_S, DIAGNOSE_S, MODELS_S = 10.0, 75.0, 900.0
"""Default time to wait for an answer, in seconds: most commands, diagnose, models."""

wait_option = click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(0, 3600),
    help="For an answer, in seconds; then the order is void. Without it: as long as such an order takes.",
)

operator_option = click.option("--operator", help="Who orders it: a short name; by default that of this account.")
reason_option = click.option("--reason", default="", help="Why; this goes into the gate's journal. Nobody's name.")
json_option = click.option("--json", "as_json", is_flag=True, help="For a program.")


def orders(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that all commands to gates share."""
    for option in (json_option, wait_option, reason_option, operator_option):
        command = option(command)
    return command


@click.command()
@click.argument("gate")
@click.option("--door", type=Name(DOORS), metavar="main|second", default=MAIN, show_default=True)
@click.option("--operator", required=True, help="Who orders it: a short name that can be traced to a person.")
@click.option("--reason", required=True, help="Why; this goes into the gate's journal. Nobody's name.")
@wait_option
@json_option
@click.pass_obj
def release(folder: Path, /, gate: str, door: str, **wish: Any) -> None:
    """Let somebody in now. Exit 1 when the gate did not; whenever this command ends, the order ends with it."""
    order(folder, [gate], Release(door), wish_of(wish))


@click.command()
@click.argument("gate")
@click.option("--opening", "answer", flag_value="opening", help="Let them in now.")
@click.option("--wait", "answer", flag_value="wait", help="Say that somebody has answered, and comes or opens soon.")
@click.option(
    "--nobody", "answer", flag_value="nobody", help="Say that nobody can come, and which other ways there are."
)
@click.option("--door", type=Name(DOORS), metavar="main|second", help="By default the one that is calling.")
@click.option("--operator", help="Who answers: a short name, required to open; by default that of this account.")
@click.option(
    "--reason", default="a call", show_default=True, help="Why; this goes into the gate's journal. Nobody's name."
)
@click.option(
    "--wait-s", type=click.FloatRange(0, 3600), default=10.0, show_default=True, help="For the gate, so long."
)
@json_option
@click.pass_obj
def answer(
    folder: Path,
    gate: str,
    answer: Literal["opening", "wait", "nobody"] | None,
    door: str | None,
    *,
    operator: str | None,
    reason: str,
    wait_s: float,
    as_json: bool,
) -> None:
    """Answer whoever has pressed the call button: the gate says it, shows it and lights it.

    Exit 1 when nobody is calling there any more, or the gate did not do it; whenever this command ends, the order ends
    with it.
    """
    if answer is None:
        raise click.UsageError("say --opening, --wait or --nobody")
    if answer == "opening" and operator is None:
        raise click.UsageError("--opening lets somebody in: say who does so with --operator, as for a release")
    order(folder, [gate], AnswerCall(answer, door or ""), Wish(_operator(operator), reason, wait_s, as_json))


@click.command()
@click.argument("gate", metavar="GATE|all")
@click.argument("on", metavar="on|off", type=click.Choice(["on", "off"]))
@orders
@click.pass_obj
def lockdown(folder: Path, /, gate: str, on: str, **wish: Any) -> None:
    """Let nobody in at a gate, or at all of them, or let people in again. Leaving and fire know nothing of it."""
    with closing(Store.open(folder)) as store:
        gates = [each.gate for each in store.gates()] if names.is_same(gate, "all") else [gate]
    order(folder, gates, SetLockdown(on == "on"), wish_of(wish))


@click.command()
@click.argument("gate")
@click.argument("subject")
@click.option(
    "--within-s", type=click.FloatRange(5, 120), default=60.0, show_default=True, help="The gate tries so long."
)
@click.option("--yes", is_flag=True, help="Do not ask whether it was the right person.")
@orders
@click.pass_obj
def enrol(folder: Path, /, gate: str, subject: str, within_s: float, yes: bool, **wish: Any) -> None:
    """Take the face of somebody known, who has agreed and stands before the gate; waits until it is done.

    The gate says "enrolling" to whoever stands there. When it has enough, you are asked on a terminal whether the right
    person stood there alone; until you say so nothing is kept. Ctrl-C at any time leaves nothing. Without a terminal
    this needs --yes.
    """
    with closing(Store.open(folder)) as store:
        who = somebody(store, subject)
        subject = who.subject
        if not any(consent.purpose == "recognise" for consent in who.consents):
            raise OfficeError(
                f"{called(who)} has not agreed to be recognised; `gated office person change --consent` notes it"
            )
    if not (yes or is_asked()):
        raise click.UsageError(
            "before a face is kept somebody must say whether it was the right one; nobody is here to answer, so say "
            "--yes if you see who stands there"
        )
    streams.say(f"enrolling {called(who)} at {gate}", err=True)
    question = "" if yes else f"Did {called(who)} stand there, alone? Keep this face?"
    order(folder, [gate], Enrol(subject, within_s), wish_of(wish, within_s + PATIENCE_S, question))


@click.command()
@click.argument("gate")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@orders
@click.pass_obj
def settings(folder: Path, /, gate: str, file: Path, **wish: Any) -> None:
    """Give a gate the settings in FILE (TOML); it goes back to its old ones if it is not well with them."""
    with reading(file):
        text = _toml_in(file)
    order(folder, [gate], ChangeSettings(text), wish_of(wish))


def _toml_in(file: Path) -> str:
    """Return the text of a settings file. Checks the TOML syntax here, before the gate does. Raises `ConfigError`."""
    try:
        text = read_text(file)
        toml_of(text)
    except HandwritingError as error:
        raise ConfigError(str(file), [str(error)]) from error
    return text


@click.command()
@click.argument("gate")
@click.argument("name", metavar="SET")
@orders
@click.pass_obj
def models(folder: Path, /, gate: str, name: str, **wish: Any) -> None:
    """Have a gate fetch a model set if it must, prove it, and use it."""
    order(folder, [gate], SwitchModels(name), wish_of(wish, MODELS_S))


@click.command()
@click.argument("gate")
@orders
@click.pass_obj
def restart(folder: Path, /, gate: str, **wish: Any) -> None:
    """Have a gate begin anew; the door stays as secure as it was."""
    order(folder, [gate], Restart(), wish_of(wish))


@click.command()
@click.argument("gate")
@orders
@click.pass_obj
def diagnose(folder: Path, /, gate: str, **wish: Any) -> None:
    """Show what a gate's doctor says."""
    order(folder, [gate], Diagnose(), wish_of(wish, DIAGNOSE_S))


def wish_of(options: dict[str, Any], wait_s: float = WAIT_S, question: str = "") -> Wish:
    """Return the `Wish` that the options describe. `wait_s` is the default waiting time in seconds."""
    wait_s = wait_s if options["wait_s"] is None else options["wait_s"]
    return Wish(_operator(options["operator"]), options["reason"], wait_s, options["as_json"], question)


def _operator(name: str | None) -> str:
    name = (name or getpass.getuser()).strip()
    if not (name.isprintable() and 0 < len(name) <= LONGEST_OPERATOR):
        raise click.BadParameter(f"write a name, of up to {LONGEST_OPERATOR} characters", param_hint="--operator")
    return name
