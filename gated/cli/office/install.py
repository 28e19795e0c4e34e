"""`gated office install`: installs the office as services of this machine."""

import shutil
from contextlib import closing
from pathlib import Path

import click

from gated.cli import streams
from gated.cli.office.init import PORT
from gated.cli.office.recovery import ask_for_file, make_recovery, warn_of_missing
from gated.cli.step_output import check_steps, print_finding, run_step
from gated.errors import OfficeError
from gated.office.mosquitto import Place
from gated.office.store import Store
from gated.provision.office_machine import FOLDER, USER, Seat, neighbour, remove_units
from gated.provision.office_steps import seat_steps
from gated.provision.packages import is_user
from gated.sitetime import DEFAULT
from gated.storage.owner import acting_as

OWN_FOLDER = Path("office")


def default_folder() -> Path:
    """Return `office` in the working directory, or the folder of the installed office if the former does not exist."""
    return FOLDER if FOLDER.exists() and not OWN_FOLDER.exists() else OWN_FOLDER


@click.command()
@click.option("--site", default="", help="For a new office: name of the site; the same as [site] id at its gates.")
@click.option("--host", default="", help="For a new office: the name or address by which gates reach this machine.")
@click.option("--port", type=PORT, default=8883, show_default=True, help="For a new office: port of the broker.")
@click.option(
    "--pairing-port", type=PORT, default=8884, show_default=True, help="For a new office: port for joining gates."
)
@click.option("--timezone", default=DEFAULT, show_default=True, help="For a new office: the same as [site] timezone.")
@click.option("--user", default=USER, show_default=True, help="User of the office; created if missing.")
@click.option("--recovery", "file", type=click.Path(path_type=Path, dir_okay=False),
              help="Write the recovery key of an office without one to this new file, on a USB stick.")  # fmt: skip
@click.option("--no-start", is_flag=True, help="Install everything; the next boot starts it.")
@click.option("--dry-run", is_flag=True, help="Check every step, change nothing, and list all problems.")
@click.option("--uninstall", is_flag=True, help="Remove the services; asks before it deletes data.")
@click.option("--yes", is_flag=True, help="With --uninstall: do not ask, and keep the data.")
@click.pass_context
def install(
    ctx: click.Context, *, site: str, host: str, port: int, pairing_port: int, timezone: str, user: str,
    file: Path | None, no_start: bool, dry_run: bool, uninstall: bool, yes: bool,
) -> None:  # fmt: skip
    """Install the office and a broker as services of this machine. Run as root.

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
        check_steps(seat_steps(seat))
    for step in seat_steps(seat):
        run_step(step)
    beside = neighbour()
    if beside is not None:
        print_finding(beside)
    with acting_as(seat.owner):
        _hint(folder)
    _see_to_recovery(seat, file)


def _folder(ctx: click.Context) -> Path:
    """Return the folder given by --dir, else the folder of an installed office, even if `office` exists here."""
    parent = ctx.parent
    is_given = parent is not None and parent.get_parameter_source("folder") != click.core.ParameterSource.DEFAULT
    return ctx.obj.absolute() if is_given else FOLDER


def _hint(folder: Path) -> None:
    place = Place.load(folder)
    streams.echo(
        "", f"Gates must reach {place.host} at ports {place.port} (broker) and {place.pairing_port} (joining), TCP."
    )
    streams.echo("The firewall was not changed. If this machine has one, run: "
               f"`sudo ufw allow {place.port}/tcp` and `sudo ufw allow {place.pairing_port}/tcp`.")  # fmt: skip
    streams.echo(f"Anyone with a copy of {folder} can act as the office. Back it up every night, to a safe place.")
    click.echo("`sudo gated office passphrase` protects the copies: without the passphrase they are useless.")
    click.echo("Next: `sudo gated office invite gate-1`. As root, the office's commands act as the office's user.")


def _see_to_recovery(seat: Seat, file: Path | None) -> None:
    """Make the recovery key if the office has none, or print a clear warning."""
    with acting_as(seat.owner):
        with closing(Store.open(seat.folder)) as store:
            has_one = bool(store.handovers.key)
        if not has_one and (destination := ask_for_file(file)) is not None:
            make_recovery(seat.folder, destination)
        elif not has_one:
            warn_of_missing(seat.folder)
        elif file is not None:
            raise OfficeError("this office has a recovery key already; `gated office rekey --next FILE` replaces it")


def _uninstall(seat: Seat, *, yes: bool, is_trial: bool) -> None:
    if is_trial:
        streams.echo(f"would stop and remove the services, and ask whether to delete {seat.folder} too")
        return
    question = (
        "Gates work without an office, but get no new people and no commands, and send no events. Remove the services?"
    )
    if not yes and not streams.confirm(question):
        raise OfficeError("nothing was removed; answer y, or give --yes")
    removed = remove_units(seat.root)
    streams.echo(f"removed: {', '.join(removed)}" if removed else "there were no services")
    question_about_data = (
        f"Also delete {seat.folder}, with all records, the journals and the office's keys? Nothing brings them back."
    )
    if yes or not seat.folder.exists() or not streams.confirm(question_about_data):
        streams.echo(f"Kept: {seat.folder} and the user {seat.user}.")
        return
    if not seat.is_office:
        raise OfficeError(f"{seat.folder} has no office, so it was not deleted")
    shutil.rmtree(seat.folder)
    streams.echo(f"Deleted {seat.folder}. The user {seat.user} stays; `sudo userdel {seat.user}` removes it."
               if is_user(seat.user) else f"Deleted {seat.folder}.")  # fmt: skip
