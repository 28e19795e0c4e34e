"""Fuzzing of everything a stranger can feed to the readers. The gate accepts nothing, raises nothing and grows no
memory.

GATED_FUZZ sets the total number of inputs (default 30,000), and GATED_SEED the random seed. The tests print both, so
that a failure can be reproduced.
"""

import base64
import os
import random
import re
import secrets
import tracemalloc

import pytest

from gated.access.passes import VisitorPass
from gated.access.permissions import Refusal
from gated.access.readers.keystrokes import MAX_KEYS, NumberCollector
from gated.access.readers.presentations import REMEMBERED_NUMBERS, RecentCards
from gated.access.readers.usb import EVENT, KEYBOARD_KEYS, ODD_KEY, SHIFTED, Keyboard
from gated.access.readers.wiegand import decode_frame, is_whole
from gated.config import UsbSettings
from gated.errors import CredentialError
from gated.people import card_numbers, card_readings

COUNT = int(os.environ.get("GATED_FUZZ", "30000"))
SEED = os.environ.get("GATED_SEED") or secrets.token_hex(4)
GROWTH_BYTES = 65_536
OURS = [tracemalloc.Filter(inclusive=True, filename_pattern="*/gated/access/*", all_frames=True)]
"""Counts only memory allocated by gated.access, directly or through its calls. Other threads of this process allocate
too.
"""
FRAMES = 8

ORDER = 2**252 + 27742317777372353535851937790883648493  # the order of Ed25519's group (RFC 8032, section 5.1)
BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
NASTY = [
    "'; DROP TABLE spent; --",
    "\0",
    "\n",
    "%s%n",
    "{0}",
    "../../",
    "<script>",
    "门",
    "\ud800",
    "\u202e",
    "=",
    "😀",
]
CARD, PIN = "0012345678", "135790"


@pytest.fixture
def dice(request):
    """Return a random generator: the same sequence for the same seed, and a different one for each test."""
    print(f"\n{request.node.name}: GATED_FUZZ={COUNT} GATED_SEED={SEED}")
    return random.Random(f"{SEED} {request.node.name}")


class Batch:
    """A share of all fuzz inputs. It counts the inputs and checks the memory growth."""

    def __init__(self, share, make):
        self.count, self._make = max(1000, round(COUNT * share)), make

    def feed(self, take):
        """Feed the whole batch to `take`. Watch the memory only over the last part, because tracemalloc is slow."""
        watched = min(2000, self.count // 4)
        for _ in range(self.count - 2 * watched):
            take(self._make())
        first, second = ([self._make() for _ in range(watched)] for _ in range(2))
        tracemalloc.start(FRAMES)
        try:
            for given in first:
                take(given)
            before = held_bytes()
            for given in second:
                take(given)
            assert held_bytes() - before < GROWTH_BYTES
        finally:
            tracemalloc.stop()
        print(f"{self.count:,} inputs")


def held_bytes():
    return sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces(OURS).traces)


def test_the_memory_check_finds_only_the_memory_of_credentials():
    noise = []
    tracemalloc.start(FRAMES)
    try:
        before = held_bytes()
        noise.append(bytearray(10 * GROWTH_BYTES))
        assert held_bytes() - before < GROWTH_BYTES
        kept = [NumberCollector() for _ in range(5000)]
        assert held_bytes() - before > GROWTH_BYTES
        assert len(kept) == 5000
    finally:
        tracemalloc.stop()


