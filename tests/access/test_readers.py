"""From what a reader gives to a decision: every reader has its way, and none can wear the gate down."""

import asyncio

import pytest

from gated.access.readers import AT_ONCE, Readers
from gated.access.typed import Typed
from gated.config import ReaderSettings
from gated.events import MAIN, SECOND
from gated.face.messages import CodeSeen


class Ways:
    """Stands in for the decisions: keeps what is asked, for as long as it is told to."""

    def __init__(self):
        self.asked, self.go_on = [], asyncio.Event()
        self.go_on.set()

    async def card(self, number, door):
        await self._decide("card", number, door)

    async def pin(self, digits, door):
        await self._decide("pin", digits, door)

    async def visitor_pass(self, text, door):
        await self._decide("pass", text, door)

    async def _decide(self, way, shown, door):
        self.asked.append((way, shown, door))
        await self.go_on.wait()
        if shown == "broken":
            raise RuntimeError("a fault of ours")


@pytest.fixture
async def ways():
    return Ways()


@pytest.fixture
async def readers(ways):
    return Readers(ReaderSettings(), ways)


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


def framed(body):
    """A 26-bit frame with both parities right."""
    first, last = body[:12], body[12:]
    return str(first.count("1") % 2) + body + str(1 - last.count("1") % 2)


async def test_a_wiegand_card_is_asked_about_at_its_own_door(readers, ways):
    readers.bits(framed(f"{12:08b}{3456:016b}"), SECOND)
    await settle()
    assert ways.asked == [("card", "w26:12-3456", SECOND)]


@pytest.mark.parametrize("bits", ["", "1", "10" * 13, "2" * 26, "0" * 200])
async def test_noise_on_the_wires_is_nothing(readers, ways, bits):
    readers.bits(bits, MAIN)
    await settle()
    assert ways.asked == []


async def test_a_pin_is_typed_key_by_key_and_each_door_has_its_own_keypad(readers, ways, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("gated.access.readers.time.monotonic", lambda: now[0])
    for key in "49":
        for door in (MAIN, SECOND):
            now[0] += 0.3
            readers.key(key, door)
    for key in "2716#":
        now[0] += 0.3
        readers.key(key, MAIN)
    await settle()
    assert ways.asked == [("pin", "492716", MAIN)]


async def test_what_a_usb_reader_types_is_a_card(readers, ways):
    readers.typed(Typed("card", "0004711"))
    await settle()
    assert ways.asked == [("card", "0004711", MAIN)]


async def test_a_code_before_the_camera_goes_to_the_passes(readers, ways):
    readers.code(CodeSeen("G1.ABC", 1.0))
    await settle()
    assert ways.asked == [("pass", "G1.ABC", MAIN)]


async def test_what_comes_in_a_flood_is_not_all_looked_at(readers, ways):
    ways.go_on.clear()
    for number in range(1000):
        readers.typed(Typed("card", f"{number:08}"))
    await settle()
    assert len(ways.asked) == AT_ONCE
    ways.go_on.set()
    await settle()
    readers.typed(Typed("card", "afterwards"))
    await settle()
    assert ways.asked[-1][1] == "afterwards"


async def test_a_fault_with_one_card_does_not_end_the_gate_for_the_next(readers, ways, caplog):
    readers.typed(Typed("card", "broken"))
    await settle()
    readers.typed(Typed("card", "4711"))
    await settle()
    assert ways.asked[-1][1] == "4711"
    assert "a decision failed, and opened nothing: RuntimeError" in caplog.text
    assert "broken" not in caplog.text


async def test_a_device_that_is_not_there_costs_nothing_but_a_word(ways, tmp_path, caplog):
    readers = Readers(ReaderSettings(devices=(str(tmp_path / "event0"),)), ways)
    task = asyncio.create_task(readers.run())
    async with asyncio.timeout(20):
        while "cannot be read" not in caplog.text:
            await asyncio.sleep(0.02)
    readers.typed(Typed("card", "4711"))
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ways.asked == [("card", "4711", MAIN)]
