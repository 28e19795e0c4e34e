"""Errors in values are told in plain words, whatever type names msgspec uses."""

from enum import Enum
from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta

from gated.events import Degraded, Lockdown
from gated.wording import expected, fact, facts, problem, shown, value

PROGRAMMERS = ("`", "null", "regex", "enum", "object", "array", "str", "int", "Expected", "Invalid", "$")


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Leaf(msgspec.Struct, tag="leaf"):
    size: int = 0


class Twig(msgspec.Struct, tag="twig"):
    leaves: Annotated[list[Leaf], Meta(max_length=2)] = []


class Tree(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    pin: Annotated[int, Meta(ge=0, le=27)] | None = None
    share: Annotated[float, Meta(gt=0, lt=1)] = 0.5
    kind: Literal["oak", "elm"] = "oak"
    colour: Colour = Colour.RED
    day: Annotated[str, Meta(pattern=r"^[0-9]{4}\Z", description="a year, YYYY")] = "2026"
    code: Annotated[str, Meta(pattern="^x")] = "x"
    note: Annotated[str, Meta(max_length=3)] = ""
    many: Annotated[list[int], Meta(min_length=1)] = msgspec.field(default_factory=lambda: [1])
    pair: tuple[int, int] = (0, 0)
    tall: bool = False
    data: bytes = b""
    tables: dict[str, dict[str, int]] = {}
    keys: dict[Annotated[str, Meta(pattern="^[a-z]+$", description="small letters")], int] = {}
    part: Leaf | Twig | None = None
    even: Annotated[int, Meta(multiple_of=2)] = 0
    least: Annotated[int, Meta(ge=3)] = 3
    most: Annotated[float, Meta(le=3)] = 3.0


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"name": None}, "name: expected a text"),
        ({"pin": "x"}, "pin: expected a whole number from 0 to 27, or leave it out"),
        ({"pin": 28}, "pin: expected a whole number from 0 to 27, or leave it out"),
        ({"pin": -1}, "pin: expected a whole number from 0 to 27, or leave it out"),
        ({"pin": 2**70}, "pin: expected a whole number from 0 to 27, or leave it out"),
        ({"share": 1}, "share: expected a number above 0 and below 1"),
        ({"kind": "ash"}, 'kind: expected one of "elm", "oak"'),
        ({"colour": "green"}, 'colour: expected one of "red", "blue"'),
        ({"day": "26"}, "day: expected a year, YYYY"),
        ({"code": "y"}, "code: expected a text of another form"),
        ({"note": "long"}, "note: expected a text of at most 3 signs"),
        ({"many": []}, "many: expected a list of at least 1 entries, each a whole number"),
        ({"many": ["a"]}, "many[1]: expected a whole number"),
        ({"pair": [1]}, "pair: expected a list of 2: a whole number, then a whole number"),
        ({"tall": "yes"}, "tall: expected true or false"),
        ({"data": "!"}, "data: expected data in base64"),
        ({"tables": 3}, "tables: expected a table"),
        ({"tables": {"a": {"b": "c"}}}, "tables: expected a whole number"),
        ({"keys": {"A": 1}}, "keys: one of its names is invalid; a name is small letters"),
        ({"part": {"type": "root"}}, 'part.type: expected "leaf" or "twig"'),
        ({"part": {"type": "leaf", "size": "big"}}, "part.size: expected a whole number"),
        ({"part": {"type": "twig", "leaves": [{"type": "leaf"}, {"type": "leaf", "size": []}]}},
         "part.leaves[2].size: expected a whole number"),
        ({"even": 3}, "even: expected a whole number that is a multiple of 2"),
        ({"least": 2}, "least: expected a whole number of at least 3"),
        ({"most": 4}, "most: expected a number of at most 3"),
        ({"nmae": 1}, "nmae: is not known here"),
    ],
)  # fmt: skip
def test_each_kind_of_mistake_names_the_field_and_what_is_expected(wrong, says):
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(msgspec.json.encode({"name": "x", **wrong}), type=Tree)
    assert problem(caught.value, Tree) == says
    assert not any(word in says.replace("points", "") for word in PROGRAMMERS if word not in ("int", "str"))


def test_a_field_that_is_missing_is_named():
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert({}, Tree)
    assert problem(caught.value, Tree) == "name: is missing"


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"[", "ends too early"), (b"[x]", "is not valid JSON"), (b"[1]x", "is not valid JSON"), (b"\xff", "not valid")],
)
def test_text_that_is_no_json_is_named_as_such(data, says):
    with pytest.raises(msgspec.DecodeError) as caught:
        msgspec.json.decode(data, type=list[int])
    assert says in problem(caught.value, list[int])


def test_our_own_sentences_stay():
    assert problem(msgspec.ValidationError("the days contradict each other - at `$.name`"), Tree) == (
        "name: the days contradict each other"
    )


@pytest.mark.parametrize(
    "kind", [int, int | None, list[Leaf], dict[str, int], Literal[1], Colour, Leaf, tuple[int, ...]]
)
def test_every_event_kind_has_a_text(kind):
    assert "another value" not in expected(kind)
    assert not any(sign in expected(kind) for sign in "`<>|$")


def test_values_are_shown_without_brackets_and_quotes():
    told = {"clock, network": ["clock", "network"], "none": [], "yes": True, "no": False, "": None, "0.3": 0.1 + 0.2}
    assert {value(each): each for each in told.values()} == told
    assert (value("x"), value({"a": [1]})) == ("x", "a 1")
    assert facts({"kind": "degraded", "lost": ["clock"], "why": None}) == "lost clock"


def test_an_event_is_one_line():
    assert fact(Degraded(["clock", "network"])) == "degraded: lost clock, network"
    assert fact(Lockdown("li", is_over=True)) == "lockdown: by li, is over yes"


def test_a_long_value_is_cut():
    assert shown("a" * 200) == f'"{"a" * 59}...'
    assert shown(float("inf")) == "inf"
