"""Writes the JSON schema (draft 7) of our structs with our own code, so that no library release changes a line.

It supports the types that the messages use, and raises `TypeError` for any other type.
"""

import inspect
from collections.abc import Iterable, Iterator
from types import NoneType, UnionType
from typing import Annotated, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

BASE64 = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
PLAIN = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    NoneType: {"type": "null"},
    bytes: {"type": "string", "contentEncoding": "base64", "pattern": BASE64},
}
LIMITS = {"pattern": "pattern", "ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}
"""JSON schema's names for the limits of a `msgspec.Meta`. The names for lengths depend on the type."""
LENGTHS = {"string": ("minLength", "maxLength"), "array": ("minItems", "maxItems")}


def schemas_of(structs: Iterable[type], place: str) -> dict[str, dict]:
    """Return the schemas of these structs, and of each struct they use, by name. A reference starts with `place`."""
    found: dict[str, dict] = {}
    waiting = list(structs)
    while waiting:
        struct = waiting.pop(0)
        if struct.__name__ not in found:
            hints = get_type_hints(struct, include_extras=True)
            found[struct.__name__] = _struct(struct, hints, place)
            waiting += [each for hint in hints.values() for each in _structs_in(hint)]
    return found


def _struct(struct: type, hints: dict[str, object], place: str) -> dict:
    tag = struct.__struct_config__.tag
    properties = {} if tag is None else {struct.__struct_config__.tag_field: {"enum": [tag]}}
    required = list(properties)
    for field in msgspec.structs.fields(struct):
        properties[field.encode_name] = _schema(hints[field.name], place) | _default(field)
        required += [field.encode_name] if field.required else []
    about = {"title": struct.__name__, "description": inspect.getdoc(struct), "type": "object"}
    return about | {"properties": properties, "required": required}


def _default(field: msgspec.structs.FieldInfo) -> dict:
    """Return a field's default as JSON; empty if the field has none."""
    if field.default_factory is not msgspec.NODEFAULT:
        return {"default": msgspec.to_builtins(field.default_factory())}
    return {} if field.default is msgspec.NODEFAULT else {"default": msgspec.to_builtins(field.default)}


def _schema(hint: object, place: str) -> dict:
    origin, inner = get_origin(hint), get_args(hint)
    if hint in PLAIN:
        return dict(PLAIN[hint])
    if origin is Annotated:
        return _limited(_schema(inner[0], place), inner[1:])
    if origin is Literal:
        return {"enum": sorted(inner)}
    if origin is list:
        return {"type": "array", "items": _schema(inner[0], place)}
    if origin in {Union, UnionType}:
        return {"anyOf": [_schema(each, place) for each in inner]}
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return {"$ref": f"{place}{hint.__name__}"}
    raise TypeError(f"no schema is written for {hint}: teach this module what it looks like in JSON")


def _limited(schema: dict, metas: Iterable[msgspec.Meta]) -> dict:
    """Return the schema with the limits of a field's `Meta`.

    Write the end of a pattern as `$`, which every language knows.
    """
    for meta in metas:
        lengths = dict(zip(("min_length", "max_length"), LENGTHS.get(schema.get("type"), ()), strict=False))
        for name, called in (LIMITS | lengths).items():
            if (value := getattr(meta, name)) is not None:
                if schema.get("contentEncoding") == "base64":  # the limit counts bytes, the schema characters
                    value = 4 * -(-value // 3)
                schema[called] = value.replace("\\Z", "$") if isinstance(value, str) else value
    return schema


def _structs_in(hint: object) -> Iterator[type]:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        yield hint
    for inner in get_args(hint):
        yield from _structs_in(inner)
