"""`gated office person pin`: makes, replaces and removes PINs."""

from contextlib import closing
from pathlib import Path

import click

from gated.cli import streams
from gated.cli.find_person import called
from gated.cli.office.chosen_person import changing_person, person_by_words
from gated.cli.office.pins import budget_of, lines
from gated.cli.pins import choose_option, insisted, print_generated_pin
from gated.office.pin_issuing import give_pin, remove_pin
from gated.office.store import Store


@click.command()
@click.argument("subject")
@click.option("--duress", is_flag=True, help="The duress PIN: it opens, and silently calls for help.")
@click.option("--take", "is_removal", is_flag=True, help="Remove it; removing the PIN removes the duress PIN too.")
@choose_option
@click.pass_obj
def pin(folder: Path, subject: str, duress: bool, is_removal: bool, choose: bool) -> None:
    """Make a PIN for a person and show it once. It replaces the earlier PIN.

    With --choose, the person types one. A program may write one to standard input.
    """
    with closing(Store.open(folder)) as store:  # a prompt must not hold the write lock
        subject = person_by_words(store, subject).subject
    pin_kind = "the duress PIN" if duress else "the PIN"
    if is_removal:
        with changing_person(folder, subject) as (store, person):
            remove_pin(store, person.subject, only_duress=duress)
        streams.echo(f"removed {pin_kind} of {called(person)}, {person.subject}")
        return
    typed = insisted(choose)
    with changing_person(folder, subject) as (store, person):
        digits = give_pin(store, person.subject, typed, is_duress=duress)
        found = budget_of(store)
    streams.echo(f"set {pin_kind} of {called(person)}, {person.subject}")
    print_generated_pin(typed, digits)
    if found.is_short:
        streams.echo(f"note: {'; '.join(lines(found))}", err=True)
