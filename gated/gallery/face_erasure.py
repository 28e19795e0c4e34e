"""Erase keys and templates that belong to no person, and the traces of deleted rows in the files.

Owns the second half of each removal: `people.db` leads, and this follows in `templates.db`. Used by `register`. An
erasure that something blocks is finished at the next start.
"""

import logging
from collections.abc import Collection
from pathlib import Path

from gated.errors import BusyError, StateError
from gated.people.opening import Stores
from gated.people.store import NAME as PEOPLE
from gated.storage import database, erasure, sql
from gated.storage.read_only import is_read_only_mode
from gated.storage.rescue import aside
from gated.types import SubjectId

log = logging.getLogger(__name__)


class FaceErasure:
    """The erasures in the databases of one gate. `guard` of `people.db` lets one thread at a time do them."""

    def __init__(self, stores: Stores, guard: database.Guard, state: Path) -> None:
        self._people, self._templates, self._guard, self._state = stores.people, stores.templates, guard, state
        self._dropped = set[SubjectId]()

    def note_dropped(self, subject: SubjectId) -> None:
        """Remember that this run deleted a person, also while `people.db` has damaged rows."""
        self._dropped.add(subject)

    def sweep(self, among: Collection[SubjectId] | None = None) -> bool:
        """Delete keys and templates without a person, and faces that no longer count. Return True if any existed.

        `among`: check these people only.
        """
        with self._guard:
            if not self._orphans(among):
                return False
        with self._guard as people, sql.transaction(people):
            orphans = self._orphans(among)  # an enrolment may have finished meanwhile; its face is no orphan
            with self._templates.guard.changing():
                for subject, face in orphans:
                    self._templates.delete(subject, face)
        return bool(orphans)

    def tidy(self, among: Collection[SubjectId] | None = None) -> bool:
        """Finish all open erasures. Return False if something blocks them; then the next start tries again.

        `among`: check these people only; the caller knows that no other person has an open erasure.
        """
        if is_read_only_mode():
            return True
        try:
            self.sweep(among)
            with self._guard as people:
                done = [erasure.finish_erasures(people)]
                with self._templates.guard as templates:
                    done.append(erasure.finish_erasures(templates))
        except (BusyError, StateError) as error:
            log.warning("an erasure is not finished; the next start finishes it: %s", error)
            return False
        return all(done)

    def _orphans(self, among: Collection[SubjectId] | None) -> set[tuple[SubjectId, str]]:
        """Return faces without a person.

        A damaged people.db, set aside or with damaged rows, may still name their owner. Then return only faces of
        people who are known to be deleted or to have another face.
        """
        orphans = self._templates.faces(among) - self._people.faces(among)
        if not orphans or not (aside(self._state / PEOPLE) or self._people.left_out()):
            return set(orphans)
        known = self._people.subjects() | self._people.deleted_subjects() | self._dropped
        return {(subject, face) for subject, face in orphans if subject in known}
