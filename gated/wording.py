"""Explain in plain words what is wrong with a value. The expected form comes from the type, the position from the
message. Pure.

msgspec's own messages are for programmers ("Expected `int | null`", "matching regex", "Invalid enum value"), and they
change between versions. So this module describes the type of each field itself.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import inspect

from gated.printable import line

UNDECODABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""The errors of msgspec for foreign bytes. Deep nesting raises `RecursionError`, which is not msgspec's own class."""
AT = re.compile(r"^(?P<what>.*?)(?: - at (?P<key>`key` in )?`\$(?P<path>[^`]*)`)?$", re.DOTALL)
"""The parts of a msgspec message: the problem, and the path to the value."""
STEP = re.compile(r"\.(?P<name>[^.\[\]]+)|\[(?P<index>[0-9]+|\.\.\.)\]")
NAMED = re.compile(r"(?P<kind>missing required|unknown) field `(?P<name>[^`]+)`")
LONGEST = 60
"""The number of characters of a wrong value that are shown."""

JSON_FAULTS = (
    ("malformed", "is not valid JSON"), ("truncated", "ends too early: it was not copied whole"),
    ("UTF-8", "is not text in UTF-8"), ("out of range", "has a number that is too large"),
)  # fmt: skip


def problem(error: msgspec.MsgspecError, kind: Any) -> str:
    """Return what is wrong with a value of type `kind`: the field, the problem and the expected form."""
    text = str(error)
    for sign, words in JSON_FAULTS:
        if not isinstance(error, msgspec.ValidationError) and sign in text:
            return words
    match = AT.match(text)
    message, path, is_key = (match["what"], match["path"] or "", bool(match["key"])) if match else (text, "", False)
    at, types = _follow(kind, path)
    if named := NAMED.search(message):
        field = f"{at}.{named['name']}".strip(".")
        return f"{field}: {'is missing' if 'missing' in named['kind'] else 'is not known here'}"
    if is_key and isinstance(types[0], inspect.DictType):
        return _sentence(at, f"one of its names is invalid; a name is {_of(types[0].key_type)}")
    if isinstance(error, msgspec.ValidationError) and _is_own_message(message):
        return _sentence(at, message)
    return _sentence(at, f"expected {_any(types)}")


def cause(error: Exception, kind: Any) -> str:
    """Return why a file could not be read as a `kind`: the disk, its encoding, or its form."""
    match error:
        case msgspec.MsgspecError():
            return problem(error, kind)
        case OSError(strerror=str(why)):
            return f"it cannot be read ({why})"
        case UnicodeError():
            return "it is not text in UTF-8"
        case RecursionError():
            return "it is nested too deeply"
    return str(error)


def expected(kind: Any) -> str:
    """Describe a type in words: "a whole number from 0 to 27"."""
    return _of(inspect.type_info(kind))


def value(setting: object) -> str:
    """Return an event's value in words: a list without brackets, a boolean as yes or no, None as an empty string."""
    match setting:
        case None:
            return ""
        case bool():
            return "yes" if setting else "no"
        case float():
            return f"{setting:.6g}"
        case str():
            return line(setting)
        case Mapping():
            return ", ".join(f"{line(str(name))} {value(each)}" for name, each in setting.items())
        case list() | tuple() | set() | frozenset():
            return ", ".join(map(value, setting)) or "none"
    return str(setting)


def facts(body: Mapping[str, object]) -> str:
    """Return the fields of an event in one line, without its kind and without fields that are None."""
    named_values = ((line(name.replace("_", " ")), each) for name, each in body.items() if name != "kind")
    return ", ".join(f"{name} {value(each)}" for name, each in named_values if each is not None)


def fact(event: msgspec.Struct) -> str:
    """Return an event as one line for the log: its kind, then its fields."""
    kind = str(event.__struct_config__.tag).replace("_", " ")
    text = facts(msgspec.to_builtins(event))
    return f"{kind}: {text}" if text else kind


def shown(setting: object) -> str:
    """Return a wrong value as text for its author. A long one is cut."""
    text = msgspec.json.encode(setting, enc_hook=str).decode() if not isinstance(setting, float) else repr(setting)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _sentence(at: str, text: str) -> str:
    return f"{at}: {text}" if at else text


def _is_own_message(text: str) -> bool:
    """Return whether a message comes from our own code (`__post_init__`), not from msgspec."""
    return not text.startswith(("Expected ", "Invalid ", "Object ", "Integer ", "Number ", "Timestamp ", "Duration "))


