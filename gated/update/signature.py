"""Signs and verifies the `SHA256SUMS` of a bundle or release with Ed25519, in the format of ssh-keygen.

The format is OpenSSH's SSHSIG (see its PROTOCOL.sshsig). The namespace is `gated-release`, the file `SHA256SUMS.sig`:

    ssh-keygen -t ed25519 -f release                                    run once; keep the key off every gate
    ssh-keygen -Y sign -f release -n gated-release SHA256SUMS           `gated bundle --sign release` runs this

A gate's trusted keys are in `release.pub` of its root (/opt/gated), one a line in OpenSSH's public key format.
Provisioning puts the first key there. From then on the gate installs only files signed by one of its keys.
"""

import base64
import binascii
import hashlib
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gated.bounded import MOST_KEYS, read
from gated.errors import UpdateError

SIGNATURE, KEYS = "SHA256SUMS.sig", "release.pub"
NAMESPACE = b"gated-release"
KIND = b"ssh-ed25519"
MAGIC = b"SSHSIG"
BEGIN, END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
HASHES = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}
"""Hash functions that a signature may use (PROTOCOL.sshsig)."""
SIGN_S = 300.0
"""Limits how long a person may take to type a passphrase, in seconds."""


@dataclass(frozen=True, slots=True)
class Key:
    """One release key. `raw`: the 32-byte Ed25519 public key."""

    raw: bytes
    comment: str = ""

    @property
    def blob(self) -> bytes:
        """Return the key in SSH wire format (RFC 8709, section 4)."""
        return _string(KIND) + _string(self.raw)

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint, as `ssh-keygen -l` shows it."""
        return f"SHA256:{base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip('=')}"

    @property
    def line(self) -> str:
        """Return the key as a line in OpenSSH's format."""
        return f"{KIND.decode()} {base64.b64encode(self.blob).decode()} {self.comment}".rstrip()


def keys_in(text: str, origin: object = KEYS) -> list[Key]:
    """Return the keys of a text, one a line. Skips empty lines and comments.

    Raises `UpdateError`, also if it has no key.
    """
    lines = [line.strip() for line in text.splitlines()]
    keys = [_key(line, origin) for line in lines if line and not line.startswith("#")]
    if not keys:
        raise UpdateError(f"{origin}: has no key; make one with `ssh-keygen -t ed25519 -f release`, in release.pub")
    return keys


def read_keys(path: Path) -> list[Key]:
    """Return the keys of a file. Raises `UpdateError`."""
    try:
        return keys_in(read(path, MOST_KEYS).decode(), path)
    except (OSError, UnicodeDecodeError) as error:
        raise UpdateError(f"{path}: cannot be read ({error}); name the public key, release.pub") from error


def check(message: bytes, signature: str, keys: Iterable[Key], origin: object) -> Key:
    """Return the key of `keys` that signed the message.

    Raises `UpdateError` if none did or the signature is invalid.
    """
    raw, namespace, reserved, algorithm, kind, mark = _parsed(signature, origin)
    signer = next((key for key in keys if key.blob == raw), None)
    if namespace != NAMESPACE or kind != KIND or algorithm not in HASHES or reserved:
        raise UpdateError(f"{origin}: is signed for another purpose; sign it with `gated bundle --sign`")
    if signer is None:
        raise UpdateError(
            f"{origin}: is signed with a key that this gate does not trust; use a release signed with the old "
            "key, or see `gated update --key`"
        )
    digest = HASHES[algorithm](message).digest()
    signed = MAGIC + b"".join(map(_string, (namespace, reserved, algorithm, digest)))
    try:
        Ed25519PublicKey.from_public_bytes(signer.raw).verify(mark, signed)
    except (InvalidSignature, ValueError) as error:
        raise UpdateError(f"{origin}: the signature does not match; the file was changed, copy it again") from error
    return signer


def sign(path: Path, key: Path) -> None:
    """Sign a file with ssh-keygen, which may ask for a passphrase. Raises `UpdateError`.

    ssh-keygen writes the signature beside the file, as `SHA256SUMS.sig`.
    """
    command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", NAMESPACE.decode(), str(path)]
    try:
        subprocess.run(command, check=True, timeout=SIGN_S)
    except FileNotFoundError as error:
        raise UpdateError("ssh-keygen is missing; run `apt-get install openssh-client`") from error
    except (OSError, subprocess.SubprocessError) as error:
        raise UpdateError(f"{key}: cannot sign with it; make a key with "
                          f"`ssh-keygen -t ed25519 -f {key}`") from error  # fmt: skip


def _key(line: str, origin: object) -> Key:
    kind, _, rest = line.partition(" ")
    text, _, comment = rest.strip().partition(" ")
    if kind.encode() != KIND:
        raise UpdateError(f"{origin}: has a key of another kind; make one with `ssh-keygen -t ed25519`")
    try:
        blob = base64.b64decode(text, validate=True)
        named, raw = _read_blob(blob, 2, origin)
    except binascii.Error as error:
        raise UpdateError(f"{origin}: a line is not a public key; copy the file release.pub again") from error
    if named != KIND or len(raw) != 32:
        raise UpdateError(f"{origin}: a line is not a public key; copy the file release.pub again")
    return Key(raw, comment.strip())


def _parsed(text: str, origin: object) -> tuple[bytes, bytes, bytes, bytes, bytes, bytes]:
    """Return key, namespace, reserved field, hash name, kind of the signature, and the signature itself."""
    head, _, rest = text.strip().partition("\n")
    body, _, foot = rest.rpartition("\n")
    try:
        if (head.strip(), foot.strip()) != (BEGIN, END) or len(text) > MOST_KEYS:
            raise binascii.Error("no armour")
        blob = base64.b64decode("".join(body.split()), validate=True)
    except binascii.Error as error:
        raise UpdateError(f"{origin}: is not a signature made by ssh-keygen; sign it again") from error
    if blob[: len(MAGIC) + 4] != MAGIC + (1).to_bytes(4, "big"):
        raise UpdateError(f"{origin}: is a signature of an unknown version; update gated first")
    key, namespace, reserved, algorithm, mark = _read_blob(blob[len(MAGIC) + 4 :], 5, origin)
    kind, signed = _read_blob(mark, 2, origin)
    return key, namespace, reserved, algorithm, kind, signed


def _read_blob(blob: bytes, count: int, origin: object) -> list[bytes]:
    """Return `count` strings, each after its length (RFC 4251, section 5).

    Raises `UpdateError` if bytes are missing or left.
    """
    found = []
    for _ in range(count):
        size = int.from_bytes(blob[:4], "big")
        if len(blob) < 4 + size:
            raise UpdateError(f"{origin}: ends too early; copy the file again")
        found.append(blob[4 : 4 + size])
        blob = blob[4 + size :]
    if blob:
        raise UpdateError(f"{origin}: has extra data at the end; copy the file again")
    return found


def _string(raw: bytes) -> bytes:
    return len(raw).to_bytes(4, "big") + raw
