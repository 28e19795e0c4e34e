"""Pack everything that a gate needs into one file, for a place without a network. `systemd/install --offline` makes a
gate from the file; `gated update --to` installs it as another version.

The file is a tar archive. It holds the wheels for the gate's machine, models and prompts if given, and `SHA256SUMS`
over all of them (sha256sum(1)). A signed bundle also holds `SHA256SUMS.sig`, the signature over `SHA256SUMS`
(`gated.update.signature`), and `release.pub`, the keys that the gate trusts after the update.
"""

import shutil
import sys
import tarfile
import tempfile
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gated
from gated.bounded import MIB
from gated.config import ModelSettings
from gated.cues.prompt_copies import copy_prompts
from gated.errors import ModelError, ProvisionError
from gated.face.manifest import load_manifest
from gated.face.model_files import pull_set
from gated.face.model_sources import lacking
from gated.provision.gate_units import shipped
from gated.storage.named_files import remove_named, replacing
from gated.update.build import run
from gated.update.listing import MOST_FILE, SUMS, sums
from gated.update.locked_libraries import check_wheels, lock_in
from gated.update.signature import KEYS, SIGNATURE, Key, read_keys, sign

ARM = ("manylinux_2_17_aarch64", "manylinux2014_aarch64", "manylinux_2_28_aarch64", "manylinux_2_34_aarch64")
INTEL = ("manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux_2_28_x86_64", "manylinux_2_34_x86_64")


@dataclass(frozen=True, slots=True)
class Target:
    """A kind of machine: its wheel platforms (PEP 600) and its Python version."""

    platforms: tuple[str, ...]
    python: str


TARGETS = {
    "bookworm-arm64": Target(ARM, "3.11"),
    "trixie-arm64": Target(ARM, "3.13"),
    "bookworm-amd64": Target(INTEL, "3.11"),
    "trixie-amd64": Target(INTEL, "3.13"),
}


@dataclass(frozen=True, slots=True)
class Signer:
    """The private key that signs a bundle (OpenSSH, Ed25519), and the public keys that the gate trusts afterwards.

    `believed` is a file of public keys. None: the public key of `key`, from the file with the suffix .pub.
    """

    key: Path
    believed: Path | None = None

    @property
    def keys(self) -> list[Key]:
        """Return the public keys. Raises `UpdateError`."""
        return read_keys(self.believed or self.key.with_name(f"{self.key.name}.pub"))


def bundle(
    out: Path, target: Target, *, wheel: Path | None, models: ModelSettings | None, prompts: Path | None,
    signer: Signer | None = None,
) -> str:  # fmt: skip
    """Write the bundle to `out`, completely or not at all. Return gated's version.

    `wheel` is gated's own wheel; None builds it from this checkout. `models` names the model set and its folder. Raises
    `ProvisionError` and `ModelError`. Raises `UpdateError` if pip cannot get a package, or if the key cannot sign.
    """
    keys = "".join(f"{key.line}\n" for key in signer.keys) if signer is not None else ""
    with tempfile.TemporaryDirectory(prefix="gated-bundle-") as name:
        folder = Path(name)
        own = wheel if wheel is not None else _own_wheel(folder / "own")
        _download(own, folder / "wheels", target)
        if models is not None:
            _copy_models(models, folder / "models")
        if prompts is not None:
            _copy_prompts(prompts, folder / "prompts")
        shutil.copyfile(shipped() / "install", folder / "install")
        shutil.rmtree(folder / "own", ignore_errors=True)
        if keys:
            (folder / KEYS).write_text(keys)
        (folder / SUMS).write_text(sums(folder, (SUMS, SIGNATURE)))
        if signer is not None:
            sign(folder / SUMS, signer.key)
        _pack(folder, out)
    return own.name.split("-")[1]