def _follow(kind: Any, path: str) -> tuple[str, list[inspect.Type]]:
    """Return the position of a path in readable form, and the possible types of the value there."""
    at, types = "", _members(inspect.type_info(kind))
    for step in STEP.finditer(path):
        if step["name"]:
            at = f"{at}.{step['name']}".strip(".")
        elif step["index"] != "...":
            at = f"{at}[{int(step['index']) + 1}]" if at else f"entry {int(step['index']) + 1}"
        types = [each for kind in types for each in _below(kind, step["name"], step["index"])] or [inspect.AnyType()]
    return at, types


def _below(kind: inspect.Type, name: str | None, index: str | None) -> Iterable[inspect.Type]:
    match kind:
        case inspect.StructType(tag_field=tag_field, tag=tag) if name is not None and name == tag_field:
            return [inspect.LiteralType((str(tag),))]
        case inspect.StructType(fields=fields) if name is not None:
            return [each for field in fields if field.encode_name == name for each in _members(field.type)]
        case inspect.DictType(value_type=below):
            return _members(below)
        case inspect.TupleType(item_types=items) if index is not None and index.isdecimal():
            return _members(items[min(int(index), len(items) - 1)])
        case (
            inspect.ListType(item_type=below) | inspect.VarTupleType(item_type=below) | inspect.SetType(item_type=below)
        ):
            return _members(below)
    return []


def _members(kind: inspect.Type) -> list[inspect.Type]:
    """Return the types of a union, or the type alone."""
    return [each for part in kind.types for each in _members(part)] if isinstance(kind, inspect.UnionType) else [kind]


def _any(kinds: Iterable[inspect.Type]) -> str:
    """Describe several types in words. Name no type twice; say if the value may be left out."""
    kinds = list(kinds)
    words = [_of(each) for each in kinds if not isinstance(each, inspect.NoneType)]
    if len(words) < len(kinds):
        return f"{' or '.join(dict.fromkeys(words))}, or leave it out" if words else "nothing at all"
    return " or ".join(dict.fromkeys(words))


def _of(kind: inspect.Type) -> str:  # noqa: PLR0912 - one line for each kind
    match kind:
        case inspect.Metadata(extra_json_schema=schema):
            return str((schema or {}).get("description") or _of(kind.type))
        case inspect.UnionType():
            return _any(_members(kind))
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return f"a whole number{_bounds(kind)}"
        case inspect.FloatType():
            return f"a number{_bounds(kind)}"
        case inspect.StrType():
            return f"a text{_long(kind, 'signs')}{' of another form' if kind.pattern else ''}"
        case inspect.BytesType():
            return f"data in base64{_long(kind, 'bytes')}"
        case inspect.LiteralType(values=values):
            return _choice(values)
        case inspect.EnumType(cls=cls):
            return _choice(each.value for each in cls)
        case inspect.TupleType(item_types=items):
            return f"a list of {len(items)}: {', then '.join(map(_of, items))}"
        case inspect.ListType() | inspect.VarTupleType() | inspect.SetType() | inspect.FrozenSetType():
            return f"a list{_long(kind, 'entries')}, each {_of(kind.item_type)}"
        case inspect.DictType() | inspect.StructType():
            return "a table"
        case inspect.NoneType():
            return "nothing"
        case inspect.DateTimeType():
            return "a date and time in ISO 8601"
        case inspect.DateType():
            return "a date, YYYY-MM-DD"
        case inspect.TimeType():
            return "a time of day, HH:MM"
    return "another value"


def _choice(values: Iterable[object]) -> str:
    words = [f'"{each}"' if isinstance(each, str) else str(each) for each in values]
    return words[0] if len(words) == 1 else f"one of {', '.join(words)}"


def _bounds(kind: inspect.IntType | inspect.FloatType) -> str:
    low = kind.ge if kind.ge is not None else kind.gt
    high = kind.le if kind.le is not None else kind.lt
    if low is not None and high is not None and kind.gt is None and kind.lt is None:
        return f" from {low:g} to {high:g}" if high < 10**9 else f" of at least {low:g}"
    words = [f"above {kind.gt:g}" if kind.gt is not None else f"of at least {low:g}"] if low is not None else []
    words += [f"below {kind.lt:g}" if kind.lt is not None else f"of at most {high:g}"] if high is not None else []
    multiple = [f"that is a multiple of {kind.multiple_of:g}"] if kind.multiple_of is not None else []
    return "".join(f" {word}" for word in [" and ".join(words), *multiple] if word)


def _long(kind: Any, unit: str) -> str:
    least, most = kind.min_length, kind.max_length
    if least is not None and most is not None:
        return f" of {least} to {most} {unit}"
    return f" of at most {most} {unit}" if most is not None else f" of at least {least} {unit}" if least else ""
