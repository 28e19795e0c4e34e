"""A pass on a phone, read at the gate by the real scanner, in every light, and by a real vision process."""

import asyncio

import msgspec
import numpy as np
import pytest

from gated.config import CameraSettings, FaceSettings, ModelSettings
from gated.errors import CameraError
from gated.face.pass_scan import pass_in
from gated.face.vision_link import VisionLink
from gated.face.vision_messages import VisionSettings
from gated.face.vision_start import VisionStart
from gated.simulator.cast import Cast
from gated.simulator.composition import compose
from gated.simulator.phone_code import code_on_phone
from gated.simulator.script import Actor, Held, Script, read_script, write_script

TEXT = "G1." + "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" * 6
SIZE = (1280, 960)


def shown(sky, person, seconds, text=TEXT):
    actor = Actor(person=person, comes_s=0, holds=Held("pass", text=text))
    placed = Cast(SIZE[0], sky, seed=person).place(actor, seconds)
    return compose([placed], SIZE, number=int(seconds * 10), sky=sky, seed=person)


@pytest.mark.parametrize("sky", ["day", "dusk"])
@pytest.mark.parametrize("person", range(3))
def test_a_pass_held_up_at_the_gate_is_read(sky, person):
    assert pass_in(shown(sky, person, 3.0).rgb) == TEXT


def test_a_pass_far_away_is_too_small_to_read():
    assert pass_in(shown("day", 1, 0.0).rgb) is None


def test_a_pass_is_not_a_face_and_hides_no_face():
    (seen,) = shown("day", 1, 3.0).seen
    assert not seen.is_held


def test_the_same_seed_gives_the_same_phone():
    one, same, other = (code_on_phone(TEXT, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one.rgb, same.rgb)
    assert one.rgb.shape != other.rgb.shape or not np.array_equal(one.rgb, other.rgb)


def test_a_script_with_a_pass_survives_writing_and_reading(tmp_path):
    script = Script(actors=(Actor(person=1, comes_s=1, holds=Held("pass", text=TEXT)),))
    write_script(script, tmp_path / "scene.json")
    assert read_script(tmp_path / "scene.json") == script


@pytest.mark.parametrize(
    "held", [{"kind": "pass"}, {"kind": "phone", "text": "G1.A"}, {"kind": "pass", "text": "x" * 301}]
)
def test_a_pass_without_its_text_is_refused(tmp_path, held):
    path = tmp_path / "scene.json"
    path.write_bytes(msgspec.json.encode({"actors": [{"person": 1, "comes_s": 1, "holds": held}]}))
    with pytest.raises(CameraError, match="not a scene script"):
        read_script(path)


@pytest.mark.slow
async def test_vision_reports_a_held_pass_to_the_brain_once(shared, tmp_path):
    scene = tmp_path / "scene.json"
    write_script(Script(actors=(Actor(person=4, comes_s=0.5, holds=Held("pass", text=TEXT)),), ends_s=600), scene)
    settings = VisionSettings(
        CameraSettings(kind="simulated", path=str(scene), fps=5, timeout_s=20),
        ModelSettings(dir=str(shared / "models"), set="evaluation"),
        FaceSettings(),
        passes=True,
    )
    codes, lost, pulses = [], [], []
    link = VisionLink(VisionStart(settings), lambda _: None, lambda _: None, lost.append, codes.append)
    task = asyncio.create_task(link.run())
    try:
        async with asyncio.timeout(90):
            while not codes:
                await asyncio.sleep(0.1)
            pulses.append(link.pulse.frames)
            while link.pulse is None or link.pulse.frames < pulses[0] + 15:
                await asyncio.sleep(0.1)
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert [code.text for code in codes] == [TEXT]
    assert lost == []
