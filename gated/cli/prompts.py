"""`gated prompts`: makes the spoken prompts at install time, and checks them."""

import sys
from pathlib import Path

import click

from gated.cli import Context, show_json, streams
from gated.cues.prompts import check_prompts, render_prompts
from gated.cues.words import EVERYTHING, Fitted, fitted_of
from gated.errors import StateError
from gated.storage.named_files import make_folder, reading


@click.group()
def prompts() -> None:
    """Make the spoken prompts, and check them."""


@prompts.command()
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path), required=False)
@click.pass_obj
def make(context: Context, folder: Path | None) -> None:
    """Speak every prompt with espeak-ng, into DIR or the folder in the settings.

    The prompts name the credentials in the settings, and [cues] phone. Make them again when those change. Your own
    recordings stay: save one as zh/open.wav, and the gate plays it from then on.
    """
    settings = context.settings_or_defaults
    into = folder or settings.prompts
    fitted = _fitted(context)
    make_folder(into)
    with reading(into):
        done = list(render_prompts(into, settings.cues.languages, fitted))
    made = sum(is_made for _, is_made in done)
    streams.echo(f"{made} prompts made, {len(done) - made} recordings kept, in {folder or settings.prompts}")


@prompts.command("check")
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def check_(context: Context, folder: Path | None, as_json: bool) -> None:
    """Check that every prompt exists, its length and loudness, and its words.

    For a prompt made here, compares espeak-ng's own phonemes. For a recording, checks the file only. Exit 3 if one is
    wrong.
    """
    settings = context.settings_or_defaults
    folder = folder or settings.prompts
    fitted = _fitted(context)
    with reading(folder):
        rows = [
            {"file": path.relative_to(folder).as_posix(), "problem": problem}
            for path, problem in check_prompts(folder, settings.cues.languages, fitted)
        ]
    good = not any(row["problem"] for row in rows)
    if as_json:
        show_json({"ok": good, "prompts": rows})
    else:
        for row in rows:
            streams.echo(f"{row['file']}: {row['problem'] or 'good'}")
    sys.exit(0 if good else StateError.exit_code)


def _fitted(context: Context) -> Fitted:
    """Return the fitted parts that the prompts may name; on a desk without settings, all parts."""
    return fitted_of(context.settings) if context.has_settings else EVERYTHING
