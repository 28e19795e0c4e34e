"""The published examples equal the bytes on the wire.

A reader with the JOSE standards can open them without our library.
"""

import base64
import json
import struct
import sys
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

sys.path[:0] = [str(Path(__file__).parent)]
import wire_examples  # noqa: E402

from gated.errors import WireError  # noqa: E402
from gated.protocol.limits import MAX_BYTES  # noqa: E402
from gated.protocol.message_kinds import DOWN, KINDS, ONCE_OPEN, OPEN, UP  # noqa: E402
from gated.protocol.topics import Topics  # noqa: E402

PUBLISHED = wire_examples.read()
KEYS = {end: keys["keys"] for end, keys in PUBLISHED["keys"].items()}
EXAMPLES = {example["name"]: example for example in PUBLISHED["examples"]}
MESSAGES = {kind: message for message, kind in KINDS.items()}
TOLD = {name: example["message"] for name, example in EXAMPLES.items()}

each_example = pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
each_refused = pytest.mark.parametrize("refused", PUBLISHED["refused"], ids=lambda refused: refused["why"])


def wire_of(refused):
    return refused["wire"].ljust(refused.get("pad_to", 0)).encode()


def read(example, wire, kind):
    return wire_examples.peer(example["to"], example["from"]).read(wire, MESSAGES[kind])


# -- with our library --------------------------------------------------------------------------------------------------


def test_the_examples_match_the_code():
    assert wire_examples.build(PUBLISHED) == PUBLISHED, "renew them: .venv/bin/python tests/protocol/wire_examples.py"


def test_there_is_an_example_of_every_kind():
    assert {example["kind"] for example in EXAMPLES.values()} == set(KINDS.values())


def test_the_example_keys_are_marked_as_worthless():
    assert "WORTHLESS" in PUBLISHED["warning"]
    for end, keys in KEYS.items():
        for key in keys:
            label = f"published and worthless: {end} {key['crv']}"
            assert unb64(key["d"]) == sha256(label.encode()).digest()


@each_example
def test_an_example_opens_to_its_message(example):
    message = read(example, example["wire"].encode(), example["kind"])
    assert json.loads(msgspec.json.encode(message)) == example["message"]
    assert len(example["wire"]) <= MAX_BYTES


@each_example
def test_an_example_has_the_direction_of_its_topic(example):
    gate = example["message"]["gate"]
    topics, is_up = Topics(example["message"]["site"], gate), MESSAGES[example["kind"]] in UP
    assert (example["from"], example["to"]) == ((gate, "office") if is_up else ("office", gate))
    assert example["topic"] in (topics.up if is_up else topics.down)


@each_example
def test_an_example_opens_only_for_its_reader_and_kind(example):
    for me, them in (("gate-3", "office"), ("office", "gate-3")):
        with pytest.raises(WireError):
            wire_examples.peer(me, them).read(example["wire"].encode(), MESSAGES[example["kind"]])
    others = [message for message in (*UP, *DOWN) if message is not MESSAGES[example["kind"]]]
    with pytest.raises(WireError):
        wire_examples.peer(example["to"], example["from"]).read(example["wire"].encode(), *others)


SAYS = {
    "signature": "signed",
    "kind": "signed",
    "sealed": "SealError",
    "content": r"content is invalid \((?!SealError)",
    "address": "addressed to another gate",
    "length": f"more than {MAX_BYTES}",
}


@each_refused
def test_each_invalid_example_is_refused_for_its_reason(refused):
    with pytest.raises(WireError, match=SAYS[refused["because"]]):
        read(EXAMPLES["ack"], wire_of(refused), refused["kind"])


def test_every_reason_of_refusal_has_an_example():
    assert {refused["because"] for refused in PUBLISHED["refused"]} == set(SAYS)


# -- without our library -----------------------------------------------------------------------------------------------


class RefusedError(Exception):
    """Raised by the tests' own reader, which follows the standards and not our code."""


