"""`gated office`: the command group, and `serve`."""

import asyncio
from contextlib import closing
from pathlib import Path

import click

from gated.cli import read_only_unless
from gated.cli.office.access_rules import access_rules
from gated.cli.office.alarms import alarms
from gated.cli.office.batch import batch
from gated.cli.office.calendar import calendar
from gated.cli.office.commands import answer, diagnose, enrol, lockdown, models, release, restart, settings
from gated.cli.office.events import events
from gated.cli.office.forms import forms
from gated.cli.office.gates import gates
from gated.cli.office.held import held
from gated.cli.office.host import host
from gated.cli.office.init import init
from gated.cli.office.install import default_folder, install
from gated.cli.office.invite import invitations, invite
from gated.cli.office.passes import pass_
from gated.cli.office.passphrase import ask, passphrase
from gated.cli.office.person import person
from gated.cli.office.person_card import card
from gated.cli.office.person_list import list_people, show_person
from gated.cli.office.person_pin import pin
from gated.cli.office.pins import pins
from gated.cli.office.prune import prune
from gated.cli.office.receipts import receipts
from gated.cli.office.recovery import recovery
from gated.cli.office.rekey import rekey
from gated.cli.office.retire import retire_gate, retired
from gated.cli.office.schedule import schedule
from gated.cli.office.site_settings import names, timezone
from gated.cli.office.watch import watch
from gated.office import key_lock
from gated.office.store import Store
from gated.service import logs


@click.group()
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    envvar="GATED_OFFICE",
    default=default_folder,
    show_default="office, or /var/lib/gated-office",
    help="The office's folder; also from $GATED_OFFICE.",
)
@click.pass_context
def office(ctx: click.Context, folder: Path) -> None:
    """Run the community office: manage people for all gates, watch events and alarms, and send commands to gates.

    Begin with `init`, then `serve`, then `invite` for each gate.
    """
    ctx.obj = folder
    key_lock.set_prompt(ask)


@office.command()
@click.option("--share", metavar="N/M", default="1/1", help="Run as process N of M that share the gates.")
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
@click.pass_obj
def serve(folder: Path, share: str, verbose: bool) -> None:
    """Serve the gates until SIGTERM or Ctrl-C, and let new gates join. Mosquitto must run on the same machine."""
    from gated.office.serve import serve as serve_office  # 0.2 s that the other commands do without
    from gated.office.serve import share_of

    with read_only_unless(None), closing(Store.open(folder)) as store:
        zone = store.zone
    logs.set_up(verbose=verbose, timezone=zone.key)
    asyncio.run(serve_office(folder, *share_of(share)))


for command in (init, install, host, invite, invitations, timezone, names, passphrase, recovery, rekey, prune, forms):
    office.add_command(command)
for command in (gates, events, receipts, alarms, watch):
    office.add_command(command)
for command in (person, pins, pass_, access_rules, schedule, calendar, batch, held):
    office.add_command(command)
for command in (release, answer, lockdown, enrol, settings, models, restart, diagnose):
    office.add_command(command)
for command in (list_people, show_person, card, pin):
    person.add_command(command)
for command in (retire_gate, retired):
    gates.add_command(command)
