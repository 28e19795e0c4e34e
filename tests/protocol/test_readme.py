"""The protocol page for an office's authors (the README) matches the code."""

import json
import re
import sys
from pathlib import Path

import msgspec
import pytest

sys.path[:0] = [str(Path(__file__).parent)]
import wire_document  # noqa: E402
import wire_examples  # noqa: E402
import wire_story as story  # noqa: E402

import gated.protocol  # noqa: E402
from gated.config import SyncSettings  # noqa: E402
from gated.office.alarm_meanings import MEANINGS  # noqa: E402
from gated.office.command_store import GO_S  # noqa: E402
from gated.protocol import confirmation, jose  # noqa: E402
from gated.protocol.command_messages import Action, ChangeSettings, Command  # noqa: E402
from gated.protocol.face_messages import FaceTemplates  # noqa: E402
from gated.protocol.limits import (  # noqa: E402
    COMMAND_WINDOW,
    MAX_BYTES,
    MAX_EVENTS,
    MAX_PLAIN_BYTES,
    MAX_RECORDS,
    MAX_TEMPLATES,
)
from gated.protocol.message_kinds import KINDS, OPEN  # noqa: E402
from gated.protocol.record_keys import digest_of, key_of, removes_access  # noqa: E402
from gated.protocol.record_messages import Delta  # noqa: E402
from gated.protocol.status_messages import JournalMark, RecordMark  # noqa: E402
from gated.protocol.topics import Topics  # noqa: E402
from gated.protocol.wire_records import PersonRecord, Record, Tombstone  # noqa: E402
from gated.sync import command_desk  # noqa: E402

PAGE = (Path(gated.protocol.__file__).parent / "README.md").read_text("utf-8")
PROSE = " ".join(PAGE.split())
SHOWN = {name: json.loads(text) for name, text in re.findall(r"```json (\S+)\n(.*?)```", PAGE, re.DOTALL)}
EXAMPLES = {example["name"]: example["message"] for example in wire_examples.read()["examples"]}


def section(number):
    return re.split(r"^## ", PAGE, flags=re.MULTILINE)[number]


