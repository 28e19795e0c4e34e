"""`gated office init`: creates an office."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import click

from gated.cli import look_unless, streams
from gated.cli.office.rekey import ask_where, saving, tell_kept, tell_missing
from gated.office.founding import faults, found
from gated.office.mosquitto import Place
from gated.office.store import Store
from gated.protocol.recovery_key import RecoveryKey
from gated.sitetime import DEFAULT

PORT = click.IntRange(1, 65535)


@click.command()
@click.option("--site", required=True, help="The same as [site] id at its gates.")
@click.option("--host", required=True, help="The name or address by which gates reach this machine.")
@click.option("--port", type=PORT, default=8883, show_default=True, help="Port of the broker.")
@click.option("--pairing-port", type=PORT, default=8884, show_default=True, help="Port for joining gates.")
@click.option(
    "--timezone", default=DEFAULT, show_default=True, help="Time zone of the site; the same as [site] timezone."
)
@click.option("--recovery", "file", type=click.Path(path_type=Path, dir_okay=False),
              help="Write the recovery key to this new file, on a stick or to be printed.")  # fmt: skip
@click.pass_obj
def init(folder: Path, *, site: str, host: str, port: int, pairing_port: int, timezone: str, file: Path | None) -> None:
    """Make an office: its keys, certificates and Mosquitto settings, in a folder. Back this folder up."""
    place = Place(host.lower(), port, pairing_port)
    for fault in faults(folder, site, place, timezone):
        raise fault
    file = ask_where(file)
    key = RecoveryKey.make() if file is not None else None
    with saving(file, folder, site, key):
        found(folder, site, place, datetime.now(UTC), timezone, key)
    streams.say(
        f"The office of {site} is in {folder}. Whoever has the folder is the office: keep it, and a copy of it."
    )
    if file is not None:
        tell_kept(file)
    else:
        tell_missing(folder)
    click.echo("Now, each in a terminal or a unit of its own:")
    streams.say(f"  mosquitto -c {folder.resolve() / 'mosquitto.conf'}")
    streams.say(f"  gated office --dir {folder} serve")
    streams.say(f"  gated office --dir {folder} invite GATE")


@click.command()
@click.argument("zone", required=False)
@click.pass_obj
def timezone(folder: Path, zone: str | None) -> None:
    """Show or set the time zone of the site. Dates and hours set earlier do not change."""
    with look_unless(zone), closing(Store.open(folder)) as store:
        if zone is not None:
            store.set_timezone(zone)
        streams.say(store.zone.key)


@click.command()
@click.option(
    "--send/--keep", "chosen", default=None, help="Send names and card labels to the gates, or keep them here."
)
@click.pass_obj
def names(folder: Path, chosen: bool | None) -> None:
    """Show or set whether gates receive the names of people and the labels of cards. The default is no.

    Without names, a gate's own lists show flats and ids. A thief who steals a gate can read the names on it.
    """
    with look_unless(chosen), closing(Store.open(folder)) as store:
        if chosen is not None:
            store.send_names(chosen)
        streams.say("names are sent to the gates" if store.sends_names else "names stay at the office")
