"""`gated gates`: shows the keys that the office reports for other gates, and lets a person confirm them."""

import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import click

from gated import names
from gated.cli import Context, read_only_command, show_json, streams
from gated.cli.find_person import sure, yes_option
from gated.cli.table_output import show
from gated.config import Settings
from gated.cues.fingerprint import RequestedFingerprint, show_fingerprint
from gated.errors import OfficeError, StateError
from gated.events import GateAccepted
from gated.gallery.holdings import Holdings
from gated.journal.journal import Journal
from gated.people.acceptances import BEFORE, OVER, THIS_GATE, Neighbour
from gated.protocol.sealed_files import Lock
from gated.protocol.vouching import fingerprint, is_same_print
from gated.storage.read_only import read_only_mode

OWN_NAME = "this gate"
SCREEN_POLL_S = 1.0
BY = {THIS_GATE: "accepted here", BEFORE: "known before gates were accepted"}


@click.group()
def gates() -> None:
    """Show the keys of the other gates, and accept them.

    A face goes to another gate only after a person here has accepted that gate's keys, or a trusted gate has. The
    office's statement is not enough: compare the fingerprint with the screen of the other gate.
    """


@gates.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
@read_only_command
def list_gates(context: Context, as_json: bool) -> None:
    """List the fingerprints of this gate and of every other gate, and whether faces may go there."""
    settings = context.settings
    with closing(_holdings(settings)) as holdings:
        others = [each for each in holdings.neighbours() if each.gate != settings.gate.id]
    rows: list[dict[str, object]] = [{"gate": settings.gate.id, "fingerprint": _own(settings), "state": OWN_NAME}]
    rows += [
        {"gate": each.gate, "fingerprint": _print(settings, each), "state": _state(each), "faces": each.is_trusted}
        for each in others
    ]
    if as_json:
        show_json(rows)
    else:
        columns = ["gate", "fingerprint", "state"]
        show(columns, [[str(row[column]) for column in columns] for row in rows])


@gates.command("show")
@click.argument("gate", required=False)
@click.option("--on-screen", is_flag=True, help="Show it on the gate screen too, while this command runs.")
@click.option(
    "--minutes", type=click.FloatRange(0, 30, min_open=True), default=5.0, show_default=True, help="Time on the screen."
)
@click.pass_obj
def show_gate(context: Context, gate: str | None, on_screen: bool, minutes: float) -> None:
    """Show the fingerprint of this gate's keys, or of GATE's keys as the office reports them. Two people compare them
    by voice.

    With --on-screen, the fingerprint is on the gate screen while the gate is idle. Visitors see the usual screen.
    Ctrl-C removes it.
    """
    settings = context.settings
    if on_screen and not settings.cues.screen_port:
        raise OfficeError("this gate has no screen ([cues] screen_port); read the fingerprint from this command")
    with read_only_mode():
        compared = _compared(settings, gate)
    streams.echo(f"{compared.gate}: {compared.fingerprint}")
    if on_screen:
        with show_fingerprint(settings.state, compared) as stands:
            streams.echo(f"on the screen for {minutes:g} min; Ctrl-C removes it", err=True)
            _stay(settings, gate, compared, stands, time.monotonic() + 60 * minutes)


def _compared(settings: Settings, gate: str | None) -> RequestedFingerprint:
    """Return the fingerprint to show for a gate; None means this gate. Raises `OfficeError`."""
    if gate is None or names.id_of(gate) == settings.gate.id:
        name, shown = settings.gate.id, _own(settings)
        why = "this gate is not paired, or this user may not read its keys"
    else:
        with closing(_holdings(settings)) as holdings:
            other = _found(holdings.neighbours(), names.id_of(gate), settings.gate.id)
        name, shown, why = other.gate, _print(settings, other), "it has no valid keys; pair it with the office again"
    if not shown:
        raise OfficeError(f"{name}: {why}")
    return RequestedFingerprint(name, shown, name == settings.gate.id)


def _stay(
    settings: Settings, gate: str | None, shown: RequestedFingerprint, stands: Callable[[], bool], until: float
) -> None:
    """Wait until the display time ends or `stands` is false. Raises `OfficeError` if the shown keys change."""
    while time.monotonic() < until and stands():
        with read_only_mode():
            if _compared(settings, gate) != shown:
                raise OfficeError(f"{shown.gate}: its keys have changed meanwhile; run this command again")
        time.sleep(SCREEN_POLL_S)


@gates.command()
@click.argument("gate")
@click.option(
    "--fingerprint",
    "typed",
    metavar="DIGITS",
    help="Fingerprint from the screen of the other gate; the command asks if it is missing.",
)
@yes_option
@click.pass_obj
def accept(context: Context, gate: str, typed: str | None, yes: bool) -> None:
    """Let the faces of consenting people go to GATE.

    Compare first: `gated gates list` at GATE must show the same fingerprint as here. Other gates that trust this one
    follow. Exit 1 when the fingerprints differ.
    """
    settings = context.settings
    with closing(_holdings(settings)) as holdings:
        other = _found(holdings.neighbours(), names.id_of(gate), settings.gate.id)
        shown = _print(settings, other)
        if not shown:
            raise OfficeError(f"{other.gate}: it has no valid keys; pair it with the office again")
        if typed is None:
            streams.echo(f"{other.gate}: {shown}", err=True)
            sure(
                f"Does {other.gate} show the same fingerprint, at that gate itself?",
                "no person has compared the fingerprint; give it with --fingerprint",
                yes=yes,
            )
        elif not is_same_print(typed, shown):
            raise OfficeError(f"{other.gate}: the office reports {shown}, a different fingerprint; no face goes there")
        if not holdings.trust(other.gate, other.keys, THIS_GATE):
            raise OfficeError(f"{other.gate}: its keys have changed meanwhile; compare again with `gated gates list`")
    with closing(Journal.open(settings.state, settings.site.id, settings.gate.id)) as journal:
        journal.append(GateAccepted(other.gate, shown), datetime.now(UTC))
    streams.echo(f"accepted {other.gate}; the faces of consenting people may go there")


def _found(gates: list[Neighbour], name: str, me: str) -> Neighbour:
    for each in gates:
        if each.gate == name and name != me:
            return each
    raise OfficeError(f"{name}: unknown gate; `gated gates list` shows the known gates")


def _state(gate: Neighbour) -> str:
    """Return in words whether the keys of a gate are accepted, and by whom."""
    if gate.is_trusted:
        return BY.get(gate.by, f"signed by {gate.by}")
    if gate.by == OVER and gate.accepted == gate.keys:
        return "this gate's earlier keys"
    return "keys differ from the accepted ones" if gate.accepted else "not accepted yet"


def _print(settings: Settings, gate: Neighbour) -> str:
    return fingerprint(settings.site.id, gate.gate, gate.keys)


def _own(settings: Settings) -> str:
    """Return the fingerprint of this gate. It is empty if the gate is not paired or this user cannot read its keys."""
    try:
        party = Lock.of(settings.state).identity(Path(settings.sync.gate_keys)).party
    except StateError:
        return ""
    return fingerprint(settings.site.id, settings.gate.id, party)


def _holdings(settings: Settings) -> Holdings:
    return Holdings.open(settings.state, settings.site.id)
