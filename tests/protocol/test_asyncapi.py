"""The AsyncAPI document matches the code: every topic, message, field and limit, and nothing more."""

import json
import sys
from pathlib import Path

import jsonschema
import msgspec
import pytest

sys.path[:0] = [str(Path(__file__).parent)]
import wire_document  # noqa: E402
import wire_examples  # noqa: E402

from gated.journal.entry import MAX_BODY_BYTES  # noqa: E402
from gated.protocol.event_messages import EventBatch  # noqa: E402
from gated.protocol.face_messages import FaceTemplates  # noqa: E402
from gated.protocol.limits import MAX_BYTES  # noqa: E402
from gated.protocol.message_kinds import DOWN, KINDS, ONCE_OPEN, OPEN, UP  # noqa: E402
from gated.protocol.status_messages import StatusShell  # noqa: E402
from gated.protocol.topics import Topics  # noqa: E402

TEXT = wire_document.FILE.read_text("utf-8")
DOCUMENT = json.loads(TEXT)
COMPONENTS = DOCUMENT["components"]
EXAMPLES = wire_examples.read()["examples"]
MESSAGES = {kind: message for message, kind in KINDS.items()}


# -- the document's form ----------------------------------------------------------------------------------------------


def form(required: list[str], **fields: object) -> dict:
    """Return the schema of an object with these fields only; `required` lists the required ones."""
    return {"type": "object", "required": required, "properties": fields, "additionalProperties": False}


def each(schema: dict) -> dict:
    """Return the schema of a non-empty object whose fields all match `schema`."""
    return {"type": "object", "minProperties": 1, "additionalProperties": schema}


STRING, BOOLEAN = {"type": "string", "minLength": 1}, {"type": "boolean"}
REF = form(["$ref"], **{"$ref": {"type": "string", "pattern": "^#/"}})
REFS = {"type": "array", "minItems": 1, "uniqueItems": True, "items": REF}
WILL = form(["topic", "qos", "retain"], topic=STRING, qos={"enum": [0, 1, 2]}, retain=BOOLEAN, message=STRING)
SERVER_MQTT = form([], cleanSession=BOOLEAN, lastWill=WILL, bindingVersion={"const": "0.2.0"})
OPERATION_MQTT = form([], qos={"enum": [0, 1, 2]}, retain=BOOLEAN, bindingVersion={"const": "0.2.0"})
ASYNCAPI = form(
    ["asyncapi", "info", "channels"],
    asyncapi={"const": "3.0.0"},
    info=form(
        ["title", "version"],
        title=STRING,
        version=STRING,
        description=STRING,
        license=form(["name"], name=STRING, url=STRING),
    ),
    defaultContentType={"type": "string", "pattern": "^[a-z]+/[a-z+.-]+$"},
    servers=each(
        form(
            ["host", "protocol"],
            host=STRING,
            protocol={"enum": ["mqtt", "secure-mqtt"]},
            protocolVersion=STRING,
            description=STRING,
            variables=each(form([], description=STRING)),
            security=REFS,
            bindings=form(["mqtt"], mqtt=SERVER_MQTT),
        )
    ),
    channels=each(
        form(["address", "messages"], address=STRING, summary=STRING, messages=each(REF), parameters=each(REF))
    ),
    operations=each(
        form(
            ["action", "channel", "messages"],
            action={"enum": ["send", "receive"]},
            channel=REF,
            messages=REFS,
            tags={"type": "array", "items": form(["name"], name=STRING)},
            reply=form(["channel", "messages"], channel=REF, messages=REFS),
            bindings=form(["mqtt"], mqtt=OPERATION_MQTT),
        )
    ),
    components=form(
        ["messages", "schemas"],
        parameters=each(form([], description=STRING, examples={"type": "array", "items": STRING})),
        securitySchemes=each(form(["type"], type={"const": "X509"}, description=STRING)),
        messages=each(
            form(
                ["name", "payload", "x-typ", "x-sealed", "x-once-open"],
                name=STRING,
                title=STRING,
                summary=STRING,
                payload=REF,
                **{"x-typ": STRING, "x-sealed": BOOLEAN, "x-once-open": BOOLEAN, "x-shell": REF},
            )
        ),
        schemas=each({"type": "object", "required": ["type", "properties"]}),
    ),
)
"""The part of AsyncAPI 3.0 that the document uses, written for these tests.

The tests need no registry to get AsyncAPI's own schema. The document was valid by that schema (3.0.0, npm package
`@asyncapi/specs` 6.11.1) when it was made.
"""


