"""Our own code writes the schemas: every kind of field and each limit, without a library."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta

sys.path[:0] = [str(Path(__file__).parent)]
import wire_document  # noqa: E402
from wire_schemas import BASE64, schemas_of  # noqa: E402


class Leaf(msgspec.Struct, tag="leaf"):
    """A leaf.

    With a second line.
    """

    n: Annotated[int, Meta(ge=1, lt=9)]


class Twig(msgspec.Struct, tag="twig"):
    length_m: Annotated[float, Meta(gt=0, le=2)] = 1.0


class Tree(msgspec.Struct, rename="camel"):
    """A tree."""

    tall_one: bool
    name: Annotated[str, Meta(min_length=1, max_length=5, pattern=r"^a\Z")]
    parts: Annotated[list[Leaf | Twig], Meta(max_length=3)] = []
    kind: Literal["b", "a"] = "a"
    seed: bytes = b"\x00"
    best: Leaf | None = None


def test_every_field_type_and_limit_has_a_json_schema():
    found = schemas_of([Tree], "#/")
    assert list(found) == ["Tree", "Leaf", "Twig"]
    assert found["Tree"] == {
        "title": "Tree",
        "description": "A tree.",
        "type": "object",
        "properties": {
            "tallOne": {"type": "boolean"},
            "name": {"type": "string", "minLength": 1, "maxLength": 5, "pattern": "^a$"},
            "parts": {
                "type": "array",
                "items": {"anyOf": [{"$ref": "#/Leaf"}, {"$ref": "#/Twig"}]},
                "maxItems": 3,
                "default": [],
            },
            "kind": {"enum": ["a", "b"], "default": "a"},
            "seed": {"type": "string", "contentEncoding": "base64", "pattern": BASE64, "default": "AA=="},
            "best": {"anyOf": [{"$ref": "#/Leaf"}, {"type": "null"}], "default": None},
        },
        "required": ["tallOne", "name"],
    }
    assert found["Leaf"]["description"] == "A leaf.\n\nWith a second line."
    assert found["Leaf"]["properties"]["n"] == {"type": "integer", "minimum": 1, "exclusiveMaximum": 9}
    assert found["Leaf"]["properties"]["type"] == {"enum": ["leaf"]}
    assert found["Twig"]["properties"]["length_m"]["exclusiveMinimum"] == 0


def test_an_unknown_type_is_refused():
    class Odd(msgspec.Struct):
        when: set[int]

    with pytest.raises(TypeError, match="teach this module"):
        schemas_of([Odd], "#/")


def test_the_schemas_are_written_without_a_library(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the schema is ours to write")

    for name in ("schema", "schema_components"):
        monkeypatch.setattr(msgspec.json, name, refuse)
    assert wire_document.text() == wire_document.FILE.read_text("utf-8")
