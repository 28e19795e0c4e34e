"""How a PIN is set at a terminal: the software makes one, and people choose only if they insist."""

import sys

import click

from gated.cli import streams
from gated.pin.making import spoken

choose_option = click.option(
    "--choose", is_flag=True, help="Type one instead of having one made; strangers guess what people choose."
)


def insisted(choose: bool) -> str | None:
    """The PIN that somebody types, or that a program writes to standard input; None: one is to be made.

    Never from the command line, which every process may read.
    """
    if sys.stdin.isatty():
        return str(click.prompt("PIN", hide_input=True, confirmation_prompt=True)).strip() if choose else None
    typed = sys.stdin.readline().strip()
    return typed if typed or choose else None


def tell_made(typed: str | None, digits: str) -> None:
    """Show a PIN that was made, this once; one that somebody typed is never shown."""
    if typed is None:
        streams.say(f"the PIN is {spoken(digits)}; it is shown this once, so give it to them alone")
