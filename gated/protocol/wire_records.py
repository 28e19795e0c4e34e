"""The records that the office keeps and every gate copies: persons, access rules, schedules, gates, tombstones.

A person record has an id, and what the gate needs to admit the person. It has no readable card number and no readable
PIN. Its face is sealed to the receiving gate.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gated.protocol.face_messages import SealedFace
from gated.protocol.limits import DIGEST_BYTES, MAX_READINGS, MAX_VOUCHES, READING_BYTES, SALT_BYTES
from gated.protocol.wire_types import Seq, Sha256Bytes, Short, Subject, Text, Time, Token, Vouched


class WireConsent(msgspec.Struct, frozen=True):
    """A consent of a person. Purposes: "recognise", "transfer"."""

    purpose: Short
    reference: Text
    notice: Short
    at: Time


class WireAccessRule(msgspec.Struct, frozen=True):
    """An access rule: one door and one schedule. Null means every door, or every hour."""

    door: Annotated[str, Meta(max_length=80)] | None = None
    """"main" or "second" of any gate; "GATE/main", or "GATE/*" for all doors of one gate. With "+" in front, the person
    must show two of face, card and PIN; "+*" is every door. A gate that does not know this form has no such door.
    """
    schedule: Short | None = None
    valid_from: Time | None = None
    valid_until: Time | None = None


class WireCard(msgspec.Struct, frozen=True):
    """A card, as digests of the numbers that readers may report for it."""

    id: Short
    number: Short = ""
    """Only an office that is too old fills it in. No gate uses it."""
    label: Text = ""
    valid_from: Time | None = None
    valid_until: Time | None = None
    uses: Seq | None = None
    digest: Annotated[bytes, Meta(max_length=DIGEST_BYTES, description="32 bytes, base64")] = b""
    """HMAC-SHA256 of the card number under the gate's key for cards."""
    readings: Annotated[bytes, Meta(max_length=MAX_READINGS * READING_BYTES, description="16 bytes each, base64")] = b""
    """First 16 bytes of the HMAC of each reading, sorted and joined."""


class WirePin(msgspec.Struct, frozen=True):
    """A PIN or a duress PIN. Neither the fields nor their order show which one is the duress PIN."""

    salt: Annotated[bytes, Meta(min_length=SALT_BYTES, max_length=SALT_BYTES, description="16 bytes, base64")]
    """The same for all PINs of a site. So a gate runs argon2 once for a typed PIN."""
    verifier: Sha256Bytes
    """HMAC-SHA256 under the gate's key for PINs, over `pin` or `duress` followed by argon2id of the digits."""


class WirePreferences(msgspec.Struct, frozen=True):
    """How the gate should behave for one person. Null means the default. The reason is never sent."""

    release_s: float | None = None
    search_s: float | None = None
    first: Literal["speech", "light", "touch"] | None = None


class WireMark(msgspec.Struct, frozen=True):
    """The mark of a person whose face opens only together with a card or PIN."""

    kind: Short
    """"child" or "alike". An unknown kind counts like "alike"."""
    until: Time | None = None
    """The end of the mark; null for none."""


class AnyPerson(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a person that are the same on the wire and at the office."""

    n: Seq
    subject: Subject
    name: Text
    """Empty unless the site chose to have names at its gates."""
    household: Text
    role: Short = "resident"
    status: Literal["active", "suspended"] = "active"
    added_at: Time
    consents: Annotated[list[WireConsent], Meta(max_length=10)] = []
    rights: Annotated[list[WireAccessRule], Meta(max_length=50)] = []
    """Access rules."""
    wishes: WirePreferences = WirePreferences()
    """Preferences."""
    mark: WireMark | None = None
    """A gate that does not know marks ignores it: there the face opens alone."""


class PersonRecord(AnyPerson, frozen=True, tag="person", kw_only=True):
    """A person, as far as a gate must know them, since record `n`. Key: `person/SUBJECT`."""

    cards: Annotated[list[WireCard], Meta(max_length=20)] = []
    pins: Annotated[list[WirePin], Meta(max_length=2)] = []
    pin: Annotated[str, Meta(max_length=12)] = ""
    """Only an office that is too old fills it in. No gate uses it."""
    duress_pin: Annotated[str, Meta(max_length=12)] = ""
    """Only an office that is too old fills it in. No gate uses it."""
    face: SealedFace | None = None
    """Null: the office sends this gate no face. A face from an enrolment at this gate stays."""


class HouseholdRecord(msgspec.Struct, frozen=True, tag="household", kw_only=True):
    """The access rules of a household. Key: `household/HOUSEHOLD`."""

    n: Seq
    household: Text
    rights: Annotated[list[WireAccessRule], Meta(max_length=50)]
    """Access rules."""


class RoleRecord(msgspec.Struct, frozen=True, tag="role", kw_only=True):
    """The access rules of a role. Key: `role/ROLE`."""

    n: Seq
    role: Short
    rights: Annotated[list[WireAccessRule], Meta(max_length=50)]
    """Access rules."""


class ScheduleRecord(msgspec.Struct, frozen=True, tag="schedule", kw_only=True):
    """Hours of the week; with `holidays` or `workdays`, the calendar of a year. Key: `schedule/NAME`.

    A gate that does not know calendars reads one as a schedule without days, which never applies.
    """

    n: Seq
    name: Short
    days: Annotated[list[Short], Meta(max_length=8)]
    start: Short
    end: Short
    holidays: Annotated[list[Short], Meta(max_length=100)] = []
    """Days, YYYY-MM-DD, on which the "holiday" of a schedule applies and its weekdays do not."""
    workdays: Annotated[list[Short], Meta(max_length=100)] = []
    """Make-up working days. On these days only a schedule with all of mon to fri applies."""


class GateRecord(msgspec.Struct, frozen=True, tag="gate", kw_only=True):
    """Another gate of the site, and its public keys, to which faces may be sealed. Key: `gate/GATE`."""

    n: Seq
    gate: Short
    keys: Token
    vouched: Annotated[list[Vouched], Meta(max_length=MAX_VOUCHES)] = []
    """Signatures of gates at which somebody accepted these keys; see `vouching`."""


class Tombstone(msgspec.Struct, frozen=True, tag="gone", kw_only=True):
    """The record of this key was removed. It is never deleted, so that an older record cannot restore the key."""

    n: Seq
    key: Annotated[str, Meta(max_length=220)]
    """The key of a household is the longest."""


Record = PersonRecord | HouseholdRecord | RoleRecord | ScheduleRecord | GateRecord | Tombstone
