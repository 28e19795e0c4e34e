"""USB readers: keys from kernel events, and a device that appears, floods and disappears."""

import asyncio
import os
import select
import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.access.readers.keystrokes import TypedNumber
from gated.access.readers.usb import EVENT, EVENTS_BYTES, ODD_KEY, Keyboard, UsbReader

DIGITS = dict(zip("1234567890", range(2, 12), strict=True))
BLOCK = {"7": 71, "8": 72, "9": 73, "4": 75, "5": 76, "6": 77, "1": 79, "2": 80, "3": 81, "0": 82}
LETTERS = {"A": 30, "B": 48, "C": 46, "D": 32, "E": 18, "F": 33}
ENTER, SHIFT, NUM_LOCK, STAR = 28, 42, 69, 55


def event(kind, code, value, at=0.0):
    """Return a kernel event in the layout of linux/input.h, independent of the code under test."""
    return struct.pack("@llHHi", int(at), round(at % 1 * 1e6), kind, code, value)


def press(code, at=0.0):
    """Return all events of one key stroke: scan code, down, report, up, report."""
    scan, end = event(4, 4, 458_756, at), event(0, 0, 0, at)
    return scan + event(1, code, 1, at) + end + scan + event(1, code, 0, at) + end


def strokes(codes, at=100.0, gap_s=0.008):
    return b"".join(press(code, at + i * gap_s) for i, code in enumerate(codes))


def keys(stream):
    return "".join(key for key, _ in Keyboard().feed(stream))


CARD = strokes([DIGITS[d] for d in "0012345678"] + [ENTER])


def test_the_event_is_the_one_of_64_bit_linux():
    assert EVENT.size == struct.calcsize("@llHHi") == 24


def test_every_key_of_a_number_is_known():
    assert keys(strokes(DIGITS.values())) == "1234567890"
    assert keys(strokes(BLOCK.values())) == "".join(BLOCK)
    assert keys(strokes(LETTERS.values())) == "ABCDEF"
    assert keys(strokes(range(0x200, 0x20C))) == "0123456789*#"
    assert keys(strokes([ENTER, 96, STAR])) == "\n\n*"


@pytest.mark.parametrize("shift", [42, 54])
def test_shift_makes_hash_and_star_and_leaves_letters(shift):
    held, let_go = event(1, shift, 1), event(1, shift, 0)
    assert keys(held + press(4) + press(9) + press(30) + let_go + press(4)) == "#*A3"


@pytest.mark.parametrize("shift", [42, 54])
def test_shifted_digits_are_read_by_their_signs(shift):
    """A reader set to French types these signs. `NumberCollector` converts them back to digits."""
    assert keys(event(1, shift, 1) + strokes(DIGITS.values())) == "!@#$%^&*()"


def test_signs_and_end_keys_are_read_as_on_an_english_keyboard():
    assert keys(strokes([39, 51, 52, 53, 12, 57, 15, 14])) == ";,./- \t\b"
    assert keys(event(1, SHIFT, 1) + strokes([39, 53])) == ":?"


def test_the_number_pad_gives_digits_without_num_lock():
    assert keys(strokes([110, 107, 108, 109, 105, 76, 106, 102, 103, 104])) == "0123456789"


def test_caps_lock_is_ignored_and_letters_stay_the_same():
    caps = 58
    assert keys(press(caps) + press(30) + press(caps) + press(30) + press(16)) == "AAQ"


def test_num_lock_is_ignored_and_any_other_key_is_unknown():
    assert keys(press(NUM_LOCK) + press(2)) == "1"
    assert keys(press(59) + press(29) + press(0x1FF) + press(0xFFFF)) == ODD_KEY * 4


def test_a_key_that_is_held_is_pressed_once():
    assert keys(event(1, 2, 1) + event(1, 2, 2) * 50 + event(1, 2, 0)) == "1"


def test_each_key_carries_the_kernels_time():
    ((_, at),) = Keyboard().feed(event(1, 2, 1, at=12.25))
    assert at == 12.25


def test_keys_dropped_by_the_kernel_invalidate_the_number():
    assert keys(press(2) + event(0, 3, 0) + press(3)) == "1" + ODD_KEY + "2"


@given(st.integers(1, len(CARD)), st.integers(1, len(CARD)))
def test_a_stream_cut_at_any_byte_gives_the_same_keys(one, other):
    keyboard, (first, second) = Keyboard(), sorted((one, other))
    parts = CARD[:first], CARD[first:second], CARD[second:]
    assert "".join(key for part in parts for key, _ in keyboard.feed(part)) == "0012345678\n"


@given(st.binary(max_size=400))
def test_garbage_from_a_device_raises_nothing(stream):
    keyboard = Keyboard()
    assert len(keyboard.feed(stream)) <= len(stream) // EVENT.size
    assert keyboard.feed(bytes(-len(stream) % EVENT.size)) == []


@pytest.fixture
async def device(tmp_path):
    """Provide a named pipe as the device, with a reader on it."""
    path = tmp_path / "event0"
    os.mkfifo(path)
    device = Device(path)
    yield device
    await device.stop()


