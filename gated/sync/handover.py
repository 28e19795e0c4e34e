"""The gate's end of a hand-over: ask for it, verify it, and apply it.

It is used when the known office did not certify the broker.

The gate trusts only the recovery key, so any connection will do. The gate writes the verified hand-over to one file
(`handover.json`), then copies its content into the other files. After a power cut, `finish_handover` completes this at
the next start.
"""

import http.client
import logging
import ssl
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gated.atomic_files import atomic_write, sync_folder
from gated.bounded import ending, read_rest
from gated.config import SyncSettings
from gated.errors import GatedError, PairingError, StateError, WireError
from gated.protocol.broker import address
from gated.protocol.certificate import check_own, request_for
from gated.protocol.envelope import Peer
from gated.protocol.jose import Party
from gated.protocol.key_messages import CertificateRequest, RecoveryNotice
from gated.protocol.message_kinds import kind_of
from gated.protocol.pairing_code import Pem
from gated.protocol.recovery_key import (
    MAX_HANDOVER_BYTES,
    Following,
    HandedOver,
    Handover,
    HandoverQuestion,
    KnownRecoveryKey,
    followed,
)
from gated.protocol.sealed_files import Lock
from gated.wording import UNDECODABLE

log = logging.getLogger(__name__)

KNOWN, COMMIT = "recovery.json", "handover.json"
"""Files in the folder `pairing`: the known recovery key, and a hand-over that is being applied."""
TIMEOUT_S, WHOLE_S = 10.0, 60.0
"""Longest silence of the server, and longest time for the whole answer, in seconds. The second limit stops an answer
that arrives byte by byte.
"""
FILES = {"ca": "ca.pem", "cert": "gate.pem", "key": "gate.key", "gate_keys": "gate.keys", "office_keys": "office.keys"}
"""The files that pairing makes, by their key in [sync]."""


class AppliedHandover(msgspec.Struct, frozen=True, kw_only=True):
    """A verified hand-over: the content for the gate's files."""

    known: KnownRecoveryKey
    keys: Pem
    authority: Pem
    certificate: Pem


def load_known(state: Path) -> KnownRecoveryKey | None:
    """Return the recovery key that this gate knows; None if it knows none. Raises `StateError`."""
    path = state / "pairing" / KNOWN
    try:
        return msgspec.json.decode(path.read_bytes(), type=KnownRecoveryKey)
    except FileNotFoundError:
        return None
    except (OSError, *UNDECODABLE) as error:
        raise StateError(f"{path}: cannot be read ({error}); pair the gate again") from error


def known_key(state: Path) -> str:
    """Return the public recovery key; empty if none is known or it cannot be read."""
    try:
        known = load_known(state)
    except StateError as error:
        log.warning("%s", error)
        return ""
    return "" if known is None else known.key


def store_recovery_key(state: Path, notice: RecoveryNotice, host: str) -> bool:
    """Store the office's recovery key if none is known. Return whether it was stored. Raises `StateError`.

    The first key counts. Only pairing again replaces it.
    """
    known = load_known(state)
    if known is not None or not (state / "pairing").is_dir():
        if known is not None and known.key != notice.key:
            log.warning("ignored another recovery key of the office; this gate keeps its first one")
        return False
    new = KnownRecoveryKey(key=notice.key, number=notice.number, place=f"{host}:{notice.port}")
    try:
        atomic_write(state / "pairing" / KNOWN, msgspec.json.encode(new))
    except OSError as error:
        raise StateError(f"{state / 'pairing' / KNOWN}: cannot be written ({error.strerror})") from error
    log.info("stored the office's recovery key")
    return True


def finish_handover(state: Path) -> bool:
    """Copy an accepted but unfinished hand-over into the gate's files. Return whether there was one.

    Raises `StateError`.
    """
    folder = state / "pairing"
    try:
        applied = msgspec.json.decode((folder / COMMIT).read_bytes(), type=AppliedHandover)
        atomic_write(folder / "ca.pem", applied.authority.encode())
        atomic_write(folder / "gate.pem", applied.certificate.encode())
        atomic_write(folder / "office.keys", applied.keys.encode())
        atomic_write(folder / KNOWN, msgspec.json.encode(applied.known))
        (folder / COMMIT).unlink()
        sync_folder(folder)
    except FileNotFoundError:
        return False
    except (OSError, *UNDECODABLE) as error:
        raise StateError(
            f"{folder / COMMIT}: the hand-over cannot be completed ({error}); free some disk space"
        ) from error
    return True


