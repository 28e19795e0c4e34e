"""A scene as data: all positions follow from it, and an invalid file gives a clear error."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.errors import CameraError
from gated.simulator.script import (
    FAR_M,
    PASS_S,
    TURN_DEG,
    Actor,
    Held,
    Looks,
    Script,
    read_script,
    stand,
    write_script,
)

ACTOR = Actor(person=7, comes_s=10.0, leaves_s=15.0, walk_s=2.0)


def test_an_actor_is_absent_before_coming_and_after_leaving():
    assert stand(ACTOR, 9.99) is None
    assert stand(ACTOR, 10.0) is not None
    assert stand(ACTOR, 15.0 + PASS_S - 0.01) is not None
    assert stand(ACTOR, 15.0 + PASS_S) is None


def test_a_walk_ends_at_the_gate():
    path = [stand(ACTOR, 10 + n / 10) for n in range(50)]
    distances = [there.distance_m for there in path]
    assert distances[0] == FAR_M
    assert distances == sorted(distances, reverse=True)
    assert distances[20:] == [pytest.approx(ACTOR.stops_m)] * 30
    assert [there.is_walking for there in path] == [True] * 20 + [False] * 30


def test_an_actor_without_a_leave_time_stays():
    assert stand(Actor(person=1, comes_s=0.0), 86_400.0).distance_m == pytest.approx(0.85)


@pytest.mark.parametrize(("goes", "sign"), [("in", 1), ("away", -1)])
def test_a_leaving_actor_turns_and_leaves_the_view(goes, sign):
    last = stand(msgspec.structs.replace(ACTOR, goes=goes), 15 + PASS_S - 1e-6)
    assert sign * last.across > 1.5
    assert last.yaw == sign * TURN_DEG
    assert last.is_walking


@given(st.integers(0, 2**32), st.floats(0, 1000), st.floats(0, 1000))
def test_a_still_head_faces_the_gate_and_is_reproducible(person, comes_s, at_s):
    actor = Actor(person=person, comes_s=comes_s)
    there = stand(actor, at_s)
    assert there == stand(actor, at_s)
    if there is not None:
        assert abs(there.yaw) <= 9
        assert abs(there.pitch) <= 4
        assert all(math.isfinite(number) for number in (there.distance_m, there.across))


def test_a_script_survives_writing_and_reading(tmp_path):
    script = Script(
        actors=(
            ACTOR,
            Actor(person=2, comes_s=1.5, name="a stranger", age="child", goes="in", looks=Looks(glasses="dark")),
            Actor(person=3, comes_s=2, holds=Held("phone", 7)),
        ),
        ends_s=30,
        sky="dusk",
        begins_at=123.25,
    )
    path = tmp_path / "scene.json"
    write_script(Script(), path)
    write_script(script, path)
    assert read_script(path) == script
    assert [p.name for p in tmp_path.iterdir()] == ["scene.json"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "ends too early"),
        ('{"actors": [{"person": 1}]}', "comes_s"),
        ('{"actors": [{"person": 1, "comes_s": -1}]}', "comes_s"),
        ('{"actors": [{"person": 1, "comes_s": 1, "hat": true}]}', "hat"),
        ('{"sky": "green"}', "sky"),
        ('{"ends_s": NaN}', "not valid JSON"),
        ("[" * 100_000, "scene script"),
    ],
)
def test_the_error_for_an_invalid_script_names_the_fault(tmp_path, text, says):
    path = tmp_path / "scene.json"
    path.write_text(text)
    with pytest.raises(CameraError, match="scene.json: not a scene script") as refused:
        read_script(path)
    assert says in str(refused.value)


def test_the_error_for_a_missing_script_names_the_file(tmp_path):
    with pytest.raises(CameraError, match="nowhere.json cannot be read"):
        read_script(tmp_path / "nowhere.json")
