"""`gated office init` and `gated office invite`: an office begins, and gates are asked to join it."""

import re
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import click

from gated.access import qr
from gated.errors import OfficeError
from gated.office.broker import Place
from gated.office.founding import found
from gated.office.pairing import Registrar
from gated.office.store import Store
from gated.sync.code import NAME

PORT = click.IntRange(1, 65535)


@click.command()
@click.option("--site", required=True, help="The same as [site] id at its gates.")
@click.option("--host", required=True, help="The name or address by which gates reach this machine.")
@click.option("--port", type=PORT, default=8883, show_default=True, help="Of the broker.")
@click.option("--pairing-port", type=PORT, default=8884, show_default=True, help="Where gates join.")
@click.pass_obj
def init(folder: Path, site: str, host: str, port: int, pairing_port: int) -> None:
    """Make an office: its keys, its certificates, and settings for Mosquitto, in a folder that is to be backed up."""
    found(folder, site, Place(host.lower(), port, pairing_port), datetime.now(UTC))
    click.echo(f"The office of {site} is in {folder}. Whoever has the folder is the office: keep it, and a copy of it.")
    click.echo("Now, each in a terminal or a unit of its own:")
    click.echo(f"  mosquitto -c {folder.resolve() / 'mosquitto.conf'}")
    click.echo(f"  gated office --dir {folder} serve")
    click.echo(f"  gated office --dir {folder} invite GATE")


@click.command()
@click.argument("gate")
@click.pass_obj
def invite(folder: Path, gate: str) -> None:
    """Ask a gate to join: shows a code that is good once, for an hour. An earlier one for the same gate is dead."""
    if not re.fullmatch(NAME, gate):
        raise OfficeError(f"{gate!r} is no name of a gate; use small letters, digits, - and _, as in [gate] id")
    with closing(Store.open(folder)) as store, closing(Registrar(folder, store)) as registrar:
        text = registrar.invite(gate, datetime.now(UTC)).text()
    if sys.stdout.isatty():
        click.echo(qr.on_terminal(text.upper()))  # capitals make fewer squares
    click.echo(text)
    click.echo(
        f"At {gate}, within an hour: `gated pair` with this code, while `gated office serve` runs here", err=True
    )
