"""The readers on the latch's pins: frames from bits, and one key per press."""

import asyncio
import random
import threading
import time

import pytest
from gpiozero.pins.mock import MockFactory
from hypothesis import given
from hypothesis import strategies as st

from gated.config import CueSettings, DoorSettings, ReaderSettings
from gated.config.wiring import pin_problems
from gated.door.wired_readers import (
    FRAME_GAP_S,
    KEYS_BY_COLUMNS,
    LEAST_BITS,
    MOST_BITS,
    KeypadScan,
    MatrixKeypad,
    WiegandReader,
    scan_keys,
    split_frames,
)
from gated.errors import LatchError

CARD = "01" * 13


def at_intervals(bits, start=0.0, every_s=0.002):
    return [(start + i * every_s, bit) for i, bit in enumerate(bits)]


def test_bits_close_together_are_one_frame():
    assert split_frames(at_intervals(CARD)) == [CARD]


def test_a_gap_ends_a_frame():
    assert split_frames(at_intervals(CARD) + at_intervals("1" * 34, start=1.0)) == [CARD, "1" * 34]


@pytest.mark.parametrize(
    ("count", "is_kept"), [(1, False), (3, False), (4, True), (26, True), (128, True), (129, False)]
)
def test_too_few_or_too_many_bits_are_no_frame(count, is_kept):
    assert split_frames(at_intervals("1" * count)) == (["1" * count] if is_kept else [])


def test_noise_before_a_card_is_dropped_and_the_card_is_kept():
    assert split_frames([(0.0, "1"), *at_intervals(CARD, start=0.1)]) == [CARD]


@given(st.lists(st.tuples(st.floats(0, 0.05), st.sampled_from("01")), max_size=400))
def test_every_frame_has_valid_bits_and_a_valid_length(steps):
    bits, now = [], 0.0
    for wait_s, bit in steps:
        now += wait_s
        bits.append((now, bit))
    for frame in split_frames(bits):
        assert LEAST_BITS <= len(frame) <= MOST_BITS
        assert set(frame) <= {"0", "1"}


async def until(condition, timeout_s=10.0):
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.005)


class TestWiegand:
    @pytest.fixture
    async def reader(self):
        factory, cards = MockFactory(), []
        reader = WiegandReader((12, 13), factory, cards.append)
        reader.cards, reader.factory = cards, factory
        yield reader
        reader.close()
        factory.close()

    async def test_a_card_is_read(self, reader):
        reader.play(CARD)
        await until(lambda: reader.cards)
        assert reader.cards == [CARD]

    async def test_two_cards_are_two_frames(self, reader):
        reader.play(CARD)
        await until(lambda: reader.cards)
        reader.play("1" * 34)
        await until(lambda: len(reader.cards) == 2)
        assert reader.cards == [CARD, "1" * 34]

    async def test_bits_from_another_thread_keep_their_order(self, reader):
        thread = threading.Thread(target=reader.play, args=(CARD * 4,))
        thread.start()
        await until(lambda: reader.cards)
        thread.join()
        assert reader.cards == [CARD * 4]

    async def test_a_chattering_line_fills_no_memory_and_the_next_card_is_read(self, reader):
        began = time.monotonic()
        for number in range(5000):  # with computed times: a delay of this process would be a gap
            reader._add_bit("0", began + number * FRAME_GAP_S / 10, 0)
        assert len(reader._bits) < 1000
        await asyncio.sleep(FRAME_GAP_S * 4)
        assert reader.cards == []
        reader.play(CARD)
        await until(lambda: reader.cards)
        assert reader.cards == [CARD]

    async def test_only_zeros_and_ones_can_be_played(self, reader):
        with pytest.raises(LatchError):
            reader.play("012")

    async def test_a_reader_closed_during_a_card_reports_nothing(self):
        factory, cards = MockFactory(), []
        reader = WiegandReader((12, 13), factory, cards.append)
        reader.play(CARD)
        await asyncio.sleep(0)
        reader.close()
        await asyncio.sleep(FRAME_GAP_S * 4)
        assert cards == []


