"""`gated office gates retire` and `retired`: remove a stolen or lost gate from the site, and list the credentials to
replace.
"""

import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from gated import names
from gated.cli import read_only_command, show_json, streams
from gated.cli.find_person import yes_option
from gated.cli.office import json_option
from gated.cli.table_output import in_words, in_zone, show
from gated.office.exposed_credentials import Exposed, exposed
from gated.office.retiring import Retired, retire
from gated.office.store import Store

QUESTION = """\
Retire {gate}? The office and the other gates then ignore it, its certificate is refused, and its keys are useless. But
the gate still opens its door for the people it knows: remove the gate, or disconnect its lock. Retire it"""
RESULTS = {
    "ended": "{gate} is retired: the broker has ended its session and refuses its certificate.",
    "absent": "{gate} is retired. The broker is not running; it refuses the gate from its next start.",
    "unheeded": "{gate} is retired and can do nothing at the broker, but the broker still accepts its certificate: "
    "restart the broker (`sudo systemctl restart gated-office-broker`), then retire {gate} again. "
    "For another broker see gated/office/SCALING.md.",
}


@click.command("retire")
@click.argument("gate")
@yes_option
@json_option
@click.pass_obj
def retire_gate(folder: Path, gate: str, yes: bool, as_json: bool) -> None:
    """Remove a gate from the site: stolen, sold or broken. Then list the cards and PINs known to it.

    Its session ends and its certificate is refused within seconds. The other gates encrypt nothing for it any more.
    Another gate can get its name, with a new code. Run it again to complete failed steps and to list again.
    """
    gate = names.id_of(gate)
    with closing(Store.open(folder)) as store:
        if store.gate_table.keys_of(gate) is not None and not yes and not streams.confirm(QUESTION.format(gate=gate)):
            click.echo("Nothing was changed.")
            sys.exit(1)
        done = retire(folder, store, gate, datetime.now(UTC))
        _show(done, exposed(store, gate), store, as_json=as_json)
    sys.exit(1 if done.broker == "unheeded" else 0)


@click.command()
@json_option
@click.pass_obj
@read_only_command
def retired(folder: Path, as_json: bool) -> None:
    """List the retired gates, and when they were retired."""
    with closing(Store.open(folder)) as store:
        found, zone = store.gate_table.retired(), store.zone
    if as_json:
        show_json([{"gate": gate, "retired_at": at} for gate, at in found.items()])
    else:
        show(in_zone(["gate", "retired_at"], zone), [[gate, in_words(at, zone)] for gate, at in found.items()])


def _show(done: Retired, people: list[Exposed], store: Store, *, as_json: bool) -> None:
    result = RESULTS[done.broker].format(gate=done.gate)
    if as_json:
        show_json({"gate": done.gate, "broker": done.broker, "says": result, "people": people})
        return
    streams.echo(result)
    if not people:
        click.echo("Nobody has a card or a PIN, so you need not replace any.")
        return
    click.echo("A thief who breaks the gate's encryption can find out these cards and PINs. Replace them,")
    click.echo("first those used at the gate, by `gated office person card` and `gated office person pin`.\n")
    show(in_zone(["id", "name", "household", "cards", "pin", "used_there_at"], store.zone),
         [_row(each, store) for each in people])  # fmt: skip


def _row(each: Exposed, store: Store) -> list[str]:
    used: Any = each.used_there_at or "-"
    pin = "yes" if each.has_pin else "-"
    return [each.subject, each.name, each.household, str(len(each.cards)), pin, in_words(used, store.zone)]