def mutated_pass(dice, valid):
    """Return a pass with one mutation: of its letters, bytes, signature, length or position in a text."""
    signed = bytearray(base64.b32decode(valid[3:] + "=" * (-len(valid[3:]) % 8)))

    def spelt(raw):
        return "G1." + base64.b32encode(bytes(raw)).decode().rstrip("=")

    def letters():
        text = list(valid)
        for _ in range(dice.randint(1, 4)):
            text[dice.randrange(len(text))] = dice.choice([*BASE32, *NASTY, chr(dice.randrange(0x3000))])
        return "".join(text)

    def flipped_bits():
        for _ in range(dice.randint(1, 3)):
            signed[dice.randrange(len(signed))] ^= 1 << dice.randrange(8)
        return spelt(signed)

    def cut_or_longer():
        at = dice.randrange(len(signed))
        return spelt(signed[:at] + dice.randbytes(dice.randrange(40)) + signed[at + dice.randrange(40) :])

    def other_signature():
        s = int.from_bytes(signed[-32:], "little")
        forged = dice.choice([bytes(64), bytes(signed[-64:-32]) + (s + ORDER).to_bytes(32, "little"),
                              dice.randbytes(64), b"\x01" + bytes(63)])  # fmt: skip
        return spelt(bytes(signed[:-64]) + forged)

    def swapped():
        at, to = sorted(dice.sample(range(3, len(valid)), 2))
        return valid[:at] + valid[to] + valid[at + 1 : to] + valid[at] + valid[to + 1 :]

    def around():
        extra = dice.choice([*NASTY, " ", "A", "=" * dice.randrange(1, 8), valid, "A" * dice.randrange(1, 3000)])
        at = dice.choice([0, 3, len(valid), dice.randrange(len(valid))])
        return valid[:at] + extra + valid[at:]

    def anything():
        return "G1." + "".join(dice.choices(BASE32, k=dice.randrange(400)))

    return dice.choice([letters, flipped_bits, cut_or_longer, other_signature, swapped, around, anything])()


def test_no_mutation_of_a_pass_is_a_pass(dice, office):
    valid = office.issue(uses=1000)
    assert isinstance(office.read(valid), VisitorPass)

    def take(text):
        assert office.read(text) is Refusal.FORGED or text == valid, ascii(text)

    Batch(0.35, lambda: mutated_pass(dice, valid)).feed(take)
    assert isinstance(office.read(valid), VisitorPass)


def hostile_bits(dice):
    """Return random bits, real frames with wrong bits, or text other than bits."""
    length = dice.choice([4, 8, 24, 26, 26, 32, 34, 35, 36, 37, 40, 42, 48, 56, 58, 64, 66, 80, dice.randrange(200)])
    bits = f"{dice.getrandbits(length):0{length}b}" if length else ""
    if dice.random() < 0.3:
        at = dice.randrange(len(bits) + 1)
        bits = bits[:at] + dice.choice([*NASTY, "2", " ", "-", "_", "\u0661"]) + bits[at + 1 :]
    return bits


def test_only_bits_with_correct_parity_are_a_card(dice):
    said = re.compile(r"w\d{2,3}:(\d{1,8}-\d{1,8}|[0-9A-F]{6,32})")

    def take(bits):
        next_reading = decode_frame(bits)
        assert sum(map(bool, (next_reading.card, next_reading.key, next_reading.odd))) == 1
        if next_reading.card:
            assert said.fullmatch(next_reading.card), ascii(bits)
            assert set(bits) == {"0", "1"}
            assert is_whole(bits)
            assert len(bits) >= 24
            assert card_readings.numbers_in(next_reading.card) or not next_reading.card.partition(":")[2].strip("0-")

    Batch(0.2, lambda: hostile_bits(dice)).feed(take)


def hostile_number(dice):
    """Return a mutated card number, or other text a person may type in its place."""
    valid = dice.choice(
        ["0006729715", "102,45043", "04:A1:B2:C3", "w26:12-3456", "04A1B2C3D4E5F6", "w56:04A1B2C3D4E5F6"]
    )
    text = list(valid)
    for _ in range(dice.randint(0, 3)):
        at = dice.randrange(len(text) + 1)
        text[at : at + dice.randint(0, 1)] = dice.choice(
            ["0", "7", "A", "", ":", ",", "-", " ", chr(dice.randrange(0x3000)), *NASTY]
        )
    return (
        "".join(text)
        if dice.random() < 0.8
        else "".join(chr(dice.randrange(0x110000)) for _ in range(dice.randrange(60)))
    )


