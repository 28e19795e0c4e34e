"""`gated office passphrase`: encrypts the office's keys with a passphrase, and still lets the services start
unattended.
"""

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from shutil import which

import click

from gated.cli import streams
from gated.errors import OfficeError
from gated.office import key_lock
from gated.office.store import Store
from gated.storage.named_files import make_named
from gated.storage.owner import acting_as_oneself

CREDSTORE = Path("/etc/credstore.encrypted")
INSTRUCTIONS = """\
From now on, each command of the office asks for it. To let the office start by itself after a power cut, store its key
outside the folder, where no backup includes it:
  with systemd:    run `sudo gated office passphrase` on this machine; it makes the credential `office-key`
  without systemd: run gated office passphrase --key-file FILE, then start `serve` with GATED_OFFICE_KEY=FILE
"""


@click.command()
@click.option("--remove", is_flag=True, help="Remove the passphrase: store the keys unprotected.")
@click.option("--key-file", type=click.Path(path_type=Path, dir_okay=False),
              help="Only write the key for unattended starts to this new file.")  # fmt: skip
@click.pass_obj
def passphrase(folder: Path, remove: bool, key_file: Path | None) -> None:
    """Encrypt the office's keys with a passphrase, or change it. It protects copies, backups and the authority.

    Earlier copies keep their earlier protection. Run as root, and the office's services still start unattended. The key
    is then a systemd credential, sealed to this machine, with its TPM if there is one.
    """
    if remove and not key_lock.is_locked(folder):
        raise OfficeError("this office has no passphrase; nothing was changed")
    if key_file is None and key_lock.is_locked(folder):  # a person must prove that they know it
        key_lock.use_key(folder, key_lock.key_for(folder, ask(folder)))
    with closing(Store.open(folder)):
        pass  # raises if there is no office here, or if its keys do not open
    if key_file is not None:
        _write_key(folder, key_file)
    elif remove:
        _remove(folder)
    else:
        _set(folder)


def has_terminal() -> bool:
    """Return whether a person can be asked: standard input is a terminal."""
    return sys.stdin.isatty()


def ask(folder: Path) -> str:
    """Prompt for the passphrase at the terminal. Raises `LockedError` without a terminal."""
    if not has_terminal():
        raise key_lock.LockedError(folder)
    return str(click.prompt("Passphrase of the office", hide_input=True, err=True))


def _set(folder: Path) -> None:
    before = key_lock.key_of(folder) if key_lock.is_locked(folder) else None
    chosen = str(click.prompt("New passphrase", hide_input=True, confirmation_prompt=True, err=True))
    key_lock.lock(folder, chosen, before)
    click.echo(
        "The new passphrase protects the office's keys. Nobody can recover it: write it down, and keep it elsewhere."
    )
    hand_key(folder)
    if before is None:
        click.echo(
            "Restart a running office. Before the restart no gate can join, and the office renews no certificate."
        )


def hand_key(folder: Path) -> None:
    """Hand the current key to the office's services for their start, or print how to do so."""
    if not _make_credential(key_lock.key_of(folder)):
        click.echo(INSTRUCTIONS, nl=False)


def _remove(folder: Path) -> None:
    key_lock.unlock(folder)
    with acting_as_oneself():
        if os.geteuid() == 0:
            (CREDSTORE / key_lock.CREDENTIAL).unlink(missing_ok=True)
    click.echo(
        "The office's keys are stored without protection again: anyone with a copy of the folder can act as the office."
    )


def _write_key(folder: Path, file: Path) -> None:
    if not key_lock.is_locked(folder):
        raise OfficeError("this office has no passphrase; `gated office passphrase` sets one")
    if file.resolve().is_relative_to(folder.resolve()):
        raise OfficeError(
            f"{file}: lies in the folder that it opens; name a file elsewhere, outside all copies of the folder"
        )
    key = key_lock.key_of(folder)
    try:
        make_named(file, f"{key.hex()}\n".encode())
    except OSError as error:
        raise OfficeError(f"{file}: cannot be written ({error.strerror}); name a new file") from error
    streams.echo(f"{file} opens the office's keys. Let only the office's user read it, and keep it out of backups.")


def _make_credential(key: bytes) -> bool:
    """Store the key as a systemd credential of the office's services. Return whether that succeeded."""
    program = which("systemd-creds")
    with acting_as_oneself():
        if os.geteuid() != 0 or program is None or not Path("/run/systemd/system").exists():
            return False
        CREDSTORE.mkdir(mode=0o700, parents=True, exist_ok=True)
        command = [program, "encrypt", f"--name={key_lock.CREDENTIAL}", "-", str(CREDSTORE / key_lock.CREDENTIAL)]
        done = subprocess.run(command, input=key.hex().encode(), capture_output=True, check=False)
    if done.returncode:
        why = done.stderr.decode("utf-8", "replace").strip()
        streams.echo(f"systemd could not store the key as a credential: {why}", err=True)
        return False
    click.echo("The office's services start by themselves: this machine has the key as the credential office-key.")
    return True