def rows(text):
    """Return the rows of a section's tables, as lists of cells."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


# -- the examples ------------------------------------------------------------------------------------------------------


def test_there_is_one_example_of_each_message():
    assert set(SHOWN) == set(KINDS.values())
    assert len(re.findall("```json", PAGE)) == len(SHOWN)


def agrees(shown, real):
    """Return whether the shown JSON equals the real one; a text or list that ends in `...` may continue."""
    if isinstance(shown, str) and shown.endswith("..."):
        return real.startswith(shown[:-3])
    if isinstance(shown, list):
        goes_on = shown[-1:] == ["..."]
        shown = shown[: len(shown) - goes_on]
        same_length = len(real) > len(shown) if goes_on else len(real) == len(shown)
        return same_length and all(map(agrees, shown, real))
    if isinstance(shown, dict):
        return shown.keys() == real.keys() and all(agrees(shown[key], real[key]) for key in shown)
    return shown == real


@pytest.mark.parametrize("name", SHOWN)
def test_the_example_equals_the_published_bytes(name):
    assert agrees(SHOWN[name], EXAMPLES[name])


@pytest.mark.parametrize(
    ("shown", "real"),
    [({"a": 1}, {"a": 2}), ({"a": 1}, {"a": 1, "b": 1}), ([1], [1, 2]), ("x...", "y"), ([1, "..."], [1])],
)
def test_a_difference_is_detected(shown, real):
    assert not agrees(shown, real)


def test_an_example_shows_every_field():
    for name, message in ((kind, message) for message, kind in KINDS.items()):
        assert set(SHOWN[name]) == set(message.__struct_encode_fields__)
    assert set(SHOWN["status"]["journal"]) == set(JournalMark.__struct_fields__)
    assert set(SHOWN["status"]["records"]) == set(RecordMark.__struct_fields__)
    assert set(SHOWN["delta"]["records"][1]) == {"type", *PersonRecord.__struct_fields__}


# -- the tables --------------------------------------------------------------------------------------------------------


def test_the_topics_match_the_code_and_the_document():
    topics = Topics("{site}", "{gate}")
    told = {cells[0].strip("`"): cells[1:] for cells in rows(section(1)) if cells[0].startswith("`gated/")}
    assert tuple(told) == topics.up + topics.down
    for channel, kinds in wire_document.CARRIES.items():
        address = getattr(topics, channel)
        writer, reader, retained, messages = told[address]
        assert (writer, reader) == (("gate", "office") if address in topics.up else ("office", "gate"))
        assert retained == ("yes" if channel == "status" else "no" if address in topics.up else "**never**")
        assert tuple(re.findall(r"`(\w+)`", messages)) == kinds


def test_the_records_and_their_keys_match_the_code():
    told = {cells[0].strip("`"): cells[1] for cells in rows(section(6))[1:]}
    assert set(told) == {kind.__struct_config__.tag for kind in Record.__args__}
    for record in story.records("x", "{}"):
        tag = record.__struct_config__.tag
        if tag != "gone":
            assert told[tag].strip("`").split("/")[0] == key_of(record).split("/")[0] == tag


def test_the_actions_and_their_fields_match_the_code():
    told = {cells[0].strip("`"): re.findall(r"`(\w+)`", cells[1]) for cells in rows(section(9))[1:]}
    actions = {action.__struct_config__.tag: list(action.__struct_fields__) for action in Action.__args__}
    assert told == actions


def test_the_alarms_match_the_office():
    """Every alarm in the table has its name in our office."""
    told = " ".join(cells[0] for cells in rows(section(11)))
    for fact in (
        "duress", "presentation_attack", "pins_guessed", "cards_guessed",
        "door_forced_open", "tampered", "fire_release", "record_quarantined",
    ):  # fmt: skip
        assert f"`{fact}`" in told
        assert fact in MEANINGS


# -- the words ---------------------------------------------------------------------------------------------------------


def test_the_numbers_match_the_code():
    defaults = SyncSettings()
    for said in (
        f"longer than {MAX_BYTES:,} bytes",
        f"messages of {MAX_BYTES // 1024} KiB",
        f"at most {MAX_PLAIN_BYTES:,} bytes",
        f"at most {MAX_EVENTS} rows",
        f"| {MAX_EVENTS}, and as many as fit |",
        f"| {MAX_TEMPLATES}, and as many as fit",
        f"`status_s` ({defaults.status_s:.0f} s)",
        f"`ack_timeout_s` ({defaults.ack_timeout_s:.0f} s)",
        f"`silent_h` ({defaults.silent_h:.0f} h)",
        f"`most_new_per_hour` ({defaults.most_new_per_hour})",
        f"`most_new_in_batch`, {defaults.most_new_in_batch}; 0 is none",
        f"`at` is at most {command_desk.FRESH_S:.0f} s from the gate's clock",
        f"valid once, for {command_desk.CHALLENGE_S:.0f} s",
        f"A nonce is valid once, for one command, for {confirmation.CONFIRM_VALID_S:.0f} s",
        f"every second with another nonce, for up to {confirmation.CONFIRM_TIMEOUT_S:.0f} s",
        f"wait for {GO_S:.0f} s",
        f"a number {COMMAND_WINDOW} or more below the highest",
        f"by at most {command_desk.MOST_AHEAD:,} at once",
    ):
        assert said in PROSE, said
    assert MAX_RECORDS == MAX_EVENTS


def test_unsealed_fields_are_listed():
    listed = re.search(r"Skip this step for (.*?): they contain nothing about people", PROSE)[1]
    assert set(re.findall(r"`(\w+)`", listed)) == OPEN


def test_the_algorithms_match_the_code():
    for name in (jose.SIGNING, *jose.SEALING):
        assert f"`{name}`" in section(3)
    assert jose.type_of("KIND") in section(3)


def test_the_digest_is_sorted_by_bytes():
    """In UTF-16 order, as some languages sort, the last two keys would change places."""
    held = [("household/\U00020000", 1), ("household/\uff0d", 2), ("household/12", 3), ("gate/g", 4)]
    by_bytes = sorted(held, key=lambda row: row[0].encode())
    assert digest_of(held) == digest_of(reversed(held))
    assert [key for key, _ in sorted(held)] == [key for key, _ in by_bytes]
    assert "sorted by the bytes of the key in UTF-8" in PROSE


def test_the_page_names_the_records_that_reduce_access():
    person = story.records("x", "{}")[-1]
    assert removes_access(Tombstone(n=1, key="person/00"))
    assert not removes_access(Tombstone(n=1, key="role/staff")), "whoever is in it still may pass at all hours then"
    assert removes_access(msgspec.structs.replace(person, status="suspended"))
    assert not any(removes_access(record) for record in story.records("x", "{}") if not isinstance(record, Tombstone))


@pytest.mark.parametrize(("templates", "dimension"), [(20, 128), (10, 512)])
def test_the_stated_number_of_templates_fits(templates, dimension):
    assert f"{templates} of {dimension}" in PROSE
    face = FaceTemplates(story.WANG, story.EMBEDDER, [bytes(range(256)) * (dimension // 64)] * templates)
    sealed = wire_examples.identity("gate-3").party.seal(msgspec.json.encode(face)).decode()
    delta = Delta(**story.US, after=0, upto=6, records=[story.records(sealed, "{}")[-1]])
    told = wire_examples.peer("gate-2", "office").read(wire_examples.peer("office", "gate-2").write(delta), Delta)
    assert told == delta


def test_a_message_of_the_longest_json_fits_on_the_wire():
    """The page states correctly how much sealing and signing add."""
    plain = MAX_PLAIN_BYTES - len(msgspec.json.encode(_settings(0)))
    payload = wire_examples.peer("office", "gate-2").write(_settings(plain))
    assert MAX_PLAIN_BYTES * 16 / 9 < len(payload) < MAX_PLAIN_BYTES * 16 / 9 + 600
    assert len(payload) <= MAX_BYTES


def _settings(length):
    action = ChangeSettings("x" * length)
    return Command(**story.US, id="0" * 32, number=1, at="", operator="", action=action)
