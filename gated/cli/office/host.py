"""`gated office host`: shows or changes the name by which gates reach the office."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import click

from gated.cli import streams
from gated.office.mosquitto import Place
from gated.office.office_creation import change_host, forget_host
from gated.office.store import Store
from gated.provision.office_machine import restart_units
from gated.storage.owner import acting_as, owner_of


@click.command()
@click.argument("new", metavar="[HOST]", default="")
@click.option("--forget", metavar="HOST", help="Drop this former host: no gate uses it any more.")
@click.pass_obj
def host(folder: Path, new: str, forget: str | None) -> None:
    """Show the name by which gates reach this machine, or change it to HOST.

    The certificate covers the new host and all former hosts, until you remove a former host with --forget. Gates use
    the old host as long as it points to this machine; move them one by one. They still trust the office, because its
    authority is the same.
    """
    if new and forget:
        raise click.UsageError("give a new HOST or --forget, not both")
    now = datetime.now(UTC)
    with acting_as(owner_of(folder)):
        if new:
            place = change_host(folder, new.lower(), now)
        elif forget:
            place = forget_host(folder, forget.lower(), now)
        else:
            place = Place.load(folder)
        with closing(Store.open(folder)) as store:
            gates = [gate.gate for gate in store.gates()]
    streams.echo(f"host: {place.host}, ports {place.port} and {place.pairing_port}")
    if place.former:
        streams.echo(f"former hosts, still valid until you forget them: {', '.join(place.former)}")
    if (new or forget) and not restart_units():
        click.echo(
            "Restart the broker and the office now: they use the new certificate from their next start.", err=True
        )
    if new:
        _print_moves(place, gates)


def _print_moves(place: Place, gates: list[str]) -> None:
    """Print what to run at each gate. The office address is an installer's setting, so no command from the office
    changes it.
    """
    old, at = place.former[0], f"{place.host}:{place.port}"
    streams.echo(
        f"Keep {old} pointing to this machine until every gate has moved. "
        "A gate that cannot reach it stores its events and waits."
    )
    for gate in gates:
        streams.echo(f"  at {gate}: sudo gated pair --moved {at}, then sudo systemctl restart gated")
    streams.echo(f"Then: gated office host --forget {old}. Pairing codes made before are for {old}: make new ones.")
