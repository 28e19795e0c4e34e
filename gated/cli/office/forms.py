"""`gated office forms`: writes the notice and the consent form of this site, as print, text and sound."""

import io
import re
import sys
from contextlib import closing
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import click

from gated.atomic_files import atomic_write
from gated.cli import show_json, streams
from gated.cli.office import json_option
from gated.config import load_own
from gated.errors import OfficeError
from gated.journal.journal import KEEP_DAYS
from gated.office.forms import shelf
from gated.office.forms.form_facts import Facts, missing, read_facts, with_settings
from gated.office.forms.paper import page_of, sentences_of
from gated.office.forms.shelf import Form, check_version, known_versions, remember
from gated.office.store import Store
from gated.storage.named_files import make_folder, reading, write_named

FACTS = "forms.toml"
VERSION = r"[0-9A-Za-z][0-9A-Za-z._-]{0,31}"


@click.command()
@click.option("--version", "version", help="Version, for `--notice`; by default this month, such as 2026-11.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("forms"), show_default=True,
              help="Folder for the pages.")  # fmt: skip
@click.option("--facts", type=click.Path(path_type=Path, dir_okay=False),
              help="Facts of this site; by default forms.toml in the office's folder.")  # fmt: skip
@click.option("--settings", type=click.Path(path_type=Path, dir_okay=False),
              help="A gate's gated.toml: models, telephone and credentials, unless the facts give them.")  # fmt: skip
@click.option("--voice/--no-voice", default=True, show_default=True, help="Also write sound, read by espeak-ng.")
@click.option("--list", "is_list", is_flag=True, help="Show the complete versions, with their digests.")
@json_option
@click.pass_obj
def forms(
    folder: Path, *, version: str | None, out: Path, facts: Path | None, settings: Path | None, voice: bool,
    is_list: bool, as_json: bool,
) -> None:  # fmt: skip
    """Write the notice and the consent form, in Chinese and English: A4 pages in large print, plain text, sound.

    A missing fact stays blank and is reported. The pages then show DRAFT, and the exit code is 1. A complete version
    never changes; a new text needs a new version.
    """
    if is_list:
        _list(folder, as_json)
        return
    with closing(Store.open(folder)) as store:
        gates, zone = [gate.gate for gate in store.gates()], store.zone
    today = datetime.now(UTC).astimezone(zone).date()
    version = version or f"{today:%Y-%m}"
    if not re.fullmatch(VERSION, version):
        raise OfficeError(f"{version!r} cannot be a version; write it as 2026-11, with letters, digits, ., - and _")
    source = _facts(folder, facts)
    with reading(source):
        facts_ = read_facts(source)
    if settings is not None:
        with reading(settings):
            facts_ = with_settings(facts_, load_own(settings))
    lacking = missing(facts_, gates)
    made = shelf.forms(facts_, gates, KEEP_DAYS, version)
    if not lacking:
        check_version(folder, version, made)
    _write(out, made, voice=voice)
    if not lacking:
        remember(folder, version, made, today)
    _report(made, lacking, out, facts or folder / FACTS, facts_, as_json=as_json)
    sys.exit(1 if lacking else 0)


def _facts(folder: Path, given: Path | None) -> Path:
    """Return the file of facts. If the office has none yet, write a commented example."""
    path = given or folder / FACTS
    if given is None and not path.exists():
        atomic_write(path, files("gated.office.forms").joinpath("example.toml").read_bytes())
        streams.echo(f"wrote {path}: fill it in", err=True)
    return path


def _write(out: Path, made: list[Form], *, voice: bool) -> None:
    try:
        make_folder(out)
        for form in made:
            name = f"{form.document}-{form.version}.{form.language}"
            write_named(out / f"{name}.txt", form.text.encode(), 0o666)
            write_named(out / f"{name}.html", page_of(form.text, form.language).encode(), 0o666)
            if voice:
                write_named(out / f"{name}.wav", _aloud(form), 0o666)
    except OSError as error:
        raise OfficeError(f"{out}: cannot be written ({error.strerror}); name your own folder with --out") from error


def _aloud(form: Form) -> bytes:
    from gated.cues.aloud import read_aloud  # it imports numpy, which most commands of the office do without

    sound = io.BytesIO()
    read_aloud(sentences_of(form.text), form.language, sound)
    return sound.getvalue()


def _report(made: list[Form], lacking: list[str], out: Path, path: Path, facts: Facts, *, as_json: bool) -> None:
    if as_json:
        show_json([
            {"document": form.document, "language": form.language, "version": form.version, "sha256": form.sha256,
             "missing": lacking}
            for form in made
        ])  # fmt: skip
        return
    for form in made:
        streams.echo(f"{form.document} {form.language}  {form.version}  {form.sha256[:16]}")
    streams.echo(f"wrote the pages to {out}; print the .html pages from any browser")
    if lacking:
        streams.echo(f"DRAFT: do not hand it out. Fill in these facts in {path}: {', '.join(lacking)}", err=True)
    else:
        version = made[0].version
        streams.echo(f"Record for each person who knows the notice: --notice {version} --consent NUMBER OF THE PAPER")
        streams.echo("The notice promises the following, which somebody must do by hand:", *_duties(facts))


def _duties(facts: Facts) -> tuple[str, str]:
    return (
        f"  after {facts.face_years} years: `gated office person list --consent-before DAY`, then `person remove`",
        f"  after {facts.office_days} days: `gated office prune --days {facts.office_days}`, every night (cron)",
    )


def _list(folder: Path, as_json: bool) -> None:
    with closing(Store.open(folder)):
        known = known_versions(folder)
    if as_json:
        show_json(known)
        return
    for each in known:
        for name, digest in each.sha256.items():
            streams.echo(f"{each.version}  {each.made_on}  {name:10}  {digest[:16]}")
