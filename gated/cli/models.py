"""`gated models`: lists the model sets, downloads or copies their files, and verifies them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from gated.cli import Context, read_only_command, show_json, streams
from gated.cli.consoles import Console
from gated.cli.table_output import show
from gated.config import ModelSettings
from gated.errors import ModelError
from gated.face import download, licences
from gated.face.manifest import ModelSet, folder_of, load_manifest
from gated.face.model_entry import ModelEntry
from gated.face.model_files import pull_set, unaccepted
from gated.face.onnx import Model
from gated.face.prove import entry_of, prove
from gated.storage.named_files import reading, write_named
from gated.storage.owner import as_holder_of


@click.group()
def models() -> None:
    """List the model sets, install their files, and verify them."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
@read_only_command
def list_models(context: Context, as_json: bool) -> None:
    """List every model of every set: grade, licence, training data, when you accepted them, and whether its file is
    installed.
    """
    settings = context.settings_or_defaults
    manifest = load_manifest(settings.models)
    sets = [manifest.model_set(name) for name in manifest.sets]
    rows = [row for each in sets for row in _rows(settings.models, each)]
    if as_json:
        show_json(rows)
    else:
        columns = ["set", "role", "file", "grade", "licence", "training_data", "accepted", "present"]
        show(columns, [[str(row[column] or "") for column in columns] for row in rows])


def _rows(settings: ModelSettings, chosen: ModelSet) -> list[dict[str, Any]]:
    """Return the models of a set as `models list` shows them."""
    folder = folder_of(settings, chosen)
    record = licences.accepted(folder)
    return [
        {
            "set": chosen.name,
            "chosen": chosen.name == settings.set,
            "role": type(entry).__struct_config__.tag,
            "file": entry.file,
            "grade": chosen.grade,
            "licence": entry.licence,
            "training_data": entry.training_data,
            "accepted": at.date().isoformat() if (at := licences.accepted_at(entry, record)) else None,
            "present": (folder / entry.file).is_file(),
            "sha256": entry.sha256,
            "sources": [{"file": each.file, "url": each.url, "sha256": each.sha256} for each in entry.origins],
        }
        for entry in chosen.models
    ]


@models.command()
@click.argument("model_set", metavar="[SET]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
@read_only_command
def verify(context: Context, model_set: str | None, as_json: bool) -> None:
    """Verify the files of a set, by default of the set in use: SHA-256, input, known answer. Exit 3 if one fails."""
    settings = context.settings_or_defaults
    chosen = load_manifest(settings.models).model_set(model_set or settings.models.set)
    rows = [
        {"file": entry.file, "problem": problem_of(entry, folder_of(settings.models, chosen))}
        for entry in chosen.models
    ]
    good = not any(row["problem"] for row in rows)
    if as_json:
        show_json({"set": chosen.name, "ok": good, "models": rows})
    else:
        for row in rows:
            streams.echo(
                f"{row['file']}: {row['problem'] or 'digest and known answer are correct'}", err=bool(row["problem"])
            )
    sys.exit(0 if good else ModelError.exit_code)


@models.command()
@click.argument("model_set", metavar="[SET]", default="site")
@click.option(
    "--from", "source", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Copy from this folder."
)
@click.option(
    "--mirror", metavar="BASE", help="Download each source from BASE/FILE instead of its publisher's address."
)
@click.option("--dir", "folder", type=click.Path(path_type=Path), help="Into this folder, instead of [models] dir.")
@click.option(
    "--accept-licence", is_flag=True, help="Confirm that you have read and accept licences and training data."
)
@click.pass_obj
def pull(
    context: Context, model_set: str, *, source: Path | None, mirror: str | None, folder: Path | None,
    accept_licence: bool,
) -> None:  # fmt: skip
    """Install the files of a set, by default "site". Downloads by HTTPS or copies, converts, and verifies the SHA-256.

    --from needs no network: the folder, or its subfolder "sources", holds the finished files or the publishers' files.

    A mirror is such a folder behind HTTPS: BASE/FILE, with the names that `gated models list --json` gives as
    sources. An interrupted download resumes. SSL_CERT_FILE names certificate authorities other than this machine's.
    """
    if source is not None and mirror is not None:
        raise click.UsageError("--from copies and --mirror downloads; give one of them")
    settings = context.settings_or_defaults.models
    if folder is not None:
        settings = msgspec.structs.replace(settings, dir=str(folder.resolve()))
    asked = unaccepted(settings, model_set)
    for entry in asked:
        streams.echo(licences.described(entry), err=True)
    if asked and not accept_licence and sys.stdin.isatty():
        accept_licence = click.confirm("Do you accept these licences, and the training data?", err=True)
    with bars() as progress, as_holder_of(Path(settings.dir)):
        done = pull_set(
            settings, model_set, source=source, mirror=mirror, progress=progress, accept=accept_licence, reading=reading
        )
    for each in done:
        streams.echo(f"{each.file}: {each.origin}, SHA-256 is correct")


@models.command("prove")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def prove_model(context: Context, file: Path) -> None:
    """Compute the known answer of the model in FILE, and write it to FILE.known_answer.toml, for the manifest.
    onnxruntime and the reference evaluator of onnx must agree on the known input. FILE must have the SHA-256 of a model
    in the manifest. Needs the package onnx (pip install 'gated[prove]'), and some minutes for a large model.
    """
    with reading(file):
        entry = entry_of(load_manifest(context.settings_or_defaults.models), file)
        proof = prove(entry, file)
    beside = file.with_name(f"{file.name}.known_answer.toml")
    write_named(beside, proof.to_toml().encode(), 0o644)
    streams.echo(f"{entry.file}: both programs agree within {proof.difference:.1e}; known answer written to {beside}")


@contextmanager
def bars() -> Iterator[download.Progress]:
    """Return a progress callback: one bar a file on a terminal, nothing in a pipe."""
    console = Console(err=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bars = {}

        def step(file: str, done: int, total: int | None) -> None:
            """Show the progress of one file, in bytes."""
            if file not in bars:
                bars[file] = progress.add_task(file)
            progress.update(bars[file], completed=done, total=total)

        yield step


def problem_of(entry: ModelEntry, folder: Path) -> str | None:
    """Return what is wrong with a model's file, or None."""
    try:
        Model.load(entry, folder)
    except ModelError as error:
        return str(error)
    return None
