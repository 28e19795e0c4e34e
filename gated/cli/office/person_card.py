"""`gated office person card`: gives a person a card, or removes one."""

from datetime import date
from pathlib import Path

import click
from msgspec.structs import replace

from gated.cli import streams
from gated.cli.credentials import show_readings
from gated.cli.find_person import called
from gated.cli.office.access_rules import days
from gated.cli.office.chosen_person import changing_person
from gated.cli.people_stores import since_option, until_option
from gated.errors import CredentialError
from gated.office.office_person import OfficeCard, OfficePerson
from gated.office.store import Store
from gated.people import card_numbers, card_readings
from gated.people.credential import new_id
from gated.people.issuing import RANDOM_UID


@click.command()
@click.argument("subject")
@click.option("--number", help="Give this card: the printed number or a reader's output.")
@click.option("--take", "removed", metavar="CARD", help="Remove the card with this id; `person show` shows the ids.")
@since_option
@until_option
@click.option("--uses", type=click.IntRange(1, 100_000), help="Number of uses at each gate.")
@click.option("--label", default="", help="A note for the office.")
@click.option(
    "--same-each-time", is_flag=True, help="The number looks random, but you saw the same number more than once."
)
@click.pass_obj
def card(
    folder: Path, subject: str, *, number: str | None, removed: str | None, since: date | None, until: date | None,
    uses: int | None, label: str, same_each_time: bool,
) -> None:  # fmt: skip
    """Give a person a card by --number, or remove one by --take."""
    if (number is None) == (removed is None):
        raise click.UsageError("give --number to add a card, or --take to remove one")
    with changing_person(folder, subject) as (store, person):
        if removed is not None:
            remaining = [each for each in person.cards if each.id != removed]
            if remaining == person.cards:
                raise CredentialError(
                    f"{person.subject} has no card {removed!r}; `gated office person show` shows the ids"
                )
            store.book.put(replace(person, cards=remaining))
            streams.echo(f"removed card {removed} of {called(person)}")
            return
        begin, end = days(since, until, store.zone)
        plain = _card_number(store, number or "", may_be_random=same_each_time)
        given = OfficeCard(new_id(), plain, label.strip(), begin, end, uses)
        store.book.put(replace(person, cards=[*person.cards, given]))
    show_readings(plain)
    streams.echo(f"gave {called(person)} the card {given.id}")


def _card_number(store: Store, number: str, *, may_be_random: bool) -> str:
    """Return the plain card number, if no kind of reader confuses it with a card already given. Raises
    `CredentialError`.
    """
    plain, readings, weak = card_numbers.plain(number), card_readings.given(number), card_readings.weak(number)
    if card_readings.is_random(number) and not may_be_random:
        raise CredentialError(RANDOM_UID)
    for other in store.book.live(OfficePerson):
        for card in other.cards:
            shared = readings & _readings(card.number)
            if plain == card.number or shared - weak:
                raise CredentialError(f"this card is in use already, as {card.id}; remove it there first")
            if shared:
                raise CredentialError(
                    f"a 26-bit reader cannot distinguish this card from {card.id}, because their lower 24 bits are the "
                    "same; give another card, or remove that one first"
                )
    return plain


def _readings(number: str) -> frozenset[str]:
    """Return the readings of a stored card. They are empty if the number, accepted by an earlier version, is not valid
    now.
    """
    try:
        return card_readings.given(number)
    except CredentialError:
        return frozenset()
