"""The site key of visitor passes: the private key signs them at the office, the public key verifies them at the gate.

People read the public key out and type it as the text of `key_text`.
"""

import base64
import binascii
import re
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from gated.atomic_files import create_file
from gated.bounded import MOST_KEYS, read_given
from gated.errors import ConfigError

PassKey = Ed25519PublicKey
PassSigningKey = Ed25519PrivateKey

SITE_KEY_BYTES = 32
KEY_PREFIX = "GK1-"
LOOKALIKES = str.maketrans("018", "OIB")
"""Maps digits that base32 (RFC 4648) lacks to the letters that they resemble."""


def make_pass_key(path: Path) -> None:
    """Create the private key of the site. Never overwrites a file. Raises `ConfigError`."""
    form = PrivateFormat.PKCS8
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, form, NoEncryption())
    try:
        create_file(path, pem)
    except FileExistsError:
        raise ConfigError("the site's key", [f"{path} already exists, and may have signed passes"]) from None
    except OSError as error:
        raise ConfigError("the site's key", [f"{path} cannot be written ({error.strerror})"]) from error


def pass_key_text(private_key_pem: bytes) -> str:
    """Return the public key of a private site key as text that people can read out and type. It contains no secret.

    The text is `GK1-` and base32 of the 32 key bytes and a two-byte check (CRC-16/CCITT), in groups of five letters.
    Raises `ConfigError`.
    """
    raw = read_private_key(private_key_pem).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    letters = base64.b32encode(raw + _check(raw)).decode().rstrip("=")
    return KEY_PREFIX + "-".join(letters[start : start + 5] for start in range(0, len(letters), 5))


def pass_key_pem(text: str) -> bytes:
    """Return the public key of such a text as PEM, for the file of `readers.pass_key`. Raises `ConfigError`."""
    letters = re.sub(r"[\s-]", "", text).upper().removeprefix(KEY_PREFIX.rstrip("-"))
    letters = letters.translate(LOOKALIKES)
    try:
        raw = base64.b32decode(letters + "=" * (-len(letters) % 8))
    except (binascii.Error, ValueError):
        raw = b""
    is_whole = base64.b32encode(raw).decode().rstrip("=") == letters  # three bits of the last letter are unused
    if not is_whole or len(raw) != SITE_KEY_BYTES + 2 or raw[SITE_KEY_BYTES:] != _check(raw[:SITE_KEY_BYTES]):
        problem = "a letter or more is wrong, or missing; compare it with what `gated office pass key` shows"
        raise ConfigError("the site's public key", [problem])
    return Ed25519PublicKey.from_public_bytes(raw[:SITE_KEY_BYTES]).public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )


def _check(raw: bytes) -> bytes:
    return binascii.crc_hqx(raw, 0xFFFF).to_bytes(2, "big")


def read_private_key(pem: bytes) -> PassSigningKey:
    """Return the private site key of a PEM text. Raises `ConfigError`."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError("the site's key", [f"cannot be read ({error}); give a private Ed25519 key as PEM"]) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError("the site's key", ["is of another kind; give a private Ed25519 key as PEM"])
    return key


def read_pass_key(path: Path) -> PassKey:
    """Read the public site key from its file. Raises `ConfigError` if the file holds no Ed25519 public key."""
    try:
        key = load_pem_public_key(read_given(path, MOST_KEYS))
    except OSError as error:
        problem = f"{path} cannot be read ({error.strerror}); put the site's public key there"
        raise ConfigError("readers.pass_key", [problem]) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError("readers.pass_key", [f"{path} is no public key as PEM ({error})"]) from error
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError("readers.pass_key", [f"{path} holds a key of another kind; it must be Ed25519"])
    return key
