"""A broker, a stranger or another gate changes messages at random.

A reader accepts only messages that were sent. It raises only `WireError`, and its memory does not grow. GATED_FUZZ sets
the total number of messages (20,000), GATED_SEED the random seed, and GATED_FUZZ_PROCESSES the number of parallel
processes. The tests print all three. Keys are new in each run, so a failure prints the whole message.
"""

import base64
import functools
import gc
import hmac
import json
import multiprocessing
import os
import random
import secrets
import string
import time
import tracemalloc
from dataclasses import dataclass

import msgspec
import pytest
from joserfc import jwe
from joserfc.jwe import JWERegistry

from gated.errors import SealError, WireError
from gated.protocol.command_messages import Command, Enrol, ReleaseDoor, Reply, ReplyFinding
from gated.protocol.envelope import Peer
from gated.protocol.event_messages import Ack, EventBatch, WireEvent
from gated.protocol.face_messages import SealedFace, SharedFace
from gated.protocol.jose import Identity, type_of
from gated.protocol.limits import MAX_BYTES
from gated.protocol.message_kinds import OPEN, kind_of
from gated.protocol.record_messages import Delta, RecordRequest, RemovalReceipt, SnapshotPart
from gated.protocol.status_messages import Heartbeat, JournalMark, RecordMark, Status
from gated.protocol.wire_records import GateRecord, HouseholdRecord, PersonRecord, Tombstone, WireAccessRule

COUNT = int(os.environ.get("GATED_FUZZ", "20000"))
SEED = os.environ.get("GATED_SEED") or secrets.token_hex(4)
PROCESSES = int(os.environ.get("GATED_FUZZ_PROCESSES", "1"))
GROWTH_BYTES = 65_536

SITE, GATE, NEIGHBOUR = "market-south", "gate-2", "gate-3"
AT, HASH, SUBJECT = "2026-11-23T07:58:01.204113Z", "5b" * 32, "00112233445566ff"
ORDER = 2**252 + 27742317777372353535851937790883648493  # the order of Ed25519's group (RFC 8032, section 5.1)
URL_SAFE = (string.ascii_letters + string.digits + "-_").encode()
OFFICE_READS = ((Status,), (EventBatch,), (Reply, RemovalReceipt, SharedFace), (RecordRequest,))
GATE_READS = ((Ack, Heartbeat), (Delta, SnapshotPart), (Command,))
NASTY = [
    None, True, -1, 0, 2**63, 2**64, 10**400, 1.5, 1e308, float("nan"), float("inf"), "", "\0", "\ud800", "x" * 70_000,
    "../..", "NaN", [], {}, [[]], [None] * 600, [{}] * 20, {"kind": "gone"}, {"type": "release"}, SITE, GATE, NEIGHBOUR,
]  # fmt: skip


def every_message(gate):
    """Return one message of every kind between the office and a gate."""
    to = {"site": SITE, "gate": gate}
    face = SealedFace("f1", HASH, 1, "sealed")
    person = PersonRecord(
        n=7, subject=SUBJECT, name="林", household="1-101", added_at=AT, rights=[WireAccessRule()], face=face
    )
    records = [person, GateRecord(n=8, gate=NEIGHBOUR, keys="{}"), Tombstone(n=9, key="person/1"),
               HouseholdRecord(n=10, household="1-101", rights=[WireAccessRule("main", "day")])]  # fmt: skip
    up = [
        Status(**to, version="0.1.0", at=AT, journal=JournalMark("j", 4, 3, 0, HASH), records=RecordMark(9, HASH)),
        EventBatch(**to, journal="j", after=3, first=4, last=4, prev=HASH,
                   events=[WireEvent(4, AT, "door_closed", '{"kind":"door_closed"}', HASH)]),
        Reply(**to, command="c", outcome="done", findings=[ReplyFinding("disk", "good", "12 GB are free")]),
        RemovalReceipt(**to, subject=SUBJECT, n=9, templates=3, at=AT),
        SharedFace(**to, subject=SUBJECT, to=NEIGHBOUR, face=face),
        RecordRequest(**to, after=4, is_snapshot=True, parts=[0, 1, 2]),
    ]  # fmt: skip
    down = [
        Ack(**to, journal="j", seq=4, hash=HASH),
        Heartbeat(**to, challenge="ab" * 16, number=4, at=AT, version=9, digest=HASH),
        Delta(**to, after=6, upto=10, records=records),
        SnapshotPart(**to, version=10, digest=HASH, part=0, parts=2, records=records),
        Command(**to, id="0f" * 16, number=1, at=AT, operator="li", action=ReleaseDoor()),
        Command(**to, id="0e" * 16, number=2, at=AT, operator="li", action=Enrol(SUBJECT)),
    ]
    return up, down