def unb64(text):
    """Decode base64url by RFC 7515 section 2 and RFC 4648 section 5. Refuse padding and leftover bits."""
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != text:
        raise RefusedError("base64url")
    return raw


def public(end, crv):
    return next({name: key[name] for name in ("crv", "kty", "x")} for key in KEYS[end] if key["crv"] == crv)


def private(end, crv):
    return unb64(next(key["d"] for key in KEYS[end] if key["crv"] == crv))


def thumbprint(key):
    """Return the key's thumbprint by RFC 7638 and RFC 8037 section 2: SHA-256 of the required members, sorted, without
    spaces.
    """
    digest = sha256(json.dumps(key, sort_keys=True, separators=(",", ":")).encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def verified(wire, kind, end):
    """Verify a message that `end` signed as this kind, by RFC 7515 and RFC 9864, and return its text."""
    if len(wire) > 102_400 or wire.count(".") != 2:
        raise RefusedError("length")
    head, body, signature = wire.split(".")
    key = public(end, "Ed25519")
    if json.loads(unb64(head)) != {"alg": "Ed25519", "kid": thumbprint(key), "typ": f"gated.1.{kind}"}:
        raise RefusedError("header")
    Ed25519PublicKey.from_public_bytes(unb64(key["x"])).verify(unb64(signature), f"{head}.{body}".encode())
    return unb64(body).decode()


def opened(token, end):
    """Open a text that is sealed to `end`, by RFC 7516, RFC 7518 sections 4.6 and 5.3, and RFC 8037."""
    if token.count(".") != 4:
        raise RefusedError("it is not sealed")
    head, key, nonce, body, tag = token.split(".")
    header = json.loads(unb64(head))
    algorithm, epk = (header["alg"], header["enc"], header["kid"]), header["epk"]
    if key or algorithm != ("ECDH-ES", "A256GCM", thumbprint(public(end, "X25519"))) or epk["crv"] != "X25519":
        raise RefusedError("header")
    ours = X25519PrivateKey.from_private_bytes(private(end, "X25519"))
    shared = ours.exchange(X25519PublicKey.from_public_bytes(unb64(epk["x"])))
    texts = (b"A256GCM", b"", b"")  # the algorithm, apu and apv; each is preceded by its length
    info = b"".join(len(text).to_bytes(4, "big") + text for text in texts) + (256).to_bytes(4, "big")
    derived = sha256((1).to_bytes(4, "big") + shared + info).digest()
    return AESGCM(derived).decrypt(unb64(nonce), unb64(body) + unb64(tag), head.encode()).decode()


def read_by_hand(example, wire, kind):
    text = carried(wire, kind, example["from"])
    is_open = kind in OPEN or (kind in ONCE_OPEN and text.startswith("{"))
    message = json.loads(text if is_open else opened(text, example["to"]))
    if (message["v"], message["site"], message["gate"]) != (1, "market-south", "gate-2"):
        raise RefusedError("address")
    return message


def carried(wire, kind, end):
    """Return the signed text; of a status, the sealed part of its shell.

    The rest of a shell shows the broker only whether the gate is online.
    """
    text = verified(wire, kind, end)
    if kind != "status":
        return text
    shell = json.loads(text)
    assert set(shell) == {"v", "site", "gate", "state", "version", "sealed"}
    assert shell["state"] in {"online", "offline"}
    assert shell["version"] == "update this office to read it"
    return shell["sealed"]


@each_example
def test_an_example_opens_without_the_code_of_gated(example):
    assert read_by_hand(example, example["wire"], example["kind"]) == example["message"]
    assert (example["kind"] in OPEN) == (example["sealed"] is None)
    assert example["sealed"] in (None, carried(example["wire"], example["kind"], example["from"]))


@each_refused
def test_a_forged_example_is_refused_without_the_code_of_gated(refused):
    if refused["because"] == "content":
        assert verified(refused["wire"], refused["kind"], "office")
    else:
        with pytest.raises((RefusedError, InvalidSignature, InvalidTag)):
            read_by_hand(EXAMPLES["ack"], wire_of(refused).decode(), refused["kind"])


def test_a_published_face_opens_only_for_its_reader_without_the_code_of_gated():
    for sealed, end, other in zip(PUBLISHED["faces"], ("gate-2", "gate-3"), ("gate-3", "office"), strict=True):
        face = json.loads(opened(sealed, end))
        assert face["subject"] == TOLD["delta"]["records"][1]["subject"]
        vector = struct.unpack("<128f", base64.b64decode(face["vectors"][0]))
        assert sum(x * x for x in vector) == pytest.approx(1, abs=1e-6)
        with pytest.raises(RefusedError):
            opened(sealed, other)


# -- the examples fit together -----------------------------------------------------------------------------------------


def test_the_rows_are_chained_as_the_page_describes():
    batch, ahead, status = TOLD["event"], TOLD["event-ahead"], TOLD["status"]
    before = sha256(f"gated/1/market-south/gate-2/{batch['journal']}".encode()).hexdigest()
    assert batch["prev"] == before
    for row in batch["events"] + ahead["events"]:
        before = sha256(f"{before}\n{row['seq']}\n{row['at']}\n{row['kind']}\n{row['body']}".encode()).hexdigest()
        assert row["hash"] == before
    assert status["journal"]["hash"] == before
    assert (status["journal"]["id"], status["journal"]["head"]) == (batch["journal"], ahead["last"])


def test_the_acknowledgement_covers_the_batch_in_order_and_not_the_one_ahead():
    last = TOLD["event"]["events"][-1]
    assert (TOLD["ack"]["journal"], TOLD["ack"]["seq"], TOLD["ack"]["hash"]) == (
        *(TOLD["event"]["journal"], last["seq"], last["hash"]),
    )
    assert TOLD["event-ahead"]["is_ahead"]
    assert not TOLD["event"]["is_ahead"]


def test_the_digest_equals_that_of_the_records():
    lines = []
    for record in TOLD["part"]["records"]:
        name = {"person": "subject", "schedule": "name"}.get(record["type"], record["type"])
        lines.append(f"{record['type']}/{record[name]} {record['n']}\n")
    digest = sha256("".join(sorted(lines)).encode()).hexdigest()
    assert digest == TOLD["part"]["digest"] == TOLD["word"]["digest"] == TOLD["status"]["records"]["digest"]
    assert TOLD["part"]["version"] == TOLD["word"]["version"] == TOLD["delta"]["upto"]


def test_question_and_answer_have_matching_nonces():
    assert TOLD["word"]["challenge"] == TOLD["status"]["challenge"]
    assert TOLD["word"]["beat"] == TOLD["status"]["heard"] + 1
    assert TOLD["delta"]["after"] == TOLD["request"]["after"]
    assert TOLD["request-parts"]["snapshot"] == TOLD["part"]["version"]
    assert TOLD["receipt"]["n"] == TOLD["delta"]["records"][0]["n"]
    assert TOLD["delta"]["records"][0]["key"] == f"person/{TOLD['receipt']['subject']}"
    assert TOLD["reply"]["command"] == TOLD["command"]["id"]
    assert TOLD["command-again"]["challenge"] == TOLD["reply-challenge"]["challenge"]
    assert TOLD["command-again"]["action"] == TOLD["command-suspend"]["action"]
    assert TOLD["reply-challenge"]["command"] == TOLD["command-suspend"]["id"]
    assert TOLD["ask"]["order"] == TOLD["offer"]["order"] == TOLD["command"]["id"]
    assert TOLD["command"]["challenge"] == TOLD["ask"]["nonce"]
    assert TOLD["wanted"]["nonce"] == TOLD["ask-commit"]["nonce"]
    assert TOLD["wanted"]["order"] == TOLD["ask-commit"]["order"] == TOLD["command-enrol"]["id"]
    numbers = [message["number"] for name, message in TOLD.items() if name.startswith("command")]
    assert len(set(numbers)) == len(numbers)
