"""`gated office pins`: estimates how long a stranger must guess at the gates, given the PINs and cards of this site."""

from contextlib import closing
from pathlib import Path

import click

from gated.cli import read_only_command, show_json, streams
from gated.cli.office import json_option
from gated.office.guess_budgets import GateBudget, SiteBudget, site_budget
from gated.office.office_person import OfficePerson
from gated.office.pin_issuing import weak
from gated.office.store import Store
from gated.pin.budget import YEAR_DAYS, duration_text


@click.command()
@json_option
@click.pass_obj
@read_only_command
def pins(folder: Path, as_json: bool) -> None:
    """Show how long a stranger must guess PINs or card numbers on average, until a gate opens.

    Uses the limits that each gate reports. For a gate that has not reported, assumes the loosest settings.
    """
    with closing(Store.open(folder)) as store:
        found, weak_people = budget_of(store), weak(store)
    if as_json:
        show_json(in_figures(found) | {"weak": weak_people})
        return
    for text in [*lines(found), *card_lines(found), *weak_lines(weak_people)]:
        streams.echo(text)


def budget_of(store: Store) -> SiteBudget:
    """Return the guessing budgets of this office's site."""
    return site_budget(store.book.live(OfficePerson), store.gates())


def in_figures(found: SiteBudget) -> dict[str, object]:
    """Return the budgets as values for JSON."""
    return {
        "pins": found.pins, "days": found.days, "days_together": found.together(_of_pins),
        "days_by_household": found.by_household, "is_short": found.is_short, "cards": found.cards,
        "untold": found.untold,
        "gates": [
            {"gate": each.gate, "is_told": each.is_reported, "days": each.pins.days, "days_26_bits": each.short_cards,
             "days_26_bits_known": each.known_cards, "days_34_bits": each.long_cards}
            for each in found.gates
        ],
    }  # fmt: skip


def weak_lines(weak_people: list[str]) -> list[str]:
    """Return a warning with advice: it names the people with a weak PIN."""
    if not weak_people:
        return []
    return [f"these people have a PIN that strangers try first: {', '.join(weak_people)}; give them new ones"]


def lines(found: SiteBudget) -> list[str]:
    """Return the PIN budget in words, with advice if it is below a year."""
    worst, together = found.worst(_of_pins), found.together(_of_pins)
    if worst is None or together is None:
        return ["nobody has a PIN" if not found.pins else "no gate has a keypad"]
    needed = duration_text(worst[0])
    texts = [f"{found.pins} PINs: a stranger who guesses at a keypad of {worst[1]} needs {needed} on average"]
    if len(found.gates) > 1:
        texts.append(f"a stranger who goes to all {len(found.gates)} gates: {duration_text(together)}")
    if found.by_household is not None:
        texts.append(f"with [readers] pin_by_household: {duration_text(found.by_household)}")
    if found.untold:
        texts.append(
            f"these gates have not reported their limits, so the loosest are assumed: {', '.join(found.untold)}"
        )
    if found.is_short:
        texts.append("below a year: set pin_by_household at the gates")
    return texts


def card_lines(found: SiteBudget) -> list[str]:
    """Return the card budget in words, with advice if it is below a year."""
    short, known, long = (found.worst(of) for of in (_of_short, _of_known, _of_long))
    if short is None or long is None:
        return []
    texts = f"{found.cards} cards: a stranger who tries numbers at a reader needs {duration_text(short[0])} at 26 bits"
    texts += f" ({duration_text(known[0])} if they know the first number of the cards)" if known is not None else ""
    is_short = min(short[0], long[0], *([known[0]] if known is not None else [])) < YEAR_DAYS
    advice = "; below a year: fit readers of 34 bits, and remove unused cards" if is_short else ""
    return [f"{texts}, {duration_text(long[0])} at 34 bits{advice}"]


def _of_pins(each: GateBudget) -> float | None:
    return each.pins.days


def _of_short(each: GateBudget) -> float | None:
    return each.short_cards


def _of_known(each: GateBudget) -> float | None:
    return each.known_cards


def _of_long(each: GateBudget) -> float | None:
    return each.long_cards
