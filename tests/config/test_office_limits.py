"""The office may only tighten protective settings. Every key states its direction; loosening is named and refused."""

import re
from pathlib import Path
from typing import get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gated
from gated.config import Settings, load, load_own
from gated.config.model_limits import measured
from gated.config.office_limits import loosened
from gated.config.overlay import ALLOWED, laid_over
from gated.config.proposing import propose, propose_models
from gated.config.safe import QUIETEST, Safe, loosens, permissions_of
from gated.config.settings_trial import begin
from gated.config.toml_writing import to_toml
from gated.errors import ConfigError
from gated.face.manifest import load_manifest

OWN = """
state_dir = "state"
[site]
id = "courtyard-2"
holidays = ["2026-10-01"]
[gate]
id = "front"
[door]
pins = "mock"
[schedules.cleaners]
start = "06:00"
end = "08:00"
"""
THIEF = {
    ("access", "threshold"): 1e-9,
    ("access", "pad_threshold"): 1e-9,
    ("access", "margin"): 0.0,
    ("access", "frames"): 1,
    ("access", "give_up_s"): 30.0,
    ("access", "max_frame_age_s"): 5.0,
    ("face", "min_eye_px"): 16.0,
    ("face", "max_saturated"): 1.0,
    ("readers", "attempts"): 100,
    ("readers", "attempts_s"): 1.0,
    ("readers", "rest_s"): 1.0,
    ("readers", "pin_digits"): 4,
    ("door", "release_s"): 30.0,
    ("cues", "volume"): 0.0,
    ("cues", "quiet_volume"): 0.0,
    ("cues", "languages"): [],
    ("models", "set"): "courtyard",
}
MARKS = {Safe.MORE: "[+]", Safe.LESS: "[-]", Safe.ANY: "[=]"}


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "gated.toml"
    file.write_text(OWN)
    (tmp_path / "state").mkdir(mode=0o700)
    return file


def refused(config, toml):
    with pytest.raises(ConfigError) as caught:
        propose(config, toml)
    return caught.value.problems


def keep(config, toml):
    """Write the kept office settings directly, as an older gated or a stricter installer may leave them."""
    (config.parent / "state" / "office.toml").write_text(toml)


def test_every_key_of_the_office_has_a_direction_or_protects_nobody():
    words = permissions_of(Settings)
    assert set(words) == ALLOWED
    numbers = {key for key, word in words.items() if word in {Safe.MORE, Safe.LESS}}
    assert numbers >= {key for key in THIEF if key[0] not in {"cues", "models"}}
    protects_nobody = {key for key, word in words.items() if word is Safe.ANY}
    assert protects_nobody == {("face", "threads"), ("face", "max_faces"), ("cues", "quiet_from"), ("cues", "quiet_to")}


@pytest.mark.parametrize(
    ("own", "new", "is_refused"),
    [("", "2027-01-01", False), ("2027-01-01", "2026-12-31", False), ("2027-01-01", "2027-01-02", True),
     ("2027-01-01", "", True), ("", "", False)],
)  # fmt: skip
def test_the_office_may_end_weak_pins_earlier_and_never_later(own, new, is_refused):
    assert loosens(Safe.SOONER, own, new) == is_refused


EXAMPLE = Path(gated.__file__).with_name("example.toml")


def test_the_example_shows_the_direction_of_every_key():
    text = EXAMPLE.read_text("utf-8")
    for (table, *key), word in permissions_of(Settings).items():
        if table == "second_door":
            continue
        body = text.split(f"[{table}", 1)[1]
        line = re.search(rf"^(# )?{key[0]} = .*$" if key else r"^.*$", body, re.MULTILINE)
        assert line is not None
        assert line[0].endswith(MARKS.get(word, "[~]")), line[0]


@pytest.mark.parametrize("key", THIEF, ids=".".join)
def test_a_loosening_is_refused_with_its_key_and_its_bound(config, key):
    (problem,) = refused(config, to_toml({key: THIEF[key]}))
    assert problem.startswith(f"{'.'.join(key)}: the office may only") or key[0] == "cues"
    assert problem.startswith(".".join(key))
    assert load(config) == load_own(config)


def test_all_loosenings_are_reported_at_once(config):
    assert len(refused(config, to_toml(THIEF))) == len(THIEF)


def test_one_loosening_refuses_the_whole_proposal(config):
    refused(config, "access.frames = 9\naccess.margin = 0.0\n")
    assert begin(config).settings == load_own(config)


