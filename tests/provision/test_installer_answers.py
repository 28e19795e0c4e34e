"""The installer's answers mean the same in every form. A wrong answer is named with its file and place."""

import pytest

from gated.errors import ConfigError
from gated.provision.installer_answers import InstallerAnswers, answered, assignments, merged


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "answers.toml"
        path.write_text(text)
        return path

    return write


def test_a_file_says_everything(file):
    path = file('site = "s"\ngate = "g"\nmodels = "evaluation"\n[settings.door]\nrex_pin = 23\n')
    said = answered(path, {}, None)
    assert said == InstallerAnswers(site="s", gate="g", models="evaluation", settings={"door": {"rex_pin": 23}})


def test_a_flag_beats_the_file_key_by_key(file):
    path = file('site = "s"\ngate = "g"\n[settings.door]\nrex_pin = 23\nlock_pin = 17\n')
    said = answered(path, {"gate": "other", "settings": {"door": {"rex_pin": 5}}}, None)
    assert (said.site, said.gate, said.settings) == ("s", "other", {"door": {"rex_pin": 5, "lock_pin": 17}})


def test_only_missing_answers_are_asked_for():
    asked = []
    said = answered(None, {"site": "s"}, lambda question: asked.append(question) or "g")
    assert (said.site, said.gate, len(asked)) == ("s", "g", 1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('site = "s"\n', "gate"),
        ('site = "s"\ngate = 5\n', "gate"),
        ('site = "s"\ngate = "g"\nkoisk = true\n', "koisk"),
        ("site = ", "not valid TOML"),
    ],
)
def test_answers_that_are_none_are_refused_by_name(file, text, why):
    with pytest.raises(ConfigError, match=why):
        answered(file(text), {}, None)


def test_a_missing_file_is_reported(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        answered(tmp_path / "nowhere.toml", {}, None)


def test_settings_on_the_command_line_are_what_they_look_like():
    said = assignments(["door.contact_pin=22", "door.pins=mock", "site.holidays=['2026-10-01']", "cues.volume = 0.5"])
    assert said == {
        "door": {"contact_pin": 22, "pins": "mock"},
        "site": {"holidays": ["2026-10-01"]},
        "cues": {"volume": 0.5},
    }


@pytest.mark.parametrize("word", ["door", "contact_pin=22", "=22", ".x=1", "door.=1"])
def test_an_answer_that_is_no_setting_is_refused(word):
    with pytest.raises(ConfigError, match=r"write, for example, door\.contact_pin=22"):
        assignments([word])


def test_of_two_tables_the_second_counts_key_by_key():
    assert merged({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}, "b": {"z": 4}}) == {"a": {"x": 1, "y": 3}, "b": {"z": 4}}