class Successor(Struct, frozen=True):
    """Asks for the office's hand-overs, and follows them. `peer` holds the office's keys that the gate knows now."""

    state: Path
    settings: SyncSettings
    peer: Peer
    lock: Lock

    def follow(self) -> bool:
        """Return whether the office was replaced. A failure is logged and changes nothing."""
        try:
            known = load_known(self.state)
        except StateError as error:
            log.warning("%s", error)
            return False
        if known is None or not known.place or not self._is_paired():
            return False
        return any(self._follows(replace(known, place=place)) for place in self._places(known.place))

    def _places(self, last_place: str) -> list[str]:
        """Return the places to ask, as HOST:PORT: first the broker's host, then the last known place.

        The office may have moved together with the broker.
        """
        host, _ = address(self.settings.url)
        port = last_place.rpartition(":")[2]
        return list(dict.fromkeys([f"{f'[{host}]' if ':' in host else host}:{port}", last_place]))

    def _follows(self, known: KnownRecoveryKey) -> bool:
        """Ask at one place, and follow a valid hand-over. The place is stored with the new recovery key."""
        try:
            answer = self._ask(known)
            change = followed(known, self.peer.site, answer.statements)
            if change is None:
                return False
            self._accept_handover(*change, answer.certificate)
        except OSError as error:
            log.debug("no hand-over here: %s", error)
            return False
        except (GatedError, http.client.HTTPException) as error:
            log.warning("this broker does not belong to this gate's office, and there is no valid hand-over: %s", error)
            return False
        log.warning("the office has new keys: this gate accepted a hand-over signed with the recovery key")
        return True

    def _is_paired(self) -> bool:
        """Return whether the settings name the files that pairing made. Other files belong to the installer."""
        folder = (self.state / "pairing").resolve()
        return all(Path(getattr(self.settings, key)).resolve() == folder / name for key, name in FILES.items())

    def _ask(self, known: KnownRecoveryKey) -> HandedOver:
        host, _, port = known.place.rpartition(":")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # only the recovery key is trusted
        csr = request_for(self.lock.key(Path(self.settings.key)), self.peer.gate)
        renew = self._signed(Following(site=self.peer.site, gate=self.peer.gate, csr=csr, number=known.number))
        question = HandoverQuestion(gate=self.peer.gate, number=known.number, renew=renew)
        ending(context, WHOLE_S, TIMEOUT_S)
        line = http.client.HTTPSConnection(host.strip("[]"), int(port), timeout=TIMEOUT_S, context=context)
        with closing(line):
            line.request("POST", "/handover", msgspec.json.encode(question))
            body = read_rest(line.getresponse(), MAX_HANDOVER_BYTES)
        try:
            return msgspec.json.decode(body, type=HandedOver)
        except UNDECODABLE as error:
            raise PairingError(f"the answer of {known.place} is not a hand-over") from error

    def _signed(self, renew: CertificateRequest) -> str:
        """Return the request signed as on the link. It is not sealed, because the new office has other keys."""
        return self.peer.me.sign(kind_of(CertificateRequest), msgspec.json.encode(renew)).decode()

    def _accept_handover(self, known: KnownRecoveryKey, notice: Handover, certificate: str) -> None:
        """Verify the hand-over and write it. Raises `PairingError`, `WireError`, `StateError`, `OSError`."""
        Party.parse(notice.keys)
        public = self.lock.key(Path(self.settings.key)).public_key()
        check_own(certificate, notice.authority.encode(), public, self.peer.gate, datetime.now(UTC))
        if Party.parse(notice.keys).kid == self.peer.me.party.kid:
            raise WireError("a hand-over to this gate's own keys")
        applied = AppliedHandover(known=known, keys=notice.keys, authority=notice.authority, certificate=certificate)
        atomic_write(self.state / "pairing" / COMMIT, msgspec.json.encode(applied))
        finish_handover(self.state)
