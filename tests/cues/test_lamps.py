"""Lamps, buzzer and pad follow the table of cues. Lines that are not fitted are never played."""

import pytest

from gated.config import CueSettings
from gated.cues.cue import NO_RHYTHM, STEADY, Rhythm, Shape, Situation
from gated.cues.lamps import Lamps, output_rhythms
from gated.cues.plan import PLAN
from gated.door.output_table import OUTPUTS
from gated.errors import LatchError

OPEN, REFUSED, IDLE, FAULT = (PLAN[Situation(name)] for name in ("open", "refused", "idle", "fault"))


def fitted(*names: str) -> CueSettings:
    return CueSettings(**{f"{name}_pin": i for i, name in enumerate(names)})


@pytest.mark.parametrize("situation", Situation)
def test_every_situation_sets_every_line(situation):
    pulses = dict(output_rhythms(PLAN[situation], None, NO_RHYTHM))
    assert set(pulses) == set(OUTPUTS)
    assert {line for line in ("ready", "open", "refused", "fault") if pulses[line].pattern} == {
        shape.value for shape in PLAN[situation].shapes
    }
    assert any(pulses[line].pattern for line in ("red", "green", "blue"))


@pytest.mark.parametrize("situation", Situation)
def test_the_three_colour_lamp_has_the_rhythm_of_the_shapes(situation):
    pulses = dict(output_rhythms(PLAN[situation], None, NO_RHYTHM))
    assert {pulses[line] for line in ("red", "green", "blue")} <= {PLAN[situation].lamp, NO_RHYTHM}


def test_open_is_steady_light_and_a_steady_pad(played):
    Lamps(fitted(*OUTPUTS), played).show(OPEN)
    assert played.now["open"] == STEADY.pattern
    assert played.now["vibration"] == STEADY.pattern
    assert {line for line, pattern in played.now.items() if pattern} == {"open", "green", "blue", "vibration"}


def test_only_fitted_lines_are_played(played):
    Lamps(fitted("open"), played).show(OPEN)
    assert played == [("open", (1.0,), 0)]
    played.clear()
    Lamps(fitted(), played).show(OPEN)
    assert played == []


def test_only_changed_lines_are_sent(played):
    lamps = Lamps(fitted(*OUTPUTS), played)
    lamps.show(OPEN)
    played.clear()
    lamps.show(OPEN)
    assert played == []
    lamps.show(IDLE)
    assert {line for line, _, _ in played} == {"ready", "open", "red", "green", "blue", "vibration"}


def test_a_rhythm_with_repeats_is_played_again_when_the_cue_restarts(played):
    lamps = Lamps(fitted("refused", "vibration"), played)
    lamps.show(REFUSED)
    lamps.show(REFUSED)
    assert [p for p in played if p[0] == "vibration"] == [("vibration", (0.2, 0.2), 3)] * 2
    assert [p for p in played if p[0] == "refused"] == [("refused", (0.5, 0.5), 0)]


def test_with_touch_first_the_pad_lasts_until_the_cue_ends(played):
    Lamps(fitted("vibration"), played).show(REFUSED, "touch")
    assert played == [("vibration", (0.2, 0.2), 0)]


def test_with_light_first_the_lamp_is_white_in_the_same_rhythm(played):
    Lamps(fitted("red", "green", "blue"), played).show(OPEN, "light")
    assert played.now == dict.fromkeys(("red", "green", "blue"), STEADY.pattern)


def test_the_buzzer_plays_its_rhythm_until_another_is_given(played):
    lamps = Lamps(fitted("buzzer"), played)
    lamps.show(OPEN, beep=OPEN.tone)
    lamps.beep(OPEN.tick)
    lamps.show(IDLE)
    assert played == [("buzzer", (0.6, 0.2), 2), ("buzzer", (0.05, 0.95), 0), ("buzzer", (), 0)]


def test_a_restarted_latch_gets_every_line_again(played):
    lamps = Lamps(fitted(*OUTPUTS), played)
    lamps.show(FAULT)
    before = [p for p in played if p[1]]
    played.clear()
    lamps.forget()
    lamps.show(FAULT)
    assert [p for p in played if p[1]] == before


def test_without_a_latch_nothing_raises_and_every_line_is_sent_later(played):
    is_there = False

    def play(line, pattern, repeats):
        if not is_there:
            raise LatchError("the latch does not answer")
        played(line, pattern, repeats)

    lamps = Lamps(fitted("open", "ready"), play)
    lamps.show(OPEN)
    assert played == []
    is_there = True
    lamps.show(OPEN)
    assert played.now["open"] == STEADY.pattern


def test_every_lamp_has_its_own_shape():
    assert len({shape.value for shape in Shape}) == 4
    assert Rhythm() == NO_RHYTHM
