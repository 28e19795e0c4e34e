"""What the office says becomes what is stored here: a whole batch in one transaction, with its numbers and the version.

Templates are written first, under names that nobody's face has yet; the commit in `people.db` is what makes them count.
A crash anywhere leaves the batch before or the batch after, and at most faces that do not count, which are swept.
"""

import logging
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gated import database
from gated.config import Schedule
from gated.embedding import Embedding
from gated.errors import SubjectNotFoundError, TornError
from gated.gallery import damage, dossier, entitlement, holding, trust
from gated.gallery.accepted import Accepted, made_here
from gated.gallery.dossier import Dossier
from gated.gallery.entitlement import Right, Whose
from gated.gallery.holding import Allowed, Holding
from gated.gallery.people import Person
from gated.gallery.register import Register
from gated.gallery.templates import SealedFace
from gated.gallery.trust import Claim, Neighbour
from gated.types import SubjectId

log = logging.getLogger(__name__)

PERSON = "person/"
KNOWN_DAYS = """
DELETE FROM calendars WHERE holidays = ?1 AND NOT EXISTS
 (SELECT 1 FROM records WHERE is_wanted AND key LIKE 'schedule/%')
"""
"""No day is in doubt any more once every calendar has come that was lost."""


@dataclass(frozen=True, slots=True)
class SharedRights:
    """When all of a household or of a role may pass."""

    whose: Whose
    value: str = field(repr=False)
    rights: tuple[Right, ...]


@dataclass(frozen=True, slots=True)
class NamedHours:
    """A schedule."""

    name: str
    hours: Schedule


@dataclass(frozen=True, slots=True)
class YearDays:
    """A calendar: its holidays and make-up working days, YYYY-MM-DD."""

    name: str
    holidays: tuple[str, ...]
    workdays: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GateKeys:
    """Another gate's public keys."""

    gate: str
    keys: str
    vouches: tuple[str, ...] = ()
    """Signatures of gates that accepted them."""


