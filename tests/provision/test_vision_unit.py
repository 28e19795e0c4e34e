"""An update brings vision's unit to an older gate. If the gate then does not see, the old state comes back."""

import itertools

import pytest

from gated.config import parse
from gated.errors import ProvisionError
from gated.provision import vision_unit
from gated.provision.vision_unit import PLACE, bring_units

BEFORE = "[Service]\nExecStart=/opt/gated/current/venv/bin/gated run --service\n"
SOCKET, UNIT, BRAIN = "gated-vision.socket", "gated-vision.service", "gated.service"


@pytest.fixture
def gate(tmp_path, monkeypatch):
    """Return the units of an older gate and the calls to systemctl."""
    asked = []
    monkeypatch.setattr(vision_unit, "systemctl", lambda *words: asked.append(words))
    monkeypatch.setattr(vision_unit, "vision_user", lambda: asked.append(("user",)))
    monkeypatch.setattr(vision_unit, "SEES_S", 0.0)
    place = tmp_path / PLACE
    place.mkdir(parents=True)
    (place / BRAIN).write_text(BEFORE)
    (place / "gated-latch.service").write_text(BEFORE)
    settings = parse({"site": {"id": "a"}, "gate": {"id": "b"}}, tmp_path)
    return settings, tmp_path, place, asked


def test_a_gate_of_before_gets_the_user_the_units_and_the_socket(gate):
    settings, root, place, asked = gate
    assert bring_units(settings, lambda: True, root=root, stays=lambda: True)
    assert asked == [("user",), ("daemon-reload",), ("enable", "--now", SOCKET), ("restart", BRAIN)]
    assert (place / UNIT).stat().st_mode & 0o777 == 0o644
    assert "char-video4linux" not in (place / BRAIN).read_text()
    del asked[:]
    assert not bring_units(settings, lambda: True, root=root, stays=lambda: True)  # the second run has nothing to do
    assert asked == []


@pytest.mark.parametrize(("stays", "then_sees"), [(True, False), (False, True), (False, False)])
def test_if_vision_fails_with_the_new_units_the_old_ones_return(gate, stays, then_sees):
    settings, root, place, asked = gate
    sees = itertools.chain([True], itertools.repeat(then_sees))
    assert not bring_units(settings, lambda: next(sees), root=root, stays=lambda: stays)
    assert sorted(path.name for path in place.iterdir()) == ["gated-latch.service", BRAIN]
    assert {path.read_text() for path in place.iterdir()} == {BEFORE}
    assert asked[-3:] == [("disable", "--now", SOCKET), ("daemon-reload",), ("restart", BRAIN)]


def test_a_gate_that_was_blind_before_keeps_the_new_units(gate):
    settings, root, _, _ = gate
    assert bring_units(settings, lambda: False, root=root, stays=lambda: True)


def test_a_failed_change_does_not_end_the_update(gate, monkeypatch):
    settings, root, place, _ = gate

    def refuse():
        raise ProvisionError("the user gated-vision cannot be made; run this as root")

    monkeypatch.setattr(vision_unit, "vision_user", refuse)
    assert not bring_units(settings, lambda: True, root=root, stays=lambda: True)
    assert (place / BRAIN).read_text() == BEFORE


def test_a_machine_without_the_gates_services_is_left_alone(gate):
    settings, root, place, asked = gate
    (place / BRAIN).unlink()
    assert not bring_units(settings, lambda: True, root=root, stays=lambda: True)
    assert asked == []
