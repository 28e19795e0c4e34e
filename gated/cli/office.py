"""`gated office`: the office at work, its gates, and what they say."""

import asyncio
import sys
import time
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from gated.cli import show_json
from gated.cli.office_orders import diagnose, enrol, lockdown, models, release, restart, settings
from gated.cli.office_people import person
from gated.cli.office_rights import rights, schedule
from gated.cli.office_setup import init, invite
from gated.cli.tables import show
from gated.health import logs
from gated.journal.entry import stamp
from gated.office.alarms import MEANINGS
from gated.office.gates import Gate
from gated.office.journals import Kept
from gated.office.serve import serve as serve_office
from gated.office.serve import share_of
from gated.office.store import Store

FOLLOW_S = 0.2
as_json_option = click.option("--json", "as_json", is_flag=True, help="For a program.")


@click.group()
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    envvar="GATED_OFFICE",
    default=Path("office"),
    show_default=True,
    help="The office's folder; also from $GATED_OFFICE.",
)
@click.pass_context
def office(ctx: click.Context, folder: Path) -> None:
    """Be the community office: say who may come in at which gate, see what happens there, order what is to be done.

    Begin with `init`, then `serve`, then `invite` for each gate.
    """
    ctx.obj = folder


for command in (init, invite, person, rights, schedule):
    office.add_command(command)
for command in (release, lockdown, enrol, settings, models, restart, diagnose):
    office.add_command(command)


@office.command()
@click.option("--share", metavar="N/M", default="1/1", help="Be one of M processes that share the gates.")
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
@click.pass_obj
def serve(folder: Path, share: str, verbose: bool) -> None:
    """Speak with the gates until SIGTERM or Ctrl-C, and let new ones join. Mosquitto runs beside it."""
    logs.set_up(verbose=verbose)
    asyncio.run(serve_office(folder, *share_of(share)))


@office.command()
@as_json_option
@click.pass_obj
def gates(folder: Path, as_json: bool) -> None:
    """Every gate: how it is, when it was last heard, how far it is with records and its journal is here."""
    with closing(Store.open(folder)) as store:
        rows = [_gate(store, gate) for gate in store.gates()]
    if as_json:
        show_json(rows)
    else:
        columns = ["gate", "state", "seen_at", "door", "degraded", "people", "templates", "records", "events"]
        show(columns, [[_plain(row[column]) for column in columns] for row in rows])


@office.command()
@click.option("--gate", help="Only of this one.")
@click.option("-n", "--last", type=click.IntRange(1), default=50, show_default=True, help="How many; the newest.")
@click.option("--follow", is_flag=True, help="Go on with what arrives, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="For a program: one object a line.")
@click.pass_obj
def events(folder: Path, gate: str | None, last: int, follow: bool, as_json: bool) -> None:
    """What happened at the gates, in the order in which it arrived here."""
    with closing(Store.open(folder)) as store:
        if gate is not None:
            store.gate(gate)
        kept, row = store.journals.last(last, gate), 0
        while True:
            for each in kept:
                click.echo(_line(each, as_json))
                row = each.row
            if not follow:
                return
            time.sleep(FOLLOW_S)
            kept = store.journals.rows(row, gate)


@office.command()
@click.argument("subject", required=False)
@as_json_option
@click.pass_obj
def receipts(folder: Path, subject: str | None, as_json: bool) -> None:
    """Who is gone from where, and which gate has not answered yet. Exit 1 when one has not."""
    with closing(Store.open(folder)) as store:
        erased = store.receipts.all(subject)
    if as_json:
        show_json([asdict(each) for each in erased])
    else:
        said = [[e.subject, e.gate, e.at or "has not answered", _plain(e.templates)] for e in erased]
        show(["subject", "gate", "gone since", "templates"], said)
    sys.exit(0 if all(each.at for each in erased) else 1)


@office.command()
@click.option("--all", "everything", is_flag=True, help="Also those that are over.")
@click.option("--settle", metavar="ID", type=int, help="Somebody has looked at this one.")
@as_json_option
@click.pass_obj
def alarms(folder: Path, everything: bool, settle: int | None, as_json: bool) -> None:
    """What somebody must look at. Exit 1 when there is anything."""
    with closing(Store.open(folder)) as store:
        if settle is not None:
            store.alarms.settle(settle, stamp(datetime.now(UTC)))
        found = store.alarms.all(standing=not everything)
    if as_json:
        show_json([asdict(each) | {"meaning": MEANINGS.get(each.kind, "")} for each in found])
    else:
        rows = [[str(a.id), a.at, a.gate, a.kind, a.detail, MEANINGS.get(a.kind, ""), a.over_at or ""] for a in found]
        show(["id", "at", "gate", "alarm", "where", "it means", "over"], rows)
    sys.exit(1 if any(each.over_at is None for each in found) else 0)


def _gate(store: Store, gate: Gate) -> dict[str, Any]:
    status = gate.status
    journal, records = (status.journal, status.records) if status else (None, None)
    held = store.journals.held(gate.gate, journal.id) if journal else 0
    version = store.book.version(gate.gate)
    return {
        "gate": gate.gate,
        "state": status.state if status else "never heard",
        "seen_at": gate.seen_at,
        "version": status and status.version,
        "door": status and status.door,
        "degraded": status.degraded if status else [],
        "people": status and status.people,
        "templates": status and status.templates,
        "quarantined": records and records.quarantined,
        "records": f"{records.version if records else 0} of {version}",
        "events": f"{held} of {journal.head if journal else 0}",
        "certificate": gate.serial,
    }


def _line(kept: Kept, as_json: bool) -> str:
    try:
        body = msgspec.json.decode(kept.event.body)
    except msgspec.DecodeError:
        body = None
    facts = body if isinstance(body, dict) else {"unreadable": kept.event.body}
    head = {"gate": kept.gate, "seq": kept.event.seq, "at": kept.event.at, "kind": kept.event.kind}
    if as_json:
        return msgspec.json.encode({**facts, **head}).decode()
    said = ", ".join(f"{name} {value}" for name, value in facts.items() if name != "kind")
    return f"{kept.event.at}  {kept.gate:12} {kept.event.kind:20} {said}".rstrip()


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
