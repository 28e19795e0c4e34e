"""Keeps the calibration of a gallery up to date, and stores it without names. `access.face_calibration` uses it.

A change of the gallery makes a new calibration due, after `PAUSE_S`: an office sends many people at once. The work runs
in another thread, so it delays no search. Until it is ready, the calibration before the change counts. Before the first
one after a start, `face_service` judges no face. So nothing is read back from a file, and a restart changes no
threshold. The table of the model set counts alone only if the first calibration fails.

The file `calibration.json` shows the state to `gated status` and the doctor. It has no name and no person.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from gated.atomic_files import atomic_write
from gated.gallery.alike import AlikePair, alike_pairs, not_recognised, own_thresholds
from gated.gallery.calibration import Calibration, calibration_of, uncalibrated
from gated.gallery.centring import PRIOR_PEOPLE
from gated.gallery.gallery import Gallery
from gated.gallery.score_tail import kept_weight
from gated.gallery.search import GalleryRows
from gated.gallery.stranger_scores import Gathered, own_scores, stranger_scores
from gated.threshold_table import ThresholdTable
from gated.types import SubjectId
from gated.wording import UNDECODABLE

log = logging.getLogger(__name__)

PAUSE_S = 2.0
"""The gallery must be unchanged for so long before it is calibrated."""
LONGEST_PAUSE_S = 60.0
"""A gallery that changes all the time is calibrated after so long."""
FILE = "calibration.json"


@dataclass(frozen=True, slots=True)
class GalleryCalibration:
    """The calibration of a gallery with the people it concerns."""

    calibration: Calibration
    thresholds: dict[SubjectId, float] = field(default_factory=dict, repr=False)
    """People with a higher threshold of their own: children, and people who are alike."""
    children: frozenset[SubjectId] = field(default=frozenset(), repr=False)
    """The children among the people, each with a threshold of its own."""
    needing_more: frozenset[SubjectId] = field(default=frozenset(), repr=False)
    """People that a face alone does not identify. They need a card or a PIN with it."""
    pairs: tuple[tuple[SubjectId, SubjectId, AlikePair], ...] = field(default=(), repr=False)
    not_recognised: tuple[SubjectId, ...] = field(default=(), repr=False)
    """People whose own pictures do not reach their threshold. Enrol them again."""

    def threshold_of(self, subject: SubjectId) -> float:
        """Return the threshold for one person."""
        return max(self.calibration.threshold, self.thresholds.get(subject, 0.0))


class StoredCalibration(msgspec.Struct, frozen=True):
    """The content of `calibration.json`."""

    calibration: Calibration
    model_set: str
    at: str
    """Time of the calibration, in UTC (ISO 8601)."""
    alike: int = 0
    """Number of pairs of different households who are too alike."""
    not_recognised: int = 0


def gathered(rows: GalleryRows, *, is_centred: bool) -> Gathered:
    """Return the people of an index as input for `stranger_scores`."""
    homes = {
        first: home for home, all_rows in rows.households.items() for first in range(all_rows.start, all_rows.stop)
    }
    return Gathered(
        rows.matrix,
        tuple(rows.people.values()),
        tuple(homes[own.start] for own in rows.people.values()),
        PRIOR_PEOPLE if is_centred else None,
    )


def calibrate_gallery(
    rows: GalleryRows,
    table: ThresholdTable,
    target_fpir: float,
    setting: float | None = None,
    *,
    is_centred: bool = True,
    children: frozenset[SubjectId] = frozenset(),
) -> GalleryCalibration:
    """Calibrate on the people of an index. `children`: people whom the registrar marked. Takes seconds."""
    people = gathered(rows, is_centred=is_centred)
    subjects = tuple(rows.people)
    found = stranger_scores(people, kept_weight(len(subjects)))
    calibration = calibration_of(found, target_fpir, table, setting)
    pairs = alike_pairs(found, calibration, table.ceiling)
    young = [number for number, subject in enumerate(subjects) if subject in children]
    own, more = own_thresholds(pairs, young, calibration)
    return GalleryCalibration(
        calibration,
        {subjects[number]: threshold for number, threshold in own.items()},
        frozenset(subjects[number] for number in young),
        frozenset(subjects[number] for number in more),
        tuple((subjects[pair.first], subjects[pair.second], pair) for pair in pairs),
        tuple(subjects[number] for number in not_recognised(own_scores(people), calibration.threshold, own)),
    )


_Input = tuple[int, frozenset[SubjectId]]
"""The number of the index, and the children: a change of one of them makes a calibration due."""


class Calibrator:
    """The present calibration of one gallery for one model set. `follow` makes the next one, in any thread."""

    def __init__(
        self,
        gallery: Gallery,
        table: ThresholdTable,
        target_fpir: float,
        setting: float | None = None,
        *,
        children: Callable[[], frozenset[SubjectId]] = frozenset,
    ) -> None:
        """`children` returns the people whom the registrar marked as children."""
        self._gallery, self._table, self._target, self._setting = gallery, table, target_fpir, setting
        self._children = children
        self.now = GalleryCalibration(uncalibrated(gallery.size, target_fpir, table, setting))
        self._done: _Input | None = None
        self._seen: _Input | None = None
        self._due_from = self._due_to = 0.0

    @property
    def has_result(self) -> bool:
        """Whether `now` is the result of a calibration, and not of the table alone."""
        return self._done is not None

    def is_due(self, now: float) -> bool:
        """Return whether the gallery changed, and is quiet since. `now`: monotonic, in seconds."""
        present = self._input()
        if present == self._done:
            return False
        if present != self._seen:
            if self._seen == self._done:
                self._due_to = now + LONGEST_PAUSE_S
            self._due_from, self._seen = now + (PAUSE_S if self._done is not None else 0.0), present
        return now >= min(self._due_from, self._due_to)

    def postpone(self, now: float) -> None:
        """Wait `LONGEST_PAUSE_S` before the next try with the same gallery, because this one failed."""
        self._due_from = self._due_to = now + LONGEST_PAUSE_S

    def follow(self) -> GalleryCalibration:
        """Calibrate on the present gallery, and return the result. The old one counts until then."""
        present = self._input()
        self.now = calibrate_gallery(
            self._gallery.enrolled(),
            self._table,
            self._target,
            self._setting,
            is_centred=self._gallery.centring.mean is not None,
            children=present[1],
        )
        self._done = self._seen = present
        return self.now

    def _input(self) -> _Input:
        return self._gallery.index_number, self._children()


def store(state: Path, model_set: str, found: GalleryCalibration) -> None:
    """Store the calibration for `gated status` and the doctor. A full disk is logged, and stops nothing."""
    alike = sum(not pair.is_family for _, _, pair in found.pairs)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    stored = StoredCalibration(found.calibration, model_set, now, alike, len(found.not_recognised))
    try:
        atomic_write(state / FILE, msgspec.json.encode(stored))
    except OSError as error:
        log.warning("the calibration is not stored, and `gated status` shows an old one: %s", error)


def stored_calibration(state: Path, model_set: str) -> StoredCalibration | None:
    """Return the stored calibration; None without one for this model set, or if it cannot be read."""
    try:
        stored = msgspec.json.decode((state / FILE).read_bytes(), type=StoredCalibration)
    except (OSError, *UNDECODABLE):
        return None
    return stored if stored.model_set == model_set else None
