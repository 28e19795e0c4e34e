"""A written value changes nothing else in a settings file: no value, no comment, no validity."""

import json
import subprocess
import sys
import tomllib
from collections import Counter
from importlib.resources import files

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gated.config import parse
from gated.config.handwritten import HandwritingError
from gated.config.keys import leaves, with_keys
from gated.config.toml_writing import comments, to_toml, with_tables, with_values

EXAMPLE = files("gated").joinpath("example.toml").read_text("utf-8")
URL = {("sync", "url"): "new"}


def test_without_values_it_is_the_example():
    assert with_values(EXAMPLE, {}) == EXAMPLE


def test_a_value_takes_the_place_of_the_default_and_its_comment_stays():
    text = with_tables(EXAMPLE, {"door": {"lock_pin": 5}, "gate": {"id": "gate-2"}, "state_dir": "/data"})
    assert "lock_pin = 5             # BCM numbers" in text
    assert "# lock_pin" not in text.replace("# lock_pin = 11", "")
    read = tomllib.loads(text)
    assert (read["door"]["lock_pin"], read["gate"]["id"], read["state_dir"]) == (5, "gate-2", "/data")


def test_every_line_but_those_of_the_values_is_as_it_was():
    changed = {"door": {"lock_pin": 5, "pins": "mock"}, "sync": {"url": "mqtts://x"}}
    before, after = EXAMPLE.splitlines(), with_tables(EXAMPLE, changed).splitlines()
    assert len(before) == len(after)
    different = [line for line, other in zip(before, after, strict=True) if line != other]
    assert [line.split()[1] for line in different] == ["pins", "lock_pin", "url"]


def test_a_table_that_was_commented_out_begins():
    text = with_tables(EXAMPLE, {"second_door": {"lock_pin": 11, "rex_pin": 12}})
    assert tomllib.loads(text)["second_door"] == {"lock_pin": 11, "rex_pin": 12}
    assert "\n[second_door]             # another leaf" in text


def test_a_commented_table_that_would_swallow_keys_stays_a_comment():
    text = with_values("[door]\n# [second_door]\n# lock_pin = 11\nrex_pin = 4\n", {("second_door", "lock_pin"): 5})
    assert tomllib.loads(text) == {"door": {"rex_pin": 4}, "second_door": {"lock_pin": 5}}
    assert text.startswith("[door]\n# [second_door]\n# lock_pin = 11\nrex_pin = 4\n")


def test_a_commented_key_of_another_table_stays_a_comment():
    text = with_values("[door]\n# [second_door]\n# lock_pin = 11\n", {("door", "lock_pin"): 5})
    assert tomllib.loads(text) == {"door": {"lock_pin": 5}}
    assert "# [second_door]\n# lock_pin = 11\n" in text


def test_a_key_and_a_table_that_the_example_has_not_are_added():
    text = with_tables(EXAMPLE, {"schedules": {"night": {"days": ["mon"], "start": "22:00"}}, "door": {"none_such": 1}})
    read = tomllib.loads(text)
    assert read["schedules"]["night"] == {"days": ["mon"], "start": "22:00"}
    assert read["door"]["none_such"] == 1


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[a]\nurl = 'x'\n[sync]\nurl = \"old\" # why\nca = 'c'\n", "[sync]\nurl = \"new\" # why\nca = 'c'\n"),
        ("[sync]\n# url = \"\"   # comment\n[a]\nurl = 'x'\n", '[sync]\nurl = "new"   # comment\n[a]\n'),
        ("[sync]\n# url = to be asked\n", '[sync]\nurl = "new"\n# url = to be asked\n'),
        ("[sync]\n", '[sync]\nurl = "new"\n'),
        ("[sync]", '[sync]\nurl = "new"\n'),
        ("[ 'sync' ]\n", "[ 'sync' ]\nurl = \"new\"\n"),
        ("x = 1\n", 'x = 1\n\n[sync]\nurl = "new"\n'),
        ("sync = {} # mine\n", 'sync = {url = "new"} # mine\n'),
        ("sync.ca = 'c'\n", "sync.ca = 'c'\nsync.url = \"new\"\n"),
        ("[sync.inner]\nx = 1\n", '[sync.inner]\nx = 1\n\n[sync]\nurl = "new"\n'),
        ("note = '''\n[sync]\nurl = \"old\"\n# url = 1\n'''\n", "# url = 1\n'''\n\n[sync]\nurl = \"new\"\n"),
    ],
)
def test_one_key_is_set_where_a_person_expects_it(text, wanted):
    changed = with_values(text, URL)
    assert wanted in changed
    assert with_values(changed, URL) == changed


def test_a_longer_list_keeps_the_comments_in_it():
    text = '[readers]\ndevices = [\n  "/dev/a", # front\n  # spare\n]\n'
    changed = with_values(text, {("readers", "devices"): ["/dev/a", "/dev/b"]})
    assert tomllib.loads(changed)["readers"]["devices"] == ["/dev/a", "/dev/b"]
    assert comments(changed) == ["# front", "# spare"]


def test_a_list_with_comments_inside_is_not_changed():
    with pytest.raises(HandwritingError, match="without the loss of a comment"):
        with_values('[readers]\ndevices = ["/dev/a", # front\n]\n', {("readers", "devices"): ["/dev/b"]})


@pytest.mark.parametrize("value", ["\udc80", None, float])
def test_a_value_that_toml_cannot_hold_is_refused(value):
    with pytest.raises(HandwritingError):
        to_toml({("door", "trace"): value})


def test_a_value_is_never_lost_to_a_table_of_its_name():
    with pytest.raises(HandwritingError):
        with_values("sync = 1 # mine\n", URL)


