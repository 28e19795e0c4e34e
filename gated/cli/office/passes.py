"""`gated office pass`: issues visitors' passes, signed with a key that the office makes."""

from contextlib import closing
from datetime import date, datetime
from pathlib import Path

import click

from gated import names
from gated.access.pass_keys import make_pass_key, pass_key_text
from gated.cli import streams
from gated.cli.passes import Local, show_new, sign
from gated.cli.place_options import DOORS, Name
from gated.events import MAIN
from gated.office.store import Store

KEY_FILE = "passes.key"


@click.group("pass")
def pass_() -> None:
    """Give a visitor a pass: a QR code that one gate reads with its camera, without asking the office.

    Once: run `gated office pass key`, and at each gate the command that it prints.
    """


@pass_.command()
@click.argument("gate")
@click.option("--until", "ends", type=Local(), required=True,
              help="YYYY-MM-DD (to the end of that day) or YYYY-MM-DD HH:MM, in the site's time zone.")  # fmt: skip
@click.option("--from", "begins", type=Local(), help="YYYY-MM-DD [HH:MM], in the site's time zone; by default now.")
@click.option(
    "--door", type=Name(DOORS), metavar="main|second", default=MAIN, show_default=True, help="The door to open."
)
@click.option("--uses", type=int, default=1, show_default=True, help="Number of uses.")
@click.option("--png", type=click.Path(path_type=Path), help="Write the QR code to this file instead.")
@click.pass_obj
def issue(
    folder: Path, *, gate: str, ends: datetime | date, begins: datetime | date | None, door: str, uses: int,
    png: Path | None,
) -> None:  # fmt: skip
    """Sign a pass for one gate. Prints its text, and on a terminal its QR code. The office does not store it.

    A pass cannot be revoked: choose an early end and few uses.
    """
    with closing(Store.open(folder)) as store:
        known = store.gate(names.id_of(gate))
        text = sign(_key(folder), (store.site, known.gate, door), store.zone, begins, ends, uses=uses)
    show_new(text, png)


@pass_.command()
@click.pass_obj
def key(folder: Path) -> None:
    """Show the office's public key for passes, and the command to run at each gate. Makes the key on first use."""
    with closing(Store.open(folder)) as store:
        gates = [gate.gate for gate in store.gates()]
        text = pass_key_text(_key(folder))
    streams.echo(text)
    at = ", ".join(gates) or "each gate"
    streams.echo(f"At {at}: sudo gated pass trust {text}, then sudo systemctl restart gated", err=True)


def _key(folder: Path) -> bytes:
    """Return the private key; make it on first use. Raises `ConfigError`."""
    path = folder / KEY_FILE
    if not path.exists():
        make_pass_key(path)
    return path.read_bytes()
