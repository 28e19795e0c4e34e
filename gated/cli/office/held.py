"""`gated office held`: lists the people held back at the gates, and accepts them."""

import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from gated.cli import read_only_command, show_json, streams
from gated.cli.find_person import sure, yes_option
from gated.cli.office import json_option
from gated.cli.office.chosen_person import person_by_words
from gated.cli.office.command_runner import CommandOptions, place_and_wait
from gated.cli.office.commands import command_options, options_of
from gated.cli.table_output import show
from gated.errors import OfficeError
from gated.office.office_person import OfficePerson
from gated.office.store import Store
from gated.office.stored_command import StoredCommand
from gated.protocol.command_messages import AcceptQuarantined
from gated.protocol.limits import MAX_ACCEPTED

BULK = "bulk"
HOLD_REASONS = {
    BULK: "more people at once than the gate takes in an hour; accept them here or at the gate",
    "duplicate": "the face resembles another person's; compare both people at the gate, and accept the face there",
    "changed": "a known person got another face; the old one counts until the new one is accepted at the gate",
    "vector": "the face data is not valid; enrol the person again",
}
"""Maps each hold reason that a gate reports to the action required."""


@click.group()
def held() -> None:
    """List the people held back at the gates, and accept them.

    The installer limits at each gate how many the office may accept. Accept people beyond the limit, and a face similar
    to another person's, at the gate (`gated people quarantine`).
    """


@held.command("list")
@json_option
@click.pass_obj
@read_only_command
def list_held(folder: Path, as_json: bool) -> None:
    """List the people held back, at which gates, and why."""
    with closing(Store.open(folder)) as store:
        rows = _rows(store)
    if as_json:
        show_json(rows)
    else:
        columns = ["subject", "name", "household", "why", "gates"]
        table = [[", ".join(row["gates"]) if c == "gates" else row[c] for c in columns] for row in rows]
        show(columns, table)
        for why in dict.fromkeys(row["why"] for row in rows):
            streams.echo(f"{why}: {HOLD_REASONS.get(why, '')}")


@held.command()
@click.argument("people", nargs=-1, metavar="[PERSON...]")
@click.option("--all", "everybody", is_flag=True, help='Accept everybody with the reason "bulk".')
@yes_option
@command_options
@click.pass_obj
def accept(folder: Path, /, people: Sequence[str], everybody: bool, yes: bool, **options: Any) -> None:
    """Accept people at every gate that holds them back with the reason "bulk". Names each person first.

    Exit 1 if a person is still held back.
    """
    if bool(people) == everybody:
        raise click.UsageError("name people, or give --all")
    with closing(Store.open(folder)) as store:
        rows = _rows(store)
        if people:
            wanted = {person_by_words(store, name).subject for name in people}
            missing = wanted - {row["subject"] for row in rows}
            if missing:
                raise OfficeError(
                    f"{', '.join(sorted(missing))}: is not held back at any gate; see `gated office held list`"
                )
            rows = [row for row in rows if row["subject"] in wanted]
    remaining = _name(rows)
    by_gate = _by_gate(rows)
    if by_gate:
        count = len({subject for subjects in by_gate.values() for subject in subjects})
        sure(f"Accept these {count} people?", f"{count} people would be accepted", yes=yes)
    names = {row["subject"]: _named(row) for row in rows}
    refused = sum(_accept(folder, gate, subjects, names, options_of(options)) for gate, subjects in by_gate.items())
    sys.exit(1 if remaining or refused else 0)


def _rows(store: Store) -> list[dict[str, Any]]:
    """Return every person held back, one row for each reason."""
    people = {person.subject: person for person in store.book.live(OfficePerson)}
    gates: dict[tuple[str, str], list[str]] = defaultdict(list)
    for each in store.held.all():
        gates[each.subject, each.why].append(each.gate)
    rows = []
    for (subject, why), held_at in gates.items():
        person = people.get(subject)
        name, household = (person.name, person.household) if person else ("(removed)", "")
        rows.append({"subject": subject, "name": name, "household": household, "why": why, "gates": held_at})
    return sorted(rows, key=lambda row: (row["why"], row["household"], row["name"], row["subject"]))


def _name(rows: list[dict[str, Any]]) -> int:
    """Print each person and the required action. Return how many cannot be accepted at the office."""
    for row in rows:
        gates = ", ".join(row["gates"])
        streams.echo(f"{_named(row)}, {row['subject']}, at {gates}: {HOLD_REASONS.get(row['why'], row['why'])}")
    if not rows:
        click.echo("no gate holds anybody back")
    return sum(row["why"] != BULK for row in rows)


def _named(row: dict[str, Any]) -> str:
    return f"{row['name']} ({row['household']})" if row["household"] else str(row["name"])


def _by_gate(rows: list[dict[str, Any]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        for gate in row["gates"] if row["why"] == BULK else ():
            found[gate].append(row["subject"])
    return found


def _accept(folder: Path, gate: str, subjects: Sequence[str], names: Mapping[str, str], options: CommandOptions) -> int:
    """Accept people at one gate. Print one line for each refusal reason, with its people. Return how many the gate
    still holds.
    """
    accepted, reasons = 0, defaultdict[str, list[str]](list)
    for at in range(0, len(subjects), MAX_ACCEPTED):
        chunk = list(subjects[at : at + MAX_ACCEPTED])
        [placed] = place_and_wait(folder, [gate], AcceptQuarantined(chunk), options)
        accepted += sum(finding.level == "accepted" for finding in placed.findings)
        for finding in placed.findings:
            if finding.level != "accepted":
                reasons[finding.says].append(names.get(finding.part, finding.part))
        if not placed.findings:
            streams.echo(f"{gate}: {_outcome(placed)}", err=True)
            break
    streams.echo(f"{gate}: accepted {accepted} of {len(subjects)}")
    for reason, people in reasons.items():
        streams.echo(f"{gate}: {reason}: {', '.join(people)}", err=True)
    return len(subjects) - accepted


def _outcome(placed: StoredCommand) -> str:
    return f"{placed.state}: {placed.why}" if placed.why else placed.state
