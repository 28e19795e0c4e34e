"""Change and write TOML text with tomlkit. Every writer of settings in gated uses this module.

It keeps every comment and every value that it does not set, or it raises `HandwritingError`. A commented setting (`#
key = value`) becomes that setting; the comment after the value stays. tomlkit is imported only when text is written.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from gated.config.handwritten import HandwritingError, toml_of
from gated.config.keys import Key, has_key, leaves, with_keys

if TYPE_CHECKING:
    from tomlkit import TOMLDocument
    from tomlkit.container import Container
    from tomlkit.items import Table

QUOTED = (r'"""(?:\\.|[^\\])*?"{3,5}', r"'''.*?'{3,5}", r'"(?:\\.|[^"\\\n])*"', r"'[^'\n]*'")
"""The four kinds of strings in TOML 1.0. A string can contain a `#`."""
COMMENT = re.compile(rf"{'|'.join(QUOTED)}|(?P<comment>#[^\n]*)", re.DOTALL)


def to_toml(values: Mapping[Key, Any]) -> str:
    """Return flat keys as TOML text, table by table. Raises `HandwritingError` if TOML cannot hold a value."""
    return with_values("", values)


def with_tables(text: str, tables: Mapping[str, Any]) -> str:
    """Return the text with the values of nested tables. Raises the same error as `with_values`."""
    return with_values(text, dict(leaves(tables)))


def with_values(text: str, values: Mapping[Key, Any]) -> str:
    """Return the TOML text with these values. All other values and all comments stay.

    A value replaces the old one, or the first commented line of its key. Otherwise it follows the header of its table,
    or a new header at the end. Raises `HandwritingError` if `text` is not valid TOML, or cannot be changed safely.
    """
    before = toml_of(text)
    old, wanted = _canonical(before), _canonical(with_keys(before, values))
    values = {key: value for key, value in values.items() if _canonical(with_keys(before, {key: value})) != old}
    if not values:
        return text
    ended = text if not text or text.endswith("\n") else f"{text}\n"
    for is_uncommenting, is_placing in ((True, True), (False, True), (True, False), (False, False)):
        changed = _attempt(ended, values, is_uncommenting=is_uncommenting, is_placing=is_placing)
        if changed is not None and _canonical(toml_of(changed)) == wanted:
            return changed
    raise HandwritingError("cannot be changed by this command without the loss of a comment or a value")


def comments(text: str) -> list[str]:
    """Return every comment of a valid TOML text, in order. Each begins with `#` and ends with its line."""
    return [match["comment"].rstrip() for match in COMMENT.finditer(text) if match["comment"]]


def _attempt(text: str, values: Mapping[Key, Any], *, is_uncommenting: bool, is_placing: bool) -> str | None:
    """Return the text with the values. Return None if tomlkit cannot set them or loses a comment.

    With `is_uncommenting`, use commented settings. With `is_placing`, write new keys below their headers and new tables
    at the end; otherwise tomlkit chooses their places.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(text)
        if is_uncommenting:
            _uncomment(document, (), _missing(document, values))
            text = document.as_string()
            document = tomlkit.parse(text)
        added = _assign(document, values, is_placing=is_placing)
        changed = "\n".join(filter(None, (document.as_string(), *added)))
        toml_of(changed)
        changed.encode()  # half a surrogate pair cannot be stored
    except (TOMLKitError, ValueError, TypeError, RecursionError):
        return None
    return None if Counter(comments(text)) - Counter(comments(changed)) else changed


def _missing(document: "TOMLDocument", keys: Mapping[Key, Any]) -> set[Key]:
    """Return the keys and tables that the document does not have."""
    plain = document.unwrap()
    return {part for key in keys for part in (key, key[:-1]) if not has_key(plain, part)}


def _uncomment(container: "Container", at: Key, missing: set[Key]) -> None:
    """Turn the first commented line of each missing key, and the commented header of its table, into TOML.

    Remove them from `missing`. `at`: the key of the container.
    """
    from tomlkit.items import Comment, Table

    table: Key | None = at  # None below a commented header that stays a comment
    for key, item in container.body:
        if isinstance(item, Table) and key is not None:
            _uncomment(item.value, (*at, key.key), missing)
        elif isinstance(item, Comment) and (named := _named(line := item.trivia.comment.lstrip("# \t"))):
            if line.startswith("["):
                full = table = named if named in missing else None
            else:
                full = None if table is None else (*table, *named)
            if full in missing:
                missing.remove(full)
                item.trivia.comment = line


def _named(line: str) -> Key | None:
    """Return the key that a line of TOML sets, or the table that it begins. Return None for any other text."""
    try:
        keys = [key for key, _ in leaves(toml_of(line))]
    except (ValueError, RecursionError):
        return None
    return keys[0] if len(keys) == 1 else None


def _assign(document: "TOMLDocument", values: Mapping[Key, Any], *, is_placing: bool) -> list[str]:
    """Set the values in the document. Return the text of each new table."""
    import tomlkit

    plain, new = document.unwrap(), dict[Key, dict[str, Any]]()
    for (*above, name), value in values.items():
        table = tuple(above)
        if not table or not is_placing or has_key(plain, (*table, name)):
            _set(document, table, name, value)
        elif (header := _header(document, table)) is not None:
            header.trivia.trail += tomlkit.dumps({name: value})
        else:
            new.setdefault(table, {})[name] = value
    return [tomlkit.dumps(with_keys({}, {table: each})) for table, each in new.items()]


def _set(document: "TOMLDocument", table: Key, name: str, value: Any) -> None:
    """Set one value with tomlkit. A longer list keeps the first items of the old one, and so their comments."""
    import tomlkit
    from tomlkit.items import Array

    parent: MutableMapping[str, Any] = document
    for step in table:
        parent = parent.setdefault(step, tomlkit.table())
        if not isinstance(parent, MutableMapping):
            raise HandwritingError(f"{step} is not a table")
    old = parent.get(name)
    if isinstance(old, Array) and isinstance(value, list) and value[: len(old)] == old.unwrap():
        for item in value[len(old) :]:
            old.append(item)
    else:
        parent[name] = value


def _header(container: "Container", table: Key) -> "Table | None":
    """Return the table that has a header of its own, or None."""
    from tomlkit.items import Table

    name, *rest = table
    for key, item in container.body:
        if isinstance(item, Table) and key is not None and key.key == name and not key.is_dotted():
            header = _header(item.value, tuple(rest)) if rest else None if item.is_super_table() else item
            if header is not None:
                return header
    return None


def _canonical(value: Any) -> str:
    """Return a text that is equal only for equal values of equal types. It is also equal for two NaN."""
    return json.dumps(value, sort_keys=True, default=repr)
