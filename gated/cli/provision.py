"""`gated provision`: this machine becomes a gate."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from gated.cli import Context
from gated.cli.models import bars
from gated.errors import GatedError
from gated.health.finding import SIGNS, Finding
from gated.provision.answers import answered, assignments
from gated.provision.steps import Provisioning, Step

AGAIN = "What is done stays done: mend that, and run the same command again; it goes on from there."


@click.command()
@click.option(
    "--answers", "file", type=click.Path(path_type=Path, dir_okay=False), help="A TOML file with all of this."
)
@click.option("--site", help="The site, as the office calls it.")
@click.option("--gate", help="The name of this gate.")
@click.option("--code", help="From `gated office invite`; without it the gate keeps to itself.")
@click.option("--models", help='The model set; by default "site".')
@click.option("--models-from", type=click.Path(file_okay=False), help="A folder with the models' files; else fetched.")
@click.option(
    "--accept-licence", is_flag=True, default=None, help="You have read the models' licences, and accept them."
)
@click.option("--prompts-from", type=click.Path(file_okay=False), help="A folder of prompts; else made here.")
@click.option("--kiosk", is_flag=True, default=None, help="This machine has a display for the gate screen.")
@click.option("--releases", type=click.Path(file_okay=False), help="Look there for another version every night.")
@click.option("--set", "words", multiple=True, metavar="KEY=VALUE", help="A setting, such as door.contact_pin=22.")
@click.option("--yes", is_flag=True, help="Ask for nothing: do what the answers say.")
@click.option("--no-start", is_flag=True, help="Set everything up, and leave the start to the next boot.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")
@click.pass_obj
def provision(
    context: Context, /, *, file: Path | None, words: tuple[str, ...], yes: bool, no_start: bool, dry_run: bool,
    **flags: Any,
) -> None:  # fmt: skip
    """Look at this machine, set the gate up, pair it with its office, start it, and wait until it is on duty.

    As root. What is done already is left as it is, so that a second run goes on where the first one was broken off.
    """
    os.umask(0o022)  # the gate's users read what root writes here
    is_asking = sys.stdin.isatty() and not yes
    said = {name: value for name, value in flags.items() if value is not None}
    ask = click.prompt if is_asking else None
    answers = answered(file, {**said, "settings": assignments(words)}, ask)
    with bars() as progress:
        making = Provisioning(
            answers,
            context.path.resolve(),
            is_starting=not no_start,
            progress=progress,
            tell=_tell,
            confirm=click.confirm if is_asking else lambda text: True,
        )
        for step in making.steps():
            if dry_run:
                _show(step)
            else:
                _take(step)
    if not dry_run:
        click.echo("\nNext: `gated doctor`, then enrol people here or at the office.")


def _take(step: Step) -> None:
    try:
        if step.is_done():
            click.echo(f"✓ {step.title}: done already")
            return
        click.echo(f"✓ {step.title}: {step.do()}")
    except GatedError:
        click.echo(f"✗ {step.title}: not done. {AGAIN}", err=True)
        raise


def _show(step: Step) -> None:
    """What is not there yet cannot always tell whether it is done."""
    try:
        is_done = step.is_done()
    except GatedError:
        is_done = False
    click.echo(f"{'✓' if is_done else '·'} {step.title}{': done already' if is_done else ''}")


def _tell(finding: Finding) -> None:
    if finding.light != "red":  # what is red is the error
        advice = f"; {finding.next_step}" if finding.next_step else ""
        click.echo(f"  {SIGNS[finding.light]} {finding.part}: {finding.says}{advice}")