VALUES = st.one_of(
    st.integers(-5, 10**6), st.booleans(), st.floats(), st.text(max_size=20), st.lists(st.integers(0, 27), max_size=4)
)


@given(st.dictionaries(st.sampled_from(["lock_pin", "socket", "trace", "rex_waiver", "lock_active_high"]), VALUES))
@example({"trace": "\x7f"})  # JSON allows this character, TOML does not
def test_every_written_value_is_read_back(values):
    read = tomllib.loads(with_tables(EXAMPLE, {"door": values}))
    assert {key: repr(read["door"][key]) for key in values} == {key: repr(value) for key, value in values.items()}


TABLES = ("site", "door", "readers", "readers.usb", 'readers.usb."/dev/input/a # b"', "schedules.night", "周")
KEYS = ("url", "pins", "lock_pin", '"a b"', "'号'", "devices")
WRITTEN = (
    *("1", "true", "nan", '"#"', "'\"'", "'''\n[door]\n# pins = 1\n'''", '"""a\\"""""', '"""\n#"""', "2026-10-01"),
    *("[]", "[1, 2]", '[\n  "/dev/a", # front\n  # spare\n]', "{}", "{ url = 1, x = { y = [1] } }", "[[1], ['#']]"),
)
REMARKS = ("", "# mine", "  # 我的", '# "quoted" and \'single', "# a = # b")
LINES = st.one_of(
    st.builds("{} = {} {}".format, st.sampled_from(KEYS), st.sampled_from(WRITTEN), st.sampled_from(REMARKS)),
    st.builds("# {} = {} {}".format, st.sampled_from(KEYS), st.sampled_from(("1", "[]", '"#"', "so")),
              st.sampled_from(REMARKS)),
    st.builds("{}[{}] {}".format, st.sampled_from(("", "# ", "  ")), st.sampled_from(TABLES), st.sampled_from(REMARKS)),
    st.builds("{}.{} = 1".format, st.sampled_from(("site", "door", "usb", "x")), st.sampled_from(KEYS)),
    st.sampled_from(("", "# a remark", "[[more]]", "[[more]] # again")),
)  # fmt: skip


@st.composite
def persons_file(draw):
    """A valid settings file of a person: tables in any order, every kind of string, comments anywhere."""
    text = ""
    for line in draw(st.lists(LINES, max_size=14)):
        try:
            tomllib.loads(f"{text}{line}\n")
        except tomllib.TOMLDecodeError:
            continue
        text += f"{line}\n"
    return text.rstrip("\n") if draw(st.booleans()) else text


PATHS = [("state_dir",)] + [
    (*table, key)
    for table in (("site",), ("door",), ("readers",), ("readers", "usb", "/dev/input/a # b"), ("schedules", "night"))
    for key in ("url", "pins", "lock_pin", "a b", "devices")
]


def same(value):
    return json.dumps(value, sort_keys=True, default=repr)


@settings(max_examples=400)
@given(persons_file(), st.dictionaries(st.sampled_from(PATHS), VALUES, min_size=1, max_size=4))
@example('[readers]\n# devices = []\n\n[door]\n\n[readers.usb."/dev/a"]\n', {("readers", "devices"): ["/dev/a"]})
def test_any_change_of_any_file_of_a_person_keeps_every_other_value_and_every_comment(text, values):
    before = tomllib.loads(text)
    try:
        changed = with_values(text, values)
    except HandwritingError:
        assert is_hard(before, text, values), text
        return
    assert same(tomllib.loads(changed)) == same(with_keys(before, values))
    lost = Counter(comments(text)) - Counter(comments(changed))
    assert all(is_setting(comment) for comment in lost), lost
    assert sum(lost.values()) <= 2 * len(values)


def is_setting(comment):
    """Whether a comment is a commented header or setting. Only such a comment may become TOML."""
    try:
        return bool(list(leaves(tomllib.loads(comment.lstrip("# ")))))
    except tomllib.TOMLDecodeError:
        return False


def is_hard(before, text, values):
    """Whether a change may be refused: a value stands where a table must be, or a list with comments in it goes."""
    try:
        for *above, _ in values:
            table = before
            for name in above:
                table = table.get(name, {})
                assert isinstance(table, dict)
    except AssertionError:
        return True
    return "# spare" in text


def test_filled_settings_are_valid(tmp_path):
    tables = {"site": {"id": "s"}, "gate": {"id": "g"}, "door": {"pins": "mock", "rex_pin": 23}}
    settings = parse(tomllib.loads(with_tables(EXAMPLE, tables)), tmp_path)
    assert (settings.site.id, settings.gate.id, settings.door.rex_pin) == ("s", "g", 23)


@pytest.mark.parametrize("table", ["models", "camera", "face", "access", "readers", "cues", "sync"])
def test_every_default_of_the_example_can_be_given(table):
    defaults = {}
    header = ""
    for line in EXAMPLE.splitlines():
        if line.startswith("["):
            header = line[1:].partition("]")[0]
        elif header == table and line.startswith("# ") and " = " in line:
            key, value = line[2:].split(" = ", 1)
            defaults[key] = tomllib.loads(f"v = {value}")["v"]
    assert defaults
    assert tomllib.loads(with_tables(EXAMPLE, {table: defaults}))[table] == defaults


@pytest.mark.parametrize("module", ["cli.daemon", "app", "brain_run", "vision", "commands"])
def test_no_process_of_a_gate_loads_tomlkit_at_its_start(module):
    code = f"import sys, gated.{module}; sys.exit('tomlkit' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
