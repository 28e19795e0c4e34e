"""The brain's end of the vision link: what a compromised vision process cannot do with its messages."""

import asyncio
import contextlib
import socket
import struct
import time
from itertools import chain, repeat
from pathlib import Path

import msgspec
import pytest

from gated.config import CameraSettings, FaceSettings, ModelSettings
from gated.face.vision_link import VisionLink, pace_of
from gated.face.vision_messages import (
    CodeSeen,
    FromVision,
    Observation,
    TrackEnded,
    VisionConfined,
    VisionPulse,
    VisionReady,
    VisionSettings,
    VisionTrouble,
)
from gated.face.vision_start import VisionStart
from gated.runtime.channel import Channel
from gated.runtime.confinement import WORDS
from gated.runtime.rate_limit import Pace
from tests.fakes.vision_service import FakeVision, packed

SETTINGS = VisionSettings(CameraSettings(fps=10), ModelSettings(), FaceSettings(max_faces=5))
READY = VisionReady("site", "site", "sface", "0" * 64, 128, 0.4, 0.5)


CONFINED = packed(VisionConfined(()))


@contextlib.asynccontextmanager
async def linked(path, sent, again=b"", **calls):
    lost = []
    callbacks = {"on_ready": lambda _: None, "on_seen": lambda _: None, **calls}
    async with FakeVision(path, lambda _: chain([sent], repeat(again) if again else ())) as service:
        link = VisionLink(VisionStart(SETTINGS, path), callbacks["on_ready"], callbacks["on_seen"], lost.append)
        task = asyncio.create_task(link.run())
        try:
            yield service, link, lost
        finally:
            task.cancel()
            await asyncio.wait([task])


async def until(is_so):
    async with asyncio.timeout(30):
        while not is_so():
            await asyncio.sleep(0.01)


def test_a_pace_lets_a_burst_through_and_no_more_than_its_rate():
    now = [0.0]
    pace = Pace(10, lambda: now[0])
    assert [pace.wait_s() for _ in range(10)] == [0.0] * 10
    assert pace.wait_s() == pytest.approx(0.1)
    assert pace.wait_s() == pytest.approx(0.2)
    now[0] = 100.0
    assert [pace.wait_s() for _ in range(10)] == [0.0] * 10
    assert pace.wait_s() > 0


def test_a_camera_full_of_faces_stays_below_the_pace():
    a_frame = 5 + 5 + 1 + 1 + 1  # seen, ended, a pulse, a pass, and one to spare
    pace = Pace(pace_of(SETTINGS)._a_second, iter(t / 10 for t in range(10_000)).__next__)
    pace._clock = iter(frame / 10 for frame in range(500) for _ in range(a_frame)).__next__
    assert all(pace.wait_s() == 0 for _ in range(500 * a_frame - 1))


@pytest.mark.parametrize("message", [TrackEnded(1, 0.0), VisionPulse(0.0, 1, 0)])
async def test_a_flood_of_messages_from_vision_does_not_starve_the_brain(tmp_path, message):
    """Other tasks run between any two messages, and no more messages are handled than the pace allows."""
    seen, turns = [], 0
    async with linked(tmp_path / "v", CONFINED + packed(READY), packed(message) * 2000, on_seen=seen.append):
        loop = asyncio.get_running_loop()
        began, spent = loop.time(), 0.0
        while loop.time() - began < 0.8:
            at = loop.time()
            await asyncio.sleep(0)
            spent = max(spent, loop.time() - at)
            turns += 1
        elapsed_s = loop.time() - began
    assert len(seen) <= pace_of(SETTINGS)._a_second * (elapsed_s + 1) + 1
    assert turns > 200


@pytest.mark.parametrize(
    "sent",
    [
        packed(VisionTrouble("camera", "x" * 3000)),
        packed(msgspec.msgpack.encode({"type": "vision_trouble", "kind": "lock", "message": ""})),
        packed(msgspec.msgpack.encode({"type": "release_lock", "visit": "v", "lease_s": 5.0, "decided_at": 0.0})),
        packed(b"\xff" * 40),
        struct.pack("<I", 2**31),
        packed(VisionConfined(("y" * 3000,))),
        packed(VisionConfined(("no_landlock",) * 100)),
    ],
    ids=[
        "long words",
        "a trouble of its own",
        "an order to the latch",
        "noise",
        "a length without end",
        "long lacks",
        "many lacks",
    ],
)
async def test_a_message_that_vision_never_sends_ends_the_connection(tmp_path, sent):
    async with linked(tmp_path / "v", sent) as (service, _, lost):
        await until(lambda: service.calls >= 2)
        assert len(lost[0]) < 300


async def test_a_service_that_refuses_connections_is_retried_with_backoff(tmp_path):
    """Its queue is full, or nobody listens: the brain is not blocked, and reports it."""
    path = tmp_path / "v"
    with socket.socket(socket.AF_UNIX) as full:
        full.bind(str(path))
        lost = []
        link = VisionLink(VisionStart(SETTINGS, path), print, print, lost.append)
        task = asyncio.create_task(link.run())
        await until(lambda: len(lost) >= 2)
        task.cancel()
        await asyncio.wait([task])
    assert "its service cannot be reached" in lost[0]


async def test_a_missing_confinement_is_logged_once(tmp_path, caplog):
    sent = packed(VisionConfined(("no_landlock",)), VisionTrouble("camera", "none"))
    async with linked(tmp_path / "v", sent) as (_, _, lost):
        await until(lambda: len(lost) >= 3)
    assert caplog.messages == [f"vision can do more than it needs: {WORDS['no_landlock']}"]


# Attacks by a compromised vision process