def test_the_document_is_valid_asyncapi_3():
    jsonschema.Draft7Validator.check_schema(ASYNCAPI)
    jsonschema.validate(DOCUMENT, ASYNCAPI, jsonschema.Draft7Validator)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('"asyncapi": "3.0.0"', '"asyncapi": "2.6.0"'),
        ('"action": "send"', '"action": "publish"'),
        ('"address"', '"addres"'),
        ('"x-sealed": true', '"x-sealed": "yes"'),
        ('"payload"', '"body"'),
        ('"qos": 1', '"qos": 3'),
    ],
)
def test_an_invalid_document_is_detected(right, wrong):
    assert right in TEXT
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(TEXT.replace(right, wrong)), ASYNCAPI, jsonschema.Draft7Validator)


def references(part):
    if isinstance(part, dict):
        yield from [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        part = part.values()
    if not isinstance(part, str | int | float | None):
        for inner in part:
            yield from references(inner)


def target(ref):
    place = DOCUMENT
    for step in ref.removeprefix("#/").split("/"):
        place = place[step]
    return place


def test_every_reference_resolves():
    found = set(references(DOCUMENT))
    assert len(found) > 40
    assert all(target(ref) for ref in found)


def test_every_described_part_is_used():
    used = set(references(DOCUMENT))
    for part in ("messages", "schemas", "parameters", "securitySchemes"):
        assert {name for name in COMPONENTS[part] if f"#/components/{part}/{name}" not in used} <= {
            FaceTemplates.__name__
        }


def test_each_schema_is_plain_json_schema():
    for schema in COMPONENTS["schemas"].values():
        jsonschema.Draft7Validator.check_schema(schema)
    assert "\\\\Z" not in TEXT
    assert "discriminator" not in TEXT


# -- the document and the code ----------------------------------------------------------------------------------------


def test_the_document_matches_the_code():
    assert wire_document.text() == TEXT, "renew it: .venv/bin/python tests/protocol/wire_document.py"


def test_the_channels_are_exactly_the_topics():
    topics = Topics("{site}", "{gate}")
    assert {channel["address"] for channel in DOCUMENT["channels"].values()} == {*topics.up, *topics.down}
    for name, channel in DOCUMENT["channels"].items():
        assert channel["address"] == getattr(topics, name)
        assert list(channel["parameters"]) == ["site", "gate"]


def test_every_message_has_one_channel_in_the_right_direction():
    carried = [kind for channel in DOCUMENT["channels"].values() for kind in channel["messages"]]
    assert sorted(carried) == sorted(KINDS.values())
    for name, channel in DOCUMENT["channels"].items():
        said = UP if "/up/" in channel["address"] else DOWN
        assert {MESSAGES[kind] for kind in channel["messages"]} <= set(said), name


def test_each_end_receives_what_the_other_sends():
    operations = DOCUMENT["operations"]
    for channel in DOCUMENT["channels"]:
        up = "/up/" in DOCUMENT["channels"][channel]["address"]
        sends, receives = ("gate", "office") if up else ("office", "gate")
        sent, received = operations.pop(f"{sends}_sends_{channel}"), operations.pop(f"{receives}_receives_{channel}")
        assert sent["messages"] == received["messages"]
        assert {ref["$ref"].rsplit("/")[-1] for ref in sent["messages"]} == set(
            DOCUMENT["channels"][channel]["messages"]
        )
        assert sent.get("reply") == received.get("reply")
        assert sent["bindings"]["mqtt"]["retain"] == (channel == "status")
        assert sent["bindings"]["mqtt"]["qos"] == received["bindings"]["mqtt"]["qos"] == 1
    assert operations == {}


def test_the_document_states_sealing_and_the_purpose_of_signatures():
    assert {kind for kind, message in COMPONENTS["messages"].items() if not message["x-sealed"]} == OPEN
    assert {kind for kind, message in COMPONENTS["messages"].items() if message["x-once-open"]} == ONCE_OPEN
    assert {kind for kind, message in COMPONENTS["messages"].items() if "x-shell" in message} == {"status"}
    for kind, message in COMPONENTS["messages"].items():
        assert (message["name"], message["x-typ"]) == (kind, f"gated.1.{kind}")
        assert message["payload"]["$ref"] == f"#/components/schemas/{MESSAGES[kind].__name__}"
    assert str(MAX_BYTES) in DOCUMENT["info"]["description"]


def structs(kind, found):
    """Return every struct reachable from a type, by class."""
    if isinstance(kind, msgspec.inspect.StructType) and kind.cls not in found:
        found[kind.cls] = kind
        for field in kind.fields:
            structs(field.type, found)
    for inner in (*getattr(kind, "types", ()), getattr(kind, "item_type", None)):
        if inner is not None:
            structs(inner, found)
    return found


def every_struct():
    found = {}
    for message in (*UP, *DOWN, FaceTemplates, StatusShell):
        structs(msgspec.inspect.type_info(message), found)
    return found


@pytest.mark.parametrize("struct", every_struct().values(), ids=lambda struct: struct.cls.__name__)
def test_the_fields_of_a_struct_are_those_of_its_schema(struct):
    """Compares with the types directly, without the generator."""
    schema = COMPONENTS["schemas"][struct.cls.__name__]
    tag = [struct.tag_field] if struct.tag_field else []
    assert [*tag, *(field.encode_name for field in struct.fields)] == list(schema["properties"])
    assert {*tag, *(f.encode_name for f in struct.fields if f.required)} == set(schema.get("required", []))
    if tag:
        assert schema["properties"][struct.tag_field]["enum"] == [struct.tag]


def test_each_struct_has_a_schema_and_each_schema_a_struct():
    assert {struct.__name__ for struct in every_struct()} == set(COMPONENTS["schemas"])


# -- document and code agree on messages -------------------------------------------------------------------------------


def validator(kind):
    ref = COMPONENTS["messages"][kind]["payload"]["$ref"]
    return jsonschema.Draft7Validator({"$ref": ref, "components": COMPONENTS})


def is_ours(message, kind):
    try:
        msgspec.json.decode(json.dumps(message), type=MESSAGES[kind])
    except msgspec.ValidationError:
        return False
    return True


ODD = [
    None,
    True,
    -1,
    0,
    1.5,
    2**63,
    2**62 + 1,
    "",
    "x",
    "x" * 41,
    "x" * 65,
    "x" * 201,
    "y" * 60_001,
    [],
    {},
    ["x"] * 70,
    [{}] * 501,
]


def changed(message):
    """Remove or damage one field at a time, at every depth, and yield a description of each change."""
    for key in list(message) if isinstance(message, dict) else range(len(message)):
        old = message[key]
        if isinstance(message, dict):
            del message[key]
            yield f"without {key}"
        for odd in ODD:
            message[key] = odd
            yield f"{key} = {str(odd)[:20]}"
        message[key] = old
        if isinstance(old, dict | list):
            yield from changed(old)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["name"])
def test_document_and_code_accept_and_refuse_the_same(example):
    kind, message = example["kind"], json.loads(json.dumps(example["message"]))
    theirs = validator(kind)
    assert theirs.is_valid(message)
    verdicts = {True: 0, False: 0}
    for what in changed(message):
        fits = theirs.is_valid(message)
        if MESSAGES[kind] is not EventBatch or not fits:  # no schema can check that an EventBatch's numbers agree
            assert is_ours(message, kind) == fits, what
        verdicts[fits] += 1
    assert verdicts[True] > 3
    assert verdicts[False] > 20
    assert message == example["message"]


def test_the_longest_row_of_a_journal_fits():
    row = COMPONENTS["schemas"]["WireEvent"]["properties"]["body"]
    assert row["maxLength"] == MAX_BODY_BYTES
