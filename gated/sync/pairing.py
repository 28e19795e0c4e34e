"""The gate's end of pairing: exchange a code from the office for the keys and certificates of the link.

The gate makes its private keys itself and never sends them. Pairing writes no plain private key, except at a simulated
gate (`sealed_files`). The result is the folder `pairing` of the state folder. It appears as a whole or not at all:
`pairing.new` holds an unfinished one, so that an interrupted pairing can resume with the same keys.
"""

import shutil
import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from gated import wording
from gated.atomic_files import atomic_write, sync_folder
from gated.config.toml_writing import to_toml
from gated.errors import PairingError, StateError, WireError
from gated.protocol.certificate import request_for
from gated.protocol.jose import Identity, Party
from gated.protocol.pairing_code import Admission, Application, PairingCode
from gated.protocol.recovery_key import KnownRecoveryKey
from gated.protocol.sealed_files import Lock, make_key
from gated.protocol.vouching import fingerprint
from gated.sync.pairing_client import RetiredError, ask, fetch_authority
from gated.wording import UNDECODABLE


class _Done(msgspec.Struct, frozen=True):
    """The content of `pairing.json`: the broker's URL, and the digest of the pairing code that was used."""

    url: str
    code: str


@dataclass(frozen=True, slots=True)
class Pairing:
    """The pairing of a gate: the folder with its keys and certificates, and the broker's URL."""

    folder: Path
    url: str
    code: str
    """Digest of the pairing code that was used."""
    fingerprint: str = ""
    """Fingerprint of this gate's new keys if this pairing replaced other keys; empty otherwise."""

    @classmethod
    def find(cls, state: Path) -> Self | None:
        """Return the pairing of a gate; None if it is not paired. Raises `StateError`."""
        folder = state / "pairing"
        if not folder.exists():
            return None
        try:
            done = msgspec.json.decode((folder / "pairing.json").read_bytes(), type=_Done)
        except (OSError, *UNDECODABLE) as error:
            advice = "move the folder away, and pair the gate again"
            raise StateError(f"{folder}: is no pairing: {wording.cause(error, _Done)}; {advice}") from error
        return cls(folder, done.url, done.code)

    def settings(self) -> dict[str, str]:
        """Return the [sync] table as keys and values."""
        files = {"ca": "ca.pem", "cert": "gate.pem", "key": "gate.key", "gate_keys": "gate.keys"}
        paths = {key: str(self.folder.resolve() / name) for key, name in files.items()}
        return {"url": self.url, **paths, "office_keys": str(self.folder.resolve() / "office.keys")}

    @property
    def accepting(self) -> str:
        """Return the next step for a person after a change of the gate's keys; empty without a change."""
        if not self.fingerprint:
            return ""
        return (
            f"This gate has other keys than before: {self.fingerprint}. No face goes to it until a person at another "
            "gate has compared that and accepted it there with `gated gates accept`"
        )

    def toml(self) -> str:
        """Return the [sync] table as TOML text."""
        return to_toml({("sync", key): value for key, value in self.settings().items()})


