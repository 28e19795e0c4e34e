"""Shared parts of the commands about cards, PINs and access rules: the stores that they write, and dates in the site's
time zone.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import click

from gated.cli import Context, streams
from gated.cli.find_person import find
from gated.errors import SubjectNotFoundError
from gated.events import Event
from gated.journal.journal import Journal
from gated.people.credential_store import Credentials
from gated.people.store import Person
from gated.sitetime import FIRST, LAST, is_past, zone
from gated.sitetime import window as site_window

Note = Callable[[Event], object]
"""Appends an event to the journal."""


class Day(click.ParamType[date]):
    """A date option, YYYY-MM-DD, in the site's calendar."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Parse the date. Raises a usage error for an invalid one."""
        try:
            return max(FIRST, min(date.fromisoformat(value), LAST))
        except ValueError:
            self.fail(f"{value!r} is not a date; write YYYY-MM-DD", param, ctx)


since_option = click.option("--from", "since", type=Day(), help="The first day, YYYY-MM-DD.")
until_option = click.option("--until", type=Day(), help="The last day, YYYY-MM-DD.")


@contextmanager
def books(context: Context) -> Iterator[tuple[Credentials, Note]]:
    """Open the credentials and a function that appends each change to the journal."""
    settings = context.settings
    with (
        closing(Journal.open(settings.state, settings.site.id, settings.gate.id)) as journal,
        closing(Credentials.open(settings.state, settings.site.id)) as store,
    ):
        yield store, lambda event: journal.append(event, datetime.now(UTC))


def note_copy(why: str) -> None:
    """Warn on stderr if the data comes from a read-only copy. `why` is the reason, empty if it is no copy."""
    if why:
        streams.echo(f"gated: read-only copy; nothing can be changed: {why}", err=True)


def window(context: Context, since: date | None, until: date | None) -> tuple[datetime | None, datetime | None]:
    """Return the start of day `since` and the end of day `until`, in the site's time zone. Raises `BadParameter` for a
    past end.
    """
    return days_of(since, until, zone_of(context))


def days_of(since: date | None, until: date | None, zone: ZoneInfo) -> tuple[datetime | None, datetime | None]:
    """Return the start of day `since` and the end of day `until`, in `zone`. Raises click's `BadParameter` for a past
    end.
    """
    begin, end = site_window(since, until, zone)
    if is_past(begin, end, datetime.now(zone)):
        raise click.BadParameter("this day is in the past, or before --from", param_hint="--until")
    return begin, end


def zone_of(context: Context) -> ZoneInfo:
    """Return the site's time zone; all times are shown in it."""
    return zone(context.settings.site.timezone)


def known(store: Credentials, words: str) -> Person:
    """Return the person that `words` name (see `who.find`). Raises `SubjectNotFoundError`."""
    return find(words, store.people(), unknown_person(words))


def unknown_person(words: str) -> SubjectNotFoundError:
    """Return the error for words that match no person."""
    return SubjectNotFoundError(f"no person here has the id or name {words!r}; `gated people list` shows all")
