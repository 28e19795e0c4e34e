"""`gated pair`: the gate joins its office, with the code that the office gave."""

import re
import tomllib
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import click

from gated.cli import Context
from gated.errors import ConfigError, PairingError
from gated.runtime.files import rewrite
from gated.runtime.lock import FileLock
from gated.sync.code import PairingCode
from gated.sync.pairing import Pairing
from gated.sync.pairing import pair as join


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


def write_table(path: Path, pairing: Pairing) -> None:
    """Write the table into settings that have none, or an empty one. Raises `ConfigError` where there is another one,
    or no such file.
    """
    try:
        text = path.read_text("utf-8")
        there = tomllib.loads(text).get("sync", {})
        if pairing.settings().items() <= there.items():
            return
        if there:
            raise ConfigError(str(path), ["has another [sync]; put the one above in its place"])
        changed = with_table(text, pairing.toml())
        tomllib.loads(changed)
        rewrite(path, changed.encode())
    except OSError as error:
        raise ConfigError(str(path), [f"cannot be written ({error.strerror}); add the table above by hand"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            str(path), [f"is not valid TOML ({error}); mend it, and add the table above by hand"]
        ) from error


def with_table(text: str, table: str) -> str:
    """Settings with the table in the place of its empty header, as in the commented example, or behind everything."""
    changed, count = re.subn(r"(?m)^\[sync\][^\n]*\n?", lambda _: table, text, count=1)
    return changed if count else f"{text}\n{table}"
