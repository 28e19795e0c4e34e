"""The page for the other end says what the code does."""

import json
import re
from pathlib import Path

import pytest

import gated.sync
from gated.config import SyncSettings
from gated.journal.chain import genesis
from gated.sync.messages import MAX_BYTES, MAX_EVENTS, Ack, EventBatch, StatusMessage, decode
from gated.sync.topics import Topics

PAGE = (Path(gated.sync.__file__).parent / "README.md").read_text("utf-8")
EXAMPLES = {name: text.encode() for name, text in re.findall(r"```json (\w+)\n(.*?)```", PAGE, re.DOTALL)}
KINDS = {"status": StatusMessage, "event": EventBatch, "ack": Ack}


def test_there_is_one_example_of_each_message():
    assert EXAMPLES.keys() == KINDS.keys()


@pytest.mark.parametrize("name", KINDS)
def test_the_example_is_a_message_with_every_field_and_no_other(name):
    decode(EXAMPLES[name], KINDS[name])
    assert tuple(json.loads(EXAMPLES[name])) == KINDS[name].__struct_fields__


def test_the_examples_belong_together_and_their_hashes_are_right(server_kind):
    batch, ack = decode(EXAMPLES["event"], EventBatch), decode(EXAMPLES["ack"], Ack)
    status = decode(EXAMPLES["status"], StatusMessage)
    assert batch.prev == genesis(batch.site, batch.gate, batch.journal)
    assert (status.journal.id, status.journal.head) == (batch.journal, batch.last)
    server = server_kind()
    assert server.take(batch) == ack
    assert server.altered == []


def test_the_topics_are_those_of_the_code():
    topics = Topics("{site}", "{gate}")
    assert re.findall(r"^\| `(.*?)`", PAGE, re.MULTILINE) == [topics.status, topics.event, topics.ack]


def test_the_numbers_are_those_of_the_code():
    defaults = SyncSettings()
    assert f"{MAX_BYTES // 1024} KiB" in PAGE
    assert f"{MAX_EVENTS} rows" in PAGE
    assert f"`status_s` ({defaults.status_s:.0f} s)" in PAGE
    assert f"`ack_timeout_s` ({defaults.ack_timeout_s:.0f} s)" in PAGE