def test_any_given_number_has_a_few_readings_or_is_refused(dice):
    name = re.compile(r"<?\d{1,2}:[0-9A-F]{6,40}|W\d{2,3}:[0-9A-F-]{1,40}|[0-9A-Z]{1,40}")

    def take(text):
        try:
            readings = card_readings.given(text)
        except CredentialError:
            assert card_readings.numbers_in(text) == card_readings.names_before_readings(text) == frozenset()
            return
        assert 1 <= len(readings) <= 20
        assert all(
            name.fullmatch(each)
            for each in readings | card_readings.numbers_in(text) | card_readings.names_before_readings(text)
        ), ascii(text)
        assert readings & card_readings.numbers_in(text)
        assert card_readings.given(card_numbers.plain(text)) == readings

    Batch(0.05, lambda: hostile_number(dice)).feed(take)


def test_no_other_number_opens_a_card_at_a_reader_of_all_bits(dice):
    """An attacker who emulates a card must guess all of its bytes."""
    mine = card_readings.given("w32:04A1B2C3")

    def take(raw):
        if raw not in (b"\x04\xa1\xb2\xc3", b"\xc3\xb2\xa1\x04"):
            assert not mine & card_readings.numbers_in(f"w32:{raw.hex()}")
            assert not mine & card_readings.numbers_in(
                f"w34:{int.from_bytes(raw[:2], 'big')}-{int.from_bytes(raw[2:], 'big')}"
            )

    def make():
        raw = bytearray(dice.choice([b"\x04\xa1\xb2\xc3", b"\xc3\xb2\xa1\x04", dice.randbytes(4)]))
        for _ in range(dice.randint(0, 2)):
            raw[dice.randrange(4)] ^= 1 << dice.randrange(8)
        return bytes(raw)

    Batch(0.02, make).feed(take)


def test_memory_stays_small_for_any_output_of_a_reader(dice):
    presented, clock = RecentCards(), [1000.0]

    def take(number):
        clock[0] += dice.choice([0.0, 0.1, 0.5, 4.0, -1.0, float("nan")])
        if not abs(clock[0]) < 1e12:
            clock[0] = 1000.0
        presented.record_presentation("usb", number, clock[0])
        assert len(presented._seen["usb"]) <= REMEMBERED_NUMBERS

    Batch(0.05, lambda: dice.choice([f"{dice.randrange(50):08}", hostile_number(dice)])).feed(take)


def hostile_keys(dice):
    """Return one key and the seconds until it. Most are from hands and readers, some are impossible keys or times."""
    key = dice.choice("0123456789ABCDEF*#\n\t !,")
    if dice.random() < 0.1:
        key = dice.choice([*NASTY, ODD_KEY, "?", "", "12", "x" * 99])
    gap = dice.random()
    if gap < 0.6:
        return key, dice.uniform(0, 0.06)
    return key, dice.uniform(0, 1.0) if gap < 0.95 else dice.choice([-1.0, 6.0, 1e9, -1e9, float("nan")])


SETTINGS = [
    UsbSettings(kind, suffix, gap_ms)
    for kind in ("auto", "card", "keypad")
    for suffix in ("auto", "enter", "tab", "space", "none")
    for gap_ms in (0, 200)
]


SHAPES = {"pin": "[0-9]{1,12}", "card": "[0-9A-Z][-0-9A-Z:,./ ]{1,38}[0-9A-Z]", "odd": ""}


@pytest.mark.parametrize("kind", ["auto", "card", "keypad"])
def test_only_keys_that_spell_a_number_give_it(dice, kind):
    mine = [settings for settings in SETTINGS if settings.kind == kind]
    typists, clock = [NumberCollector(settings) for settings in mine], [1000.0]
    told = {"pin": 0, "card": 0, "odd": 0}

    def take(press):
        key, gap_s = press
        now = clock[0] + gap_s
        clock[0] = now if abs(now) < 1e12 else 1000.0
        for collector in typists:
            silent = collector.wait_s is not None and gap_s >= collector.wait_s
            for typed in (collector.silence() if silent else None, collector.add_key(key, now)):
                if typed is not None:
                    told[typed.kind] += 1
                    shape = {"pin": "[0-9]{1,12}", "card": "[0-9A-Z][-0-9A-Z:,./ ]{1,38}[0-9A-Z]", "odd": ""}[
                        typed.kind
                    ]
                    assert re.fullmatch(shape, typed.text), (typed.kind, ascii(typed.text))
                    assert typed.kind != {"card": "pin", "keypad": "card"}.get(kind)
            assert len(collector._keys) <= MAX_KEYS
            assert len(collector._gaps) <= MAX_KEYS

    Batch(0.04, lambda: hostile_keys(dice)).feed(take)
    assert told["odd"] or kind == "keypad", "the dice never spelt anything odd: the test shows nothing"
    assert told["pin"] or kind == "card"
    assert told["card"] or kind == "keypad"


