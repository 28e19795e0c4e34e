"""Apply the office's records to the stored data: a whole batch in one transaction, with record numbers and the version.

Templates are written first, under new face names; the commit in `people.db` makes them valid. After a crash the data is
that of the previous or of the new batch. Faces that never became valid are deleted later. `sync` uses this module.
"""

import logging
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gated.config import Schedule
from gated.embedding import Embedding
from gated.errors import SubjectNotFoundError, TornError
from gated.gallery import person_data
from gated.gallery.accepted import Accepted, made_here
from gated.gallery.person_data import Dossier
from gated.gallery.register import Register
from gated.people import acceptances, damaged_rows
from gated.people import held_records as holding
from gated.people.acceptances import Claim, Neighbour
from gated.people.access_rule import LOST, AccessRule, RuleOwner, put_access_rules
from gated.people.held_records import Allowed, Holding
from gated.people.store import Person
from gated.people.template_store import SealedFace
from gated.storage import sql
from gated.types import SubjectId

log = logging.getLogger(__name__)

PERSON = "person/"
KNOWN_DAYS = """
DELETE FROM calendars WHERE holidays = ?1 AND NOT EXISTS
 (SELECT 1 FROM records WHERE is_wanted AND key LIKE 'schedule/%')
"""
"""SQL that removes the doubt about all days, once all lost calendars have arrived."""


@dataclass(frozen=True, slots=True)
class SharedRights:
    """The access rules of one household or role."""

    whose: RuleOwner
    value: str = field(repr=False)
    rights: tuple[AccessRule, ...]


@dataclass(frozen=True, slots=True)
class NamedHours:
    """One schedule with its name."""

    name: str
    hours: Schedule


@dataclass(frozen=True, slots=True)
class YearDays:
    """One calendar: its holidays and make-up working days, as YYYY-MM-DD."""

    name: str
    holidays: tuple[str, ...]
    workdays: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GateKeys:
    """The public keys of another gate."""

    gate: str
    keys: str
    vouches: tuple[str, ...] = ()
    """Signatures of gates that accepted these keys."""


Content = Dossier | SharedRights | NamedHours | YearDays | GateKeys | None


@dataclass(frozen=True, slots=True)
class Change:
    """One change: the new state of a record key, and the content to store for it. `content` None leaves the stored
    data.

    A tombstone deletes the object that its key names. `face`: templates to store with the change. `is_suspending`: the
    person is suspended, whatever else the record contains.
    """

    holding: Holding
    content: Content = None
    face: SealedFace | None = None
    is_suspending: bool = False
    waiting: SealedFace | None = None
    """Templates to store that do not count until somebody here accepts them (`Holding.pending`)."""


@dataclass(slots=True)
class Outcome:
    """The result of one batch."""

    added: int = 0
    changed: int = 0
    removed: dict[SubjectId, int] = field(default_factory=dict)
    """Number of erased templates of each deleted person."""
    suspended: list[SubjectId] = field(default_factory=list)
    resumed: list[SubjectId] = field(default_factory=list)
    waiting: list[SubjectId] = field(default_factory=list)
    """People who wait for a card that another person still has."""


