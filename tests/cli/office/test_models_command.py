"""`gated office models` shows what the owner accepts before the command is sent."""

import io

import pytest

from gated.cli import streams
from gated.cli.office import commands
from gated.errors import OfficeError


class Terminal:
    def isatty(self):
        return True


@pytest.fixture
def answer(monkeypatch):
    """Return a function that makes a person at a terminal give this answer."""

    def give(accepts):
        asked = []
        monkeypatch.setattr(commands.sys, "stdin", Terminal())
        monkeypatch.setattr(streams, "confirm", lambda question, **_: asked.append(question) or accepts)
        return asked

    return give


def test_licences_and_training_data_are_shown_first(answer, capsys):
    asked = answer(True)
    commands._accept_models("site-light")
    shown = capsys.readouterr().err
    assert "mobilefacenet_128d.onnx: Apache-2.0, foamliu/MobileFaceNet; trained on: MS-Celeb-1M" in shown
    assert len(shown.splitlines()) == 4
    assert len(asked) == 1


def test_a_no_sends_nothing(answer):
    answer(False)
    with pytest.raises(OfficeError, match="nothing was sent"):
        commands._accept_models("site")


def test_a_set_that_only_the_gate_knows_is_not_asked_for(answer, capsys):
    asked = answer(False)
    commands._accept_models("their-own")
    assert (asked, capsys.readouterr().err) == ([], "")


def test_a_script_is_shown_the_same_and_not_asked(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    commands._accept_models("site-light-intel")
    assert "trained on: not disclosed by Intel" in capsys.readouterr().err
