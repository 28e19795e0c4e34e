"""`gated office install` and `gated office host`: install the office as services of this machine, and set its host name
for the gates.
"""

import shutil
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import click

from gated.cli import streams
from gated.cli.office.rekey import ask_where, make_recovery, tell_missing
from gated.cli.office.setup import PORT
from gated.cli.step_output import take, tell, try_all
from gated.errors import OfficeError
from gated.office.founding import forget as forget_host
from gated.office.founding import move
from gated.office.mosquitto import Place
from gated.office.store import Store
from gated.provision.office_machine import FOLDER, USER, Seat, neighbour, remove_units, restart_units, seat_steps
from gated.provision.packages import is_user
from gated.sitetime import DEFAULT
from gated.storage.owner import acting_as, owner_of

OWN_FOLDER = Path("office")


def default_folder() -> Path:
    """Return `office` in the working directory, or the folder of the installed office if the former does not exist."""
    return FOLDER if FOLDER.exists() and not OWN_FOLDER.exists() else OWN_FOLDER


@click.command()
@click.option("--site", default="", help="For a new office: the same as [site] id at its gates.")
@click.option("--host", default="", help="For a new office: the name or address by which gates reach this machine.")
@click.option("--port", type=PORT, default=8883, show_default=True, help="For a new office: port of the broker.")
@click.option(
    "--pairing-port", type=PORT, default=8884, show_default=True, help="For a new office: port for joining gates."
)
@click.option("--timezone", default=DEFAULT, show_default=True, help="For a new office: the same as [site] timezone.")
@click.option("--user", default=USER, show_default=True, help="User that runs the office; made if missing.")
@click.option("--recovery", "file", type=click.Path(path_type=Path, dir_okay=False),
              help="Write the recovery key of an office without one to this new file, on a stick.")  # fmt: skip
@click.option("--no-start", is_flag=True, help="Install everything; the next boot starts it.")
@click.option("--dry-run", is_flag=True, help="Check every step, change nothing, and list all problems.")
@click.option("--uninstall", is_flag=True, help="Remove the services; asks before it deletes data.")
@click.option("--yes", is_flag=True, help="With --uninstall: do not ask, and keep the data.")
@click.pass_context
def install(
    ctx: click.Context, *, site: str, host: str, port: int, pairing_port: int, timezone: str, user: str,
    file: Path | None, no_start: bool, dry_run: bool, uninstall: bool, yes: bool,
) -> None:  # fmt: skip
    """Install the office as a service of this machine, with its own broker. Run as root.

    Makes a user, its folder (/var/lib/gated-office without --dir), two units, and the Mosquitto configuration. Uses an
    existing office in the folder; else makes one from --site and --host. Skips completed steps.
    """
    folder = _folder(ctx)
    place = Place(host.lower(), port, pairing_port) if host else None
    seat = Seat(folder, site, place, user, timezone, is_starting=not no_start)
    if uninstall:
        _uninstall(seat, yes=yes, is_trial=dry_run)
        return
    if dry_run:
        try_all(seat_steps(seat))
    for step in seat_steps(seat):
        take(step)
    beside = neighbour()
    if beside is not None:
        tell(beside)
    with acting_as(seat.owner):
        _hint(folder)
    _see_to_recovery(seat, file)


def _folder(ctx: click.Context) -> Path:
    """Return the folder given by --dir, else the folder of an installed office, even if `office` exists here."""
    parent = ctx.parent
    is_said = parent is not None and parent.get_parameter_source("folder") != click.core.ParameterSource.DEFAULT
    return ctx.obj.absolute() if is_said else FOLDER


