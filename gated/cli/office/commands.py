"""`gated office release|answer|lockdown|enrol|settings|models|restart|diagnose`: send commands to gates, and report the
results.
"""

import getpass
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import click

from gated import names
from gated.cli import streams
from gated.cli.find_person import called, is_asked
from gated.cli.office import json_option
from gated.cli.office.chosen_person import person_by_words
from gated.cli.office.command_runner import CommandOptions, run_command
from gated.cli.place_options import DOORS, Name
from gated.config import ModelSettings
from gated.config.handwritten import HandwritingError, read_text, toml_of
from gated.errors import ConfigError, OfficeError
from gated.events import MAIN
from gated.face.licences import described
from gated.face.manifest import load_manifest
from gated.office.store import Store
from gated.protocol.command_messages import (
    AnswerCall,
    ChangeSettings,
    Diagnose,
    Enrol,
    ReleaseDoor,
    Restart,
    SwitchLockdown,
    SwitchModels,
)
from gated.protocol.confirmation import CONFIRM_TIMEOUT_S
from gated.storage.named_files import reading

LONGEST_OPERATOR = 64
WAIT_S, DIAGNOSE_S, MODELS_S = 10.0, 75.0, 900.0
"""Default time to wait for an answer, in seconds: most commands, diagnose, models."""

wait_option = click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(0, 3600),
    help="Seconds to wait for an answer; then the command is void. The default depends on the command.",
)

operator_option = click.option("--operator", help="Your short name; by default that of this account.")
reason_option = click.option("--reason", default="", help="Reason, for the gate's journal. Write no person's name.")