def test_no_mutation_of_a_typed_number_is_that_number(dice):
    """A number that lacks a key or has one too many opens nothing. Only `PIN` opens."""
    odd = [text for text in NASTY if text != "\n"]  # Enter ends the text before it

    def make():
        keys = list(PIN)
        for _ in range(dice.randint(1, 3)):
            at = dice.randrange(len(keys) + 1)
            keys[at : at + dice.randint(0, 1)] = dice.choice(["1", "3", "9", "", "A", "?", ODD_KEY, *odd])
        return "".join(keys)

    def take(keys):
        collector = NumberCollector()
        typed = [t for i, key in enumerate(keys + "#") if (t := collector.add_key(key, i * 0.3))]
        assert (PIN in [t.text for t in typed]) == (keys.lstrip("#*") == PIN), ascii(keys)

    Batch(0.05, make).feed(take)


def hostile_stream(dice):
    """Return random bytes, arbitrary events, or real strokes with missing, doubled or swapped bytes."""
    kind = dice.random()
    if kind < 0.2:
        return dice.randbytes(dice.randrange(200))
    codes = [
        dice.choice(list(KEYBOARD_KEYS)) if dice.random() < 0.8 else dice.randrange(0x10000)
        for _ in range(dice.randrange(8))
    ]
    stream = bytearray()
    for code in codes:
        seconds = dice.choice([0, 1, 1000, -(2**63), 2**63 - 1])
        stream += EVENT.pack(seconds, dice.randrange(-(2**40), 2**40), dice.choice([1, 1, 1, 0, 4, 0xFFFF]), code,
                             dice.choice([1, 1, 0, 2, -1, 2**31 - 1]))  # fmt: skip
    if kind < 0.5 and stream:
        del stream[dice.randrange(len(stream)) : dice.randrange(len(stream) + 1)]
    return bytes(stream)


def test_no_device_stream_gives_anything_but_keys(dice):
    keyboard, collector = Keyboard(), NumberCollector()
    known = {*KEYBOARD_KEYS.values(), *SHIFTED.values(), ODD_KEY}

    def take(stream):
        pressed = keyboard.feed(stream)
        assert len(pressed) <= len(stream) // EVENT.size + 1
        assert {key for key, _ in pressed} <= known
        for key, at in pressed:
            typed = collector.add_key(key, at)
            assert typed is None or re.fullmatch("[-0-9A-Z:,./ ]{0,40}", typed.text)
        assert len(keyboard._rest) < EVENT.size
        assert len(collector._keys) <= MAX_KEYS

    Batch(0.15, lambda: hostile_stream(dice)).feed(take)


def test_after_all_hostile_input_a_card_still_opens(dice):
    """A half event in `Keyboard` or a half number in `NumberCollector` ends with the next complete one."""
    for _ in range(200):
        keyboard, collector = Keyboard(), NumberCollector()
        for _ in range(20):
            for key, at in keyboard.feed(hostile_stream(dice)):
                collector.add_key(key, at)
        keyboard.feed(bytes(EVENT.size - len(keyboard._rest) if keyboard._rest else 0))
        codes = {key: code for code, key in reversed(KEYBOARD_KEYS.items())}
        stroke = b"".join(EVENT.pack(10**6, 0, 1, code, value) for code, value in ((42, 0), (54, 0), (codes["*"], 1)))
        stroke += b"".join(EVENT.pack(10**6, 8000 * i, 1, codes[key], 1) for i, key in enumerate(CARD + "\n"))
        typed = [t for key, at in keyboard.feed(stroke) if (t := collector.add_key(key, at))]
        assert [t.text for t in typed if t.kind != "odd"] == [CARD]
