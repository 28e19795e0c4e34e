"""`gated prompts`: the voice of the gate, made at install and checked before it is relied on."""

import sys
from pathlib import Path

import click

from gated.cli import Context, show_json
from gated.cues.prompts import check as check_prompts
from gated.cues.prompts import render
from gated.errors import StateError


@click.group()
def prompts() -> None:
    """Make the spoken prompts, and check them."""


@prompts.command()
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path), required=False)
@click.pass_obj
def make(context: Context, folder: Path | None) -> None:
    """Speak every sentence with espeak-ng, into DIR or where the settings say.

    A file that you recorded yourself is left alone: put your own zh/open.wav there, and it is played from then on.
    """
    settings = context.settings_or_defaults
    done = list(render(folder or settings.prompts, settings.cues.languages))
    made = sum(is_made for _, is_made in done)
    click.echo(f"{made} prompts made, {len(done) - made} recordings left alone, in {folder or settings.prompts}")


@prompts.command("check")
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path), required=False)
@click.option("--json", "as_json", is_flag=True, help="For a program.")
@click.pass_obj
def check_(context: Context, folder: Path | None, as_json: bool) -> None:
    """Check that every prompt is there, how long it is and how loud. Exit 3 if one is not as it should be."""
    settings = context.settings_or_defaults
    folder = folder or settings.prompts
    rows = [
        {"file": path.relative_to(folder).as_posix(), "problem": problem}
        for path, problem in check_prompts(folder, settings.cues.languages)
    ]
    good = not any(row["problem"] for row in rows)
    if as_json:
        show_json({"ok": good, "prompts": rows})
    else:
        for row in rows:
            click.echo(f"{row['file']}: {row['problem'] or 'good'}")
    sys.exit(0 if good else StateError.exit_code)
