"""Sets a PIN at a terminal. The software makes one, unless a person insists on choosing."""

import sys

import click

from gated.cli import streams
from gated.pin.random_pins import spaced_pin

choose_option = click.option(
    "--choose", is_flag=True, help="Type a PIN instead of a generated one. Chosen PINs are easier to guess."
)


def insisted(choose: bool) -> str | None:
    """Return the PIN typed at the terminal or read from standard input. None means that the software makes one.

    A PIN is never taken from the command line, which every process may read.
    """
    if sys.stdin.isatty():
        return str(click.prompt("PIN", hide_input=True, confirmation_prompt=True)).strip() if choose else None
    typed = sys.stdin.readline().strip()
    return typed if typed or choose else None


def print_generated_pin(typed: str | None, digits: str) -> None:
    """Print a generated PIN, only this once. A typed PIN is never shown."""
    if typed is None:
        streams.echo(f"the PIN is {spaced_pin(digits)}; it is shown only once, so give it to this person alone")
