"""`gated provision`: turns this machine into a gate."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from gated.cli import Context, streams
from gated.cli.models import bars
from gated.cli.stepping import take, tell, try_all
from gated.errors import ConfigError
from gated.provision.answers import answered, assigned, assignments, examined
from gated.provision.making import Making
from gated.provision.steps import steps


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
@click.option("--release-key", type=click.Path(dir_okay=False), help="The public key that releases are signed with.")
@click.option("--set", "words", multiple=True, metavar="KEY=VALUE", help="A setting, such as door.contact_pin=22.")
@click.option("--yes", is_flag=True, help="Ask for nothing: do what the answers say.")
@click.option("--no-start", is_flag=True, help="Set everything up, and leave the start to the next boot.")
@click.option("--dry-run", is_flag=True, help="Try every step without changing anything, and tell all that is wrong.")
@click.pass_obj
def provision(
    context: Context, /, *, file: Path | None, words: tuple[str, ...], yes: bool, no_start: bool, dry_run: bool,
    **flags: Any,
) -> None:  # fmt: skip
    """Look at this machine, set the gate up, pair it with its office, start it, and wait until it is on duty.

    As root. What is done already is left as it is, so that a second run goes on where the first one was broken off.
    With --dry-run nothing is changed: exit 0 when the real run would go through as far as can be known, 2 when the
    answers or the settings must be mended, else 1 or 3 as the real run would.
    """
    os.umask(0o022)  # the gate's users must read the files that root writes here
    sys.dont_write_bytecode = sys.dont_write_bytecode or dry_run
    is_asking = sys.stdin.isatty() and not yes
    said = {name: value for name, value in flags.items() if value is not None}
    ask = click.prompt if is_asking else None
    said["settings"], unread = assigned(words) if dry_run else (assignments(words), [])
    answers, problems = examined(file, said, ask) if dry_run else (answered(file, said, ask), [])
    with bars() as progress:
        making = Making(
            answers,
            context.path.resolve(),
            is_starting=not no_start,
            progress=progress,
            tell=tell,
            confirm=streams.confirm if is_asking and not dry_run else lambda text: True,
        )
        if dry_run:
            wrong = [ConfigError("--set", [problem]) for problem in unread]
            try_all(steps(making), [*wrong, *(ConfigError("answers", [problem]) for problem in problems)])
        for step in steps(making):
            take(step)
    click.echo("\nNext: `gated doctor`, then enrol people here or at the office.")
