"""The rules of the table of cues: every channel, no colour alone, no fast flashing, no name, no accusation."""

import itertools
import re

import pytest

from gated.config import CueSettings
from gated.cues import plan
from gated.cues.cue import GUIDANCE, MIX, RANK, STEADY, Colour, Rhythm, Shape, Situation
from gated.cues.plan import PLAN
from gated.cues.samples import PITCH_HZ
from gated.cues.words import EVERYTHING, cue_sentence
from gated.door.output_table import LEAST_LAMP_S


def rises(pattern: tuple[float, ...]) -> list[float]:
    """Return the seconds from each flash to the next, in a repeated pattern."""
    if len(pattern) < 2:
        return []
    pairs = [sum(pattern[i : i + 2]) for i in range(0, len(pattern), 2)]
    return pairs if len(pattern) % 2 == 0 else [*pairs[:-1], pairs[-1] + pairs[0]]


def test_every_situation_has_a_cue():
    assert set(PLAN) == set(Situation) == set(RANK)


def test_the_table_is_immutable():
    with pytest.raises(TypeError):
        PLAN[Situation.OPEN] = PLAN[Situation.REFUSED]
    with pytest.raises(TypeError):
        PLAN[Situation.OPEN].words["en"] = "GO"


@pytest.mark.parametrize("situation", Situation)
def test_every_cue_has_light_sound_and_touch_or_screen(situation):
    cue = PLAN[situation]
    assert cue.shapes
    assert cue.lamp.pattern
    assert cue.tone.pattern or cue.tick.pattern or situation is Situation.IDLE
    assert cue.touch.pattern or (cue.pictogram and situation in {*GUIDANCE, Situation.LOOKING, Situation.IDLE})
    assert set(cue.words) == set(cue.sentences) == {"zh", "en"}
    assert all(cue.words.values())
    assert all(cue_sentence(cue, language, EVERYTHING) for language in ("zh", "en"))


def test_only_the_idle_cue_is_silent():
    silent = {s for s, cue in PLAN.items() if not (cue.tone.pattern or cue.tick.pattern or cue.is_spoken)}
    assert silent == {Situation.IDLE}


def alike(quality, among=Situation):
    """Return each pair of these situations whose cues have the same quality."""
    return [(a, b) for a, b in itertools.combinations(among, 2) if quality(PLAN[a]) == quality(PLAN[b])]


def test_no_two_cues_differ_by_colour_alone():
    assert alike(lambda cue: cue.pictogram) == []
    assert alike(lambda cue: cue.words["zh"]) == []
    assert alike(lambda cue: cue.words["en"]) == []
    assert alike(lambda cue: cue.lamp) == [], "a gate with only a three-colour lamp has only the rhythm"


def test_no_two_spoken_cues_sound_the_same():
    assert alike(lambda cue: cue_sentence(cue, "zh", EVERYTHING), [s for s in Situation if PLAN[s].is_spoken]) == []
    assert alike(lambda cue: (cue.tone, cue.tick), [s for s in Situation if s not in GUIDANCE]) == []


def test_no_two_cues_feel_the_same():
    assert alike(lambda cue: cue.touch, [s for s in Situation if PLAN[s].touch.pattern]) == []


@pytest.mark.parametrize("situation", Situation)
def test_no_lamp_flashes_faster_than_twice_a_second(situation):
    assert all(gap >= 0.5 - 1e-9 for gap in rises(PLAN[situation].lamp.pattern))


@pytest.mark.parametrize("situation", Situation)
def test_no_segment_of_a_light_is_shorter_than_the_latch_allows(situation):
    assert min(PLAN[situation].lamp.pattern) >= LEAST_LAMP_S


def test_the_measure_of_flashing_finds_a_fast_lamp():
    assert min(rises((0.1, 0.1, 0.1, 2.0))) < 0.5
    assert min(rises((0.2, 0.2, 0.2))) < 0.5
    assert rises((1.0,)) == []


@pytest.mark.parametrize("situation", Situation)
def test_every_pattern_can_be_played(situation):
    cue = PLAN[situation]
    for pulse in (cue.lamp, cue.tone, cue.tick, cue.touch):
        assert all(part > 0 for part in pulse.pattern)
        assert pulse.repeats >= 0
        assert pulse.length_s == pytest.approx(sum(pulse.pattern))
    assert cue.tone.repeats >= 1 or not cue.tone.pattern, "a tone at the beginning ends"
    assert cue.tick.repeats == 0 == cue.lamp.repeats
    assert len(cue.tick.pattern) % 2 == 0, "a tick ends with a silence"


def test_a_steady_light_and_a_steady_pad_mean_only_open():
    assert [s for s, cue in PLAN.items() if cue.lamp == STEADY] == [Situation.OPEN]
    assert [s for s, cue in PLAN.items() if cue.touch == STEADY] == [Situation.OPEN]


