"""From a reader's input to a decision. Each reader has its credential type, and no reader can exhaust the gate."""

import asyncio

import pytest

from gated.access.readers.keystrokes import TypedNumber
from gated.access.readers.presentations import PRESENTED_AGAIN_S
from gated.access.readers.reader_set import MOST_DECISIONS, ODD_AT_MOST, ReaderSet
from gated.config import ReaderSettings
from gated.events import MAIN, SECOND, ReaderMisread
from gated.face.vision_messages import CodeSeen


class Credentials:
    """Stands in for `CredentialService`. It records the questions and blocks while the test holds it."""

    def __init__(self):
        self.asked, self.readers, self.go_on = [], [], asyncio.Event()
        self.is_our_fault = False
        self.go_on.set()

    async def handle_card(self, number, door, reader, flat=""):
        self.readers.append(reader)
        await self._ask(f"card of {flat}" if flat else "card", number, door)
        return self.is_our_fault

    async def handle_pin(self, digits, door, reader, flat=None):
        self.readers.append(reader)
        await self._ask("pin" if flat is None else f"pin of {flat}", digits, door)

    def is_flat(self, digits):
        return digits == "2401"

    def accept_flat(self, door):
        self.asked.append(("flat", "", door))

    async def handle_pass(self, text, door):
        await self._ask("pass", text, door)

    async def _ask(self, kind, shown, door):
        self.asked.append((kind, shown, door))
        await self.go_on.wait()
        if shown == "broken":
            raise RuntimeError("a fault of ours")


@pytest.fixture
async def credentials():
    return Credentials()


@pytest.fixture
async def readers(credentials):
    return ReaderSet(ReaderSettings(), credentials)


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


def framed(body):
    """Return a 26-bit frame with both parity bits right."""
    first, last = body[:12], body[12:]
    return str(first.count("1") % 2) + body + str(1 - last.count("1") % 2)


async def test_a_wiegand_card_is_checked_at_its_own_door(readers, credentials):
    readers.handle_frame(framed(f"{12:08b}{3456:016b}"), SECOND)
    await settle()
    assert credentials.asked == [("card", "w26:12-3456", SECOND)]


@pytest.mark.parametrize("bits", ["", "1", "10" * 13, "2" * 26, "0" * 200])
async def test_noise_on_the_wires_gives_no_card(readers, credentials, bits):
    readers.handle_frame(bits, MAIN)
    await settle()
    assert credentials.asked == []


async def test_unreadable_input_is_reported_once_by_kind_and_length(credentials, caplog):
    told = []
    readers = ReaderSet(ReaderSettings(), credentials, report=told.append)
    swapped = framed(f"{12:08b}{3456:016b}").translate(str.maketrans("01", "10"))
    for _ in range(20):
        readers.handle_frame(swapped, MAIN)
    for _ in range(20):
        readers.handle_number(
            TypedNumber("odd", "", 10, "signs among them that no number has"), MAIN, "/dev/input/event7"
        )
    assert told == [
        ReaderMisread("wiegand of the main door", "26 bits, parity wrong: D0 and D1 swapped?", MAIN),
        ReaderMisread("/dev/input/event7", "10 keys were ignored: signs among them that no number has", MAIN),
    ]
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert "reader wiegand of the main door: 26 bits, parity wrong: D0 and D1 swapped?" in caplog.text
    assert credentials.asked == []


async def test_a_flood_of_noise_fills_neither_the_log_nor_the_memory(credentials, caplog):
    readers = ReaderSet(ReaderSettings(), credentials)
    for count in range(9, 24):
        readers.handle_frame("10" * count, MAIN)
        readers.handle_frame("1" * count, MAIN)
    assert caplog.text.count("gated readers show") == ODD_AT_MOST
    assert len(readers._odd["wiegand of the main door"]) == ODD_AT_MOST


