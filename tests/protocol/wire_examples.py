"""Writes `gated/protocol/examples.json`: every message as its bytes on the wire, and bytes that must be refused.

Run it after a change of a message: `.venv/bin/python tests/protocol/wire_examples.py`. The random
parts of JOSE (the key and the nonce of a seal) stay as recorded while they still open to the same content.
"""

import base64
import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import msgspec
import wire_story as story
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from joserfc import jws
from joserfc.jwk import OctKey, OKPKey
from wire_document import CARRIES

import gated.protocol
from gated.errors import GatedError
from gated.protocol.envelope import Peer, in_shell, padded
from gated.protocol.jose import Identity, type_of
from gated.protocol.limits import MAX_BYTES
from gated.protocol.message_kinds import DOWN, OPEN, kind_of
from gated.protocol.status_messages import Status
from gated.protocol.topics import Topics
from gated.protocol.vouching import vouch
from gated.protocol.wire_types import Message

FILE = Path(gated.protocol.__file__).parent / "examples.json"
ENDS = ("office", "gate-2", "gate-3")
WARNING = "PUBLISHED AND WORTHLESS: these keys are for tests. Whoever uses one of them has no key at all."


def _jwk(label: str, crv: str, kind: type) -> dict:
    secret = sha256(f"published and worthless: {label} {crv}".encode()).digest()
    key = kind.from_private_bytes(secret)
    return {"kty": "OKP", "crv": crv, "x": b64(key.public_key().public_bytes_raw()), "d": b64(secret)}


def b64(raw: bytes) -> str:
    """Base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """The same, back."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


KEYS = {
    end: [
        _jwk(end, "Ed25519", Ed25519PrivateKey) | {"use": "sig"},
        _jwk(end, "X25519", X25519PrivateKey) | {"use": "enc"},
    ]
    for end in ENDS
}


def identity(end: str) -> Identity:
    """The private keys of one end, as published."""
    return Identity(*(OKPKey.import_key(key) for key in KEYS[end]))


def peer(me: str, them: str) -> Peer:
    """One end, as it sees the other."""
    gate = them if me == "office" else me
    return Peer(identity(me), identity(them).party, story.SITE, gate)


def payload_of(wire: str) -> bytes:
    """What is signed; nothing is checked."""
    return unb64(wire.split(".")[1])


class Recorder:
    """Seals anew only what is not recorded yet."""

    def __init__(self, recorded: dict) -> None:
        wires = [each["wire"] for part in ("examples", "refused") for each in recorded.get(part, [])]
        payloads = [payload_of(wire) for wire in wires]
        shells = [json.loads(payload)["sealed"] for payload in payloads if b'"sealed":"' in payload[:300]]
        tokens = [token.decode() for token in payloads if token.count(b".") == 4]
        self._tokens = recorded.get("faces", []) + shells + tokens

    def seal(self, to: str, plain: bytes) -> str:
        """A JWE of `plain` to that end."""
        for token in self._tokens:
            try:
                if identity(to).open(token.encode()) == plain:
                    return token
            except GatedError:
                continue
        return identity(to).party.seal(plain).decode()


def build(recorded: dict) -> dict:
    """The whole file; `recorded` is what there was."""
    recorder = Recorder(recorded)
    faces = [recorder.seal(to, msgspec.json.encode(story.templates(whose))) for whose, to in story.FACES]
    keys = {end: identity(end).party for end in ENDS}
    vouched = vouch(identity(story.GATE), story.SITE, story.GATE, story.OTHER, keys[story.OTHER])
    told = story.tell(faces, {end: party.dump().decode() for end, party in keys.items()}, vouched)
    examples = [_example(name, message, recorder) for name, message in told.items()]
    return {
        "warning": WARNING,
        "keys": {end: {"keys": keys} for end, keys in KEYS.items()},
        "faces": faces,
        "examples": examples,
        "refused": list(_refused(told, recorder)),
    }


def _example(name: str, message: Message, recorder: Recorder) -> dict:
    kind, plain = kind_of(type(message)), msgspec.json.encode(message)
    sender, reader = ("office", message.gate) if type(message) in DOWN else (message.gate, "office")
    sealed = None if kind in OPEN else recorder.seal(reader, padded(message, plain))
    signed = sealed.encode() if sealed else plain
    if isinstance(message, Status):
        signed = in_shell(message, signed)
    channel = next(channel for channel, kinds in CARRIES.items() if kind in kinds)
    return {
        "name": name,
        "kind": kind,
        "from": sender,
        "to": reader,
        "topic": getattr(Topics(message.site, message.gate), channel),
        "message": json.loads(plain),
        "sealed": sealed,
        "wire": identity(sender).sign(kind, signed).decode(),
    }