@dataclass(frozen=True)
class Letter:
    """A message on the wire, with its reader and the kinds that this reader accepts there."""

    reader: Peer
    kinds: tuple
    message: object
    payload: bytes
    signer: Identity

    @property
    def kind(self):
        return kind_of(type(self.message))

    @functools.cached_property
    def parts(self):
        return self.payload.split(b".")

    @functools.cached_property
    def header(self):
        return json.loads(unbase64(self.parts[0]))


def base64url(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def unbase64(text):
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))


def signed(identity, header, body):
    """Return a compact JWS with an arbitrary header."""
    text = base64url(header if isinstance(header, bytes) else json.dumps(header).encode()) + b"." + base64url(body)
    return text + b"." + base64url(identity._sign.private_key.sign(text))


class Post:
    """All messages really sent between an office and two gates, and random ways to change them."""

    def __init__(self, dice):
        self.dice = dice
        self.office, self.gate, self.neighbour, self.stranger = (Identity.make() for _ in range(4))
        self.letters = [*self._letters(GATE, self.gate), *self._letters(NEIGHBOUR, self.neighbour)]
        self.mine = [letter for letter in self.letters if letter.message.gate == GATE]
        self.sent = {(id(letter.reader), letter.payload): letter for letter in self.letters}
        self.ways = [self.bits, self.bytes_, self.letters_, self.ending, self.spelling, self.header_edit,
                     self.header_value, self.forged, self.body_edit, self.patchwork, self.elsewhere, self.longer,
                     self.shorter, self.signature, self.symmetric]  # fmt: skip

    def _letters(self, gate, identity):
        at_office = Peer(self.office, identity.party, SITE, gate)
        at_gate = Peer(identity, self.office.party, SITE, gate)
        for messages, writer, reader, topics in zip(
            every_message(gate), (at_gate, at_office), (at_office, at_gate), (OFFICE_READS, GATE_READS), strict=True
        ):
            for message in messages:
                kinds = next(kinds for kinds in topics if isinstance(message, kinds))
                yield Letter(reader, kinds, message, writer.write(message), writer.me)

    # -- attacks without our keys

    def bits(self, letter):
        changed = bytearray(letter.payload)
        for _ in range(self.dice.randint(1, 3)):
            changed[self.dice.randrange(len(changed))] ^= 1 << self.dice.randrange(8)
        return bytes(changed)

    def bytes_(self, letter):
        changed = bytearray(letter.payload)
        for _ in range(self.dice.randint(1, 3)):
            at = self.dice.randrange(len(changed))
            changed[at : at + self.dice.randint(0, 4)] = self.dice.randbytes(self.dice.randint(0, 4))
        return bytes(changed)

    def letters_(self, letter):
        """Replace letters by other base64 letters in any of the three parts."""
        changed = bytearray(letter.payload)
        for _ in range(self.dice.randint(1, 3)):
            at = self.dice.randrange(len(changed))
            if changed[at] != ord("."):
                changed[at] = self.dice.choice(URL_SAFE)
        return bytes(changed)

    def ending(self, letter):
        """Change a part's last letter. It may carry unused bits, so a lax reader decodes the same bytes."""
        parts = list(letter.parts)
        at = self.dice.randrange(3)
        parts[at] = parts[at][:-1] + bytes([self.dice.choice(URL_SAFE)])
        return b".".join(parts)

    def spelling(self, letter):
        """Add padding, white space or other bytes that a lax reader skips, or use the other base64 alphabet."""
        parts = list(letter.parts)
        at, odd = (
            self.dice.randrange(3),
            self.dice.choice([b"=", b"==", b"===", b" ", b"\n", b"\r\n", b"\0", b"!", b"\xff"]),
        )
        parts[at] = self.dice.choice([
            lambda: parts[at] + b"=" * (-len(parts[at]) % 4),
            lambda: parts[at] + odd,
            lambda: odd + parts[at],
            lambda: parts[at][:9] + odd + parts[at][9:],
            lambda: parts[at].replace(b"-", b"+").replace(b"_", b"/"),
            lambda: parts[at] + b"A" * self.dice.randint(1, 4),
        ])()  # fmt: skip
        return b".".join(parts)

    def header_edit(self, letter):
        return b".".join([base64url(self._odd_header(letter)), *letter.parts[1:]])

    def header_value(self, letter):
        """Use a header that is not a JSON object, or not JSON."""
        header = self.dice.choice(
            [b'"alg"', b'["alg"]', b"null", b"5", b"[" * 300, b'{"alg":NaN}', b"", b"\xff", b"{}"]
        )
        return b".".join([base64url(header), *letter.parts[1:]])

    def forged(self, letter):
        """Sign with another key, under the sender's name or the signer's own. Seal to the reader or to the stranger."""
        by = self.dice.choice([self.stranger, self.neighbour, letter.reader.me])
        header = self._odd_header(letter) if self.dice.random() < 0.3 else letter.header
        if self.dice.random() < 0.3:
            header = letter.header | {"kid": by.party.kid}
        body = msgspec.json.encode(letter.message)
        if letter.kind not in OPEN:
            body = self.dice.choice([letter.reader.me.party, self.stranger.party]).seal(body)
        return signed(by, header, body)

    def signature(self, letter):
        """Replace the signature: add the group's order, use a small-order point, use no value, or take another
        message's.
        """
        raw = unbase64(letter.parts[2])
        s = int.from_bytes(raw[32:], "little")
        other = self.dice.choice([
            raw[:32] + (s + ORDER).to_bytes(32, "little"),
            b"\x01" + bytes(63),
            bytes(64),
            raw[32:] + raw[:32],
            raw[: self.dice.randrange(64)],
            raw + raw,
            self.dice.randbytes(64),
            unbase64(self.dice.choice(self.letters).parts[2]),
        ])  # fmt: skip
        return b".".join([*letter.parts[:2], base64url(other)])

    def symmetric(self, letter):
        """Use `none` or HS256 with a secret that everyone knows: the public key."""
        alg = self.dice.choice(["none", "None", "HS256", "HS512"])
        text = base64url(json.dumps(letter.header | {"alg": alg}).encode()) + b"." + letter.parts[1]
        secret = self.dice.choice([letter.signer._sign.public_key.public_bytes_raw(), letter.signer.party.dump(), b""])
        tag = b"" if alg.lower() == "none" else hmac.digest(secret, text, alg.replace("HS", "sha"))
        return text + b"." + self.dice.choice([base64url(tag), b"", letter.parts[2]])

    def body_edit(self, letter):
        body = self._odd_json(letter) if letter.kind in OPEN else self._odd_seal(letter)
        return b".".join([letter.parts[0], base64url(body), letter.parts[2]])

    def patchwork(self, letter):
        """Combine parts of several genuine letters."""
        return b".".join(self.dice.choice(self.letters).parts[at] for at in range(3))

    def elsewhere(self, letter):
        """Return a genuine letter of another kind or gate, or one that the reader itself sent."""
        return self.dice.choice(self.letters).payload

    def longer(self, letter):
        other, at = self.dice.choice(self.letters).payload, self.dice.randrange(len(letter.payload))
        if self.dice.random() < 0.02:
            return (
                letter.payload[:at]
                + b"A" * self.dice.choice([50_000, MAX_BYTES - 1000, MAX_BYTES])
                + letter.payload[at:]
            )
        return self.dice.choice([
            letter.payload + other,
            letter.payload + b"." + other,
            letter.payload + b"." + letter.parts[2],
            letter.payload[:at] + b"." + letter.payload[at:],
            letter.payload[:at] + letter.parts[1],
            b"." * self.dice.randrange(5),
            json.dumps({"payload": letter.parts[1].decode(), "protected": letter.parts[0].decode(),
                        "signature": letter.parts[2].decode()}).encode(),
        ])  # fmt: skip

    def shorter(self, letter):
        at = self.dice.randrange(len(letter.payload))
        return self.dice.choice([letter.payload[:at], letter.payload[at:], b".".join([*letter.parts[:2], b""]),
                                 letter.payload[:at] + letter.payload[at + self.dice.randrange(60) :]])  # fmt: skip

    # -- attacks with the right key

    def lie(self, letter):
        """Sign with the right key a message that is wrong in some way. A reader may accept or refuse it."""
        body = self._odd_json(letter)
        if letter.kind not in OPEN:
            body = self._odd_seal(letter) if self.dice.random() < 0.4 else letter.reader.me.party.seal(body)
        header = self._odd_header(letter) if self.dice.random() < 0.3 else letter.header
        return signed(letter.signer, header, body)

    def _odd_header(self, letter):
        key = json.loads(self.stranger.party.dump())["keys"][0]
        algs = ["none", "HS256", "EdDSA", "ed25519", "Ed448", "ES256", "", None, 5, ["Ed25519"]]
        types = [*(type_of(letter.kind) for letter in self.mine), "JWT", None, ""]
        odd = self.dice.choice([
            {"alg": self.dice.choice(algs)},
            {"kid": self.dice.choice([self.stranger.party.kid, self.neighbour.party.kid, "", None, 5, "x" * 300])},
            {"typ": self.dice.choice(types)},
            {"crit": self.dice.choice([["b64"], ["exp"], [], "b64", [5], [["b64"]], {}, ["alg"]])},
            {"b64": self.dice.choice([False, True, None, 0]), "crit": ["b64"]},
            {"b64": False},
            {"jwk": self.dice.choice([key, key | {"kid": letter.signer.party.kid}, {}, 5, None])},
            {"jku": "https://example.invalid/keys", "x5u": "https://example.invalid/chain"},
            {"x5c": self.dice.choice([["AAAA"], 5, []]), "x5t": "AAAA"},
            {"cty": "JWT", "zip": "DEF"},
            {"new": self.dice.choice(["x" * 600, [[[]]], {"a": {"b": {}}}])},
        ])  # fmt: skip
        text = json.dumps(letter.header | odd)
        if self.dice.random() < 0.2:
            text = text[:-1] + f', "alg": "Ed25519", "typ": "{letter.header["typ"]}"}}'
        return text.encode()

    def _odd_json(self, letter):
        if self.dice.random() < 0.1:
            deep = self.dice.choice([b"[", b'{"a":', b'[{"v":']) * self.dice.choice([100, 900, 5000])
            return self.dice.choice([deep, b'{"v":1,"x":' + deep])
        fields = json.loads(msgspec.json.encode(letter.message))
        place = fields
        while isinstance(inner := place[self.dice.choice(list(place))], dict) and inner and self.dice.random() < 0.7:
            place = inner
        place[self.dice.choice([*place, "more"])] = self.dice.choice(NASTY)
        text = json.dumps(fields)
        if self.dice.random() < 0.2:
            text = text[:-1] + f', "gate": "{self.dice.choice([GATE, NEIGHBOUR])}", "v": {self.dice.randint(1, 2)}}}'
        if self.dice.random() < 0.1:
            text = text[: self.dice.randrange(len(text))] + self.dice.choice(["", "\ud800", "}", "\0", " " * 500])
        return text.encode(errors="surrogatepass")

    def _odd_seal(self, letter):
        """Seal wrongly: with another algorithm, to another key, or to the right key with later damage."""
        to, plain = letter.reader.me.party, msgspec.json.encode(letter.message)
        if self.dice.random() < 0.3:
            return self.dice.choice([self.stranger, self.office, self.neighbour]).party.seal(plain)
        if self.dice.random() < 0.3:
            header = {"alg": "ECDH-ES", "enc": "A256GCM", "kid": to.seal_kid} | self.dice.choice([
                {"zip": "DEF"}, {"alg": "ECDH-ES+A256KW"}, {"enc": "A128GCM"}, {"enc": "A256CBC-HS512"}])  # fmt: skip
            named = [*header.values()]
            return jwe.encrypt_compact(header, plain, to._seal, registry=JWERegistry(algorithms=named)).encode()
        parts = to.seal(plain).split(b".")
        zero = {"kty": "OKP", "crv": "X25519", "x": base64url(bytes(32)).decode()}
        header = json.loads(unbase64(parts[0])) | {"epk": self.dice.choice([zero, {}, 5])}
        at = self.dice.randrange(5)
        parts[at] = self.dice.choice([
            lambda: b"",
            lambda: base64url(self.dice.randbytes(self.dice.randrange(40))),
            lambda: parts[at][: self.dice.randrange(len(parts[at]) + 1)],
            lambda: base64url(json.dumps(header).encode()),
        ])()  # fmt: skip
        return self.dice.choice([b".".join(parts), b".".join(parts[:4]), parts[at], b"....", plain])

    # -- reading

    def deliver(self):
        """Change one letter as a broker can, and give it to its reader."""
        way, letter = self.dice.choice(self.ways), self.dice.choice(self.mine)
        self.take(way(letter), letter, way.__name__)

    def take(self, payload, letter, way):
        """Check that the reader accepts exactly the messages that were sent to it, with the right content."""
        genuine = self.sent.get((id(letter.reader), payload))
        try:
            read = letter.reader.read(payload, *letter.kinds)
        except WireError as error:
            assert genuine is None or type(genuine.message) not in letter.kinds, f"{way}: refused {payload!r}"
            assert len(str(error)) < 300, way
            return
        assert genuine is not None, f"{way}: {payload!r} was never sent and is read as {read}"
        assert read == genuine.message, way

    def hear_a_lie(self):
        """Check a wrong message with a right signature: the reader may accept it only as what it says, at its
        addressee.
        """
        letter = self.dice.choice(self.mine)
        payload = self.lie(letter)
        try:
            read = letter.reader.read(payload, *letter.kinds)
        except WireError:
            return
        assert isinstance(read, letter.kinds), payload
        assert (read.v, read.site, read.gate) == (1, SITE, GATE), payload
        assert msgspec.json.decode(msgspec.json.encode(read), type=type(read)) == read, payload