def test_a_tightening_is_accepted(config):
    tight = {
        ("access", "threshold"): 0.9, ("access", "margin"): 0.2, ("access", "frames"): 9, ("readers", "attempts"): 2,
        ("readers", "rest_s"): 600.0, ("door", "release_s"): 5.0, ("cues", "volume"): QUIETEST,
        ("face", "max_yaw_deg"): 20.0,
    }  # fmt: skip
    found = laid_over(config, to_toml(tight), "x")
    assert (found.access.threshold, found.access.frames, found.door.release_s) == (0.9, 9, 5.0)


def test_without_the_installers_threshold_the_manifests_is_the_bound(config):
    own = load_own(config)
    bound = load_manifest(own.models).model_set(own.models.set).threshold
    assert f"here it is {bound}" in refused(config, f"access.threshold = {bound - 0.001}")[0]
    assert laid_over(config, f"access.threshold = {bound}", "x").access.threshold == bound


def test_the_installers_threshold_is_the_bound_even_below_the_manifests(config):
    config.write_text(OWN + "[access]\nthreshold = 0.2\npad_threshold = 0.3\n")
    assert laid_over(config, "access.threshold = 0.2", "x").access.threshold == 0.2
    assert "here it is 0.2" in refused(config, "access.threshold = 0.19")[0]
    assert "here it is 0.3" in refused(config, "access.pad_threshold = 0.29")[0]


def test_without_a_manifest_every_proposal_is_refused(config):
    config.write_text(OWN + '[models]\nmanifest = "none.toml"\n')
    assert "no comparable value" in refused(config, "access.threshold = 0.99")[0]


def test_a_threshold_measured_with_another_set_does_not_loosen_the_offices(config):
    """The installer measured 0.2 with the set "evaluation". The gate calibrates the threshold of "site" itself."""
    config.write_text(OWN + "[access]\nthreshold = 0.2\npad_threshold = 0.2\n")
    site = measured(load_own(config).models, "site")
    found = laid_over(config, 'models.set = "site"', "x")
    assert (found.access.threshold, found.access.pad_threshold) == (None, site.pad_threshold)
    propose_models(config, "site")
    assert begin(config).settings.access.threshold is None


def test_the_office_sets_no_fixed_threshold_below_what_a_calibration_could_give(config):
    config.write_text(OWN + '[models]\nset = "site"\n')
    ceiling = measured(load_own(config).models, "site").ceiling
    assert f"here it is {ceiling}" in refused(config, f"access.threshold = {ceiling - 0.001}")[0]
    assert laid_over(config, f"access.threshold = {ceiling}", "x").access.threshold == ceiling


def test_a_threshold_above_the_ceiling_stays_with_a_calibrated_set(config):
    config.write_text(OWN + "[access]\nthreshold = 0.9\n")
    assert laid_over(config, 'models.set = "site"', "x").access.threshold == 0.9


def test_a_set_of_lower_grade_is_refused_and_of_higher_grade_accepted(config):
    config.write_text(OWN + '[models]\nset = "site"\n')
    for lower in ("evaluation", "courtyard"):
        with pytest.raises(ConfigError, match="same grade or a higher one; here it is site"):
            propose_models(config, lower)
    config.write_text(OWN + '[models]\nset = "courtyard"\n')
    assert laid_over(config, 'models.set = "site"', "x").models.set == "site"


PASSAGE = OWN.replace("[door]\n", '[door]\nfree_passage = "cleaners"\n')


@pytest.mark.parametrize(
    "toml",
    [
        "[schedules.cleaners]\nstart = '00:00'\nend = '00:00'\n",
        "schedules.cleaners.end = '24:00'",
        "schedules.cleaners.start = '07:00'",
        "schedules.cleaners.days = ['mon']",
        "schedules.CLEANERS.end = '23:00'",
        "schedules.'ｃｌｅａｎｅｒｓ'.end = '23:00'",
        "site.holidays = []",
        "site.holidays = ['2026-10-01', '2026-10-02']",
        "site.workdays = ['2026-10-10']",
    ],
)
def test_release_times_are_set_by_the_installer_only(config, toml):
    config.write_text(PASSAGE)
    assert refused(config, toml)
    keep(config, toml)
    try:
        found = load(config)
    except ConfigError:
        found = begin(config).settings
    own = load_own(config)
    assert (found.schedules["cleaners"], found.site) == (own.schedules["cleaners"], own.site)


