"""Every event can be written to the journal and read again, whatever module it is in."""

import typing

import msgspec
import pytest

from gated import events
from gated.events import AnyEvent, Event

EVERY = typing.get_args(AnyEvent)


def test_every_event_can_be_read():
    """An event that is missing in the type of its topic would be written, and never read."""
    assert set(EVERY) == set(Event.__subclasses__())


def test_the_package_offers_every_event():
    assert {kind.__name__ for kind in EVERY} <= set(events.__all__)


def test_no_two_events_have_the_same_tag():
    tags = [kind.__struct_config__.tag for kind in EVERY]
    assert len(tags) == len(set(tags))


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_an_event_comes_back_as_it_was_written(kind):
    values = {str: "x", int: 1, float: 0.5, list[str]: ["x"], bool: True, float | None: 0.5}
    facts = {field.name: values.get(field.type, "x") for field in msgspec.structs.fields(kind)}
    event = kind(**facts)
    assert msgspec.json.decode(msgspec.json.encode(event), type=AnyEvent) == event


def test_an_empty_list_is_not_written():
    """The bytes of a row are hashed, so their form stays."""
    assert msgspec.json.encode(events.DatabaseReplaced("a.db", "b")) == (
        b'{"kind":"database_mended","file":"a.db","kept_as":"b"}'
    )
