"""The gate's end of pairing: with a code that the office gave, it gets what its side of the link needs, once.

Its private keys are made here and never leave; no plain one is written (`sealing`). All of it lies in the folder
`pairing` of the state folder, which is there whole or not at all: until then it is being put together in `pairing.new`,
so that whoever was interrupted can come again with the same keys.
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
from gated.errors import PairingError, StateError, WireError
from gated.runtime.files import sync_folder, write_whole
from gated.sync.asking import RetiredError, ask, fetch_authority
from gated.sync.certificate import request_for
from gated.sync.code import Admission, Application, PairingCode
from gated.sync.jose import Identity, Party
from gated.sync.recovery import Known
from gated.sync.sealing import Lock, make_key
from gated.sync.vouching import fingerprint
from gated.wording import UNDECODABLE


class _Done(msgspec.Struct, frozen=True):
    """What `pairing.json` remembers: the broker, and which code it was, by its digest."""

    url: str
    code: str


@dataclass(frozen=True, slots=True)
class Pairing:
    """A gate that is paired: the folder with its keys and certificates, and where the broker is."""

    folder: Path
    url: str
    code: str
    """The digest of the code that it came together by."""
    fingerprint: str = ""
    """Of its keys, where this pairing has replaced others; empty otherwise."""

    @classmethod
    def find(cls, state: Path) -> Self | None:
        """The one of a gate, None while there is none. Raises `StateError`."""
        folder = state / "pairing"
        if not folder.exists():
            return None
        try:
            done = msgspec.json.decode((folder / "pairing.json").read_bytes(), type=_Done)
        except (OSError, *UNDECODABLE) as error:
            advice = "move the folder away, and pair the gate anew"
            raise StateError(f"{folder}: is no pairing: {wording.cause(error, _Done)}; {advice}") from error
        return cls(folder, done.url, done.code)

    def settings(self) -> dict[str, str]:
        """The [sync] table."""
        files = {"ca": "ca.pem", "cert": "gate.pem", "key": "gate.key", "gate_keys": "gate.keys"}
        paths = {key: str(self.folder.resolve() / name) for key, name in files.items()}
        return {"url": self.url, **paths, "office_keys": str(self.folder.resolve() / "office.keys")}

    @property
    def accepting(self) -> str:
        """What is to be done where the keys are others; empty where they are not."""
        if not self.fingerprint:
            return ""
        return (
            f"This gate has other keys than before: {self.fingerprint}. No face goes to it until a person at another "
            "gate has compared that and accepted it there with `gated gates accept`"
        )

    def toml(self) -> str:
        """The same as it is written in the settings."""
        return "[sync]\n" + "".join(f"{key} = {_quoted(value)}\n" for key, value in self.settings().items())


class Draft:
    """A pairing that is under way: the gate's private keys, made once, before anything is asked."""

    def __init__(self, state: Path, *, is_plain: bool = False) -> None:
        """Begin, or go on where an earlier try ended; a gate that is paired keeps its keys. Raises `StateError`.

        `is_plain`: a simulated gate, whose files may lie plain until a site key is there.
        """
        self._state, self._folder, self._lock = state, state / "pairing.new", Lock.of(state)
        self._is_plain = is_plain
        try:
            self._take_up()
        except OSError as error:
            advice = "make the state folder writable for this user"
            raise StateError(f"{self._folder}: cannot be written ({error.strerror}); {advice}") from error

    def renew(self) -> None:
        """Have other keys. Raises `StateError`."""
        try:
            shutil.rmtree(self._folder)
            self._make()
        except OSError as error:
            raise StateError(f"{self._folder}: cannot be written ({error.strerror}); make room, then pair") from error

    def news(self, site: str, gate: str) -> str:
        """The fingerprint of these keys where the gate was paired with others, else empty. Raises `OSError`.

        Those of before were retired, or lie sealed with a site key that whoever pairs cannot read.
        """
        try:
            before = x509.load_pem_x509_certificate((self._state / "pairing" / "gate.pem").read_bytes()).public_key()
        except (FileNotFoundError, ValueError):
            return ""
        return "" if before == self._key.public_key() else fingerprint(site, gate, self._identity.party)

    def application(self, code: PairingCode, site: str) -> Application:
        """What the office is to be asked."""
        return Application(
            site=site,
            gate=code.gate,
            secret=code.secret.hex(),
            csr=request_for(self._key, code.gate),
            keys=self._identity.party.dump().decode(),
        )

    def finish(self, code: PairingCode, ca: bytes, admission: Admission) -> Pairing:
        """Write all that belongs to a pairing, and put it in place of an earlier one. `ca`: in DER, believed.

        Raises `PairingError` for an answer that is none, `StateError` when it cannot be written: then the same code is
        good for ten minutes more.
        """
        self._check(admission)
        files = {
            "ca.pem": ssl.DER_cert_to_PEM_cert(ca),
            "gate.pem": admission.certificate,
            "office.keys": admission.keys,
            "pairing.json": msgspec.json.encode(_Done(admission.url, code.digest)).decode(),
        }
        if admission.recovery:
            known = Known(key=admission.recovery, number=admission.number, where=f"{code.host}:{code.port}")
            files["recovery.json"] = msgspec.json.encode(known).decode()
        folder, old = self._state / "pairing", self._state / "pairing.old"
        try:
            for name, text in files.items():
                write_whole(self._folder / name, text.encode())
            shutil.rmtree(old, ignore_errors=True)
            if folder.exists():
                folder.rename(old)
            self._folder.rename(folder)
            sync_folder(self._state)
            shutil.rmtree(old, ignore_errors=True)
        except OSError as error:
            advice = "make room, and use the same code again within ten minutes"
            raise StateError(f"{folder}: cannot be written ({error.strerror}); {advice}") from error
        return Pairing(folder, admission.url, code.digest)

    def _take_up(self) -> None:
        earlier = self._state / "pairing"
        self._state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        for name in ("gate.key", "gate.keys"):
            if (earlier / name).exists() and not (self._folder / name).exists():
                write_whole(self._folder / name, (earlier / name).read_bytes())
        try:
            self._key = self._lock.key(self._folder / "gate.key")
            self._identity = self._lock.identity(self._folder / "gate.keys")
        except StateError:  # not there, or half: then nobody has been asked with them
            shutil.rmtree(self._folder)
            self._make()

    def _make(self) -> None:
        self._folder.mkdir(mode=0o700)
        if not self._is_plain:
            make_key(self._state, self._lock)
        self._key, self._identity = ec.generate_private_key(ec.SECP256R1()), Identity.make()
        write_whole(self._folder / "gate.key", self._lock.write_key(self._key))
        write_whole(self._folder / "gate.keys", self._lock.write_identity(self._identity))

    def _check(self, admission: Admission) -> None:
        try:
            certificate = x509.load_pem_x509_certificate(admission.certificate.encode())
            Party.parse(admission.keys)
        except (ValueError, WireError) as error:
            raise PairingError(f"the office's answer is not what was agreed ({error}); see its log") from error
        if certificate.public_key() != self._key.public_key():
            raise PairingError("the office certified another key than this gate's; see its log, and pair anew")


