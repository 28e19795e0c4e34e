"""`gated pair`: joins the gate to its office, with the code from the office."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import click

from gated.cli import Context, streams
from gated.errors import ConfigError, PairingError
from gated.protocol.broker import address, reach
from gated.protocol.pairing_code import PairingCode
from gated.protocol.sealed_files import Lock
from gated.storage.named_files import reading
from gated.storage.process_lock import FileLock
from gated.sync.pairing import move
from gated.sync.pairing import pair as join
from gated.sync.settings_file import set_key, write_table


@click.command()
@click.argument("code", nargs=-1)
@click.option("--write-to", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write the [sync] table into this settings file.")  # fmt: skip
@click.option("--moved", metavar="HOST[:PORT]", help="New address of the same office.")
@click.pass_obj
def pair(context: Context, code: Sequence[str], write_to: Path | None, moved: str | None) -> None:
    """Join the office with the code from `gated office invite`. Asks for the code if it is not given.

    Prints the [sync] table for the settings. The gate uses it from its next start.
    """
    if moved is not None:
        _move(context, moved)
        return
    settings = context.settings
    parsed = PairingCode.parse("".join(code) or click.prompt("Code"))
    if parsed.gate != settings.gate.id:
        raise PairingError(
            f"this code is for {parsed.gate}, and this gate is {settings.gate.id}: use it there, or correct [gate] id"
        )
    with closing(FileLock(settings.state / "pair.lock", "`gated pair`")):
        pairing, is_new = join(parsed, settings.state, settings.site.id)
    streams.echo(
        "This gate has joined its office." if is_new else "This gate has already joined with this code.", err=True
    )
    if pairing.accepting:
        streams.echo(pairing.accepting, err=True)
    streams.echo(*pairing.toml().splitlines())
    if write_to is not None:
        with reading(write_to):
            write_table(write_to, pairing)


def _move(context: Context, server: str) -> None:
    """Check that the office answers at the new address, and use it from the next start on."""
    settings = context.own_settings
    if "/" in server:
        raise ConfigError("--moved", [f"{server!r} is not a host; write HOST or HOST:PORT"])
    url = f"mqtts://{server.strip().lower()}"
    host, port = address(url)
    sync = settings.sync
    if not sync.url:
        raise PairingError("these settings have no office ([sync] url); run `gated pair CODE` to join one")
    url = f"mqtts://{f'[{host}]' if ':' in host else host}:{port}"
    reach(sync, url, Lock.of(settings.state))
    before = move(settings.state, url)
    try:
        with reading(context.path):
            set_key(context.path, "sync", "url", url)
    except ConfigError as error:
        raise ConfigError(str(context.path), [
            *error.problems, f"{before} stays in use until then; run this command as root to write it"
        ]) from error  # fmt: skip
    streams.echo(f"This gate uses the office at {url} from the next start on: sudo systemctl restart gated")