class Holdings:
    """The register, as the office's records change it. Every method may raise `BusyError` and `StateError`."""

    def __init__(self, register: Register) -> None:
        self.register = register
        self._asked = set[str]()
        """Keys of damaged records that were requested again."""

    @classmethod
    def open(cls, state: Path, site: str, why: str = "") -> "Holdings":
        """Open the store and finish the work of an interrupted run; see `Register.open`."""
        return cls(Register.open(state, site, why))

    @classmethod
    def open_best(cls, state: Path, site: str) -> "Holdings":
        """Open the store or its readable part. Raises `StateError` if not even a key can be read."""
        try:
            return cls.open(state, site)
        except TornError as error:
            return cls.open(state, site, str(error))

    def close(self) -> None:
        """Close the files. Callers may call it twice."""
        self.register.close()

    @property
    def version(self) -> int:
        """Return the version up to which this gate holds all records."""
        with self.register.reading() as connection:
            return holding.version(connection)

    @property
    def newest(self) -> int:
        """Return the highest record number seen."""
        with self.register.reading() as connection:
            return holding.newest(connection)

    def get(self, key: str) -> Holding:
        """Return the state of a key."""
        with self.register.reading() as connection:
            return holding.get(connection, key)

    def live(self) -> list[tuple[str, int]]:
        """Return key and number of all held records that are no tombstones, including quarantined records."""
        with self.register.reading() as connection:
            return holding.live(connection)

    def known(self, upto: int) -> list[tuple[str, int]]:
        """Return key and number of all records up to `upto` that are no tombstones, including records that must come
        again.
        """
        with self.register.reading() as connection:
            return holding.known(connection, upto)

    def quarantined(self) -> list[Holding]:
        """Return the quarantined records, oldest first. They have no effect until somebody accepts them."""
        with self.register.reading() as connection:
            return holding.quarantined(connection)

    def person(self, subject: SubjectId) -> Person | None:
        """Return a person, or None for an unknown id."""
        try:
            return self.register.person(subject)
        except SubjectNotFoundError:
            return None

    def face(self, subject: SubjectId) -> str:
        """Return the name of a person's valid face; empty for the first face and for an unknown person."""
        with self.register.reading() as connection:
            row = connection.execute("SELECT face FROM people WHERE subject = ?", (subject,)).fetchone()
        return "" if row is None else str(row[0])

    def is_new(self) -> bool:
        """Return whether this gate has never had a person, neither present nor deleted."""
        with self.register.reading() as connection:
            gone = "SELECT 1 FROM records WHERE is_gone AND key LIKE 'person/%'"
            return not connection.execute(f"SELECT EXISTS (SELECT 1 FROM people UNION ALL {gone})").fetchone()[0]  # noqa: S608

    def keys_of(self, gate: str) -> str | None:
        """Return another gate's public keys, as the office sent them; None for an unknown gate."""
        with self.register.reading() as connection:
            row = connection.execute("SELECT keys FROM gates WHERE gate = ?", (gate,)).fetchone()
        return None if row is None else str(row[0])

    def neighbours(self) -> list[Neighbour]:
        """Return all other gates that the office sent, with their acceptance at this gate."""
        with self.register.reading() as connection:
            return acceptances.neighbours(connection)

    def gone_gates(self) -> list[str]:
        """Return the keys of gates that are deleted or have new keys."""
        with self.register.reading() as connection:
            return acceptances.gone(connection)

    def trust(self, gate: str, keys: str, by: str) -> bool:
        """Allow transfers of faces to a gate. Return False, without a change, if the office now reports other keys.
        `by`: the origin of the acceptance (see `trust`).
        """
        with self.register.changing() as connection:
            if self.keys_of(gate) != keys:
                return False
            acceptances.trust(connection, gate, keys, by)
            return True

    def agreed(self, subject: SubjectId) -> set[str]:
        """Return the purposes beside recognition with a consent that is valid at this gate."""
        with self.register.reading() as connection:
            return acceptances.agreed(connection, subject)

    def claims(self, among: Collection[str] | None = None) -> list[Claim]:
        """Return consents that only the office reports, of people whose faces were captured here. `among`: only these
        people.
        """
        with self.register.reading() as connection:
            found = acceptances.claims(connection, among)
        return [claim for claim in found if self.register.has_face(claim.subject, claim.face)]

    def disputed(self, among: Collection[str] | None = None) -> list[SubjectId]:
        """Return the people with such consents."""
        return sorted({claim.subject for claim in self.claims(among)})

    def agree(self, seen: Sequence[Claim]) -> int:
        """Make these consents valid here if the office still reports them. Return the number of people with a new
        consent.
        """
        with self.register.changing() as connection:
            news = [
                claim for claim in seen if acceptances.agree(connection, claim.subject, claim.purpose, claim.reference)
            ]
        return len({claim.subject for claim in news})

    def changes(self) -> tuple[int, int]:
        """Return a value that differs after any change. Cheap."""
        with self.register.reading() as connection:
            return sql.version(connection), connection.total_changes

    @property
    def allowed(self) -> Allowed:
        """Return the counters for people who are new to this gate."""
        with self.register.reading() as connection:
            return holding.allowed(connection)

    def allow(self, allowed: Allowed) -> None:
        """Store the counters for new people. On disk at return."""
        with self.register.changing() as connection:
            holding.allow(connection, allowed)

    def renew(self) -> int:
        """Reset the counter of people that the office may add, and return its previous value. Somebody at the gate
        requests this.
        """
        with self.register.changing() as connection:
            allowed = holding.allowed(connection)
            holding.allow(connection, replace(allowed, spent=0))
        return allowed.spent

    def accept(self, subject: SubjectId, allowed: Allowed | None = None) -> Accepted | None:
        """Lift the quarantine of a person's record. The record must come again. Return None if nothing was quarantined.

        A waiting face becomes valid instead. `allowed`: new counters, stored in the same transaction.
        """
        with self.register.changing() as connection:
            held = holding.get(connection, PERSON + subject)
            if held.quarantine is None:
                return None
            if allowed is not None:
                holding.allow(connection, allowed)
            if held.pending is not None:
                return self._take(connection, subject, held)
            holding.put(connection, replace(held, quarantine=None, accepted=held.quarantine, is_wanted=True))
            return Accepted(subject)

    def ways_of(self, subject: SubjectId) -> str:
        """Return the digests of a person's cards and PINs, in the format of `Holding.ways`."""
        with self.register.reading() as connection:
            return holding.ways_of(connection, subject)

    def confirm(
        self, subject: SubjectId, digest: bytes, probes: Sequence[Embedding], embedder_sha256: str, threshold: float
    ) -> Accepted | None:
        """Make a waiting face valid after the person entered by a card or PIN with this `digest`. Return None without a
        change.

        `probes`: embeddings that the gate saw meanwhile. All must match the waiting face. The person must have had this
        card or PIN before the face arrived.
        """
        held = self.get(PERSON + subject)
        if held.pending is None or not probes or digest.hex()[: holding.WAY] not in held.ways.split():
            return None
        waiting = self.waiting(subject, embedder_sha256)
        if not waiting or not all(max(float(each @ probe) for each in waiting) >= threshold for probe in probes):
            return None
        with self.register.changing() as connection:
            is_same = holding.get(connection, held.key) == held
            return self._take(connection, subject, held) if is_same else None

    def waiting(self, subject: SubjectId, embedder_sha256: str) -> list[NDArray[np.float32]]:
        """Return the float32 vectors of a person's waiting face; empty without one."""
        held = self.get(PERSON + subject)
        return [] if held.pending is None else self.register.vectors_of(subject, held.pending, embedder_sha256)

    def _take(self, connection: sqlite3.Connection, subject: SubjectId, held: Holding) -> Accepted:
        """Make the waiting face valid. It is exactly the face in `held`, whatever has arrived since."""
        connection.execute("UPDATE people SET face = ? WHERE subject = ?", (held.pending, subject))
        is_of_the_office = held.pending_face is not None
        if is_of_the_office:
            held = replace(held, face=held.pending_face, stored_face=held.pending)
        holding.put(connection, replace(held, quarantine=None, pending=None, pending_face=None, ways=""))
        return Accepted(subject) if is_of_the_office else made_here(self.register, subject)

    def apply(self, changes: Sequence[Change], version: int, at: datetime, allowed: Allowed | None = None) -> Outcome:
        """Store a batch and raise the version to `version`. The data is on disk at return; on an error nothing is
        stored. The caller calls `tidy` afterwards.

        `at`: the current time, aware. `allowed`: new counters for new people.
        """
        with self.register.changing() as connection:
            if self._asked:
                coming = {change.holding.key for change in changes}
                damaged_rows.clear(connection, coming, self._asked - holding.wanted(connection))
            faces = [face for change in changes for face in (change.face, change.waiting) if face is not None]
            self.register.store(faces, at)
            touched = people_of(changes)
            outcome, before = Outcome(), self._statuses(touched)
            for change in changes:
                self._file(change, outcome, at)
            dossiers = [change.content for change in changes if isinstance(change.content, Dossier)]
            outcome.waiting = person_data.put(connection, dossiers)
            acceptances.prune(connection, [each.person.subject for each in dossiers])
            outcome.added = sum(each.person.subject not in before for each in dossiers)
            outcome.changed = len(dossiers) - outcome.added
            holding.rise(connection, version)
            if allowed is not None:
                holding.allow(connection, allowed)
            connection.execute(KNOWN_DAYS, (LOST,))
            after = self._statuses(touched)
        for subject in sorted(before.keys() & after.keys()):
            if before[subject] != after[subject]:
                (outcome.suspended if after[subject] == "suspended" else outcome.resumed).append(subject)
        return outcome

    def want_damaged(self) -> None:
        """Request all records with damaged rows again from the office. Each key is requested once in a run of this
        gate.
        """
        with self.register.reading() as connection:
            keys = damaged_rows.wanted(connection) - self._asked
        if not keys or self.register.why:
            return
        log.error("people.db: damaged rows of %d records; the office is asked for them again", len(keys))
        with self.register.changing() as connection:
            holding.want(connection, keys)
        self._asked |= keys

    def _file(self, change: Change, outcome: Outcome, at: datetime) -> None:
        """Store a change, except a `Dossier`. All other changes must be stored before the dossiers."""
        held, known = change.holding, change.content
        with self.register.reading() as connection:
            if held.is_gone:
                held = self._remove(held, outcome, at)
            elif change.is_suspending:
                subject = held.key.removeprefix(PERSON)
                connection.execute("UPDATE people SET status = 'suspended' WHERE subject = ?", (subject,))
            match known:
                case SharedRights():
                    put_access_rules(connection, known.whose, known.value, known.rights)
                case NamedHours(name, hours):
                    row = (name, " ".join(hours.days), hours.start, hours.end)
                    _forget_hours(connection, name)
                    connection.execute("REPLACE INTO schedules (name, days, start, until) VALUES (?, ?, ?, ?)", row)
                case YearDays(name, holidays, workdays):
                    _forget_hours(connection, name)
                    calendar = (name, " ".join(holidays), " ".join(workdays))
                    insert = "REPLACE INTO calendars (name, holidays, workdays) VALUES (?, ?, ?)"
                    connection.execute(insert, calendar)
                case GateKeys(gate, keys, vouches):
                    acceptances.put_gate(connection, gate, keys, vouches)
            holding.put(connection, held)

    def _remove(self, held: Holding, outcome: Outcome, at: datetime) -> Holding:
        """Delete the object that a tombstone names. For a repeated tombstone, keep the number of templates and the
        time.
        """
        kind, _, name = held.key.partition("/")
        with self.register.reading() as connection:
            before = holding.get(connection, held.key)
            if before.is_gone:
                return replace(held, templates=before.templates, at=before.at)
            match kind:
                case "person" if self.register.is_there(SubjectId(name)):
                    outcome.removed[SubjectId(name)] = self.register.drop(SubjectId(name))
                case "person":
                    damaged_rows.forget(connection, name)
                case "household" | "role":
                    put_access_rules(connection, kind, name, ())
                case "schedule":
                    _forget_hours(connection, name)
                case "gate":
                    acceptances.drop_gate(connection, name)
        return replace(held, templates=outcome.removed.get(SubjectId(name), 0), at=at.isoformat())

    def _statuses(self, among: Collection[SubjectId]) -> dict[SubjectId, str]:
        is_one, ids = sql.is_one_of("subject", among)
        with self.register.reading() as connection:
            rows = connection.execute(f"SELECT subject, status FROM people WHERE {is_one}", ids).fetchall()  # noqa: S608
        return {SubjectId(subject): status for subject, status in rows}


def people_of(changes: Iterable[Change]) -> set[SubjectId]:
    """Return the people that these changes are about."""
    return {SubjectId(key.removeprefix(PERSON)) for change in changes if (key := change.holding.key).startswith(PERSON)}


def _forget_hours(connection: sqlite3.Connection, name: str) -> None:
    """Delete the schedule or calendar with this name."""
    for table in ("schedules", "calendars"):
        connection.execute(f"DELETE FROM {table} WHERE name = ?", (name,))  # noqa: S608 - one of two