def _refused(told: dict[str, Message], recorder: Recorder) -> Iterator[dict]:
    """What gate-2 must not take for that kind, and why."""
    office = identity("office")
    yield from _forged(msgspec.json.encode(told["ack"]))
    order = padded(told["command"], msgspec.json.encode(told["command"]))
    sealed = recorder.seal("gate-2", order)
    elsewhere = recorder.seal("gate-3", order)
    yield _no("sealed", "command", "a command that is not sealed", office.sign("command", order))
    yield _no("sealed", "command", "it is sealed to another gate", office.sign("command", elsewhere.encode()))
    yield _no(
        "sealed", "command", "one bit of what is sealed is another", office.sign("command", _other(sealed).encode())
    )
    for field in ("gate", "site"):
        other = msgspec.structs.replace(told["command"], **{field: "elsewhere"})
        token = recorder.seal("gate-2", padded(other, msgspec.json.encode(other)))
        yield _no("address", "command", f"it names another {field}", office.sign("command", token.encode()))
    for change, why in story.WRONG:
        wrong = msgspec.json.encode(msgspec.to_builtins(told["ack"]) | change)
        yield _no("content", "ack", why, office.sign("ack", wrong))
    yield _no("content", "ack", "no JSON", office.sign("ack", b"{ack}"))


def _forged(ack: bytes) -> Iterator[dict]:
    """Acks that the office did not sign, or signed as something else."""
    good = identity("office").sign("ack", ack).decode()
    head, body, signature = good.split(".")
    yield _no("kind", "word", "an ack, where a word is expected: typ is another", good)
    yield _no("signature", "ack", "signed by another gate, which says so", identity("gate-3").sign("ack", ack))
    yield _no("signature", "ack", "signed by another gate in the office's name", _signed("gate-3", ack))
    yield _no("kind", "ack", "the office's own key under another name", _signed("office", ack, kid="office"))
    yield _no("signature", "ack", "one bit of the payload is another", f"{head}.{_other(body)}.{signature}")
    yield _no("signature", "ack", "one bit of the signature is another", f"{head}.{body}.{_other(signature)}")
    yield _no("signature", "ack", "not signed at all: alg is none", f"{_header('none')}.{body}.")
    yield _no("signature", "ack", "alg is EdDSA, the older name of the same", _eddsa(body))
    yield _no("signature", "ack", "an HMAC with the public key as its secret", _hmac(ack))
    yield _no("length", "ack", f"longer than {MAX_BYTES} bytes, here with spaces", good, pad_to=MAX_BYTES + 1)


def _no(because: str, kind: str, why: str, wire: str | bytes, **more: int) -> dict:
    text = wire if isinstance(wire, str) else wire.decode()
    return {"kind": kind, "because": because, "why": why, "wire": text} | more


def _signed(by: str, ack: bytes, kid: str | None = None) -> str:
    """Signed by one end, in the office's name or another."""
    header = {"alg": "Ed25519", "kid": kid or identity("office").party.kid, "typ": type_of("ack")}
    return jws.serialize_compact(header, ack, OKPKey.import_key(KEYS[by][0]), algorithms=["Ed25519"])


def _eddsa(body: str) -> str:
    """A good signature, under the name that RFC 9864 took back."""
    signed = f"{_header('EdDSA')}.{body}"
    key = Ed25519PrivateKey.from_private_bytes(unb64(KEYS["office"][0]["d"]))
    return f"{signed}.{b64(key.sign(signed.encode()))}"


def _header(alg: str) -> str:
    kid = identity("office").party.kid
    return b64(json.dumps({"alg": alg, "kid": kid, "typ": type_of("ack")}, separators=(",", ":")).encode())


def _hmac(ack: bytes) -> str:
    header = {"alg": "HS256", "kid": identity("office").party.kid, "typ": type_of("ack")}
    return jws.serialize_compact(header, ack, OctKey.import_key(unb64(KEYS["office"][0]["x"])))


def _other(token: str) -> str:
    """The same with one character changed, away from the ends, where every bit counts."""
    middle = len(token) - 20
    return token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]


def read() -> dict:
    """What is recorded; nothing before the first time."""
    return json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}


if __name__ == "__main__":
    FILE.write_text(json.dumps(build(read()), indent=1, ensure_ascii=False) + "\n", "utf-8")