def held_bytes():
    """Return the bytes that reading holds. The filter excludes threads left by other tests in this process."""
    gc.collect()
    ours = [tracemalloc.Filter(True, pattern) for pattern in ("*/gated/*", "*/joserfc/*", "*/cryptography/*", __file__)]
    return sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces(ours).traces)


def feed(post, once, count):
    """Run `once` for `count` messages. Measure memory only over the last part, because measuring is slow."""
    watched = min(1500, count // 8)
    for _ in range(count - 2 * watched):
        once()
    tracemalloc.start()
    try:
        for _ in range(watched):
            once()
        before = held_bytes()
        for _ in range(watched):
            once()
        assert held_bytes() - before < GROWTH_BYTES
    finally:
        tracemalloc.stop()
    for letter in post.letters:
        assert letter.reader.read(letter.payload, *letter.kinds) == letter.message, "after all of it, nothing is read"


def run(what, count, part):
    """Run one process's share of a test."""
    post = Post(random.Random(f"{SEED} {what} {part}"))
    feed(post, getattr(post, what), count)


def spread(what, count):
    """Split a test over `PROCESSES` processes."""
    print(f"\n{what}: GATED_FUZZ={COUNT} GATED_SEED={SEED} GATED_FUZZ_PROCESSES={PROCESSES}")
    began = time.monotonic()
    if PROCESSES == 1:
        run(what, count, 0)
    else:
        fork = multiprocessing.get_context("fork")
        parts = [fork.Process(target=run, args=(what, count // PROCESSES, part)) for part in range(PROCESSES)]
        for process in parts:
            process.start()
        for process in parts:
            process.join()
        assert [process.exitcode for process in parts] == [0] * PROCESSES
    print(f"{count:,} messages, {count / (time.monotonic() - began):,.0f} a second")


def test_no_alteration_by_a_broker_gives_another_message():
    spread("deliver", COUNT * 9 // 10)


def test_a_signed_message_is_read_exactly_or_refused():
    spread("hear_a_lie", COUNT // 10)


@pytest.fixture
def post():
    return Post(random.Random(1))


def test_every_mutation_changes_some_message_of_every_kind(post):
    """Otherwise the tests above would prove less than they claim."""
    for way in post.ways:
        for letter in post.mine:
            made = {way(letter) for _ in range(60)}
            assert made - {letter.payload}, (way.__name__, letter.kind)


def test_every_other_spelling_of_a_signature_is_refused(post):
    """A part's last letter may carry unused bits; the reader accepts only one spelling of the same bytes."""
    for letter in post.mine:
        for at, part in enumerate(letter.parts):
            for last in URL_SAFE:
                parts = list(letter.parts)
                parts[at] = part[:-1] + bytes([last])
                if parts != letter.parts:
                    with pytest.raises(WireError):
                        letter.reader.read(b".".join(parts), *letter.kinds)


def test_changing_any_bit_of_a_short_message_is_detected(post):
    ack = next(letter for letter in post.mine if letter.kind == "ack")
    for bit in range(8 * len(ack.payload)):
        changed = bytearray(ack.payload)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(WireError):
            ack.reader.read(bytes(changed), *ack.kinds)


def test_a_compressed_sealed_message_is_refused_without_decompression(post):
    """Otherwise a few bytes, sealed with the public key by anyone, could become megabytes."""
    header, words = {"alg": "ECDH-ES", "enc": "A256GCM"}, bytes(60_000)
    allowed = JWERegistry(algorithms=["ECDH-ES", "A256GCM", "DEF"])
    plain, folded = (
        jwe.encrypt_compact(header | more, words, post.gate.party._seal, registry=allowed)
        for more in ({}, {"zip": "DEF"})
    )
    assert post.gate.open(plain.encode()) == words
    assert len(folded) < 1000
    with pytest.raises(SealError):
        post.gate.open(folded.encode())
