"""`gated office timezone|names`: shows and sets the settings of the site."""

from contextlib import closing
from pathlib import Path

import click

from gated.cli import read_only_unless, streams
from gated.office.store import Store


@click.command()
@click.argument("zone", required=False)
@click.pass_obj
def timezone(folder: Path, zone: str | None) -> None:
    """Show or set the time zone of the site. Dates and hours set earlier do not change."""
    with read_only_unless(zone), closing(Store.open(folder)) as store:
        if zone is not None:
            store.set_timezone(zone)
        streams.echo(store.zone.key)


@click.command()
@click.option(
    "--send/--keep", "chosen", default=None, help="Send names and card labels to the gates, or keep them here."
)
@click.pass_obj
def names(folder: Path, chosen: bool | None) -> None:
    """Show or set whether the gates get the names of people and the labels of cards. By default they do not.

    Without names, a gate's own lists show flats and ids. A thief who steals a gate can read the names on it.
    """
    with read_only_unless(chosen), closing(Store.open(folder)) as store:
        if chosen is not None:
            store.send_names(chosen)
        streams.echo("names are sent to the gates" if store.sends_names else "names stay at the office")