def nested(depth=60_000):
    """Return a message with an unknown field that holds this many nested lists."""
    head = msgspec.msgpack.encode({"type": "vision_pulse", "frame_at": 0.0, "frames": 1, "faces": 0, "more": None})
    return head[:-1] + b"\x91" * depth + b"\xc0"


@pytest.mark.parametrize("before", [b"", CONFINED, CONFINED + packed(READY)], ids=["first", "then", "while it sees"])
async def test_a_deeply_nested_message_ends_the_connection_and_not_the_brain(tmp_path, before):
    async with linked(tmp_path / "v", before + packed(nested())) as (service, _, lost):
        await until(lambda: service.calls >= 2)
        assert "not a message of ours" in lost[0]


LOOK = Observation(1, 1, 0.0, (0.0, 0.0, 9.0, 9.0), 0.9)


@pytest.mark.parametrize(
    "sent",
    [
        packed(READY),
        packed(LOOK),
        CONFINED + CONFINED,
        CONFINED + packed(VisionPulse(0.0, 1, 0)),
        CONFINED + packed(LOOK),
        CONFINED + packed(TrackEnded(1, 0.0)),
        CONFINED + packed(CodeSeen("G1.A", 0.0)),
        CONFINED + packed(READY, READY),
        CONFINED + packed(READY, VisionConfined(())),
    ],
    ids=["ready at once", "a face at once", "confined twice", "a pulse first", "a face first", "an end first",
         "a pass first", "ready twice", "confined late"],
)  # fmt: skip
async def test_a_message_out_of_turn_ends_the_connection(tmp_path, sent):
    """A repeated `VisionReady` would reset every visit. Chatter before it would put off the timeout."""
    seen, ready = [], []
    calls = {"on_seen": seen.append, "on_code": seen.append, "on_ready": ready.append}
    async with linked(tmp_path / "v", sent, **calls) as (service, _, lost):
        await until(lambda: service.calls >= 2)
    assert "out of turn" in lost[0]
    assert not seen
    assert len(ready) <= len(lost) + 1


async def test_a_vision_that_never_becomes_ready_is_restarted(tmp_path, monkeypatch):
    monkeypatch.setattr("gated.face.vision_link.START_S", 0.2)
    async with linked(tmp_path / "v", CONFINED) as (service, _, lost):
        await until(lambda: service.calls >= 2)
    assert lost[0] == "it is silent"


@pytest.mark.parametrize(
    "rest", [struct.pack("<I", 100) + b"half", b"\x01\x00"], ids=["half a message", "half a length"]
)
async def test_an_unfinished_message_ends_the_connection(tmp_path, monkeypatch, rest):
    monkeypatch.setattr("gated.face.vision_link.SILENCE_S", 0.2)
    async with linked(tmp_path / "v", CONFINED + packed(READY) + rest) as (service, _, lost):
        await until(lambda: service.calls >= 2)
    assert lost[0] == "it is silent"


async def test_the_log_never_quotes_free_text_about_the_confinement(tmp_path, caplog):
    sent = packed({"type": "vision_confined", "lacks": ["Call 0900-1234 at once\nERROR gated: all is lost"]})
    async with linked(tmp_path / "v", sent) as (service, _, lost):
        await until(lambda: service.calls >= 2)
    assert "0900" not in caplog.text + "".join(lost)


async def test_an_exception_in_a_handler_ends_the_connection_and_not_the_brain(tmp_path, caplog):
    def breaks(_):
        raise ZeroDivisionError("inside")

    sent = CONFINED + packed(READY, LOOK)
    async with linked(tmp_path / "v", sent, on_seen=breaks) as (service, _, lost):
        await until(lambda: service.calls >= 2)
    assert lost[0] == "an internal error (ZeroDivisionError); read the log"
    assert "Traceback" in caplog.text


async def test_the_brain_sends_vision_its_settings_and_nothing_else(tmp_path):
    """No score and no decision: the attacker learns only what the camera sees."""
    received = bytearray()

    async def listen(reader, writer):
        writer.write(CONFINED + packed(READY) + packed(*[LOOK] * 50))
        writer.write_eof()
        received.extend(await reader.read())
        writer.close()

    async with await asyncio.start_unix_server(listen, tmp_path / "v"):
        lost = []
        link = VisionLink(VisionStart(SETTINGS, tmp_path / "v"), lambda _: None, lambda _: None, lost.append)
        task = asyncio.create_task(link.run())
        await until(lambda: lost and received)
        task.cancel()
        await asyncio.wait([task])
    assert bytes(received)[: len(packed(SETTINGS))] == packed(SETTINGS)
    assert len(received) == len(packed(SETTINGS))


async def test_file_descriptors_from_vision_are_not_kept(tmp_path):
    def hold():
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    ours, theirs = socket.socketpair()
    channel = await Channel.over(ours, FromVision)
    before = hold()
    word = packed(VisionPulse(0.0, 1, 0))
    for _ in range(20):
        socket.send_fds(theirs, [word], [theirs.fileno()] * 100)
        await channel.receive(10)
    assert hold() == before
    await channel.close()
    theirs.close()


async def test_handling_of_messages_takes_at_most_half_of_the_time(tmp_path):
    """Each observation costs a search in the gallery. A flood of them would take the whole loop."""
    seen = []

    def look(_):
        seen.append(1)
        end = time.monotonic() + 0.02
        while time.monotonic() < end:
            pass

    async with linked(tmp_path / "v", CONFINED + packed(READY), packed(LOOK) * 500, on_seen=look):
        await until(lambda: seen)
        loop = asyncio.get_running_loop()
        began, at_first = loop.time(), len(seen)
        await asyncio.sleep(1.5)
        spent_s, elapsed_s = (len(seen) - at_first) * 0.02, loop.time() - began
    assert spent_s <= 0.5 * elapsed_s + 0.5 + 0.04