def test_no_colour_is_red_or_green_alone():
    assert set(MIX) == set(Colour)
    assert all(set(lines) not in ({"red"}, {"green"}) for lines in MIX.values())
    assert len({frozenset(lines) for lines in MIX.values()}) == len(Colour)


def test_every_shape_and_colour_has_a_line_in_the_settings():
    fields = set(CueSettings.__struct_fields__)
    assert {f"{shape.value}_pin" for shape in Shape} <= fields
    assert {f"{line}_pin" for lines in MIX.values() for line in lines} <= fields


def test_every_beep_is_audible_for_old_ears():
    assert PITCH_HZ <= 2500


def test_fire_has_the_highest_priority_and_idle_the_lowest():
    order = sorted(Situation, key=RANK.get)
    assert order[0] is Situation.FIRE
    assert order[-2:] == [Situation.LOOKING, Situation.IDLE]
    for higher, lower in itertools.pairwise(
        [Situation.FIRE, Situation.ALARM, Situation.LOCKDOWN, Situation.OPEN, Situation.REFUSED, Situation.FAULT]
    ):
        assert RANK[higher] < RANK[lower]


@pytest.mark.parametrize("situation", [Situation.REFUSED, Situation.RESTING])
def test_a_refusal_names_another_credential_and_no_reason(situation):
    cue = PLAN[situation]
    texts = " ".join(
        [*cue.words.values(), *(cue_sentence(cue, language, EVERYTHING) for language in ("zh", "en"))]
    ).lower()
    for accusing in (
        "face",
        "known",
        "recogn",
        "match",
        "denied",
        "refused",
        "wrong",
        "fail",
        "脸",
        "识别",
        "拒绝",
        "错",
    ):
        assert accusing not in texts
    assert "please" in texts
    assert "请" in texts


def test_a_refusal_names_every_other_credential():
    texts = {language: cue_sentence(PLAN[Situation.REFUSED], language, EVERYTHING) for language in ("zh", "en")}
    assert all(way in texts["zh"] for way in ("卡", "密码", "呼叫"))
    assert all(way in texts["en"] for way in ("card", "code", "call"))


def test_the_open_cue_is_the_same_for_everybody():
    assert [s for s, cue in PLAN.items() if cue.words["en"] == "OPEN"] == [Situation.OPEN]
    assert "face" not in PLAN[Situation.OPEN].sentences["en"]


@pytest.mark.parametrize("situation", Situation)
def test_words_are_short_enough_for_large_letters(situation):
    words = PLAN[situation].words
    assert re.fullmatch(r"[A-Z]{2,7}", words["en"])
    assert 1 <= len(words["zh"]) <= 2


@pytest.mark.parametrize("situation", Situation)
def test_texts_have_no_placeholders_for_names(situation):
    cue = PLAN[situation]
    texts = [cue_sentence(cue, language, EVERYTHING) for language in ("zh", "en")]
    assert not re.search(r"[{}%$]", "".join([*cue.words.values(), *texts]))


@pytest.mark.parametrize("situation", Situation)
def test_no_cue_mentions_eyes_or_glasses(situation):
    texts = " ".join(cue_sentence(PLAN[situation], language, EVERYTHING) for language in ("zh", "en")).lower()
    assert not re.search(r"\b(look|eyes?|blink|smile|glasses|mask)\b|眼|眨|笑|镜|口罩", texts)


@pytest.mark.parametrize("situation", Situation)
def test_the_docstring_shows_the_table(situation):
    row = next(line for line in plan.__doc__.splitlines() if line.startswith(f"| {situation} "))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    cue = PLAN[situation]
    assert cells[5] == f"{cue.words['zh']} {cue.words['en']}"
    assert cells[2] == cue.colour
    shapes = {shape for shape in Shape if shape.name.lower() in cells[1] or "all four" in cells[1]}
    assert shapes == set(cue.shapes)
    assert (cells[4] == "-") == (not cue.touch.pattern)


def test_only_danger_keeps_its_volume_at_night():
    assert {s for s, cue in PLAN.items() if cue.is_urgent} == {Situation.FIRE, Situation.ALARM}


def test_urgent_sentences_are_repeated():
    assert {s for s, cue in PLAN.items() if cue.is_repeated} == {Situation.FIRE, Situation.ALARM, Situation.HELD_OPEN}
    assert all(cue.tick.pattern for cue in PLAN.values() if cue.is_repeated), "it ticks between the sentences"


def test_the_fire_signal_is_three_pulses_and_a_pause():
    assert PLAN[Situation.FIRE].tick == Rhythm((0.5, 0.5, 0.5, 0.5, 0.5, 1.5))
