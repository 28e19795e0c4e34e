"""`gated office gates`: shows the gates of the site."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from gated.cli import read_only_command, show_json
from gated.cli.office import json_option
from gated.cli.table_output import in_words, in_zone, show
from gated.office.disclosure import OUTDATED
from gated.office.gate_store import PairedGate
from gated.office.office_person import OfficePerson
from gated.office.old_gates import IGNORED, has_marks, too_old
from gated.office.renewals import ends_of
from gated.office.store import Store
from gated.protocol.status_messages import QUARANTINE, Status
from gated.protocol.vouching import fingerprint, signers
from gated.protocol.wire_records import GateRecord


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def gates(ctx: click.Context, as_json: bool) -> None:
    """List the gates: state, last contact, and how many records and events have arrived."""
    if ctx.invoked_subcommand is None:
        _list_gates(ctx.obj, as_json)


@read_only_command
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
        "degraded": [*status.degraded, *[OUTDATED] * gate.is_outdated, *_ignored(store, gate)] if status else [],
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


def _ignored(store: Store, gate: PairedGate) -> list[str]:
    """Return `mark_ignored` if people have marks and the gate is too old for them."""
    return [IGNORED] if too_old([gate]) and has_marks(store, datetime.now(UTC)) else []


def _accepted_at(store: Store, gate: PairedGate) -> list[str]:
    """Return the gates at which the keys of this gate were accepted, as their signatures show."""
    record = store.book.get(f"gate/{gate.gate}")
    return signers(record.vouched) if isinstance(record, GateRecord) else []


def _known(store: Store, status: Status | None) -> str:
    """Return how many people of all a gate knows. A gate of an older version reports only how many it recognises."""
    if status is None or status.records is None or QUARANTINE not in status.can:
        return "" if status is None else str(status.people)
    return _of(status.records.people, len(store.book.live(OfficePerson)), status.records.quarantined)


def _of(count: int, all_: int, held_back: int) -> str:
    """Return "N of ALL", with the number held back. A complete count never hides a person who is held back."""
    return f"{max(0, count)} of {all_}" + (f", {held_back} held" if held_back else "")
