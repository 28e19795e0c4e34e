"""`gated office`: runs the office, and shows its gates, their events and alarms."""

import asyncio
import sys
import time
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
import msgspec

from gated import names, wording
from gated.cli import look_unless, looks, show_json, show_json_line, streams
from gated.cli.office.access_rules import rights, schedule
from gated.cli.office.calendar import calendar
from gated.cli.office.commands import answer, diagnose, enrol, lockdown, models, release, restart, settings
from gated.cli.office.forms import forms
from gated.cli.office.held import batch, held
from gated.cli.office.install import default_folder, host, install
from gated.cli.office.invite import invitations, invite
from gated.cli.office.passes import pass_
from gated.cli.office.passphrase import ask, passphrase
from gated.cli.office.people import person
from gated.cli.office.pins import pins
from gated.cli.office.prune import prune
from gated.cli.office.rekey import recovery, rekey
from gated.cli.office.retire import retire_gate, retired
from gated.cli.office.setup import init, timezone
from gated.cli.office.setup import names as names_
from gated.cli.office.watch import ring, watch
from gated.cli.table_output import in_words, in_zone, show
from gated.journal.entry import stamp
from gated.office import key_lock
from gated.office.alarm_store import MEANINGS
from gated.office.disclosure import OUTDATED
from gated.office.gate_store import PairedGate
from gated.office.journal_store import JournalRow
from gated.office.office_person import OfficePerson
from gated.office.renewals import ends_of
from gated.office.serve import serve as serve_office
from gated.office.serve import share_of
from gated.office.store import Store
from gated.printable import line
from gated.protocol.messages import HELD, GateRecord, Status
from gated.protocol.vouching import fingerprint, signers
from gated.service import logs
from gated.sitetime import tell
from gated.wording import UNDECODABLE

FOLLOW_S = 0.2
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    envvar="GATED_OFFICE",
    default=default_folder,
    show_default="office, or /var/lib/gated-office",
    help="The office's folder; also from $GATED_OFFICE.",
)
@click.pass_context
def office(ctx: click.Context, folder: Path) -> None:
    """Run the community office: manage people for all gates, watch events and alarms, and send commands to gates.

    Begin with `init`, then `serve`, then `invite` for each gate.
    """
    ctx.obj = folder
    key_lock.ask_by(ask)


for command in (
    init,
    install,
    host,
    invite,
    invitations,
    timezone,
    names_,
    forms,
    person,
    pins,
    pass_,
    rights,
    schedule,
    calendar,
    batch,
    held,
    prune,
    passphrase,
    recovery,
    rekey,
):
    office.add_command(command)
for command in (release, answer, watch, lockdown, enrol, settings, models, restart, diagnose):
    office.add_command(command)


@office.command()
@click.option("--share", metavar="N/M", default="1/1", help="Run as process N of M that share the gates.")
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
@click.pass_obj
def serve(folder: Path, share: str, verbose: bool) -> None:
    """Serve the gates until SIGTERM or Ctrl-C, and let new gates join. Mosquitto must run on the same machine."""
    with look_unless(None), closing(Store.open(folder)) as store:
        zone = store.zone
    logs.set_up(verbose=verbose, timezone=zone.key)
    asyncio.run(serve_office(folder, *share_of(share)))


@office.group(invoke_without_command=True)
@as_json_option
@click.pass_context
def gates(ctx: click.Context, as_json: bool) -> None:
    """List every gate: its state, last contact, progress of records, and received journal events."""
    if ctx.invoked_subcommand is None:
        _list_gates(ctx.obj, as_json)


gates.add_command(retire_gate)
gates.add_command(retired)


@looks
def _list_gates(folder: Path, as_json: bool) -> None:
    with closing(Store.open(folder)) as store:
        rows, zone = [_gate(store, gate) for gate in store.gates()], store.zone
    if as_json:
        show_json(rows)
    else:
        columns = ["gate", "state", "seen_at", "door", "degraded", "known", "templates", "records", "events",
                   "certificate_ends", "fingerprint"]  # fmt: skip
        heads = ["people" if column == "known" else column for column in columns]
        show(in_zone(heads, zone), [[in_words(row[column], zone) for column in columns] for row in rows])


