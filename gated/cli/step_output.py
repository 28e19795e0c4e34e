"""Runs installation steps in order, or only checks them. Prints each step, and all problems at the end."""

import os
import sys
from collections.abc import Iterable
from typing import NoReturn

import click

from gated.cli import streams
from gated.doctor.finding import SIGNS, Finding
from gated.errors import ConfigError, GatedError, ProvisionError
from gated.provision.install_step import DONE, InstallStep

AGAIN = "Finished steps stay done. Correct the problem and run the same command again; it continues from there."


def run_step(step: InstallStep) -> None:
    """Execute the step unless it is done. Raises `GatedError`."""
    try:
        if step.is_done():
            streams.echo(f"✓ {step.title}: {DONE}")
            return
        streams.echo(f"✓ {step.title}: {step.do()}")
    except GatedError:
        streams.echo(f"✗ {step.title}: not done. {AGAIN}", err=True)
        raise


def check_steps(steps: Iterable[InstallStep], wrong: Iterable[GatedError] = ()) -> NoReturn:
    """Check every step, then exit with all problems, each printed once. `wrong` holds problems known before."""
    found = list(wrong)
    for step in steps:
        try:
            result = step.check()
        except OSError as error:  # a folder that only root may read
            advice = "run this with sudo" if os.geteuid() else "check that the disk can be read"
            found.append(ProvisionError(f"{error.filename}: cannot be examined ({error.strerror}); {advice}"))
            continue
        except GatedError as error:  # the other checks run in spite of a broken part
            found.append(error)
            streams.echo(f"✗ {step.title}: 1 to correct")
            continue
        found += result.problems
        sign = "✗" if result.problems else "✓" if result.summary == DONE else "·"
        summary = f"{len(result.problems)} to correct" if result.problems else result.summary
        streams.echo(f"{sign} {step.title}: {summary}")
    _end(found)


def print_finding(finding: Finding) -> None:
    """Print a finding, except a red one: the caller raises it as an error."""
    if finding.light != "red":
        advice = f"; {finding.next_step}" if finding.next_step else ""
        streams.echo(f"  {SIGNS[finding.light]} {finding.part}: {finding.result}{advice}")


def _end(wrong: Iterable[GatedError]) -> NoReturn:
    each = {tuple(error.lines): error for error in wrong}
    if not each:
        click.echo("\nNothing was changed. The real run can start.")
        sys.exit(0)
    streams.echo("", f"To correct before the real run ({len(each)}); nothing was changed:", err=True)
    for number, (first, *more) in enumerate(each, 1):
        streams.echo(f"{number:3}. {first}", *(f"     {text}" for text in more), err=True)
    codes = {error.exit_code for error in each.values()}
    sys.exit(ConfigError.exit_code if ConfigError.exit_code in codes else max(codes))