def test_schedules_and_days_that_unlock_no_door_are_set_by_the_office(config):
    toml = "schedules.cleaners.end = '09:00'\nschedules.new.start = '05:00'\nsite.holidays = ['2027-01-01']\n"
    assert laid_over(config, toml, "x").schedules["cleaners"].end == "09:00"
    config.write_text(PASSAGE)
    assert "new" in laid_over(config, "schedules.new.start = '05:00'", "x").schedules


def test_going_back_and_forth_loosens_nothing(config):
    """The office tightens, then restores the software's default, which is looser than the installer's value."""
    config.write_text(OWN + "[access]\nframes = 6\nmargin = 0.2\n[readers]\nattempts = 3\n")
    keep(config, "access.frames = 9\nreaders.attempts = 2\n")
    for toml in ("access.frames = 3\n", "access.margin = 0.05\n", "readers.attempts = 5\n"):
        assert refused(config, toml)
    propose(config, "")
    assert begin(config).settings == load_own(config)


def test_a_stored_value_that_is_now_looser_is_ignored_and_the_rest_applies(config):
    keep(config, "access.frames = 4\naccess.margin = 0.5\nreaders.attempts = 100\n")
    config.write_text(OWN + "[access]\nframes = 6\n")
    start = begin(config)
    assert (start.settings.access.frames, start.settings.access.margin) == (6, 0.5)
    assert start.settings.readers.attempts == 5
    assert "access.frames: the office may only raise it; here it is 6, not 4" in start.dropped
    assert "readers.attempts" in start.dropped
    assert load(config) == start.settings


def test_a_commanded_model_set_brings_no_looser_key(config):
    keep(config, "access.margin = 0.0\naccess.frames = 7\n")
    propose_models(config, "site")
    settings = begin(config).settings
    assert (settings.access.margin, settings.access.frames, settings.models.set) == (0.05, 7, "site")


@pytest.mark.parametrize("value", ["nan", "-nan", "inf", "-inf", "-0.0", "1e-320", "true", "'0.5'"])
@pytest.mark.parametrize("key", [".".join(key) for key, word in permissions_of(Settings).items() if word is Safe.MORE])
def test_no_special_number_loosens_or_counts_as_a_maximum(config, key, value):
    if key.startswith("second_door"):
        return
    assert refused(config, f"{key} = {value}")


values = st.floats() | st.integers(-(2**31), 2**31) | st.sampled_from([0.1, 0.5, 1, 2, 5, 30])
keys = st.sampled_from(
    [key for key in permissions_of(Settings) if len(key) == 2 and key[0] in {"access", "face", "readers"}]
)


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(keys, values, min_size=1, max_size=4))
def test_no_number_of_the_office_passes_a_bound(tmp_path_factory, sent):
    folder = tmp_path_factory.getbasetemp() / "bounds"
    folder.mkdir(exist_ok=True)
    config = folder / "gated.toml"
    config.write_text(OWN)
    try:
        found = laid_over(config, to_toml(sent), "x")
    except ConfigError as error:
        assert error.problems
        return
    own = load_own(config)
    for key in sent:
        before, after, word = _at(own, key), _at(found, key), permissions_of(Settings)[key]
        if word is Safe.ANY:
            continue
        if before is None:
            before = getattr(measured(own.models, own.models.set), key[1])
        assert (after >= before) if word is Safe.MORE else (after <= before) if word is Safe.LESS else True


def test_every_literal_of_the_settings_is_compared():
    """`loosened` must know every kind of `Safe`. An unknown kind would permit every change."""
    own = msgspec.convert({"site": {"id": "a"}, "gate": {"id": "b"}}, Settings)
    assert not loosened(own, own)
    assert set(Safe) == set(permissions_of(Settings).values())
    assert {"threshold", "frames"} <= get_type_hints(type(own.access)).keys()


def _at(found, key):
    return getattr(getattr(found, key[0]), key[1])


@pytest.mark.parametrize("light", ["site-light", "site-light-intel"])
def test_the_office_chooses_no_set_of_the_same_grade_without_a_pad_model_of_the_installers(config, light):
    """The attack: with two of its three nets, PAD accepts twice as many prints."""
    config.write_text(OWN + '[models]\nset = "site"\n')
    (problem,) = refused(config, f'models.set = "{light}"\n')
    assert "face_antispoof_128" in problem
    config.write_text(OWN + f'[models]\nset = "{light}"\n')
    assert laid_over(config, 'models.set = "site"', "x").models.set == "site"
