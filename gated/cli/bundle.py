"""`gated bundle`: packs every file that a gate needs into one archive, for a site without a network."""

from pathlib import Path

import click
import msgspec

from gated.cli import Context, streams
from gated.provision.bundle import TARGETS, Signer
from gated.provision.bundle import bundle as make


@click.command()
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--target", type=click.Choice(sorted(TARGETS)), default="bookworm-arm64", show_default=True,
              help="The gate's system.")  # fmt: skip
@click.option("--models", "model_set", help="Include the models of this set, from [models] dir or --models.")
@click.option(
    "--prompts",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Include the prompts in this folder.",
)
@click.option("--wheel", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="The wheel of gated; by default built from this checkout.")  # fmt: skip
@click.option("--sign", "key", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="Sign it with this private key (`ssh-keygen -t ed25519 -f release` makes one).")  # fmt: skip
@click.option("--keys", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="The public keys that a gate trusts after the update; by default the key of --sign.")  # fmt: skip
@click.pass_obj
def bundle(
    context: Context, out: Path, *, target: str, model_set: str | None, prompts: Path | None, wheel: Path | None,
    key: Path | None, keys: Path | None,
) -> None:  # fmt: skip
    """Pack gated, its libraries for the gate's system, models and prompts into the tar file OUT.

    At a new gate: `tar -xf OUT install; sh install --offline OUT`. At a running gate: `gated update --to OUT`.
    """
    models = context.settings_or_defaults.models
    chosen = msgspec.structs.replace(models, set=model_set) if model_set is not None else None
    if keys is not None and key is None:
        raise click.UsageError("--keys sets the keys that a gate trusts; give --sign too")
    signer = Signer(key, keys) if key is not None else None
    version = make(out, TARGETS[target], wheel=wheel, models=chosen, prompts=prompts, signer=signer)
    if signer is None:
        click.echo("not signed: a gate that trusts a release key rejects this bundle; see --sign", err=True)
    streams.echo(f"{out}: gated {version} for {target}, {out.stat().st_size / 1e6:,.0f} MB")
