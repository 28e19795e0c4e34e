"""`gated office person list|show`: shows the stored data of people."""

from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import click

from gated.cli import read_only_command, show_json
from gated.cli.office import json_option
from gated.cli.office.access_rules import shown_rules
from gated.cli.office.chosen_person import person_by_words
from gated.cli.people_stores import Day
from gated.cli.table_output import in_words, in_zone, show
from gated.journal.entry import stamp
from gated.office.office_person import OfficePerson
from gated.office.store import Store
from gated.sitetime import iso
from gated.sitetime import window as site_window


@click.command("list")
@click.option(
    "--consent-before", "day", type=Day(), help="Only people whose consent is older than this day, YYYY-MM-DD."
)
@json_option
@click.pass_obj
@read_only_command
def list_people(folder: Path, day: date | None, as_json: bool) -> None:
    """List all people, by household and name."""
    with closing(Store.open(folder)) as store:
        people = sorted(
            store.book.live(OfficePerson), key=lambda person: (person.household, person.name, person.subject)
        )
        begin, _ = site_window(day, None, store.zone)
        if begin is not None:
            people = [person for person in people if any(consent.at < stamp(begin) for consent in person.consents)]
        rows, zone = [_row(store, person) for person in people], store.zone
    if as_json:
        show_json(rows)
    else:
        columns = ["subject", "name", "household", "role", "status", "enrolled_at"]
        heads = [*columns[:-1], "enrolled at"]
        show(heads, [[in_words(row[column], zone) for column in columns] for row in rows])


@click.command("show")
@click.argument("subject")
@json_option
@click.pass_obj
@read_only_command
def show_person(folder: Path, subject: str, as_json: bool) -> None:
    """Show everything stored about one person, except card numbers and PINs."""
    with closing(Store.open(folder)) as store:
        row, zone = _row(store, person_by_words(store, subject)), store.zone
    if as_json:
        show_json(row)
    else:
        rows = [[head, in_words(row[key], zone)] for key, head in zip(row, in_zone(list(row), zone), strict=True)]
        show(["field", f"value (times: {zone.key})"], rows)


def _row(store: Store, person: OfficePerson) -> dict[str, Any]:
    return {
        "subject": person.subject,
        "name": person.name,
        "household": person.household,
        "role": person.role,
        "status": person.status,
        "added_at": iso(person.added_at, store.zone),
        "consents": person.consents,
        "enrolled_at": store.faces.enrolled_at(person.subject),
        "rights": shown_rules(person.rights),
        "cards": [
            {"id": each.id, "label": each.label, "valid_until": iso(each.valid_until, store.zone)}
            for each in person.cards
        ],
        "pin": person.has_pin,
        "duress_pin": person.has_duress_pin,
        "wishes": person.wishes,
        "mark": person.mark,
    }
