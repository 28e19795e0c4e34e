"""Tests the start of vision processes: as a service or as a child, with their settings, and early."""

import asyncio
import socket

import msgspec
import pytest

from gated.config import CameraSettings, FaceSettings, ModelSettings, parse
from gated.errors import WireError
from gated.face.vision_messages import VisionConfined, VisionSettings
from gated.face.vision_start import VisionStart, gate_vision
from tests.fakes.vision_service import FakeVision, packed

SETTINGS = VisionSettings(CameraSettings(fps=10), ModelSettings(), FaceSettings(max_faces=5))
CONFINED = packed(VisionConfined(()))


async def test_without_the_services_socket_vision_is_our_child_and_logs_it_once(tmp_path, caplog):
    start = VisionStart(SETTINGS, tmp_path / "nothing")
    for _ in range(2):
        await (await start.start()).end()
    assert [line for line in caplog.messages if "not a service here" in line] == caplog.messages[:1]


async def test_a_vision_that_was_never_to_be_a_service_logs_nothing(caplog):
    await (await VisionStart(SETTINGS).start()).end()
    assert caplog.messages == []


async def test_an_early_vision_has_its_settings_before_anybody_reads_its_messages(tmp_path):
    """Vision loads its models as soon as it has the settings, while the brain is still busy."""
    arrived = asyncio.get_running_loop().create_future()

    async def listen(reader, writer):
        length = int.from_bytes(await reader.readexactly(4), "little")
        arrived.set_result(msgspec.msgpack.decode(await reader.readexactly(length), type=VisionSettings))
        writer.close()

    async with await asyncio.start_unix_server(listen, tmp_path / "v"):
        start = VisionStart(SETTINGS, tmp_path / "v")
        await start.start_early()
        async with asyncio.timeout(20):
            assert await arrived == SETTINGS
        await start.aclose()


async def test_an_early_vision_is_the_first_one_and_no_second_one_is_started(tmp_path):
    async with FakeVision(tmp_path / "v", lambda _: [CONFINED]) as service:
        start = VisionStart(SETTINGS, tmp_path / "v")
        await start.start_early()
        worker = await start.start()
        assert await worker.channel.receive(20) == VisionConfined(())
        assert service.calls == 1
        await worker.end()


async def test_an_early_vision_without_a_user_is_killed():
    start = VisionStart(SETTINGS)
    await start.start_early()
    process = start._early.process.process
    await start.aclose()
    assert process.returncode is not None


async def test_a_service_that_refuses_connections_does_not_prevent_the_start_of_the_brain(tmp_path):
    path = tmp_path / "v"
    with socket.socket(socket.AF_UNIX) as full:
        full.bind(str(path))
        start = VisionStart(SETTINGS, path)
        await start.start_early()
        assert not start.has_early
        with pytest.raises(OSError, match="refused"):
            await start.start()


async def test_settings_that_are_too_long_for_the_channel_leave_no_process_behind(monkeypatch):
    """A path may be long. The reason is reported, and the process ends."""
    ended = []
    start = VisionStart(msgspec.structs.replace(SETTINGS, camera=CameraSettings(path="x" * 70_000)))
    begin = start._process

    async def process():
        ended.append(await begin())
        return ended[-1]

    monkeypatch.setattr(start, "_process", process)
    await start.start_early()
    assert not start.has_early
    assert ended[0].process.returncode is not None
    with pytest.raises(WireError, match="over the limit"):
        await start.start()


@pytest.mark.parametrize("key", ["", "site.pub"])
def test_the_vision_of_a_gate_scans_for_passes_only_if_they_can_be_verified(tmp_path, key):
    written = {"site": {"id": "a"}, "gate": {"id": "b"}, **({"readers": {"pass_key": key}} if key else {})}
    settings = parse(written, tmp_path)
    asked = gate_vision(settings).settings
    assert asked == VisionSettings(settings.camera, settings.models, settings.face, bool(key))
