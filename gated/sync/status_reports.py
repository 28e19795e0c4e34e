"""Decide when the gate reports its status and its quarantine to the office, and build both reports.

`GateSide` uses it. An observer of the network must not see when a door moves or a part fails. So these changes wait for
the next regular status.
"""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from gated.journal.entry import stamp
from gated.protocol.limits import MAX_RECORDS
from gated.protocol.record_messages import QuarantinedRecord, QuarantineList
from gated.protocol.status_messages import (
    BATCH,
    HANDOVER,
    LIVE,
    QUARANTINE,
    SEALED,
    TWO_KINDS,
    VERIFIERS,
    GuessingLimits,
    RecordMark,
    Status,
)
from gated.protocol.topics import Topics
from gated.sync.freshness import Freshness
from gated.sync.isolation import IsolatedPart
from gated.sync.lost_functions import LostFunctions
from gated.sync.renewal import Certificates
from gated.sync.replica import Replica
from gated.sync.upload import JournalUpload

LONGEST_PART = 64
"""Longest name of a part in `degraded`, in characters."""
FUNCTIONS = [LIVE, BATCH, QUARANTINE, HANDOVER, VERIFIERS, SEALED, TWO_KINDS]
"""The functions that this gate announces in `Status.can`."""
OUTDATED = ["office_outdated"]
"""Added to `degraded` while the office sends readable card numbers or PINs. The gate stores none of them."""


class Vitals(Struct, frozen=True):
    """The state of the gate that the event loop knows. Holds no personal data."""

    version: str
    degraded: Sequence[str]
    door: str
    people: int
    templates: int
    models: str
    calls: int = 0
    """Number of calls since the start. At each call the office must prove that it hears the gate."""
    guessing: GuessingLimits | None = None


class StatusSources(Struct, frozen=True):
    """The parts of the gate's side whose state goes into a status."""

    replica: Replica
    records: IsolatedPart
    upload: JournalUpload
    freshness: Freshness
    lost: LostFunctions
    certificates: Certificates | None


class StatusReports:
    """The status and the quarantine list on their way to the office. `now` is monotonic seconds."""

    def __init__(self, topics: Topics, status_s: float, sources: StatusSources, recovery: str) -> None:
        """Take `status_s`, the interval between two statuses in seconds, and `recovery`, the known recovery key."""
        self._topics, self._status_s, self._from = topics, status_s, sources
        self.recovery = recovery
        self.mark: RecordMark | None = None
        """The state of the records at the last check; None before they could be read."""
        self._sent: tuple[RecordMark | None, list[str], int] | None = None
        self._sent_at = 0.0
        self._listed, self._listed_at = RecordMark(0, ""), 0.0
        """The state of the records when the quarantine list was last sent."""

    def restart(self) -> None:
        """Start a new connection: send the status and the quarantine list at once."""
        self._sent, self._listed_at = None, -math.inf

    def is_regular(self, now: float) -> bool:
        """Return whether the next status is due because of the time."""
        return self._sent is None or now >= self._sent_at + self._status_s

    def due_status(self, now: float, wall_utc: datetime, vitals: Vitals) -> Iterator[Status]:
        """Yield the status with a fresh challenge if it is due.

        It is due every `status_s`, at a call, and when the records or the withheld data changed.
        """
        self.mark = self._from.records.attempt(lambda: self._from.replica.mark, now, self.mark)
        contents = (self.mark, self._from.lost.missing, vitals.calls)
        if contents == self._sent and not self.is_regular(now):
            return
        status = self.status(vitals)
        self._sent, self._sent_at = contents, now
        freshness = self._from.freshness
        silent_s = freshness.silent_s(now)
        yield replace(status, at=stamp(wall_utc), challenge=freshness.challenge(now), silent_s=silent_s)

    def due_quarantine(self, now: float) -> list[QuarantineList]:
        """Return the quarantine list if it is due: after a change, and every `status_s` while it is not empty."""
        mark, listed = self.mark, self._listed
        if mark is None or self._sent is None or not (mark.quarantined or listed.quarantined):
            return []
        is_same = (mark.quarantined, mark.digest) == (listed.quarantined, listed.digest)
        if is_same and now < self._listed_at + self._status_s:
            return []
        held = self._from.records.attempt(self._from.replica.quarantined, now, list[QuarantinedRecord]())
        self._listed, self._listed_at = mark, now
        pages = [held[at : at + MAX_RECORDS] for at in range(0, len(held), MAX_RECORDS)] or [[]]
        first = QuarantineList(
            site=self._topics.site,
            gate=self._topics.gate,
            heard=self._from.freshness.heartbeat,
            parts=len(pages),
        )
        return [replace(first, part=part, records=page) for part, page in enumerate(pages)]

    def status(self, vitals: Vitals) -> Status:
        """Return the status of now, without a time and without a challenge."""
        degraded = [part[:LONGEST_PART] for part in vitals.degraded]
        return Status(
            site=self._topics.site,
            gate=self._topics.gate,
            version=vitals.version,
            degraded=degraded + OUTDATED * self._from.replica.is_office_outdated,
            door=vitals.door,
            people=vitals.people,
            templates=vitals.templates,
            models=vitals.models,
            journal=self._from.upload.mark,
            records=self.mark,
            heard=self._from.freshness.heartbeat,
            certificate_ends=self._certificate_ends(),
            recovery=self.recovery,
            can=FUNCTIONS,
            guessing=vitals.guessing,
            withheld=self._from.lost.missing,
        )

    def _certificate_ends(self) -> str:
        certificates = self._from.certificates
        ends = certificates.ends.get("gate") if certificates is not None else None
        return "" if ends is None else stamp(ends)
