"""Every spelling of a name means the same name. The program asks about similar names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated import names
from gated.names import did_you_mean, id_of, is_same, near, near_word, plain, signs, spellings, tidy

FLAT = ["３－５０２", "3-502", "3–502", " 3-502 ", "3—502", "3−502", "3——502", "3 - 502", "３﹣５０２", "3ー502",
        "٣-۵०２", "3\u2800-502", "3\u3164-502", "3\u034f-502",
        "3\u200b-502",        "3\u00ad-502", "3\u2011502", "\t3-502\n", "3\u3000-\u3000502"]  # fmt: skip


@pytest.mark.parametrize("spelling", FLAT)
def test_a_flat_is_one_household_however_it_is_typed(spelling):
    assert plain(spelling) == "3-502"
    assert tidy(spelling) == "3-502"


@pytest.mark.parametrize(
    ("one", "other"),
    [("Ｂ座-１", "b座-1"), ("STAFF", "staff"), ("Straße", "STRASSE"), ("Front Gate", "front  gate"), ("ﬁre", "FIRE")],
)
def test_capitals_and_width_are_no_other_name(one, other):
    assert is_same(one, other)


def test_capitals_stay_where_a_name_is_shown():
    assert tidy("Block 4  Flat 1") == "Block 4 Flat 1"
    assert tidy("Ｂ座－１") == "B座-1"


@given(st.text(max_size=30))
def test_the_normal_form_is_its_own(name):
    assert plain(plain(name)) == plain(name)
    assert plain(tidy(name)) == plain(name)
    assert tidy(tidy(name)) == tidy(name)


@given(st.text(st.characters(max_codepoint=127)))
def test_plain_text_takes_a_short_way_to_the_same_name(name):
    assert names._signs(name) == "".join(map(names._sign, name))


@given(st.text(alphabet="3502-AbcＡ０２－–—− \u200b室", max_size=12), st.sampled_from("-–—−－‐‑"))
def test_no_dash_makes_another_name(name, dash):
    assert plain(name.replace("-", dash)) == plain(name)


@pytest.mark.parametrize(
    ("typed", "known"),
    [
        ("3-5O2", "3-502"),
        ("3-5o2", "3-502"),
        ("l-101", "1-101"),
        ("I-101", "1-101"),
        ("3502", "3-502"),
        ("3 502", "3-502"),
        ("3/502", "3-502"),
        ("03-502", "3-502"),
        ("3-0502", "3-502"),
        ("３－５０２室", "3-502"),
        ("3号楼502室", "3-502"),
        ("3栋1单元502", "3-1-502"),
        ("3#502", "3-502"),
        ("3-1502", "3-1-502"),
        ("А-12", "A-12"),
        ("В座-1", "B座-1"),
        ("ΑΒ-1", "AB-1"),
        ("3-5О2", "3-502"),
        ("三号楼502室", "3-502"),
        ("十二號樓五〇二室", "12-502"),
        ("二十三-1", "23-1"),
        ("Room 502, Building 3", "502-3"),
        ("Flat 3-502", "3-502"),
        ("3~502", "3-502"),
        ("3：502", "3-502"),
        ("3∕502", "3-502"),
    ],
)
def test_a_slip_of_the_finger_is_near(typed, known):
    assert plain(typed) != plain(known)
    assert near(typed, ["9-999", known]) == known


@pytest.mark.parametrize(
    ("typed", "known"),
    [
        ("3-503", "3-502"),
        ("1-1101", "11-101"),
        ("12", "21"),
        ("B-502", "3-502"),
        ("", "1"),
        ("十二-1", "2-1"),
        ("Room", "3-502"),
        ("Ян", "An"),
    ],
)
def test_another_flat_is_not_near(typed, known):
    assert near(typed, [known]) is None


def test_the_same_name_is_not_near():
    assert near("３－５０２", ["3-502"]) is None


def test_words_that_are_nearly_alike_are_near_and_numbers_are_not():
    assert near_word("staf", ["guardian", "staff"]) == "staff"
    assert near_word("weekday", ["weekdays"]) == "weekdays"
    assert near_word("team-1", ["team-2"]) is None
    assert near_word("night", ["day"]) is None
    assert near_word("Staff", ["staff"]) is None


def test_the_error_for_an_unknown_name_has_the_most_similar_one():
    assert did_you_mean("wrok", ["work", "night"]) == "did you mean 'work'?"
    assert did_you_mean("3502", ["3-502"]) == "did you mean '3-502'?"
    assert did_you_mean("zzz", ["work", "night"]) == "known: night, work"
    assert did_you_mean("zzz", []) == "there are none yet"


def test_the_spellings_that_are_used_follow_the_normal_form():
    assert spellings("3–502", ["３－５０２", "3-503", "3-502"]) == ["3-502", "３－５０２"]


@pytest.mark.parametrize("name", ["a--b", "front-", "0_-_1"])
def test_an_id_stays_as_it_is_though_a_name_would_be_folded(name):
    assert id_of(name) == name
    assert signs(f"{name.upper()}—") == f"{name}-"


def test_a_text_that_is_no_id_becomes_one_as_a_name_would():
    assert id_of("Ｆｒｏｎｔ — 2") == "front-2"
