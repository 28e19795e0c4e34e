"""What the office says becomes what is stored here: a whole batch in one transaction, with its numbers and the version.

Templates are written first, under names that nobody's face has yet; the commit in `people.db` is what makes them count.
A crash anywhere leaves the batch before or the batch after, and at most faces that do not count, which are swept.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from gated import database
from gated.config import Schedule
from gated.errors import SubjectNotFoundError
from gated.gallery import dossier, entitlement, holding
from gated.gallery.dossier import Dossier
from gated.gallery.entitlement import Right, Whose
from gated.gallery.holding import Holding
from gated.gallery.people import Person
from gated.gallery.register import Register
from gated.gallery.templates import SealedFace
from gated.types import SubjectId

PERSON = "person/"


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
class GateKeys:
    """Another gate's public keys."""

    gate: str
    keys: str


Content = Dossier | SharedRights | NamedHours | GateKeys | None


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

    @classmethod
    def open(cls, state: Path, site: str) -> "Holdings":
        """Open, or make, what is stored, and finish what a crash left half done. Raises `StateError`."""
        return cls(Register.open(state, site))

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

    def is_empty(self) -> bool:
        """Whether nobody at all is known here."""
        with self.register.reading() as connection:
            return not connection.execute("SELECT EXISTS (SELECT 1 FROM people)").fetchone()[0]

    def keys_of(self, gate: str) -> str | None:
        """Another gate's public keys."""
        with self.register.reading() as connection:
            row = connection.execute("SELECT keys FROM gates WHERE gate = ?", (gate,)).fetchone()
        return None if row is None else str(row[0])

    def changes(self) -> tuple[int, int]:
        """Another one whenever anybody has changed something; cheap to ask."""
        with self.register.reading() as connection:
            return database.version(connection), connection.total_changes

    def accept(self, subject: SubjectId) -> bool:
        """What was held back of somebody is no poison and is to come again; False where nothing was."""
        with self.register.changing() as connection:
            held = holding.get(connection, PERSON + subject)
            if held.quarantine is None:
                return False
            holding.put(connection, replace(held, quarantine=None, accepted=held.quarantine, is_wanted=True))
            return True

    def apply(self, changes: Sequence[Change], version: int, at: datetime) -> Outcome:
        """Store a batch, and rise to `version`; on disk when it returns, or not at all. Whoever calls is `tidy` next.

        `at`: when this is, aware.
        """
        with self.register.changing() as connection:
            self.register.store([change.face for change in changes if change.face is not None], at)
            outcome, before = Outcome(), self._statuses()
            for change in changes:
                self._file(change, outcome, at)
            dossiers = [change.content for change in changes if isinstance(change.content, Dossier)]
            outcome.waiting = dossier.put(connection, dossiers)
            outcome.added = sum(each.person.subject not in before for each in dossiers)
            outcome.changed = len(dossiers) - outcome.added
            holding.rise(connection, version)
            after = self._statuses()
        for subject in sorted(before.keys() & after.keys()):
            if before[subject] != after[subject]:
                (outcome.suspended if after[subject] == "suspended" else outcome.resumed).append(subject)
        return outcome

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
                    connection.execute("REPLACE INTO schedules VALUES (?, ?, ?, ?)", row)
                case GateKeys(gate, keys):
                    connection.execute("REPLACE INTO gates VALUES (?, ?)", (gate, keys))
            holding.put(connection, held)

    def _remove(self, held: Holding, outcome: Outcome, at: datetime) -> Holding:
        """What a key named goes; of whom is gone already it stays known how many templates went, and when."""
        kind, _, name = held.key.partition("/")
        with self.register.reading() as connection:
            before = holding.get(connection, held.key)
            if before.is_gone:
                return replace(held, templates=before.templates, at=before.at)
            match kind:
                case "person" if self.person(SubjectId(name)) is not None:
                    outcome.removed[SubjectId(name)] = self.register.drop(SubjectId(name))
                case "household" | "role":
                    connection.execute(f"DELETE FROM rights WHERE {kind} = ?", (name,))  # noqa: S608 - one of two
                case "schedule":
                    connection.execute("DELETE FROM schedules WHERE name = ?", (name,))
                case "gate":
                    connection.execute("DELETE FROM gates WHERE gate = ?", (name,))
        return replace(held, templates=outcome.removed.get(SubjectId(name), 0), at=at.isoformat())

    def _statuses(self) -> dict[SubjectId, str]:
        with self.register.reading() as connection:
            rows = connection.execute("SELECT subject, status FROM people").fetchall()
        return {SubjectId(subject): status for subject, status in rows}
