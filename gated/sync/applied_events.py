"""Turn applied records into events for the journal. Pure. Used by `replica`."""

from collections.abc import Iterator, Sequence

from gated.events import Event, PersonRemoved, PersonResumed, PersonSuspended, RecordQuarantined, RecordsApplied
from gated.gallery.record_changes import PERSON, Change, Outcome


def applied_events(changes: Sequence[Change], outcome: Outcome, version: int) -> Iterator[Event]:
    """Return the journal events of a batch.

    A batch that only suspends subjects has no `RecordsApplied` event.
    """
    is_command = bool(changes) and all(change.is_suspending for change in changes)
    if not is_command:
        yield RecordsApplied(version, outcome.added, outcome.changed, len(outcome.removed))
    for subject, templates in outcome.removed.items():
        yield PersonRemoved(subject, templates)
    for subject in outcome.suspended:
        yield PersonSuspended(subject)
    for subject in outcome.resumed:
        yield PersonResumed(subject)
    for change in changes:
        if change.holding.quarantine is not None:
            yield RecordQuarantined(change.holding.key.removeprefix(PERSON), change.holding.quarantine)
