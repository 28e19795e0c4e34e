"""`gated pair`: the gate joins its office, with the code that the office gave."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import click

from gated.cli import Context
from gated.errors import PairingError
from gated.runtime.lock import FileLock
from gated.sync.code import PairingCode
from gated.sync.pairing import pair as join
from gated.sync.table import write_table


@click.command()
@click.argument("code", nargs=-1)
@click.option("--write-to", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Put the [sync] table into these settings.")  # fmt: skip
@click.pass_obj
def pair(context: Context, code: Sequence[str], write_to: Path | None) -> None:
    """Join the office, with the code that `gated office invite` shows there; asks for it when it is not given.

    Prints the [sync] table for the settings. The gate uses it from its next start.
    """
    settings = context.settings
    parsed = PairingCode.parse("".join(code) or click.prompt("Code"))
    if parsed.gate != settings.gate.id:
        raise PairingError(
            f"this code is for {parsed.gate}, and this gate is {settings.gate.id}: use it there, or mend [gate] id"
        )
    with closing(FileLock(settings.state / "pair.lock", "`gated pair`")):
        pairing, is_new = join(parsed, settings.state, settings.site.id)
    click.echo(
        "This gate has joined its office." if is_new else "This gate has joined with this code already.", err=True
    )
    click.echo(pairing.toml(), nl=False)
    if write_to is not None:
        write_table(write_to, pairing)
