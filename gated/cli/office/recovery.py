"""`gated office recovery`: makes the recovery key, which is kept off the machine."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

import click

from gated.cli import streams
from gated.cli.office.passphrase import has_terminal
from gated.errors import OfficeError
from gated.journal.entry import stamp
from gated.office.store import Store
from gated.protocol.recovery_key import PAPER, RecoveryKey
from gated.storage.named_files import make_named, remove_named

file_type = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("file", type=file_type)
@click.pass_obj
def recovery(folder: Path, file: Path) -> None:
    """Make the recovery key of an office, and write it to FILE (on a USB stick, or for printing).

    Only with this key you can replace the office's keys after a theft. Every gate learns its public half by itself,
    and then accepts no other. This file is the only copy: move it from this machine to another place.
    """
    make_recovery(folder, file)


def ask_for_file(file: Path | None) -> Path | None:
    """Return the path for a recovery key: `file`, or the operator's answer at the terminal. None means no key now."""
    if file is not None or not has_terminal():
        return file
    click.echo(
        "With a recovery key, you can replace the office's keys after somebody has copied them. Nothing else can."
    )
    answer = str(
        click.prompt("New file for it, on a USB stick (empty: none now)", default="", show_default=False)
    ).strip()
    return Path(answer) if answer else None


def make_recovery(folder: Path, file: Path) -> None:
    """Make a recovery key for an office that has none, and write it to a new file. Raises `OfficeError`."""
    key = RecoveryKey.make()
    with closing(Store.open(folder)) as store:
        if store.handovers.key:
            raise OfficeError("this office has a recovery key already; `gated office rekey --next FILE` replaces it")
        with saved_recovery(file, folder, store.site, key):
            store.handovers.store_first_key(key.public)
        store.handovers.check_recovery_key(stamp(datetime.now(UTC)))
    print_location(file)


@contextmanager
def saved_recovery(file: Path, folder: Path, site: str, key: RecoveryKey) -> Iterator[None]:
    """Write a recovery key to a new file that only its owner can read. Remove the file if the block fails.

    Raises `OfficeError` if the file exists, the disk is full, or the file would lie in the office's folder.
    """
    if file.resolve().is_relative_to(folder.resolve()):
        raise OfficeError(f"{file}: lies in the office's folder, and in each copy of it; name a file on a USB stick")
    try:
        make_named(file, PAPER.format(site=site, code=key.text()).encode())
    except OSError as error:
        raise OfficeError(f"{file}: cannot be written ({error.strerror}); name a new file, on a USB stick") from error
    try:
        yield
    except BaseException:
        remove_named(file)
        raise


def saving(file: Path | None, folder: Path, site: str, key: RecoveryKey | None) -> AbstractContextManager[None]:
    """Return `saved_recovery` if both file and key are given, else an empty context."""
    return nullcontext() if file is None or key is None else saved_recovery(file, folder, site, key)


def warn_of_missing(folder: Path) -> None:
    """Warn that the office has no recovery key, and print how to make one."""
    click.echo("This office has NO recovery key: nobody can replace its keys if a copy is stolen. Make one now:")
    streams.echo(f"  gated office --dir {folder} recovery FILE      FILE: a new file on a USB stick")


def print_location(file: Path) -> None:
    """Print the place of the recovery key, and the next step."""
    streams.echo(
        f"The recovery key is in {file}, and nowhere else. Remove it from this machine: print it, or keep the stick."
    )