def pair(code: PairingCode, state: Path, site: str) -> tuple[Pairing, bool]:
    """Come together with the office, and whether that is new: the same code a second time asks nobody.

    Raises `PairingError` when the office refuses, is not there or not the one that gave the code, or when this gate's
    clock is wrong; `StateError` when nothing can be kept.
    """
    done = Pairing.find(state)
    if done is not None and done.code == code.digest:
        return done, False
    draft = Draft(state)
    ca = fetch_authority(code)
    try:
        answer = ask(code, ca, draft.application(code, site))
    except RetiredError:  # whoever has this gate's old keys is to be nobody for ever; the code is still good
        draft.renew()
        answer = ask(code, ca, draft.application(code, site))
    try:
        news = draft.news(site, code.gate)
    except OSError as error:
        raise StateError(
            f"{error.filename}: cannot be read ({error.strerror}); use the same code again then"
        ) from error
    return replace(draft.finish(code, ca, answer), fingerprint=news), True


def move(state: Path, url: str) -> str:
    """Come by another address to the same office from now on; gives the one of before.

    Raises `PairingError` where the gate is not paired, `StateError` when it cannot be kept.
    """
    done = Pairing.find(state)
    if done is None:
        raise PairingError("this gate has no office yet; `gated office invite` there gives a code for `gated pair`")
    try:
        write_whole(done.folder / "pairing.json", msgspec.json.encode(_Done(url, done.code)))
    except OSError as error:
        advice = "make room, and run this as the gate's user"
        raise StateError(f"{done.folder}: cannot be written ({error.strerror}); {advice}") from error
    return done.url


def _quoted(text: str) -> str:
    """A basic string of TOML, which JSON's are too."""
    return msgspec.json.encode(text).decode()
