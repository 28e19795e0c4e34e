"""`gated office init`: creates an office."""

from datetime import UTC, datetime
from pathlib import Path

import click

from gated.cli import streams
from gated.cli.office.recovery import ask_for_file, print_location, saving, warn_of_missing
from gated.office.mosquitto import Place
from gated.office.office_creation import create_office, problems
from gated.protocol.recovery_key import RecoveryKey
from gated.sitetime import DEFAULT

PORT = click.IntRange(1, 65535)


@click.command()
@click.option("--site", required=True, help="Name of the site; the same as [site] id at its gates.")
@click.option("--host", required=True, help="The name or address by which gates reach this machine.")
@click.option("--port", type=PORT, default=8883, show_default=True, help="Port of the broker.")
@click.option("--pairing-port", type=PORT, default=8884, show_default=True, help="Port for joining gates.")
@click.option(
    "--timezone", default=DEFAULT, show_default=True, help="Time zone of the site; the same as [site] timezone."
)
@click.option("--recovery", "file", type=click.Path(path_type=Path, dir_okay=False),
              help="Write the recovery key to this new file, on a USB stick or to be printed.")  # fmt: skip
@click.pass_obj
def init(folder: Path, *, site: str, host: str, port: int, pairing_port: int, timezone: str, file: Path | None) -> None:
    """Create an office in a folder: its keys, certificates, database and Mosquitto settings. Back this folder up."""
    place = Place(host.lower(), port, pairing_port)
    for fault in problems(folder, site, place, timezone):
        raise fault
    file = ask_for_file(file)
    key = RecoveryKey.make() if file is not None else None
    with saving(file, folder, site, key):
        create_office(folder, site, place, datetime.now(UTC), timezone, key)
    streams.echo(
        f"The office of {site} is in {folder}. "
        "Anyone with a copy of the folder can act as the office: keep it and its backups safe."
    )
    if file is not None:
        print_location(file)
    else:
        warn_of_missing(folder)
    click.echo("Next, run each of these in a separate terminal:")
    streams.echo(f"  mosquitto -c {folder.resolve() / 'mosquitto.conf'}")
    streams.echo(f"  gated office --dir {folder} serve")
    streams.echo(f"  gated office --dir {folder} invite GATE")
