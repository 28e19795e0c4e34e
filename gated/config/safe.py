"""Define the office's permission for each setting. The type of each settings field names the permission (`Safe`).

The office may not set a key without a permission. A value of the office is compared with the installer's value, or with
the manifest of models if the installer sets none. The office may only tighten a setting that protects.
"""

from collections.abc import Iterator
from enum import Enum
from functools import cache
from math import isfinite
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec

QUIETEST = 0.1
"""The lowest volume (0 to 1) that the office may set. The gate must stay audible, because blind people rely on its
sounds.
"""


class Safe(Enum):
    """The permission of the office for one key. The value completes the sentence "the office ..."."""

    MORE = "may only raise it"
    LESS = "may only lower it"
    ANY = "may set any value"
    SOME = "may set it to at least one"
    AUDIBLE = f"may lower it to {QUIETEST:g}, so that the gate stays audible"
    SOONER = "may only name an earlier day"
    GRADE = "may only name a set of the same grade or a higher one"
    DAYS = "may set it only where no door has `free_passage`"
    HOURS = "may set schedules that no `free_passage` names"


def safe_of(kind: Any) -> Safe | None:
    """Return the permission in a type. Return None if the office may not set the key."""
    return next((permission for permission in getattr(kind, "__metadata__", ()) if isinstance(permission, Safe)), None)


def plain(kind: Any) -> Any:
    """Return the type without its permission."""
    if safe_of(kind) is None:
        return kind
    others = tuple(permission for permission in kind.__metadata__ if not isinstance(permission, Safe))
    return Annotated[(kind.__origin__, *others)] if others else kind.__origin__


@cache
def permissions_of(settings: type[msgspec.Struct]) -> dict[tuple[str, ...], Safe]:
    """Return each key that the office may set, with its permission. A key is a table's name and a field's, or a table's
    alone.
    """
    return dict(_permissions(settings))


def loosens(permission: Safe, own: Any, new: Any) -> bool:
    """Return whether the new value protects less than the installer's. A value that cannot be compared counts as
    looser.
    """
    match permission:
        case Safe.MORE:
            return not _is_number(new) or not _is_number(own) or not new >= own
        case Safe.LESS:
            return not _is_number(new) or not _is_number(own) or not new <= own
        case Safe.AUDIBLE:
            return not _is_number(new) or not new >= min(own, QUIETEST)
        case Safe.SOME:
            return not new
        case Safe.SOONER:
            return bool(own) and not (new and new <= own)
        case _:
            return False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and isfinite(value)


def _permissions(settings: type[msgspec.Struct]) -> Iterator[tuple[tuple[str, ...], Safe]]:
    for name, kind in get_type_hints(settings, include_extras=True).items():
        if (permission := safe_of(kind)) is not None:
            yield (name,), permission
        for table in _tables(kind):
            hints = get_type_hints(table, include_extras=True)
            yield from (
                ((name, key), permission) for key, each in hints.items() if (permission := safe_of(each)) is not None
            )


def _tables(kind: Any) -> list[type[msgspec.Struct]]:
    """Return the table types of a field: the field's own type, or the table of an optional field."""
    choices = get_args(kind) if get_origin(kind) is not Annotated else ()
    return [each for each in (kind, *choices) if isinstance(each, type) and issubclass(each, msgspec.Struct)]