Content = Dossier | SharedRights | NamedHours | YearDays | GateKeys | None


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be known of a key, and what is to be stored because of it: None, what is there stays.

    Where the key is gone, what it named goes. `face`: templates to be stored with it. `is_suspending`: somebody is not
    let in any more, whatever else is stored of them.
    """

    holding: Holding
    content: Content = None
    face: SealedFace | None = None
    is_suspending: bool = False
    waiting: SealedFace | None = None
    """Templates that are stored and do not count, until somebody here says so (`Holding.pending`)."""


@dataclass(slots=True)
class Outcome:
    """What came of a batch."""

    added: int = 0
    changed: int = 0
    removed: dict[SubjectId, int] = field(default_factory=dict)
    """Who went, and how many templates with them."""
    suspended: list[SubjectId] = field(default_factory=list)
    resumed: list[SubjectId] = field(default_factory=list)
    waiting: list[SubjectId] = field(default_factory=list)
    """Those of whose cards another has one still."""


class Holdings:
    """The register, as the office's records change it. Every method may raise `BusyError` and `StateError`."""

    def __init__(self, register: Register) -> None:
        self.register = register
        self._asked = set[str]()
        """Keys of records that were damaged here, and were to come again."""

    @classmethod
    def open(cls, state: Path, site: str, why: str = "") -> "Holdings":
        """Open, or make, what is stored, and finish what a crash left half done; as `Register.open`."""
        return cls(Register.open(state, site, why))

    @classmethod
    def open_best(cls, state: Path, site: str) -> "Holdings":
        """What is stored, or what can be read of it. Raises `StateError` where not even a key can be."""
        try:
            return cls.open(state, site)
        except TornError as error:
            return cls.open(state, site, str(error))

    def close(self) -> None:
        """Give the files back. May be called twice."""
        self.register.close()

    @property
    def version(self) -> int:
        """Up to which number everything is held."""
        with self.register.reading() as connection:
            return holding.version(connection)

    @property
    def newest(self) -> int:
        """The highest number that was heard of."""
        with self.register.reading() as connection:
            return holding.newest(connection)

    def get(self, key: str) -> Holding:
        """What is known of a key."""
        with self.register.reading() as connection:
            return holding.get(connection, key)

    def live(self) -> list[tuple[str, int]]:
        """Key and number of what is held and not gone, quarantined or not."""
        with self.register.reading() as connection:
            return holding.live(connection)

    def known(self, upto: int) -> list[tuple[str, int]]:
        """The same up to a number, with what is still to come again."""
        with self.register.reading() as connection:
            return holding.known(connection, upto)

    def quarantined(self) -> list[Holding]:
        """What counts for nothing until somebody here accepts it, oldest first."""
        with self.register.reading() as connection:
            return holding.quarantined(connection)

    def person(self, subject: SubjectId) -> Person | None:
        """Somebody, or None."""
        try:
            return self.register.person(subject)
        except SubjectNotFoundError:
            return None

    def face(self, subject: SubjectId) -> str:
        """The name of somebody's face that counts; empty for their first, and for nobody."""
        with self.register.reading() as connection:
            row = connection.execute("SELECT face FROM people WHERE subject = ?", (subject,)).fetchone()
        return "" if row is None else str(row[0])

    def is_new(self) -> bool:
        """Whether nobody is known here, and nobody has gone from here."""
        with self.register.reading() as connection:
            gone = "SELECT 1 FROM records WHERE is_gone AND key LIKE 'person/%'"
            return not connection.execute(f"SELECT EXISTS (SELECT 1 FROM people UNION ALL {gone})").fetchone()[0]  # noqa: S608

    def keys_of(self, gate: str) -> str | None:
        """Another gate's public keys, as the office says them."""
        with self.register.reading() as connection:
            row = connection.execute("SELECT keys FROM gates WHERE gate = ?", (gate,)).fetchone()
        return None if row is None else str(row[0])

    def neighbours(self) -> list[Neighbour]:
        """Every other gate that the office speaks of, and whether it was accepted here."""
        with self.register.reading() as connection:
            return trust.neighbours(connection)

    def gone_gates(self) -> list[str]:
        """The keys of gates that are no more."""
        with self.register.reading() as connection:
            return trust.gone(connection)

    def trust(self, gate: str, keys: str, by: str) -> bool:
        """Let faces go to a gate, if the office still says these keys; False where it says others."""
        with self.register.changing() as connection:
            if self.keys_of(gate) != keys:
                return False
            trust.trust(connection, gate, keys, by)
            return True

    def agreed(self, subject: SubjectId) -> set[str]:
        """What somebody agreed to, so that it counts here, beside being recognised."""
        with self.register.reading() as connection:
            return trust.agreed(connection, subject)

    def claims(self, among: Collection[str] | None = None) -> list[Claim]:
        """What only the office says that people agreed to whose faces were taken here. `among`: of nobody but these."""
        with self.register.reading() as connection:
            found = trust.claims(connection, among)
        return [claim for claim in found if self.register.has_face(claim.subject, claim.face)]

    def disputed(self, among: Collection[str] | None = None) -> list[SubjectId]:
        """Of whom there are such claims."""
        return sorted({claim.subject for claim in self.claims(among)})

    def agree(self, seen: Sequence[Claim]) -> int:
        """These claims count here, as far as the office still says them; gives of how many people that is news."""
        with self.register.changing() as connection:
            news = [claim for claim in seen if trust.agree(connection, claim.subject, claim.purpose, claim.reference)]
        return len({claim.subject for claim in news})

    def changes(self) -> tuple[int, int]:
        """Another one whenever anybody has changed something; cheap to ask."""
        with self.register.reading() as connection:
            return database.version(connection), connection.total_changes

    @property
    def allowed(self) -> Allowed:
        """How many people whom this gate did not know have joined, and may."""
        with self.register.reading() as connection:
            return holding.allowed(connection)

    def allow(self, allowed: Allowed) -> None:
        """Count so from now on; on disk when it returns."""
        with self.register.changing() as connection:
            holding.allow(connection, allowed)

    def renew(self) -> int:
        """Somebody at the gate lets the office bring as many as before; gives how many it had brought."""
        with self.register.changing() as connection:
            allowed = holding.allowed(connection)
            holding.allow(connection, replace(allowed, spent=0))
        return allowed.spent

    def accept(self, subject: SubjectId, allowed: Allowed | None = None) -> Accepted | None:
        """What was held back of somebody is no poison and is to come again; None where nothing was.

        `allowed`: what is counted from then on, on disk together with it.
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
        """Which cards and PINs somebody has, as `Holding.ways` has them."""
        with self.register.reading() as connection:
            return holding.ways_of(connection, subject)

    def confirm(
        self, subject: SubjectId, digest: bytes, probes: Sequence[Embedding], embedder_sha256: str, threshold: float
    ) -> Accepted | None:
        """Somebody was let in by a card or PIN (its `digest`) while the gate saw these looks. Where that is the face
        that waits for them, and they had that card or PIN before it came, it is theirs from then on; else None.
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
        """The vectors of somebody's face that waits to take the place of the one that counts."""
        held = self.get(PERSON + subject)
        return [] if held.pending is None else self.register.vectors_of(subject, held.pending, embedder_sha256)

    def _take(self, connection: sqlite3.Connection, subject: SubjectId, held: Holding) -> Accepted:
        """What waited is somebody's face from now on: the very one that was held, whatever has arrived since."""
        connection.execute("UPDATE people SET face = ? WHERE subject = ?", (held.pending, subject))
        is_of_the_office = held.pending_face is not None
        if is_of_the_office:
            held = replace(held, face=held.pending_face, stored_face=held.pending)
        holding.put(connection, replace(held, quarantine=None, pending=None, pending_face=None, ways=""))
        return Accepted(subject) if is_of_the_office else made_here(self.register, subject)

    def apply(self, changes: Sequence[Change], version: int, at: datetime, allowed: Allowed | None = None) -> Outcome:
        """Store a batch, and rise to `version`; on disk when it returns, or not at all. Whoever calls is `tidy` next.

        `at`: when this is, aware. `allowed`: what is counted from then on.
        """
        with self.register.changing() as connection:
            if self._asked:
                coming = {change.holding.key for change in changes}
                damage.clear(connection, coming, self._asked - holding.wanted(connection))
            faces = [face for change in changes for face in (change.face, change.waiting) if face is not None]
            self.register.store(faces, at)
            touched = people_of(changes)
            outcome, before = Outcome(), self._statuses(touched)
            for change in changes:
                self._file(change, outcome, at)
            dossiers = [change.content for change in changes if isinstance(change.content, Dossier)]
            outcome.waiting = dossier.put(connection, dossiers)
            trust.prune(connection, [each.person.subject for each in dossiers])
            outcome.added = sum(each.person.subject not in before for each in dossiers)
            outcome.changed = len(dossiers) - outcome.added
            holding.rise(connection, version)
            if allowed is not None:
                holding.allow(connection, allowed)
            connection.execute(KNOWN_DAYS, (entitlement.UNKNOWN,))
            after = self._statuses(touched)
        for subject in sorted(before.keys() & after.keys()):
            if before[subject] != after[subject]:
                (outcome.suspended if after[subject] == "suspended" else outcome.resumed).append(subject)
        return outcome

    def want_damaged(self) -> None:
        """Have everything that is damaged here come again from the office, once in a life of this gate."""
        with self.register.reading() as connection:
            keys = damage.wanted(connection) - self._asked
        if not keys or self.register.why:
            return
        log.error("people.db: damaged rows of %d records; the office is asked for them again", len(keys))
        with self.register.changing() as connection:
            holding.want(connection, keys)
        self._asked |= keys

    def _file(self, change: Change, outcome: Outcome, at: datetime) -> None:
        """Everything of a change but a dossier, for which all the others must be out of the way."""
        held, known = change.holding, change.content
        with self.register.reading() as connection:
            if held.is_gone:
                held = self._remove(held, outcome, at)
            elif change.is_suspending:
                subject = held.key.removeprefix(PERSON)
                connection.execute("UPDATE people SET status = 'suspended' WHERE subject = ?", (subject,))
            match known:
                case SharedRights():
                    entitlement.put_rights(connection, known.whose, known.value, known.rights)
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
                    trust.put_gate(connection, gate, keys, vouches)
            holding.put(connection, held)

    def _remove(self, held: Holding, outcome: Outcome, at: datetime) -> Holding:
        """What a key named goes; of whom is gone already it stays known how many templates went, and when."""
        kind, _, name = held.key.partition("/")
        with self.register.reading() as connection:
            before = holding.get(connection, held.key)
            if before.is_gone:
                return replace(held, templates=before.templates, at=before.at)
            match kind:
                case "person" if self.register.is_there(SubjectId(name)):
                    outcome.removed[SubjectId(name)] = self.register.drop(SubjectId(name))
                case "person":
                    damage.forget(connection, name)
                case "household" | "role":
                    entitlement.put_rights(connection, kind, name, ())
                case "schedule":
                    _forget_hours(connection, name)
                case "gate":
                    trust.drop_gate(connection, name)
        return replace(held, templates=outcome.removed.get(SubjectId(name), 0), at=at.isoformat())

    def _statuses(self, among: Collection[SubjectId]) -> dict[SubjectId, str]:
        is_one, ids = database.is_one_of("subject", among)
        with self.register.reading() as connection:
            rows = connection.execute(f"SELECT subject, status FROM people WHERE {is_one}", ids).fetchall()  # noqa: S608
        return {SubjectId(subject): status for subject, status in rows}


def people_of(changes: Iterable[Change]) -> set[SubjectId]:
    """Whom these changes are about."""
    return {SubjectId(key.removeprefix(PERSON)) for change in changes if (key := change.holding.key).startswith(PERSON)}


def _forget_hours(connection: sqlite3.Connection, name: str) -> None:
    """What the office called so, a schedule or a calendar, is no more."""
    for table in ("schedules", "calendars"):
        connection.execute(f"DELETE FROM {table} WHERE name = ?", (name,))  # noqa: S608 - one of two