def reported(*scans):
    """Return the keys reported after scans. Each scan is a string of the keys that are down."""
    keys, pressed = KeypadScan(), ""
    for down in scans:
        keys, key = scan_keys(keys, frozenset(down))
        pressed += key
    return pressed


@pytest.mark.parametrize(
    ("scans", "keys"),
    [
        (("5", "5", "5", "5", "", ""), "5"),
        (("5", "", "", ""), ""),
        (("5", "", "5", "", "5", ""), ""),
        (("5", "5", "", "5", "5"), "5"),
        (("5", "5", "", "", "5", "5"), "55"),
        (("1", "1", "12", "12", "2", "2", "", ""), "12"),
        (("12", "12", "12", ""), ""),
        (("1", "1", "123", "123", "1", "1"), "1"),
    ],
)
def test_each_press_is_one_key_despite_bouncing(scans, keys):
    assert reported(*scans) == keys


@given(st.lists(st.frozensets(st.sampled_from("123A456B"), max_size=3), max_size=60))
def test_a_key_is_reported_only_when_two_scans_find_it_alone(scans):
    keys, before = KeypadScan(), frozenset()
    for down in scans:
        keys, key = scan_keys(keys, down)
        assert not key or down == before == {key}
        before = down


class TestKeypad:
    @pytest.fixture(params=[3, 4])
    async def keypad(self, request):
        factory, keys = MockFactory(), []
        keypad = MatrixKeypad((2, 3, 4, 5), (6, 7, 8, 9)[: request.param], factory, keys.append)
        keypad.keys, keypad.names, keypad.factory = keys, KEYS_BY_COLUMNS[request.param], factory
        yield keypad
        keypad.close()
        factory.close()

    async def test_every_key_is_reported_once_by_its_name(self, keypad):
        for key in keypad.names:
            keypad.play(key)
        await until(lambda: len(keypad.keys) >= len(keypad.names), 20.0)
        await asyncio.sleep(0.1)
        assert "".join(keypad.keys) == keypad.names

    async def test_the_same_key_twice_is_two_presses(self, keypad):
        keypad.play("5")
        keypad.play("5")
        await until(lambda: len(keypad.keys) == 2)

    async def test_a_key_that_the_keypad_lacks_is_refused(self, keypad):
        for key in ("x", "", "12", *(set("ABCD") - set(keypad.names))):
            with pytest.raises(LatchError):
                keypad.play(key)

    async def test_between_scans_no_row_is_driven(self, keypad):
        """Two pressed keys would short two driven rows."""
        await asyncio.sleep(0.1)
        assert all(row.pin.function == "input" for row in keypad._rows)

    async def test_an_untouched_keypad_reports_nothing(self, keypad):
        await asyncio.sleep(0.2)
        assert keypad.keys == []


async def test_random_keys_arrive_in_order():
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    typed = "".join(random.Random(seed).choices(KEYS_BY_COLUMNS[4], k=20))
    factory, keys = MockFactory(), []
    keypad = MatrixKeypad((2, 3, 4, 5), (6, 7, 8, 9), factory, keys.append)
    for key in typed:
        keypad.play(key)
    await until(lambda: len(keys) == len(typed), 30.0)
    assert "".join(keys) == typed
    keypad.close()


@pytest.mark.parametrize(("rows", "columns", "is_fine"), [(4, 3, True), (4, 4, True), (3, 3, False), (4, 2, False)])
def test_the_settings_refuse_a_keypad_of_unknown_size(rows, columns, is_fine):
    pins = tuple(range(18, 26))
    readers = ReaderSettings(keypad_rows=pins[:rows], keypad_columns=pins[4 : 4 + columns])
    problems = pin_problems(DoorSettings(), None, readers, CueSettings())
    assert (problems == []) == is_fine
