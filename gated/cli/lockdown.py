"""`gated lockdown`: denies entry to everyone until it ends. It affects neither leaving nor the fire release."""

from datetime import UTC, datetime

import click

from gated.access.lockdown import begin_lockdown, end_lockdown, read_lockdown
from gated.cli import Context, read_only_command, show_json, streams
from gated.cli.people_stores import zone_of
from gated.sitetime import format_time

_by = click.option("--by", metavar="NAME", required=True, help="Your name, for the journal.")


@click.group()
def lockdown() -> None:
    """Deny entry to everyone, or allow entry again. A running gate follows within a second and records it in the
    journal.
    """


@lockdown.command()
@_by
@click.pass_obj
def on(context: Context, by: str) -> None:
    """Deny entry to everyone from now on, also after restarts. People may still leave, and a fire releases the doors.

    A lockdown that begins here ends here: the office cannot end it.
    """
    settings = context.settings
    current = read_lockdown(settings.state)
    if current is None or not current.at_gate:  # turns a lockdown from the office into the gate's own
        begin_lockdown(settings.state, name_of(by), datetime.now(UTC), at_gate=True)
    streams.echo(_sentence(context))


@lockdown.command()
@_by
@click.pass_obj
def off(context: Context, by: str) -> None:
    """Allow entry again."""
    end_lockdown(context.settings.state, name_of(by))
    streams.echo(_sentence(context))


@lockdown.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
@read_only_command
def status(context: Context, as_json: bool) -> None:
    """Show whether a lockdown is on, with its start and its author."""
    if not as_json:
        streams.echo(_sentence(context))
        return
    current = read_lockdown(context.settings.state)
    show_json({"on": current is not None, "by": current and current.by, "at": current and current.at})


def _sentence(context: Context) -> str:
    settings = context.settings
    current = read_lockdown(settings.state)
    if current is None:
        return "no lockdown: people enter as usual"
    since = format_time(current.at, zone_of(context))
    return f"lockdown since {since}, ordered by {current.by}: nobody may enter until `gated lockdown off --by NAME`"


def name_of(by: str) -> str:
    """Return the operator's name as the journal stores it. Raises `BadParameter`."""
    if not (by.strip() and by.isprintable() and len(by) <= 100):
        raise click.BadParameter("write a name of at most 100 characters on one line", param_hint="--by")
    return by.strip()