def _hint(folder: Path) -> None:
    place = Place.load(folder)
    streams.say(
        "", f"Gates must reach {place.host} at ports {place.port} (broker) and {place.pairing_port} (joining), TCP."
    )
    streams.say("No firewall was changed. Where there is one: "
               f"`sudo ufw allow {place.port}/tcp` and `sudo ufw allow {place.pairing_port}/tcp`.")  # fmt: skip
    streams.say(f"Whoever has {folder} is the office: put a copy away every night.")
    click.echo("`sudo gated office passphrase` makes a copy worthless to whoever finds it.")
    click.echo("Next: `sudo gated office invite gate-1`. As root, the office's commands act as the office's user.")


def _see_to_recovery(seat: Seat, file: Path | None) -> None:
    """Make the recovery key if the office has none, or warn clearly that it has none."""
    with acting_as(seat.owner):
        with closing(Store.open(seat.folder)) as store:
            has_one = bool(store.handovers.key)
        if not has_one and (where := ask_where(file)) is not None:
            make_recovery(seat.folder, where)
        elif not has_one:
            tell_missing(seat.folder)
        elif file is not None:
            raise OfficeError("this office has a recovery key already; `gated office rekey --next FILE` replaces it")


def _uninstall(seat: Seat, *, yes: bool, is_trial: bool) -> None:
    if is_trial:
        streams.say(f"would stop and remove the services, and ask whether {seat.folder} goes too")
        return
    says = "Gates go on without an office: nobody new, no orders, no events. Take the services away?"
    if not yes and not streams.confirm(says):
        raise OfficeError("nothing was taken away; answer y, or say --yes")
    gone = remove_units(seat.root)
    streams.say(f"taken away: {', '.join(gone)}" if gone else "no services were there")
    ask = f"Also {seat.folder}, with everybody's records, the journals and the office's keys? They are gone for good."
    if yes or not seat.folder.exists() or not streams.confirm(ask):
        streams.say(f"Kept: {seat.folder} and the user {seat.user}.")
        return
    if not seat.is_office:
        raise OfficeError(f"{seat.folder} has no office in it and is left alone")
    shutil.rmtree(seat.folder)
    streams.say(f"{seat.folder} is gone. The user {seat.user} stays; `sudo userdel {seat.user}` takes it away."
               if is_user(seat.user) else f"{seat.folder} is gone.")  # fmt: skip


@click.command()
@click.argument("new", metavar="[HOST]", default="")
@click.option("--forget", metavar="HOST", help="Drop this former host: no gate uses it any more.")
@click.pass_obj
def host(folder: Path, new: str, forget: str | None) -> None:
    """Show the name by which gates reach this machine, or change it to HOST.

    The certificate covers the new host and all former ones, until you forget each. Gates use the old host while it
    leads here; move them one by one. Their trust stays, because the authority is the same.
    """
    if new and forget:
        raise click.UsageError("say a new HOST or --forget, one at a time")
    now = datetime.now(UTC)
    with acting_as(owner_of(folder)):
        if new:
            place = move(folder, new.lower(), now)
        elif forget:
            place = forget_host(folder, forget.lower(), now)
        else:
            place = Place.load(folder)
        with closing(Store.open(folder)) as store:
            gates = [gate.gate for gate in store.gates()]
    streams.say(f"host: {place.host}, ports {place.port} and {place.pairing_port}")
    if place.former:
        streams.say(f"also, until they are forgotten: {', '.join(place.former)}")
    if (new or forget) and not restart_units():
        click.echo("Start broker and office anew now: both use the new certificate from their next start.", err=True)
    if new:
        _tell_gates(place, gates)


def _tell_gates(place: Place, gates: list[str]) -> None:
    """Print what to run at each gate. The office address is an installer's setting, so no command from the office
    changes it.
    """
    old, at = place.former[0], f"{place.host}:{place.port}"
    streams.say(
        f"Let {old} lead here until every gate has moved: a gate that cannot reach it keeps its events and waits."
    )
    for gate in gates:
        streams.say(f"  at {gate}: sudo gated pair --moved {at}, then sudo systemctl restart gated")
    streams.say(f"Then: gated office host --forget {old}. Codes that were given before are for {old}: give new ones.")
