"""Promises that need a person: card, keypad, lamps, loudspeaker. The person acts, and answers yes or no.

Card numbers and keys are compared and dropped. Notes contain lengths and times only.
"""

import asyncio
import contextlib
from itertools import pairwise

from contracts.bench import needs, quantile, until

from gated.access.readers.usb import UsbReader
from gated.access.readers.wiegand import decode_frame
from gated.cues.cue import Rhythm as Beep
from gated.cues.samples import tone
from gated.cues.sound import Sound, Sounding
from gated.door.wired_readers import FRAME_GAP_S, LEAST_BITS

HOLD = "hold a card before the reader, once"
PRESS = "press the key {} of the keypad, once"
WIDTH_S, APART_S = (20e-6, 100e-6), (200e-6, 20e-3)
"""How long a bit is low, and how long after one the next begins (SIA AC-01-1996.10)."""


class HandsContract:
    """A subclass gives a fixture `bench`."""

    @needs("keypad", "lock", "person")
    async def test_every_key_is_reported_once(self, bench):
        """The person presses each key of the matrix keypad in turn."""
        bench.latch.start(bench.pace.patience_s)
        async with bench.latch.brain() as brain:
            for number, key in enumerate(bench.keys, 1):
                await bench.person.please(PRESS.format(key))
                await until(lambda n=number: len(brain.keys) >= n, bench.pace.within(2.0), f"key {key} is not reported")
            await asyncio.sleep(0.2)
            assert "".join(brain.keys) == bench.keys, (
                "the latch reported another key than the pressed one, or one twice"
            )

    @needs("wiegand", "person")
    async def test_a_card_readers_pulses_follow_the_standard(self, bench):
        """The person holds a card to the Wiegand reader. No latch holds its lines; the pulses are timed."""
        async with bench.pulses() as pulses:
            await bench.person.please(HOLD)
            why = "hardly a pulse came: check D0, D1 and the level shifter"
            await until(lambda: len(pulses) >= LEAST_BITS, bench.pace.within(1.0), why)
            await asyncio.sleep(0.3)  # the rest of the card takes a tenth of this
        faults = wiegand_faults(pulses)
        bench.note("Wiegand", f"{len(pulses)} bits, low for {1e6 * quantile([p.width_s for p in pulses], 0.5):.0f} us")
        assert not faults, "; ".join(faults)

    @needs("wiegand", "lock", "person")
    async def test_the_same_card_reads_the_same_each_time(self, bench):
        """The person holds the same card to the Wiegand reader three times. The latch reads it."""
        bench.latch.start(bench.pace.patience_s)
        async with bench.latch.brain() as brain:
            for number in (1, 2, 3):
                await bench.person.please(HOLD)
                await until(lambda n=number: len(brain.cards) >= n, bench.pace.within(2.0), "the card is not read")
        bench.note("card", f"{len(brain.cards[0])} bits, read {len(brain.cards)} times")
        is_whole = all(decode_frame(bits).card for bits in brain.cards)
        is_same = len(set(brain.cards)) == 1
        assert is_whole, "unknown format or wrong parity: a bit is lost, or this card type is not supported"
        assert is_same, "the same card gave different numbers"

    @needs("reader", "person")
    async def test_the_usb_reader_types_the_same_card_each_time(self, bench):
        """The person holds the same card to the USB reader twice."""
        typed = []
        reader = UsbReader(bench.reader, typed.append)
        task = asyncio.create_task(reader.run())
        try:
            await until(lambda: reader.is_open, bench.pace.within(2.0), "the reader cannot be opened: join group input")
            for number in (1, 2):
                await bench.person.please(HOLD)
                await until(
                    lambda n=number: len(typed) >= n, bench.pace.within(2.0), "the reader types no complete card"
                )
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        kinds, is_same = [one.kind for one in typed], len({one.text for one in typed}) == 1
        assert kinds == ["card", "card"], "the reader types so slowly that it counts as a keypad"
        assert is_same, "the same card was typed with different numbers"

    @needs("lamps", "lock", "person")
    async def test_each_lamp_has_its_name(self, bench):
        """Each lamp is lit alone. The person says whether it is the right one."""
        bench.latch.start(bench.pace.patience_s)
        async with bench.latch.brain() as brain:
            for line in bench.lamps:
                brain.door.play(line, (1.0,))
                is_right = await bench.person.sees(f"{line}, and nothing else, is on")
                brain.door.play(line)
                assert is_right, f"{line}: another lamp is on, or none"

    @needs("sound", "person")
    async def test_a_person_hears_the_tone(self, bench):
        """The loudspeaker plays three beeps. The person says whether they were heard."""
        sound = Sound(bench.sound)
        task = asyncio.create_task(sound.run())
        try:
            sound.play(Sounding(tone(Beep((0.2, 0.1), 3))))
            await asyncio.sleep(1.2)
            assert not sound.is_mute, "aplay cannot play: list the devices with `aplay -L`"
            is_heard = await bench.person.sees("three beeps were heard, clear and loud enough for a street")
            assert is_heard, "not heard: raise the volume in `alsamixer`, check amplifier and wires"
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def wiegand_faults(pulses):
    """Return what violates the standard in the bits of one card, in words."""
    faults = []
    odd = [pulse for pulse in pulses if not WIDTH_S[0] <= pulse.width_s <= WIDTH_S[1]]
    if odd:
        faults.append(f"{len(odd)} of {len(pulses)} pulses are not 20 to 100 us long")
    apart = [b.at - a.at for a, b in pairwise(pulses)]
    if any(not APART_S[0] <= gap <= APART_S[1] for gap in apart):
        faults.append("bits are not 0.2 to 20 ms apart")
    if any(gap >= FRAME_GAP_S for gap in apart):
        faults.append("the latch would take one card for two")
    return faults
