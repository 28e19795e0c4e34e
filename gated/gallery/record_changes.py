"""The changes that a batch of office records makes to the stored data, and their result. Values only."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from gated.config import Schedule
from gated.gallery.person_data import PersonData
from gated.people.access_rule import AccessRule, RuleOwner
from gated.people.held_records import RecordState
from gated.people.template_store import SealedFace
from gated.types import SubjectId

PERSON = "person/"
"""The beginning of the key of a person's record."""


@dataclass(frozen=True, slots=True)
class SharedRules:
    """The access rules of one household or role."""

    owner: RuleOwner
    value: str = field(repr=False)
    rules: tuple[AccessRule, ...]


@dataclass(frozen=True, slots=True)
class NamedSchedule:
    """One schedule with its name."""

    name: str
    schedule: Schedule


@dataclass(frozen=True, slots=True)
class NamedCalendar:
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


Content = PersonData | SharedRules | NamedSchedule | NamedCalendar | GateKeys | None


@dataclass(frozen=True, slots=True)
class Change:
    """One change: the new state of a record key, and the content to store for it. `content` None leaves the stored
    data.

    A tombstone deletes the object that its key names. `face`: templates to store with the change. `is_suspending`: the
    person is suspended, whatever else the record contains.
    """

    holding: RecordState
    content: Content = None
    face: SealedFace | None = None
    is_suspending: bool = False
    waiting: SealedFace | None = None
    """Templates to store that do not count until somebody here accepts them (`RecordState.pending`)."""


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


def people_of(changes: Iterable[Change]) -> set[SubjectId]:
    """Return the people that these changes are about."""
    return {SubjectId(key.removeprefix(PERSON)) for change in changes if (key := change.holding.key).startswith(PERSON)}