class Device:
    def __init__(self, path):
        self.path, self.typed = path, []
        self.reader = UsbReader(str(path), self.typed.append)
        self.task = asyncio.create_task(self.reader.run())

    async def plug_in(self):
        """Open the pipe for writing. The open fails until the reader has opened its end."""
        return await self.wait(lambda: _opened(self.path))

    async def wait(self, true, timeout_s=30.0):
        deadline = time.monotonic() + timeout_s
        while not (value := true()):
            assert time.monotonic() < deadline, "waited in vain"
            assert not self.task.done(), self.task
            await asyncio.sleep(0.01)
        return value

    async def stop(self):
        self.task.cancel()
        await asyncio.wait([self.task])


def _opened(path):
    try:
        return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None


async def test_a_card_at_the_reader_is_reported_once(device):
    fd = await device.plug_in()
    os.write(fd, CARD)
    await device.wait(lambda: device.typed)
    os.write(fd, press(ENTER, 200.0))
    await asyncio.sleep(0.05)
    assert device.typed == [TypedNumber("card", "0012345678")]
    os.close(fd)


async def test_a_busy_brain_still_distinguishes_a_pin_from_a_card(device):
    fd = await device.plug_in()
    os.write(fd, strokes([DIGITS[d] for d in "135790"] + [ENTER], gap_s=0.3))
    await device.wait(lambda: device.typed)
    assert device.typed == [TypedNumber("pin", "135790")]
    os.close(fd)


async def test_an_unplugged_device_is_read_again_after_its_return(device):
    for _ in range(2):
        fd = await device.plug_in()
        os.write(fd, CARD)
        before = len(device.typed)
        await device.wait(lambda before=before: len(device.typed) > before)
        os.close(fd)
        await device.wait(lambda: not device.reader.is_open)
    assert [typed.text for typed in device.typed] == ["0012345678"] * 2


async def test_half_a_number_before_unplugging_does_not_join_the_next_number(device):
    fd = await device.plug_in()
    os.write(fd, strokes([DIGITS[d] for d in "99"]))
    await asyncio.sleep(0.05)
    os.close(fd)
    await device.wait(lambda: not device.reader.is_open)
    fd = await device.plug_in()
    os.write(fd, CARD)
    await device.wait(lambda: device.typed)
    assert device.typed == [TypedNumber("card", "0012345678")]
    os.close(fd)


async def test_during_a_flood_the_event_loop_stays_free_and_later_input_is_read(device):
    fd = await device.plug_in()
    await device.wait(lambda: device.reader.is_open)
    flood, rounds = strokes([2] * 28), 0
    assert len(flood) <= select.PIPE_BUF  # written completely or not at all (pipe(7)), like a device's events
    while rounds < 100:
        try:
            os.write(fd, flood)
        except BlockingIOError:
            rounds += 1
        await asyncio.sleep(0)
    later = strokes([DIGITS[d] for d in "0012345678"] + [ENTER], at=1e6)
    await device.wait(lambda: _written(fd, later, 1e6 - 0.1))
    await device.wait(lambda: any(typed.kind == "card" for typed in device.typed))
    os.close(fd)


def _written(fd, data, at):
    """Write Enter, which ends any begun number, then a card. Return whether the complete data was written."""
    try:
        return os.write(fd, event(1, STAR, 1, at) + data) == EVENT.size + len(data)
    except BlockingIOError:
        return False


@pytest.mark.parametrize("end", [[], [15], [57, ENTER], [96]], ids=["nothing", "tab", "space", "block"])
@pytest.mark.parametrize("gap_s", [0.008, 0.06, 0.15])
async def test_a_slow_reader_is_read_with_any_suffix(device, gap_s, end):
    fd = await device.plug_in()
    os.write(fd, strokes([DIGITS[d] for d in "0012345678"] + end, gap_s=gap_s))
    await device.wait(lambda: device.typed)
    assert device.typed == [TypedNumber("card", "0012345678")]
    os.close(fd)


async def test_a_reader_is_released_to_another_process_and_claimed_again(tmp_path, monkeypatch):
    monkeypatch.setattr("gated.access.readers.usb.LOAN_CHECK_S", 0.05)
    path, may_read, typed = tmp_path / "event0", [True], []
    os.mkfifo(path)
    reader = UsbReader(str(path), typed.append, may_read=lambda: may_read[0])
    task = asyncio.create_task(reader.run())
    async with asyncio.timeout(30):
        while not reader.is_open:
            await asyncio.sleep(0.01)
        may_read[0] = False
        while reader.is_open:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        assert not reader.is_open
        may_read[0] = True
        while not reader.is_open:
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])


async def test_a_missing_device_is_logged_once_and_awaited(tmp_path, caplog):
    path = tmp_path / "by-id" / "reader"
    task = asyncio.create_task(UsbReader(str(path), lambda _: None).run())
    await asyncio.sleep(1.0)
    task.cancel()
    await asyncio.wait([task])
    assert caplog.messages == [
        f"reader {path} cannot be read: No such file or directory; plug it in, or correct readers.devices"
    ]


async def test_nothing_that_was_typed_reaches_the_log(device, caplog):
    caplog.set_level("DEBUG")
    fd = await device.plug_in()
    os.write(fd, CARD)
    await device.wait(lambda: device.typed)
    os.close(fd)
    await device.wait(lambda: not device.reader.is_open)
    assert "0012345678" not in caplog.text


def test_a_chunk_contains_only_whole_events():
    assert EVENTS_BYTES % EVENT.size == 0