async def test_keys_of_a_wiegand_keypad_are_a_pin(readers, credentials, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("gated.access.readers.reader_set.time.monotonic", lambda: now[0])
    for key in (4, 9, 2, 7, 1, 6, 11):
        now[0] += 0.3
        readers.handle_frame(f"{key:04b}", SECOND)
    for key in (8, 0, 0, 5, 5, 11):
        now[0] += 0.3
        readers.handle_frame(f"{15 - key:04b}{key:04b}", MAIN)
    await settle()
    assert credentials.asked == [("pin", "492716", SECOND), ("pin", "80055", MAIN)]


async def test_keys_that_arrive_together_at_a_busy_brain_all_count(readers, credentials, monkeypatch):
    monkeypatch.setattr("gated.access.readers.reader_set.time.monotonic", lambda: 100.0)
    for key in "113355#":
        readers.handle_key(key, MAIN)
    await settle()
    assert credentials.asked == [("pin", "113355", MAIN)]


class TestPresented:
    """A card held at a reader counts once."""

    @pytest.fixture
    def now(self, monkeypatch):
        now = [1000.0]
        monkeypatch.setattr("gated.access.readers.reader_set.time.monotonic", lambda: now[0])
        return now

    async def test_a_card_that_is_held_at_a_reader_that_repeats_is_shown_once(self, readers, credentials, now):
        for _ in range(60):
            now[0] += 0.5
            readers.handle_number(TypedNumber("card", "0012345678"))
            await settle()
        assert len(credentials.asked) == 1

    async def test_a_card_that_returns_after_some_seconds_is_presented_again(self, readers, credentials, now):
        readers.handle_number(TypedNumber("card", "0012345678"))
        now[0] += PRESENTED_AGAIN_S
        readers.handle_number(TypedNumber("card", "0012345678"))
        await settle()
        assert len(credentials.asked) == 2

    async def test_two_cards_in_one_purse_are_two_presentations(self, readers, credentials, now):
        for _ in range(30):
            for number in ("11111112", "22222223"):
                now[0] += 0.4
                readers.handle_number(TypedNumber("card", number))
            await settle()
        assert [number for _, number, _ in credentials.asked] == ["11111112", "22222223"]

    async def test_the_same_card_at_another_reader_is_another_presentation(self, readers, credentials, now):
        bits = framed(f"{12:08b}{3456:016b}")
        for door in (MAIN, SECOND, MAIN, SECOND):
            now[0] += 0.5
            readers.handle_frame(bits, door)
        await settle()
        assert [door for _, _, door in credentials.asked] == [MAIN, SECOND]
        assert len(set(credentials.readers)) == 2

    async def test_a_held_card_is_checked_again_after_a_fault_of_the_gate(self, readers, credentials, now):
        credentials.is_our_fault = True
        for _ in range(3):
            now[0] += 0.5
            readers.handle_number(TypedNumber("card", "0012345678"))
            await settle()
        assert len(credentials.asked) == 3


async def test_a_pin_is_typed_key_by_key_and_each_door_has_its_own_keypad(readers, credentials, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("gated.access.readers.reader_set.time.monotonic", lambda: now[0])
    for key in "49":
        for door in (MAIN, SECOND):
            now[0] += 0.3
            readers.handle_key(key, door)
    for key in "2716#":
        now[0] += 0.3
        readers.handle_key(key, MAIN)
    await settle()
    assert credentials.asked == [("pin", "492716", MAIN)]


async def test_after_a_flat_number_the_keypad_asks_for_the_pin(readers, credentials, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("gated.access.readers.reader_set.time.monotonic", lambda: now[0])
    for key in "2401#492716#318205#":
        now[0] += 0.3
        readers.handle_key(key, MAIN)
    readers.handle_number(TypedNumber("pin", "2401"), SECOND, "usb")
    readers.handle_number(TypedNumber("pin", "860274"), MAIN, "another")
    await settle()
    assert credentials.asked == [
        ("flat", "", MAIN), ("flat", "", SECOND), ("pin of 2401", "492716", MAIN), ("pin", "318205", MAIN),
        ("pin", "860274", MAIN),
    ]  # fmt: skip


async def test_a_card_is_checked_with_the_flat_number_typed_before_it(readers, credentials, monkeypatch):
    time = [100.0]
    monkeypatch.setattr("gated.access.readers.reader_set.time.monotonic", lambda: time[0])
    readers.handle_number(TypedNumber("pin", "2401"), MAIN)
    for number, door, later in (("11112222", SECOND, 1.0), ("33334444", MAIN, 1.0), ("55556666", MAIN, 1.0)):
        time[0] += later
        readers.handle_number(TypedNumber("card", number), door)
        await settle()
    readers.handle_number(TypedNumber("pin", "2401"), MAIN)
    time[0] += 21.0
    readers.handle_number(TypedNumber("card", "77778888"), MAIN)
    await settle()
    asked = [each for each in credentials.asked if each[0] != "flat"]
    assert asked == [
        ("card", "11112222", SECOND), ("card of 2401", "33334444", MAIN), ("card", "55556666", MAIN),
        ("card", "77778888", MAIN),
    ]  # fmt: skip


async def test_where_flat_numbers_are_required_a_pin_alone_is_never_checked(credentials):
    readers = ReaderSet(ReaderSettings(pin_by_household=True), credentials)
    for digits in ("492716", "2401", "492716"):
        readers.handle_number(TypedNumber("pin", digits))
    await settle()
    assert credentials.asked == [("flat", "", MAIN), ("pin of 492716", "", MAIN), ("pin of 2401", "492716", MAIN)]


async def test_a_usb_reader_gives_a_card(readers, credentials):
    readers.handle_number(TypedNumber("card", "0004711"))
    await settle()
    assert credentials.asked == [("card", "0004711", MAIN)]


async def test_a_code_before_the_camera_goes_to_the_passes(readers, credentials):
    readers.handle_code(CodeSeen("G1.ABC", 1.0))
    await settle()
    assert credentials.asked == [("pass", "G1.ABC", MAIN)]


async def test_a_flood_of_input_is_only_partly_checked(readers, credentials):
    credentials.go_on.clear()
    for number in range(1000):
        readers.handle_number(TypedNumber("card", f"{number:08}"))
    await settle()
    assert len(credentials.asked) == MOST_DECISIONS
    credentials.go_on.set()
    await settle()
    readers.handle_number(TypedNumber("card", "afterwards"))
    await settle()
    assert credentials.asked[-1][1] == "afterwards"


async def test_a_fault_with_one_card_does_not_end_the_gate_for_the_next(readers, credentials, caplog):
    readers.handle_number(TypedNumber("card", "broken"))
    await settle()
    readers.handle_number(TypedNumber("card", "4711"))
    await settle()
    assert credentials.asked[-1][1] == "4711"
    assert "a decision failed and opened nothing: RuntimeError" in caplog.text
    assert "broken" not in caplog.text


async def test_a_missing_device_causes_only_one_log_line(credentials, tmp_path, caplog):
    readers = ReaderSet(ReaderSettings(devices=(str(tmp_path / "event0"),)), credentials)
    task = asyncio.create_task(readers.run())
    async with asyncio.timeout(20):
        while "cannot be read" not in caplog.text:
            await asyncio.sleep(0.02)
    readers.handle_number(TypedNumber("card", "4711"))
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert credentials.asked == [("card", "4711", MAIN)]
