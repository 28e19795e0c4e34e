"""Doors, gates and schedules on a command line: known ones in their normal form, else refused with the one meant."""

from collections.abc import Collection
from typing import Any

import click

from gated import names
from gated.events import MAIN, SECOND

DOORS = (MAIN, SECOND)


class Name(click.ParamType[str]):
    """A name in its normal form; with `known` one of these."""

    name = "name"

    def __init__(self, known: Collection[str] = ()) -> None:
        self.known = known

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read it; one that is not known is a usage error."""
        plain = names.plain(str(value))
        if self.known and plain not in self.known:
            self.fail(f"{value!r} is none; {names.did_you_mean(plain, self.known)}", param, ctx)
        return plain


doors_option = click.option("--door", "doors", multiple=True, type=Name(DOORS), metavar="main|second",
                            help="Only by this door; may repeat.")  # fmt: skip
gates_option = click.option("--gate", "gates", multiple=True, type=Name(), help="Only at this gate; may repeat.")


def one_of(option: str, name: str, known: Collection[str]) -> str:
    """A name that must be known, in its normal form. Raises click's `BadParameter`."""
    plain = names.plain(name)
    if plain not in {names.plain(each) for each in known}:
        raise click.BadParameter(f"there is no {name!r}; {names.did_you_mean(name, known)}", param_hint=option)
    return plain


def places_of(doors: tuple[str, ...], gates: tuple[str, ...]) -> tuple[str, ...]:
    """Doors as a right has them: of every gate, or of these gates alone (see `gallery.entitlement.Right`)."""
    if not gates:
        return doors
    return tuple(f"{gate}/{door}" for gate in gates for door in doors or ("*",))