def command_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that all commands to gates share."""
    for option in (json_option, wait_option, reason_option, operator_option):
        command = option(command)
    return command


@click.command()
@click.argument("gate")
@click.option(
    "--door", type=Name(DOORS), metavar="main|second", default=MAIN, show_default=True, help="The door to open."
)
@click.option("--operator", required=True, help="Your short name; it must identify you.")
@click.option("--reason", required=True, help="Reason, for the gate's journal. Write no person's name.")
@wait_option
@json_option
@click.pass_obj
def release(folder: Path, /, gate: str, door: str, **options: Any) -> None:
    """Open a door now. Exit 1 when the gate did not open it. The command is void when this program ends."""
    run_command(folder, [gate], ReleaseDoor(door), options_of(options))


@click.command()
@click.argument("gate")
@click.option("--opening", "answer", flag_value="opening", help="Open the door now.")
@click.option("--wait", "answer", flag_value="wait", help="Tell the caller that somebody comes or opens soon.")
@click.option(
    "--nobody",
    "answer",
    flag_value="nobody",
    help="Tell the caller that nobody can come, and how else to get in.",
)
@click.option("--door", type=Name(DOORS), metavar="main|second", help="The door; by default the calling one.")
@click.option("--operator", help="Your short name, required to open; by default that of this account.")
@click.option(
    "--reason", default="a call", show_default=True, help="Reason, for the gate's journal. Write no person's name."
)
@click.option(
    "--wait-s", type=click.FloatRange(0, 3600), default=10.0, show_default=True, help="Seconds to wait for the gate."
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
    """Answer the call at a gate. The gate speaks the answer, shows it and lights it.

    Exit 1 when nobody calls there any more, or the gate did not answer. The command is void when this program ends.
    """
    if answer is None:
        raise click.UsageError("give --opening, --wait or --nobody")
    if answer == "opening" and operator is None:
        raise click.UsageError("--opening opens the door: give your name with --operator, as for a release")
    run_command(
        folder, [gate], AnswerCall(answer, door or ""), CommandOptions(_operator(operator), reason, wait_s, as_json)
    )


@click.command()
@click.argument("gate", metavar="GATE|all")
@click.argument("on", metavar="on|off", type=click.Choice(["on", "off"]))
@command_options
@click.pass_obj
def lockdown(folder: Path, /, gate: str, on: str, **options: Any) -> None:
    """Deny entry at a gate or at all gates, or allow it again. Leaving and fire release are not affected."""
    with closing(Store.open(folder)) as store:
        gates = [each.gate for each in store.gates()] if names.is_same(gate, "all") else [gate]
    run_command(folder, gates, SwitchLockdown(on == "on"), options_of(options))


@click.command()
@click.argument("gate")
@click.argument("subject")
@click.option(
    "--within-s", type=click.FloatRange(5, 120), default=60.0, show_default=True, help="Seconds that the gate tries."
)
@click.option("--yes", is_flag=True, help="Do not ask whether it was the right person.")
@command_options
@click.pass_obj
def enrol(folder: Path, /, gate: str, subject: str, within_s: float, yes: bool, **options: Any) -> None:
    """Capture the face of a known person who has agreed and stands before the gate. Waits until it is done.

    The gate tells the person "enrolling". Then you confirm at the terminal that the right person stood there alone. The
    gate stores nothing before that. Ctrl-C at any time stores nothing. Without a terminal, add --yes.
    """
    with closing(Store.open(folder)) as store:
        person = person_by_words(store, subject)
        subject = person.subject
        if not any(consent.purpose == "recognise" for consent in person.consents):
            raise OfficeError(
                f"{called(person)} has not agreed to be recognised; "
                "record the consent by `gated office person change --consent`"
            )
    if not (yes or is_asked()):
        raise click.UsageError(
            "an operator must confirm the person before the gate stores a face, and there is no terminal for the "
            "question; add --yes if you can see the person at the gate"
        )
    streams.echo(f"enrolling {called(person)} at {gate}", err=True)
    question = "" if yes else f"Did {called(person)} stand there, alone? Store this face?"
    run_command(folder, [gate], Enrol(subject, within_s), options_of(options, within_s + CONFIRM_TIMEOUT_S, question))


@click.command()
@click.argument("gate")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@command_options
@click.pass_obj
def settings(folder: Path, /, gate: str, file: Path, **options: Any) -> None:
    """Send the settings in FILE (TOML) to a gate. If the gate fails with the new settings, it restores the old ones."""
    with reading(file):
        text = _toml_in(file)
    run_command(folder, [gate], ChangeSettings(text), options_of(options))


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
@command_options
@click.pass_obj
def models(folder: Path, /, gate: str, name: str, **options: Any) -> None:
    """Switch a gate to the model set SET. The gate installs it if needed, and verifies it first.

    The command accepts licence and training data of each model. They are shown first. On a terminal you are asked.
    """
    _accept_models(name)
    run_command(folder, [gate], SwitchModels(name), options_of(options, MODELS_S))


def _accept_models(name: str) -> None:
    """Show licence and training data of each model in a set, and ask on a terminal. Raises `OfficeError` on a no.

    Shows nothing for a set that only the gate's own manifest has.
    """
    manifest = load_manifest(ModelSettings())
    if name not in manifest.sets:
        return
    for entry in manifest.model_set(name).models:
        streams.echo(described(entry), err=True)
    question = "Do you accept these licences, and the training data, for this gate?"
    if sys.stdin.isatty() and not streams.confirm(question, err=True):
        raise OfficeError("nothing was sent; `gated models list` shows sets with other models")


@click.command()
@click.argument("gate")
@command_options
@click.pass_obj
def restart(folder: Path, /, gate: str, **options: Any) -> None:
    """Restart the software of a gate. The door stays as secure as before."""
    run_command(folder, [gate], Restart(), options_of(options))


@click.command()
@click.argument("gate")
@command_options
@click.pass_obj
def diagnose(folder: Path, /, gate: str, **options: Any) -> None:
    """Check a gate: run its doctor, and show each finding with the next step."""
    run_command(folder, [gate], Diagnose(), options_of(options, DIAGNOSE_S))


def options_of(options: dict[str, Any], wait_s: float = WAIT_S, question: str = "") -> CommandOptions:
    """Return the `CommandOptions` that the options describe. `wait_s` is the default waiting time in seconds."""
    wait_s = wait_s if options["wait_s"] is None else options["wait_s"]
    return CommandOptions(_operator(options["operator"]), options["reason"], wait_s, options["as_json"], question)


def _operator(name: str | None) -> str:
    name = (name or getpass.getuser()).strip()
    if not (name.isprintable() and 0 < len(name) <= LONGEST_OPERATOR):
        raise click.BadParameter(f"write a name, of up to {LONGEST_OPERATOR} characters", param_hint="--operator")
    return name
