"""Convert a record that names no person into the content that this gate stores. Used by `batch`."""

from gated.errors import CredentialError
from gated.gallery.record_changes import Content, GateKeys, NamedCalendar, NamedSchedule, SharedRules
from gated.people.access_rule import plain_role
from gated.people.schedule_values import schedule_of
from gated.protocol.vouching import parsed
from gated.protocol.wire_records import GateRecord, HouseholdRecord, RoleRecord, ScheduleRecord
from gated.sync.person_records import access_rules_of, days_of


def content_of(record: HouseholdRecord | RoleRecord | ScheduleRecord | GateRecord) -> Content:
    """Return the content to store for a record that names no person; None for a role with an invalid name.

    Households, roles and schedules keep the spelling of their key. The office removes them by that spelling.
    """
    match record:
        case HouseholdRecord():
            return SharedRules("household", record.household, access_rules_of(record.rights))
        case RoleRecord():
            try:
                plain_role(record.role)
            except CredentialError:
                return None
            return SharedRules("role", record.role, access_rules_of(record.rights))
        case ScheduleRecord() if record.holidays or record.workdays:
            return NamedCalendar(record.name, days_of(record.holidays), days_of(record.workdays))
        case ScheduleRecord():
            return NamedSchedule(record.name, schedule_of(record.days, record.start, record.end))
        case GateRecord():
            party = parsed(record.keys)
            return GateKeys(record.gate, record.keys if party is None else party.dump().decode(), tuple(record.vouched))
