"""Stores records of households, roles and schedules under every spelling of their names."""

from collections.abc import Sequence

from gated.errors import OfficeError
from gated.office.store import Store
from gated.protocol.record_keys import key_of
from gated.protocol.wire_records import HouseholdRecord, RoleRecord, ScheduleRecord, Tombstone


def weekly_schedules(store: Store) -> list[ScheduleRecord]:
    """Return every schedule that is weekly hours and not a calendar."""
    return [each for each in store.book.live(ScheduleRecord) if not (each.holidays or each.workdays)]


def store_records(store: Store, kind: str, records: Sequence[HouseholdRecord | RoleRecord | ScheduleRecord]) -> None:
    """Store the records, under every spelling in use. A record with empty rights is removed.

    Raises `OfficeError` if there is nothing to store and nothing to remove.
    """
    with store.file.writing():
        has_content = [
            bool(each.rights) if isinstance(each, HouseholdRecord | RoleRecord) else True for each in records
        ]
        is_stored = [not isinstance(store.book.get(key_of(each)), Tombstone | None) for each in records]
        if not any(has_content) and not any(is_stored):
            raise OfficeError(f"this {kind} has no access rules; `gated office rights list` shows all access rules")
        for record, is_kept, known in zip(records, has_content, is_stored, strict=True):
            if is_kept:
                store.book.put(record)
            elif known:
                store.book.remove(key_of(record))
