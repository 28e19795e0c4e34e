"""What the commands about cards, PINs and rights share: the books they write in, and days as the site has them."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import click

from gated.cli import Context, streams
from gated.cli.who import find
from gated.errors import SubjectNotFoundError
from gated.events import Event
from gated.gallery.credentials import Credentials
from gated.gallery.people import Person
from gated.journal.journal import Journal
from gated.sitetime import FIRST, LAST, is_past, zone
from gated.sitetime import window as site_window

Note = Callable[[Event], object]
"""Writes a fact into the journal."""


class Day(click.ParamType[date]):
    """A date, YYYY-MM-DD, as the site's calendar has it."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Read it; a wrong one is a usage error."""
        try:
            return max(FIRST, min(date.fromisoformat(value), LAST))
        except ValueError:
            self.fail(f"{value!r} is no date; write YYYY-MM-DD", param, ctx)


since_option = click.option("--from", "since", type=Day(), help="The first day, YYYY-MM-DD.")
until_option = click.option("--until", type=Day(), help="The last day, YYYY-MM-DD.")


@contextmanager
def books(context: Context) -> Iterator[tuple[Credentials, Note]]:
    """What is stored, and the journal that is told of every change."""
    settings = context.settings
    with (
        closing(Journal.open(settings.state, settings.site.id, settings.gate.id)) as journal,
        closing(Credentials.open(settings.state, settings.site.id)) as store,
    ):
        yield store, lambda event: journal.append(event, datetime.now(UTC))


def note_copy(why: str) -> None:
    """Say that what is shown is a copy of what could be read, where it is one."""
    if why:
        streams.say(f"gated: shown as it was read from the disk; nothing can be changed: {why}", err=True)


def window(context: Context, since: date | None, until: date | None) -> tuple[datetime | None, datetime | None]:
    """From the first moment of a day until after the last of another, where the site is; one that is past is wrong."""
    return days_of(since, until, zone_of(context))


def days_of(since: date | None, until: date | None, zone: ZoneInfo) -> tuple[datetime | None, datetime | None]:
    """The same in a zone. Raises click's `BadParameter`."""
    begin, end = site_window(since, until, zone)
    if is_past(begin, end, datetime.now(zone)):
        raise click.BadParameter("that day is past, or before --from", param_hint="--until")
    return begin, end


def zone_of(context: Context) -> ZoneInfo:
    """The site's zone, in which every time is told."""
    return zone(context.settings.site.timezone)


def known(store: Credentials, words: str) -> Person:
    """The person who is meant (see `who.find`). Raises `SubjectNotFoundError`."""
    return find(words, store.people(), nobody(words))


def nobody(words: str) -> SubjectNotFoundError:
    """What is said where nobody is meant."""
    return SubjectNotFoundError(f"nobody here has the id or the name {words!r}; `gated people list` shows everybody")
