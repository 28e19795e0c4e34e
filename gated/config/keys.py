"""Keys of nested tables as tuples of names. The office's settings (`overlay`) and the TOML writer use this module.

Nothing here changes its arguments.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Key = tuple[str, ...]
"""A key as a tuple of names, such as ("access", "frames")."""


def leaves(table: Mapping[str, Any], at: Key = ()) -> Iterator[tuple[Key, Any]]:
    """Yield every key with its value, table by table. `at`: the key of the table. An empty table is a value."""
    for name, value in table.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*at, name))
        else:
            yield (*at, name), value


def with_keys(table: dict[str, Any], values: Mapping[Key, Any]) -> dict[str, Any]:
    """Return the table with these keys set. An empty table as value removes nothing."""
    for key, value in values.items():
        table = _put(table, key, value)
    return table


def has_key(table: Mapping[str, Any], key: Key) -> bool:
    """Return whether the table has this key. Every table has the key ()."""
    for name in key:
        if not isinstance(table, Mapping) or name not in table:
            return False
        table = table[name]
    return True


def _put(table: dict[str, Any], key: Key, value: Any) -> dict[str, Any]:
    name, *rest = key
    below = table.get(name)
    under = below if isinstance(below, dict) else {}
    if rest:
        return {**table, name: _put(under, tuple(rest), value)}
    return {**table, name: under if value == {} else value}
