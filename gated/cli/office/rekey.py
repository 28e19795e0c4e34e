"""`gated office rekey`: replaces the office's keys with the recovery key."""

import os
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import click

from gated.bounded import MOST_KEYS
from gated.cli import streams
from gated.cli.office.passphrase import ask, hand_key
from gated.cli.office.recovery import file_type, print_location, saving
from gated.errors import OfficeError
from gated.office import key_lock
from gated.office.rekey import rekey as give_new_keys
from gated.office.store import Store
from gated.protocol.recovery_key import RecoveryKey
from gated.storage.named_files import read_named


@click.command()
@click.option(
    "--recovery", "file", type=file_type, required=True, help="The file with the recovery key, or - to type it."
)
@click.option("--next", "next_file", type=file_type, help="Also make a new recovery key, and write it to this file.")
@click.option("--restored", "is_restored", is_flag=True,
              help="This folder is a backup from before that recovery key was made.")  # fmt: skip
@click.option("--former", "former_file", type=file_type,
              help="Like --restored, with the former recovery key, for gates that know only that key.",
              )  # fmt: skip
@click.pass_obj
def rekey(folder: Path, file: Path, next_file: Path | None, former_file: Path | None, *, is_restored: bool) -> None:
    """Replace the office's keys and its authority after somebody may have copied them. Stop the office first.

    Each gate follows by itself at its next contact, because it trusts the recovery key alone. From then on that gate
    accepts no message with the old keys. Earlier pairing codes are invalid.

    An earlier backup has the old keys, which no gate accepts. Restore it, and run this again. If `--next` has made a
    newer recovery key since, use the newest one with --restored or --former.
    """
    key = RecoveryKey.parse(_read(file))
    former = None if former_file is None else RecoveryKey.parse(_read(former_file, "Former recovery key"))
    following = RecoveryKey.make() if next_file is not None else None
    passphrase = ask(folder) if key_lock.is_locked(folder) else ""
    if passphrase:
        key_lock.use_key(folder, key_lock.key_for(folder, passphrase))
    with closing(Store.open(folder)) as store:
        site, gates = store.site, [gate.gate for gate in store.gates()]
    with saving(next_file, folder, site, following):
        number = give_new_keys(folder, key, following, datetime.now(UTC), former,
                               is_restored=is_restored, passphrase=passphrase)  # fmt: skip
    if passphrase:
        hand_key(folder)
    streams.echo(f"The office of {site} has new keys (hand-over {number}). Start it again, and its broker:")
    click.echo("  sudo systemctl restart gated-office-broker gated-office")
    streams.echo(
        f"{len(gates)} gates follow by themselves; `gated office gates` shows the gates that have connected since."
    )
    if is_restored and former is None:
        click.echo("A gate that knows only the former recovery key does not follow: give it a new code.")
    click.echo("Retire each gate that may have been stolen. Make new codes for gates with an unused code.")
    if next_file is not None:
        print_location(next_file)


def _read(file: Path, question: str = "Recovery key") -> str:
    if str(file) == "-":
        return str(click.prompt(question, hide_input=True))
    try:
        return read_named(file, MOST_KEYS).decode()
    except (OSError, ValueError) as error:
        why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "it is not text"
        raise OfficeError(f"{file}: cannot be read ({why}); name the file with the recovery key") from error