class PairingDraft:
    """An unfinished pairing: the gate's private keys, made once, before the first request to the office."""

    def __init__(self, state: Path, *, is_plain: bool = False) -> None:
        """Start a pairing, or resume where an earlier try stopped. A paired gate keeps its keys. Raises `StateError`.

        `is_plain` marks a simulated gate: its files may stay plain until a site key exists.
        """
        self._state, self._folder, self._lock = state, state / "pairing.new", Lock.of(state)
        self._is_plain = is_plain
        try:
            self._resume()
        except OSError as error:
            advice = "make the state folder writable for this user"
            raise StateError(f"{self._folder}: cannot be written ({error.strerror}); {advice}") from error

    def renew(self) -> None:
        """Replace the gate's private keys. Raises `StateError`."""
        try:
            shutil.rmtree(self._folder)
            self._make()
        except OSError as error:
            raise StateError(
                f"{self._folder}: cannot be written ({error.strerror}); free some space, then pair"
            ) from error

    def new_fingerprint(self, site: str, gate: str) -> str:
        """Return the fingerprint of these keys if the gate was paired with other keys, else an empty text.

        The office may have retired the old keys. Or the old keys are sealed with a site key that this user cannot read.
        Raises `OSError`.
        """
        try:
            before = x509.load_pem_x509_certificate((self._state / "pairing" / "gate.pem").read_bytes()).public_key()
        except (FileNotFoundError, ValueError):
            return ""
        return "" if before == self._key.public_key() else fingerprint(site, gate, self._identity.party)

    def application(self, code: PairingCode, site: str) -> Application:
        """Return the request to the office."""
        return Application(
            site=site,
            gate=code.gate,
            secret=code.secret.hex(),
            csr=request_for(self._key, code.gate),
            keys=self._identity.party.dump().decode(),
        )

    def finish(self, code: PairingCode, ca: bytes, admission: Admission) -> Pairing:
        """Write the files of the pairing, and put them in place of an earlier pairing.

        `ca` is in DER and already verified. Raises `PairingError` for an invalid answer. Raises `StateError` if writing
        fails: the same code is then valid for ten more minutes.
        """
        self._check(admission)
        files = {
            "ca.pem": ssl.DER_cert_to_PEM_cert(ca),
            "gate.pem": admission.certificate,
            "office.keys": admission.keys,
            "pairing.json": msgspec.json.encode(_Done(admission.url, code.digest)).decode(),
        }
        if admission.recovery:
            known = KnownRecoveryKey(key=admission.recovery, number=admission.number, place=f"{code.host}:{code.port}")
            files["recovery.json"] = msgspec.json.encode(known).decode()
        folder, old = self._state / "pairing", self._state / "pairing.old"
        try:
            for name, text in files.items():
                atomic_write(self._folder / name, text.encode())
            shutil.rmtree(old, ignore_errors=True)
            if folder.exists():
                folder.rename(old)
            self._folder.rename(folder)
            sync_folder(self._state)
            shutil.rmtree(old, ignore_errors=True)
        except OSError as error:
            advice = "free some space, and use the same code again within ten minutes"
            raise StateError(f"{folder}: cannot be written ({error.strerror}); {advice}") from error
        return Pairing(folder, admission.url, code.digest)

    def _resume(self) -> None:
        earlier = self._state / "pairing"
        self._state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        for name in ("gate.key", "gate.keys"):
            if (earlier / name).exists() and not (self._folder / name).exists():
                atomic_write(self._folder / name, (earlier / name).read_bytes())
        try:
            self._key = self._lock.key(self._folder / "gate.key")
            self._identity = self._lock.identity(self._folder / "gate.keys")
        except StateError:  # missing or incomplete: the office has not seen these keys
            shutil.rmtree(self._folder)
            self._make()

    def _make(self) -> None:
        self._folder.mkdir(mode=0o700)
        if not self._is_plain:
            make_key(self._state, self._lock)
        self._key, self._identity = ec.generate_private_key(ec.SECP256R1()), Identity.make()
        atomic_write(self._folder / "gate.key", self._lock.write_key(self._key))
        atomic_write(self._folder / "gate.keys", self._lock.write_identity(self._identity))

    def _check(self, admission: Admission) -> None:
        try:
            certificate = x509.load_pem_x509_certificate(admission.certificate.encode())
            Party.parse(admission.keys)
        except (ValueError, WireError) as error:
            raise PairingError(f"the office's answer is invalid ({error}); read the office's log") from error
        if certificate.public_key() != self._key.public_key():
            raise PairingError(
                "the office certified another key than this gate's; read the office's log, and pair again"
            )


def pair(code: PairingCode, state: Path, site: str) -> tuple[Pairing, bool]:
    """Pair the gate with the office. Return the pairing, and whether it is new.

    The same code a second time returns the existing pairing without a request. Raises `PairingError` if the office
    refuses, does not answer, or did not give this code. Raises it also if this gate's clock is wrong. Raises
    `StateError` if the result cannot be written.
    """
    done = Pairing.find(state)
    if done is not None and done.code == code.digest:
        return done, False
    draft = PairingDraft(state)
    ca = fetch_authority(code)
    try:
        answer = ask(code, ca, draft.application(code, site))
    except RetiredError:  # the office retired the old keys for good; the code is still valid
        draft.renew()
        answer = ask(code, ca, draft.application(code, site))
    try:
        fingerprint = draft.new_fingerprint(site, code.gate)
    except OSError as error:
        raise StateError(
            f"{error.filename}: cannot be read ({error.strerror}); make it readable, and use the same code again"
        ) from error
    return replace(draft.finish(code, ca, answer), fingerprint=fingerprint), True


def move(state: Path, url: str) -> str:
    """Reach the same office at another broker URL from now on. Return the old URL.

    Raises `PairingError` if the gate is not paired, and `StateError` if the URL cannot be written.
    """
    done = Pairing.find(state)
    if done is None:
        raise PairingError("this gate has no office yet; `gated office invite` there gives a code for `gated pair`")
    try:
        atomic_write(done.folder / "pairing.json", msgspec.json.encode(_Done(url, done.code)))
    except OSError as error:
        advice = "free some space, and run this as the gate's user"
        raise StateError(f"{done.folder}: cannot be written ({error.strerror}); {advice}") from error
    return done.url
