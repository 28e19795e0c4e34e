"""`gated models`: which model sets there are, and whether the files are what they should be."""

import sys
from pathlib import Path

import click

from gated.cli import Context, show_json
from gated.cli.tables import show
from gated.errors import ModelError
from gated.face.manifest import ModelEntry, folder_of, load_manifest
from gated.face.onnx import Model


@click.group()
def models() -> None:
    """List the model sets, and prove the files of one."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="For a program.")
@click.pass_obj
def list_models(context: Context, as_json: bool) -> None:
    """Every model of every set in the manifest, its grade, its licence, and whether its file is here."""
    settings = context.settings
    manifest = load_manifest(settings.models)
    rows = [
        {
            "set": name,
            "chosen": name == settings.models.set,
            "role": type(entry).__struct_config__.tag,
            "file": entry.file,
            "grade": chosen.grade,
            "licence": entry.licence,
            "present": (folder_of(settings.models, chosen) / entry.file).is_file(),
            "sha256": entry.sha256,
        }
        for name in manifest.sets
        for chosen in [manifest.model_set(name)]
        for entry in chosen.models
    ]
    if as_json:
        show_json(rows)
    else:
        columns = ["set", "role", "file", "grade", "licence", "present"]
        show(columns, [[str(row[column]) for column in columns] for row in rows])


@models.command()
@click.argument("model_set", metavar="[SET]", required=False)
@click.option("--json", "as_json", is_flag=True, help="For a program.")
@click.pass_obj
def verify(context: Context, model_set: str | None, as_json: bool) -> None:
    """Prove the files of a set, by default the one in use: SHA-256, input, known answer. Exit 3 if one fails."""
    settings = context.settings
    chosen = load_manifest(settings.models).model_set(model_set or settings.models.set)
    rows = [
        {"file": entry.file, "problem": problem_of(entry, folder_of(settings.models, chosen), settings.face.threads)}
        for entry in chosen.models
    ]
    good = not any(row["problem"] for row in rows)
    if as_json:
        show_json({"set": chosen.name, "ok": good, "models": rows})
    else:
        for row in rows:
            click.echo(
                f"{row['file']}: {row['problem'] or 'digest and known answer are right'}", err=bool(row["problem"])
            )
    sys.exit(0 if good else ModelError.exit_code)


def problem_of(entry: ModelEntry, folder: Path, threads: int) -> str | None:
    """What is wrong with a model's file, or None."""
    try:
        Model.load(entry, folder, threads)
    except ModelError as error:
        return str(error)
    return None