def _own_wheel(folder: Path) -> Path:
    """Build gated's wheel with the build packages from the checkout's lock file, and no others."""
    checkout = Path(gated.__file__).parent.parent
    if not (checkout / "pyproject.toml").is_file():
        raise ProvisionError("this gated is not a checkout, so no wheel can be built; give a wheel with --wheel")
    venv.EnvBuilder(symlinks=True, with_pip=True).create(folder / "venv")
    python = str(folder / "venv" / "bin" / "python")
    build = Path(gated.__file__).parent / "update" / "locked" / "build.txt"
    run([*_pip("install", python), *LOCKED, "--requirement", str(build)])
    run([*_pip("wheel", python), "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(checkout)])
    return next(folder.glob("gated-*.whl"))


def _download(own: Path, folder: Path, target: Target) -> None:
    """Download the wheels that the lock file of `own` names for the target, and add `own`. Take no source packages: a
    gate has no compiler.
    """
    folder.mkdir()
    lock = lock_in(own, target.python)
    wanted = folder / "requirements.txt"
    wanted.write_text(lock)
    platforms = [word for platform in target.platforms for word in ("--platform", platform)]
    python = ["--python-version", target.python.replace(".", ""), "--implementation", "cp"]
    if "==" in lock:
        run([*_pip("download"), "--dest", str(folder), *platforms, *python, *LOCKED, "--requirement", str(wanted)])
    wanted.unlink()
    check_wheels(folder.iterdir(), lock)
    shutil.copyfile(own, folder / own.name)


def _copy_models(models: ModelSettings, folder: Path) -> None:
    """Copy the files of the model set and verify their SHA-256. The licences are accepted later, at installation."""
    source = Path(models.dir)
    copied = ModelSettings(dir=str(folder), set=models.set, manifest=models.manifest)
    folder.mkdir()
    chosen = load_manifest(models).model_set(models.set)
    if chosen.folder:
        return  # this set comes with gated
    if lacks := [file for entry in chosen.models for file in lacking(source, entry)]:
        raise ModelError(
            f"{source}: lacks {', '.join(lacks)}; run `gated models pull {models.set} --dir {source}` first, or name "
            "the folder that has the files: gated --models FOLDER bundle ..."
        )
    pull_set(copied, models.set, source=source, accept=True)
    for name in ("licences.json", ".pull.lock"):
        (folder / name).unlink(missing_ok=True)


def _copy_prompts(source: Path, folder: Path) -> None:
    try:
        copy_prompts(source, folder)
    except OSError as error:
        raise ProvisionError(
            f"{error.filename}: {error.strerror}; copy the WAV file there, and free some space"
        ) from error


def _pack(folder: Path, out: Path) -> None:
    aside = out.with_name(f".{out.name}.new")
    try:
        with replacing(out):
            aside.unlink(missing_ok=True)
            file = aside.open("xb")
        with file, tarfile.open(fileobj=file, mode="w") as tar:
            for path in sorted(folder.iterdir()):
                tar.add(path, path.name, filter=_nobodys)
        with replacing(out):
            aside.replace(out)
    except OSError as error:
        remove_named(aside)
        raise ProvisionError(
            f"{out}: cannot be written ({error.strerror}); free some space, or name another place"
        ) from error
    except BaseException:
        remove_named(aside)
        raise


def _nobodys(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Remove the builder's user from the archive entry, and make the file readable for the gate's user."""
    info.mode = 0o755 if info.isdir() else 0o644
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    return info


LOCKED = ("--no-deps", "--require-hashes", "--only-binary", ":all:")
"""Options for pip: it installs only packages that the lock file names, with the hash that the lock file gives."""


MOST_MEMORY = 512 * MIB
"""Limits the memory of pip while it fetches, in bytes. It reads a whole page of an index, and no hash covers that
page.
"""


def _pip(command: str, python: str = sys.executable) -> Sequence[str]:
    fetches = command in {"download", "install"}  # pip checks hashes last
    bound = ["prlimit", f"--fsize={MOST_FILE}", f"--as={MOST_MEMORY}", "--"] if fetches else []
    return [*bound, python, "-m", "pip", "--quiet", "--disable-pip-version-check", command]
