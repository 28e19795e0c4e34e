"""A Wiegand reader on a stand-in for lgpio's C library, which reports edges as the kernel does.

The stand-in repeats measurements on an emulated machine with GPIO lines. With both edges of 50 us pulses requested, the
kernel read the level after the pulse and reported the falling edge as rising. The second edge was mostly lost.
"""

import asyncio
import os
import random
import tempfile
import threading
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.door.wired_readers import FRAME_GAP_S, LATE_EDGE_S, WiegandReader, frames_after, split_frames

os.environ.setdefault("LG_WD", tempfile.gettempdir())  # lgpio makes a FIFO there on import
import lgpio
from gpiozero.pins.lgpio import LGPIOFactory

CARD = "10011010110100101101001010"
D0, D1 = 14, 15
FALLING, RISING = lgpio.FALLING_EDGE, lgpio.RISING_EDGE
START_NS = 1_700_000_000_000_000_000
"""The time of the first edge. Some kernels count from 1970, others from the start of the machine."""


class Kernel:
    """A stand-in for lgpio's C library. It knows the requested edges of each line, and reports edges as measured."""

    def __init__(self):
        self.edges, self.modes, self.now_ns = {}, {}, START_NS

    def library(self):
        calls = {
            "_gpiochip_open": lambda chip: 1,
            "_gpiochip_close": lambda handle: 0,
            "_gpio_get_mode": lambda handle, line: self.modes.get(line, 0),
            "_gpio_claim_input": self._claim_input,
            "_gpio_claim_alert": self._claim_alert,
            "_gpio_free": lambda handle, line: self.edges.pop(line, 0) * 0,
            "_gpio_read": lambda handle, line: 1,
            "_gpio_set_debounce_micros": lambda handle, line, micros: 0,
            "_error_text": lambda number: f"error {number}",
        }
        return types.SimpleNamespace(**calls)

    def _claim_input(self, handle, flags, line):
        self.edges.pop(line, None)
        return 0

    def _claim_alert(self, handle, flags, edges, line, notify):
        self.edges[line] = edges
        return 0

    def pulses(self, bits, *, every_ns=2_000_000, tell_after_s=0.0, shuffle=None):
        """Play short pulses as the kernel reports them: with the right times, but not always the right edge."""
        edges_seen = []
        for bit in bits:
            line = D1 if bit == "1" else D0
            edges = self.edges.get(line, 0)
            if edges == FALLING:
                edges_seen.append((line, 0, self.now_ns))
            elif edges:
                edges_seen.append((line, 1, self.now_ns))  # the level is read after the pulse
            self.now_ns += every_ns
        if shuffle is not None:
            shuffle(edges_seen)
        thread = threading.Thread(target=self._deliver, args=(edges_seen,))
        thread.start()
        thread.join()

    def _deliver(self, edges_seen):
        for line, level, tick in edges_seen:
            for each in list(lgpio._notify_thread.callbacks):
                if each.chip == 0 and each.gpio == line:
                    each.func(0, line, level, tick)


class Factory(LGPIOFactory):
    def _get_revision(self):
        return 0xC03115  # a Pi 4


@pytest.fixture
def kernel(monkeypatch):
    kernel = Kernel()
    monkeypatch.setattr(lgpio, "_lgpio", kernel.library())
    return kernel


@pytest.fixture
async def reader(kernel):
    factory, cards = Factory(chip=0), []
    reader = WiegandReader((D0, D1), factory, cards.append)
    reader.cards = cards
    yield reader
    reader.close()
    factory.close()


async def frames_reported():
    await asyncio.sleep(FRAME_GAP_S + LATE_EDGE_S + 0.15)


async def test_only_falling_edges_are_requested(kernel, reader):
    assert kernel.edges == {D0: FALLING, D1: FALLING}


async def test_every_bit_of_short_pulses_is_read(kernel, reader):
    kernel.pulses(CARD)
    await frames_reported()
    assert reader.cards == [CARD]


async def test_the_stand_in_loses_edges_when_both_are_requested(kernel):
    """The stand-in has the fault of the real kernel. Otherwise the test above would prove nothing."""
    factory = Factory(chip=0)
    levels = []
    callback = lambda at, level: levels.append(level)  # noqa: E731 - gpiozero keeps a weak reference
    pin = factory.pin(D1)
    pin.input_with_pull("up")
    pin.edges = "both"
    pin.when_changed = callback
    kernel.pulses("1" * 26)
    assert levels == [1] * 26
    pin.when_changed = None
    factory.close()


async def test_two_cards_delivered_late_and_together_are_two_frames(kernel, reader):
    """A busy process gets both at once. The kernel's times separate them."""
    kernel.pulses(CARD)
    kernel.now_ns += 100_000_000
    kernel.pulses("01" * 17)
    await frames_reported()
    assert reader.cards == [CARD, "01" * 17]


async def test_bits_out_of_order_are_sorted_by_time(kernel, reader):
    kernel.pulses(CARD, shuffle=random.Random(5).shuffle)
    await frames_reported()
    assert reader.cards == [CARD]


async def test_the_slowest_reader_of_the_standard_gives_one_frame(kernel, reader):
    kernel.pulses(CARD, every_ns=20_000_000)
    await frames_reported()
    assert reader.cards == [CARD]


async def test_the_rest_of_a_torn_frame_is_not_a_frame(kernel, reader):
    kernel.pulses(CARD[:20])
    await frames_reported()
    kernel.pulses(CARD[20:])
    await frames_reported()
    kernel.now_ns += 1_000_000_000
    kernel.pulses(CARD)
    await frames_reported()
    assert reader.cards == [CARD[:20], CARD]


async def test_a_closed_reader_requests_no_edges(kernel):
    factory = Factory(chip=0)
    WiegandReader((D0, D1), factory, lambda _: None).close()
    assert kernel.edges == {}
    assert not [each for each in lgpio._notify_thread.callbacks if each.gpio in (D0, D1)]
    factory.close()


steps = st.lists(st.tuples(st.sampled_from((0.0005, 0.002, 0.02, 0.03, 1.0)), st.sampled_from("01")), max_size=200)


@given(steps, st.randoms())
def test_the_arrival_order_of_bits_changes_nothing(steps, dice):
    at, bits = 1.7e9, []
    for wait_s, bit in steps:
        at += wait_s
        bits.append((at, bit))
    shuffled = list(bits)
    dice.shuffle(shuffled)
    assert split_frames(shuffled) == split_frames(bits)


@given(steps, st.integers(0, 200))
def test_bits_read_in_two_parts_never_make_another_card(steps, cut):
    """Each frame is whole, or the first part of a frame, or begins after a gap. It is never the rest of a frame."""
    at, bits = 1.7e9, []
    for wait_s, bit in steps:
        at += wait_s
        bits.append((at, bit))
    first, last_at = frames_after(float("-inf"), bits[:cut])
    second, _ = frames_after(last_at, bits[cut:])
    whole = split_frames(bits)
    assert set(second) <= set(whole)
    assert all(any(each.startswith(frame) for each in whole) or len(frame) >= 4 for frame in first)
    assert first[:-1] == whole[: len(first[:-1])]
