"""`gated provision`: turns this machine into a gate."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from gated.cli import Context, streams
from gated.cli.models import bars
from gated.cli.step_output import check_steps, print_finding, run_step
from gated.errors import ConfigError
from gated.provision.installer_answers import answered, assigned, assignments, examined
from gated.provision.step_state import Making
from gated.provision.steps import steps


@click.command()
@click.option("--answers", "file", type=click.Path(path_type=Path, dir_okay=False), help="TOML file with all answers.")
@click.option("--site", help="The site, as the office calls it.")
@click.option("--gate", help="The name of this gate.")
@click.option("--code", help="Code from `gated office invite`; without it the gate joins no office.")
@click.option("--models", help='The model set; by default "site".')
@click.option(
    "--models-from", type=click.Path(file_okay=False), help="Folder of the model files; by default downloaded."
)
@click.option(
    "--accept-licence", is_flag=True, default=None, help="Confirm that you have read and accept the models' licences."
)
@click.option("--prompts-from", type=click.Path(file_okay=False), help="Folder of prompts; by default made here.")
@click.option("--kiosk", is_flag=True, default=None, help="This machine has a display for the gate screen.")
@click.option("--releases", type=click.Path(file_okay=False), help="Check there for a new version every night.")
@click.option("--release-key", type=click.Path(dir_okay=False), help="The public key of signed releases.")
@click.option("--set", "words", multiple=True, metavar="KEY=VALUE", help="A setting, such as door.contact_pin=22.")
@click.option("--yes", is_flag=True, help="Do not ask; use the answers.")
@click.option("--no-start", is_flag=True, help="Install everything; the next boot starts it.")
@click.option("--dry-run", is_flag=True, help="Check every step, change nothing, and list all problems.")
@click.pass_obj
def provision(
    context: Context, /, *, file: Path | None, words: tuple[str, ...], yes: bool, no_start: bool, dry_run: bool,
    **flags: Any,
) -> None:  # fmt: skip
    """Set this machine up as a gate: check the machine, pair with the office, start the gate, and wait until it is on
    duty.

    Run as root. Skips completed steps, so a second run continues an interrupted one. --dry-run changes nothing. Exit 0:
    the real run will probably succeed. Exit 2: change the answers or the settings. Exit 1 or 3: as in the real run.
    """
    os.umask(0o022)  # the gate's users must read the files that root writes here
    sys.dont_write_bytecode = sys.dont_write_bytecode or dry_run
    is_asking = sys.stdin.isatty() and not yes
    given = {name: value for name, value in flags.items() if value is not None}
    ask = click.prompt if is_asking else None
    given["settings"], unread = assigned(words) if dry_run else (assignments(words), [])
    answers, problems = examined(file, given, ask) if dry_run else (answered(file, given, ask), [])
    with bars() as progress:
        making = Making(
            answers,
            context.path.resolve(),
            is_starting=not no_start,
            progress=progress,
            report=print_finding,
            confirm=streams.confirm if is_asking and not dry_run else lambda text: True,
        )
        if dry_run:
            wrong = [ConfigError("--set", [problem]) for problem in unread]
            check_steps(steps(making), [*wrong, *(ConfigError("answers", [problem]) for problem in problems)])
        for step in steps(making):
            run_step(step)
    click.echo("\nNext: `gated doctor`, then enrol people here or at the office.")
