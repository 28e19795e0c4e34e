"""The root of all events. Every module of this package uses it."""

import msgspec

MAIN = "main"
"""The first door."""
SECOND = "second"


class Event(msgspec.Struct, frozen=True, tag_field="kind", omit_defaults=True):
    """The root of all events."""
