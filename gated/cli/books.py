"""What the commands about cards, PINs and rights share: the books they write in, and days as the site has them."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import click

from gated.cli import Context
from gated.events import Event
from gated.gallery.credentials import Credentials
from gated.journal.journal import Journal

Note = Callable[[Event], object]
"""Writes a fact into the journal."""


class Day(click.ParamType[date]):
    """A date, YYYY-MM-DD, as the site's calendar has it."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Read it; a wrong one is a usage error."""
        try:
            return min(date.fromisoformat(value), date.max - timedelta(days=1))
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


def window(context: Context, since: date | None, until: date | None) -> tuple[datetime | None, datetime | None]:
    """From the first moment of a day until after the last of another, where the site is; one that is past is wrong."""
    zone = ZoneInfo(context.settings.site.timezone)
    begin = None if since is None else datetime.combine(since, time(), zone)
    end = None if until is None else datetime.combine(until + timedelta(days=1), time(), zone)
    now = datetime.now(zone)
    if end is not None and not max(begin or now, now) < end:
        raise click.BadParameter("that day is past, or before --from", param_hint="--until")
    return begin, end


def shown(at: datetime | None) -> str | None:
    """A time for people and programs."""
    return None if at is None else at.isoformat(timespec="seconds")
