"""Apply the office's records to the stored data: a whole batch in one transaction, with record numbers and the version.

Templates are written first, under new face names; the commit in `people.db` makes them valid. After a crash the data is
that of the previous or of the new batch. Faces that never became valid are deleted later. `sync` uses this module.
"""

import logging
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gated.composite import Centring
from gated.embedding import Embedding
from gated.errors import SubjectNotFoundError, TornError
from gated.gallery.accepted import AcceptedRecord, made_here
from gated.gallery.apply_changes import apply_changes
from gated.gallery.record_changes import PERSON, Change, Outcome
from gated.gallery.register import Register
from gated.people import acceptances, damaged_rows
from gated.people import held_records as holding
from gated.people.acceptances import Claim, Neighbour
from gated.people.held_records import Allowed, RecordState
from gated.people.store import Person
from gated.storage import sql
from gated.types import SubjectId

log = logging.getLogger(__name__)


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

    def get(self, key: str) -> RecordState:
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

    def quarantined(self) -> list[RecordState]:
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

    def revoked_gate_keys(self) -> list[str]:
        """Return the keys of gates that are deleted or have new keys."""
        with self.register.reading() as connection:
            return acceptances.revoked_keys(connection)

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

    def accept(self, subject: SubjectId, allowed: Allowed | None = None) -> AcceptedRecord | None:
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
                return self._apply_waiting_face(connection, subject, held)
            holding.put(connection, replace(held, quarantine=None, accepted=held.quarantine, is_wanted=True))
            return AcceptedRecord(subject)

    def credential_marks_of(self, subject: SubjectId) -> str:
        """Return the digests of a person's cards and PINs, in the format of `RecordState.ways`."""
        with self.register.reading() as connection:
            return holding.credential_marks_of(connection, subject)

    def confirm(
        self,
        subject: SubjectId,
        digest: bytes,
        probes: Sequence[Embedding],
        embedder_sha256: str,
        threshold: float,
        *,
        centring: Centring,
    ) -> AcceptedRecord | None:
        """Make a waiting face valid after the person entered by a card or PIN with this `digest`. Return None without a
        change.

        `probes`: embeddings that the gate saw meanwhile. All must match the waiting face, compared with the `centring`
        of the search. The person must have had this card or PIN before the face arrived.
        """
        held = self.get(PERSON + subject)
        if held.pending is None or not probes or digest.hex()[: holding.MARK_DIGITS] not in held.ways.split():
            return None
        waiting = self.waiting(subject, embedder_sha256)
        scores = (max(centring.score(each, probe) for each in waiting) for probe in probes)
        if not waiting or not all(score >= threshold for score in scores):
            return None
        with self.register.changing() as connection:
            is_same = holding.get(connection, held.key) == held
            return self._apply_waiting_face(connection, subject, held) if is_same else None

    def waiting(self, subject: SubjectId, embedder_sha256: str) -> list[NDArray[np.float32]]:
        """Return the float32 vectors of a person's waiting face; empty without one."""
        held = self.get(PERSON + subject)
        return [] if held.pending is None else self.register.vectors_of(subject, held.pending, embedder_sha256)

    def _apply_waiting_face(
        self, connection: sqlite3.Connection, subject: SubjectId, held: RecordState
    ) -> AcceptedRecord:
        """Make the waiting face valid. It is exactly the face in `held`, whatever has arrived since."""
        connection.execute("UPDATE people SET face = ? WHERE subject = ?", (held.pending, subject))
        is_of_the_office = held.pending_face is not None
        if is_of_the_office:
            held = replace(held, face=held.pending_face, stored_face=held.pending)
        holding.put(connection, replace(held, quarantine=None, pending=None, pending_face=None, ways=""))
        return AcceptedRecord(subject) if is_of_the_office else made_here(self.register, subject)

    def apply(self, changes: Sequence[Change], version: int, at: datetime, allowed: Allowed | None = None) -> Outcome:
        """Store a batch and raise the version to `version`. The data is on disk at return; on an error nothing is
        stored. The caller calls `tidy` afterwards.

        `at`: the current time, aware. `allowed`: new counters for new people.
        """
        with self.register.changing() as connection:
            if self._asked:
                coming = {change.holding.key for change in changes}
                damaged_rows.clear(connection, coming, self._asked - holding.wanted(connection))
            outcome = apply_changes(self.register, connection, changes, at)
            holding.raise_version(connection, version)
            if allowed is not None:
                holding.allow(connection, allowed)
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
