"""One person's complete data from the office, and how it replaces the stored data. `replica` uses it.

Cards are assigned in two steps: first all lost cards are taken back, then all new cards are assigned. A card may reach
its new holder before the old holder's record gives it up. Until then it is stored as a claim.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field

from gated.people.access_rule import AccessRule, put_access_rules
from gated.people.credential import Credential, pack_readings, put_pins
from gated.people.face_mark import FaceMark, put_mark
from gated.people.preferences import NO_PREFERENCES, Preferences, put_preferences
from gated.people.store import Person
from gated.people.stored_time import text_of
from gated.storage import erasure
from gated.storage.valid_rows import copied, copy_of, sound
from gated.types import SubjectId

GIVEN = copied("credentials", way="'card'", uses_left="uses", is_duress="0")
"""SQL for the protected copy of a card row that is made from a claim."""


@dataclass(frozen=True, slots=True)
class PersonData:
    """One person's complete data from the office. `face`: the name of the face that counts from now on; None keeps the
    current face.

    `keeps_credentials`: the stored cards and PINs stay as they are, and `cards` and `pins` are ignored.
    """

    person: Person
    rules: tuple[AccessRule, ...] = ()
    cards: tuple[Credential, ...] = ()
    pins: tuple[Credential, ...] = ()
    preferences: Preferences = NO_PREFERENCES
    face: str | None = field(default=None)
    keeps_credentials: bool = False
    mark: FaceMark | None = None


def put(connection: sqlite3.Connection, people: Iterable[PersonData]) -> list[SubjectId]:
    """Replace the stored data of these people. The caller holds the transaction.

    Return the people who wait for a card that another person still has. The claim stays stored until the card is free.
    """
    all_data = list(people)
    for data in all_data:
        _put_person(connection, data)
        if not data.keeps_credentials:
            _withdraw_credentials(connection, data)
    for data in all_data:
        if not data.keeps_credentials:
            _assign_cards(connection, data)
    assign_claimed_cards(connection)
    waiting = connection.execute("SELECT DISTINCT subject FROM claims").fetchall()
    return sorted({SubjectId(row[0]) for row in waiting} & {data.person.subject for data in all_data})


def assign_claimed_cards(connection: sqlite3.Connection) -> None:
    """Assign each claimed card to its new holder if no other person has it. The caller holds the transaction."""
    connection.execute(
        "INSERT OR IGNORE INTO credentials"  # noqa: S608 - constants
        " (id, way, subject, digest, label, valid_from, valid_until, uses_left, uses, is_duress, readings, copy)"
        " SELECT id, 'card', subject, digest, label, valid_from, valid_until, uses, uses, 0, readings,"
        f" {GIVEN} FROM claims WHERE {sound(connection, 'claims')} ORDER BY rowid"
    )
    connection.execute(
        "DELETE FROM claims WHERE EXISTS (SELECT 1 FROM credentials"
        " WHERE credentials.id = claims.id AND credentials.subject = claims.subject)"
    )


def _put_person(connection: sqlite3.Connection, data: PersonData) -> None:
    person = data.person
    connection.execute(
        "INSERT INTO people (subject, name, household, status, enrolled_at, role, face, copy)"
        " VALUES (?, ?, ?, ?, ?, ?, '', ?)"
        " ON CONFLICT (subject) DO UPDATE SET name = excluded.name, household = excluded.household,"
        " status = excluded.status, enrolled_at = excluded.enrolled_at, role = excluded.role, copy = excluded.copy,"
        " face = iif(typeof(face) = 'text', face, hex(randomblob(8)))",  # a damaged value becomes a name without a face
        (
            person.subject,
            person.name,
            person.household,
            person.status,
            person.enrolled_at.isoformat(),
            person.role,
            copy_of(person.subject, person.household, person.role, person.status),
        ),
    )
    if data.face is not None:
        connection.execute("UPDATE people SET face = ? WHERE subject = ?", (data.face, person.subject))
    connection.execute("DELETE FROM consents WHERE subject = ?", (person.subject,))
    connection.executemany(
        "INSERT OR REPLACE INTO consents (subject, purpose, reference, notice_version, at) VALUES (?, ?, ?, ?, ?)",
        [(person.subject, c.purpose, c.reference, c.notice_version, c.at.isoformat()) for c in person.consents],
    )
    put_access_rules(connection, "subject", person.subject, data.rules)
    put_preferences(connection, person.subject, data.preferences)
    put_mark(connection, person.subject, data.mark)


def _withdraw_credentials(connection: sqlite3.Connection, data: PersonData) -> None:
    """Delete the person's claims and the cards that the data does not list. Replace the PINs if they differ."""
    subject = data.person.subject
    connection.execute("DELETE FROM claims WHERE subject = ?", (subject,))
    kept = {(each.id, each.digest) for each in data.cards}
    stored = connection.execute("SELECT id, digest FROM credentials WHERE subject = ? AND way = 'card'", (subject,))
    for credential, digest in stored.fetchall():
        if (credential, digest) not in kept:
            connection.execute("DELETE FROM credentials WHERE id = ?", (credential,))
            erasure.record_erasure(connection)
    pins = connection.execute("SELECT digest, pin_hash FROM credentials WHERE subject = ? AND way = 'pin'", (subject,))
    if {tuple(row) for row in pins.fetchall()} != {(pin.digest, pin.pin_hash) for pin in data.pins}:
        put_pins(connection, subject, data.pins)
        erasure.record_erasure(connection)


def _assign_cards(connection: sqlite3.Connection, data: PersonData) -> None:
    """Update the cards that the person already has, with their remaining uses, and store claims for the other cards."""
    subject = data.person.subject
    stored = {row[0] for row in connection.execute("SELECT id FROM credentials WHERE subject = ?", (subject,))}
    for card in data.cards:
        window = [text_of(at) for at in (card.valid_from, card.valid_until)]
        if card.id in stored:
            connection.execute(
                "UPDATE credentials SET label = ?2, valid_from = ?3, valid_until = ?4, uses = ?5, readings = ?6,"
                " uses_left = CASE WHEN uses IS NULL OR ?5 IS NULL THEN ?5"
                " ELSE max(0, ?5 - (uses - uses_left)) END WHERE id = ?1",
                (card.id, card.label, *window, card.uses_left, pack_readings(card.readings)),
            )
        else:
            readings, uses = pack_readings(card.readings), card.uses_left
            copy = copy_of(subject, card.id, *window, None if uses is None else str(uses), str(len(readings)))
            connection.execute(
                "INSERT OR REPLACE INTO claims"
                " (id, subject, digest, label, valid_from, valid_until, uses, readings, copy)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (card.id, subject, card.digest, card.label, *window, uses, readings, copy),
            )
