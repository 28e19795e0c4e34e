"""`gated status`: shows the state of the gate on one screen."""

import sys

import click

from gated.cli import Context, read_only_command, show_json, streams
from gated.cli.enrol_again import enrol_again_text, people_to_enrol_again
from gated.doctor.status import gate_status, shown_at


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
@read_only_command
def status(context: Context, as_json: bool) -> None:
    """Show brain, latch, doors, failed parts, and the sync with the office. Exit 1 when the gate is not well."""
    now = gate_status(context.settings)
    if as_json:
        others = [person.subject for person in people_to_enrol_again(context.settings)]
        fields = {name: getattr(now, name) for name in now.__struct_fields__}
        show_json({"ok": now.is_well, **fields, "enrol_again": others})
    else:
        since = shown_at(now.since, context.settings) if now.since else ""
        rows = {
            "gate": now.gate,
            "brain": f"{now.brain}, since {since}" if now.brain else "not on duty; start it: `gated run`",
            "latch": now.latch,
            "doors": ", ".join(f"{name} {state}" for name, state in now.doors.items()) or "unknown",
            "lost": ", ".join(now.lost) or "nothing",
            "office": now.office,
            "people": f"{now.people}, with {now.templates} templates; models: set {now.models}",
            "last": now.last,
        }
        rows |= {"link": f"this gate's certificate {now.certificate}"} if now.certificate else {}
        rows |= {"threshold": now.threshold} if now.threshold else {}
        again = enrol_again_text(context.settings)
        rows |= {"faces": again} if again else {}
        rows |= {"lockdown": "nobody may enter"} if now.lockdown else {}
        rows |= {"fire": "every door is released"} if now.fire else {}
        trouble = [("" if number else "trouble", line) for number, line in enumerate(now.trouble)]
        for name, line in [*rows.items(), *trouble]:
            streams.echo(f"{name:9} {line}")
    sys.exit(0 if now.is_well else 1)