@office.command()
@click.option("--gate", help="Only events of this gate.")
@click.option("-n", "--last", type=click.IntRange(1), default=50, show_default=True, help="Number of newest events.")
@click.option("--follow", is_flag=True, help="Print new events too, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
@click.pass_obj
def events(folder: Path, gate: str | None, last: int, follow: bool, as_json: bool) -> None:
    """List the events of the gates, in order of arrival at the office."""
    with look_unless(follow or None), closing(Store.open(folder)) as store:
        if gate is not None:
            gate = store.gate(names.id_of(gate)).gate
        rows, number = store.journals.last(last, gate), 0
        while True:
            for each in rows:
                if as_json:
                    show_json_line(_facts(each) | _head(each))
                else:
                    streams.say(_line(each, store.zone))
                number = each.row
            if not follow:
                return
            time.sleep(FOLLOW_S)
            rows = store.journals.rows(number, gate)


@office.command()
@click.argument("subject", required=False)
@as_json_option
@click.pass_obj
@looks
def receipts(folder: Path, subject: str | None, as_json: bool) -> None:
    """List erased people and the gates that confirmed it. Exit 1 when a gate has not confirmed yet."""
    with closing(Store.open(folder)) as store:
        erased, zone = store.receipts.all(subject), store.zone
    if as_json:
        show_json([asdict(each) for each in erased])
    else:
        said = [
            [e.subject, e.gate, in_words(e.at or "has not answered", zone), in_words(e.templates, zone)] for e in erased
        ]
        show(["subject", "gate", f"gone since, {zone.key}", "templates"], said)
    sys.exit(0 if all(each.at for each in erased) else 1)


@office.command()
@click.option("--all", "everything", is_flag=True, help="Include alarms that are over.")
@click.option("--settle", metavar="ID", type=int, help="Mark this alarm as handled.")
@as_json_option
@click.pass_obj
def alarms(folder: Path, everything: bool, settle: int | None, as_json: bool) -> None:
    """List the alarms that need attention. Exit 1 when there is one."""
    with look_unless(settle), closing(Store.open(folder)) as store:
        if settle is not None:
            store.alarms.mark_handled(settle, stamp(datetime.now(UTC)))
        found, zone = store.alarms.all(standing=not everything), store.zone
    if as_json:
        show_json([asdict(each) | {"meaning": MEANINGS.get(each.kind, "")} for each in found])
    else:
        rows = [
            [str(a.id), in_words(a.at, zone), a.gate, a.kind, a.detail, MEANINGS.get(a.kind, ""),
             in_words(a.over_at or "", zone)] for a in found
        ]  # fmt: skip
        show(["id", f"at, {zone.key}", "gate", "alarm", "where", "it means", "over"], rows)
        ring(found)
    sys.exit(1 if any(each.over_at is None for each in found) else 0)


def _gate(store: Store, gate: PairedGate) -> dict[str, Any]:
    status = gate.status
    journal, records = (status.journal, status.records) if status else (None, None)
    rows = store.journals.last_row(gate.gate, journal.id) if journal else 0
    version = store.book.version(gate.gate)
    held_back = records.quarantined if records else 0
    return {
        "gate": gate.gate,
        "state": status.state if status else "never heard",
        "seen_at": gate.seen_at,
        "version": status and status.version,
        "door": status and status.door,
        "degraded": [*status.degraded, *[OUTDATED] * gate.is_outdated] if status else [],
        "people": status and status.people,
        "templates": status and status.templates,
        "quarantined": records and records.quarantined,
        "records": _of((records.version if records else 0) - held_back, version, held_back),
        "known": _known(store, status),
        "events": f"{rows} of {max(rows, journal.head) if journal else 0}",  # rows may be newer than the status
        "fingerprint": fingerprint(store.site, gate.gate, gate.keys),
        "accepted_at": _accepted_at(store, gate),
        "certificate": gate.serial,
        "certificate_ends": ends.isoformat() if (ends := ends_of(gate)) is not None else None,
    }


def _accepted_at(store: Store, gate: PairedGate) -> list[str]:
    """Return the gates at which the keys of this gate were accepted, as their signatures show."""
    record = store.book.get(f"gate/{gate.gate}")
    return signers(record.vouched) if isinstance(record, GateRecord) else []


def _known(store: Store, status: Status | None) -> str:
    """Return how many people of all a gate knows. A gate of an older version reports only how many it recognises."""
    if status is None or status.records is None or HELD not in status.can:
        return "" if status is None else str(status.people)
    return _of(status.records.people, len(store.book.live(OfficePerson)), status.records.quarantined)


def _of(there: int, all_: int, held_back: int) -> str:
    """Return "N of ALL", with the number held back. A complete count never hides a person who is held back."""
    return f"{max(0, there)} of {all_}" + (f", {held_back} held" if held_back else "")


def _facts(row: JournalRow) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(row.event.body)
    except UNDECODABLE:
        body = None
    return body if isinstance(body, dict) else {"unreadable": row.event.body}


def _head(row: JournalRow) -> dict[str, Any]:
    return {"gate": row.gate, "seq": row.event.seq, "at": row.event.at, "kind": row.event.kind}


def _line(row: JournalRow, zone: ZoneInfo) -> str:
    head_line = f"{tell(row.event.at, zone)}  {row.gate:12} {row.event.kind:20}"
    return f"{line(head_line)} {wording.facts(_facts(row))}".rstrip()
