"""Doors, gates and schedules as command-line options. A known name gets its normal form; an unknown one is refused,
with the nearest known name.
"""

from collections.abc import Collection
from typing import Any

import click

from gated import names
from gated.events import MAIN, SECOND

DOORS = (MAIN, SECOND)


class Name(click.ParamType[str]):
    """A name option in its normal form. With `known`, only these names are valid."""

    name = "name"

    def __init__(self, known: Collection[str] = ()) -> None:
        self.known = known

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Parse the name. Raises a usage error for an unknown one."""
        plain = names.plain(str(value))
        if self.known and plain not in self.known:
            self.fail(f"{value!r} is unknown; {names.did_you_mean(plain, self.known)}", param, ctx)
        return plain


doors_option = click.option("--door", "doors", multiple=True, type=Name(DOORS), metavar="main|second",
                            help="Only by this door; may repeat.")  # fmt: skip
gates_option = click.option("--gate", "gates", multiple=True, type=Name(), help="Only at this gate; may repeat.")

second_option = click.option("--with-card-or-pin", "needs_second", is_flag=True,
                             help="One is not enough: the face with a card or PIN, or a card with a PIN.")  # fmt: skip
add_option = click.option("--add", is_flag=True, help="Add the rule; all rules so far stay. One that allows is enough.")


def one_of(option: str, name: str, known: Collection[str]) -> str:
    """Return the normal form of a known name. Raises click's `BadParameter` for an unknown one."""
    plain = names.plain(name)
    if plain not in {names.plain(each) for each in known}:
        raise click.BadParameter(f"there is no {name!r}; {names.did_you_mean(name, known)}", param_hint=option)
    return plain


def places_of(doors: tuple[str, ...], gates: tuple[str, ...]) -> tuple[str, ...]:
    """Return doors in the format of an access rule: for every gate, or only for these gates (see
    `gallery.AccessRule`).
    """
    if not gates:
        return doors
    return tuple(f"{gate}/{door}" for gate in gates for door in doors or ("*",))
