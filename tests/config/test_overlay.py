"""The office sets only the listed keys. The gate's own file stays the installer's."""

import string
import tomllib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gated.config import Settings, load, load_own
from gated.config.overlay import ALLOWED, laid_over, office_keys
from gated.config.toml_writing import to_toml
from gated.errors import ConfigError

OWN = """
[site]
id = "courtyard-2"
holidays = ["2026-10-01"]
[gate]
id = "front"
[access]
frames = 4
margin = 0.1
"""
TABLES = {field.name: field.type for field in msgspec.structs.fields(Settings)}


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "gated.toml"
    file.write_text(f'state_dir = "state"\n{OWN}')
    (tmp_path / "state").mkdir(mode=0o700)
    return file


def problems(config, toml):
    with pytest.raises(ConfigError) as caught:
        laid_over(config, toml, "settings from the office")
    return caught.value.problems


def every_key():
    """Yield every key of the settings. A table with free keys is yielded as a whole."""
    for table, hint in TABLES.items():
        kinds = [kind for kind in (hint, *getattr(hint, "__args__", ())) if hasattr(kind, "__struct_fields__")]
        yield from ((table, key) for key in kinds[0].__struct_fields__) if kinds else [(table,)]


def is_free(key):
    return key in ALLOWED or key[:1] in ALLOWED


def test_the_list_names_only_existing_keys():
    known = set(every_key()) | {(table,) for table in TABLES}
    assert known >= ALLOWED


def test_the_list_has_no_wiring_path_key_or_office_address():
    free = {key for key in every_key() if is_free(key)}
    assert not {key for key in free if key[0] in {"sync", "camera", "gate", "state_dir"}}
    wired = {"pin", "pins", "path", "dir", "socket", "trace", "device", "devices", "user", "waiver", "kind", "port"}
    of_people = {("readers", "pin_digits"), ("readers", "weak_pins_until")}
    assert {key for key in free if set(key[-1].split("_")) & wired} == of_people


def test_the_list_has_only_door_keys_that_the_brain_reads():
    """The latch is another process and reads only the gate's own file."""
    assert {key for key in ALLOWED if key[0] in {"door", "second_door"}} == {
        ("door", "release_s"), ("second_door", "release_s")
    }  # fmt: skip


def test_a_key_outside_the_list_is_refused_by_name(config):
    others = [".".join(key) for key in every_key() if not is_free(key)]
    assert len(others) > 50
    for name in others:
        assert f"{name}: the office may not set this key" in problems(config, f"{name} = 1")


def test_without_an_office_a_gate_uses_its_own_settings(config):
    assert load(config) == load_own(config)


def test_keys_of_the_office_apply_and_the_rest_is_the_gates(config):
    (config.parent / "state" / "office.toml").write_text('access.frames = 7\nsite.holidays = ["2027-01-01"]\n')
    found = load(config)
    assert (found.access.frames, found.access.margin) == (7, 0.1)
    assert found.site.holidays == ("2027-01-01",)
    assert (found.site.id, found.gate.id) == ("courtyard-2", "front")
    assert load_own(config).access.frames == 4


def test_forbidden_keys_and_wrong_values_are_reported_together(config):
    found = problems(
        config,
        'state_dir = "/"\n[access]\nframes = 0\nmargim = 1\n[door]\nlock_pin = 4\n[schedules.day]\nstart = "25:00"\n',
    )
    assert {problem.split(":")[0] for problem in found} == {
        "state_dir", "door.lock_pin", "access.frames", "access.margim", "schedules"
    }  # fmt: skip
    assert "did you mean 'margin'" in "".join(found)


def test_a_conflict_with_the_gates_own_settings_is_refused(config):
    config.write_text(config.read_text() + '[schedules.day]\nstart = "06:00"\n')
    assert laid_over(config, 'schedules.day.start = "07:00"', "x").schedules["day"].start == "07:00"
    assert "schedules: " in problems(config, "schedules.day = 3")[0]


def test_the_office_cannot_add_a_second_door(config):
    assert "second_door: this gate has no second door" in problems(config, "second_door.release_s = 6.0")
    config.write_text(config.read_text() + "[second_door]\nlock_pin = 5\n")
    assert laid_over(config, "second_door.release_s = 6.0", "x").second_door.release_s == 6.0


@pytest.mark.parametrize("toml", ["", "\n# nothing\n", "[access]\n", "[schedules]\n", "access = {}", "face = {}"])
def test_an_empty_table_removes_nothing(config, toml):
    assert laid_over(config, toml, "x") == load_own(config)


def test_schedules_may_be_new_and_empty(config):
    assert laid_over(config, "[schedules.always]\n", "x").schedules["always"].start == "00:00"


def test_an_empty_table_outside_the_list_is_refused(config):
    assert problems(config, "[sync]\n") == ["sync: the office may not set this key"]


@pytest.mark.parametrize(
    "toml",
    ["[access", "a = 1\na = 2", "a = " + "[" * 19_000, "a = " + "9" * 5000, "# \ud800", "a = '\ud800'", "\0", "\ufeff"],
)
def test_invalid_toml_gives_one_clear_error(config, toml):
    assert "is not valid TOML" in problems(config, toml)[0]


@pytest.mark.parametrize("first", ["access", "sync", "a"])
def test_endlessly_nested_keys_are_refused(config, first):
    (problem,) = problems(config, f"{first}." + ".".join("a" * 9000) + " = 1")
    assert "may not set" in problem or "not valid" in problem


@pytest.mark.parametrize(
    "value", ["nan", "inf", "-inf", "1e400", "-1", "'0.5'", "true", "[0.5]", "2026-11-23", "{a = 1}"]
)
def test_a_nan_threshold_is_refused(config, value):
    assert "access.threshold" in problems(config, f"access.threshold = {value}")[0]


json_values = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)
names = st.text(string.printable, max_size=8) | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
flat = st.dictionaries(st.tuples(names, names) | st.tuples(names, names, names), json_values, max_size=5)


@settings(max_examples=60)
@given(flat)
def test_written_toml_reads_back_unchanged(keys):
    if any(a != b and b[: len(a)] == a for a in keys for b in keys):
        return  # a value and a table cannot have the same name
    written = to_toml(keys)
    assert {key: repr(value) for key, value in office_keys(written).items()} == {k: repr(v) for k, v in keys.items()}


office_tables = st.dictionaries(
    st.sampled_from(sorted(TABLES)),
    st.dictionaries(
        st.sampled_from(["frames", "release_s", "set", "holidays", "lock_pin", "url"]) | names, json_values
    ),
    max_size=3,
)


@settings(max_examples=60)
@given(office_tables)
def test_no_proposal_of_the_office_changes_a_forbidden_key(tmp_path_factory, tables):
    folder = tmp_path_factory.getbasetemp() / "any"
    folder.mkdir(exist_ok=True)
    config = folder / "gated.toml"
    config.write_text(OWN)
    toml = to_toml({(name, key): value for name, table in tables.items() for key, value in table.items()})
    try:
        found = laid_over(config, toml, "x")
    except ConfigError as error:
        assert error.problems
        return
    own, now = (msgspec.to_builtins(each) for each in (load_own(config), found))
    for key in every_key():
        if not is_free(key) and isinstance(own[key[0]], dict):
            assert now[key[0]][key[-1]] == own[key[0]][key[-1]]
    assert tomllib.loads(toml).keys() <= TABLES.keys()


def test_a_damaged_office_file_gives_an_error_with_the_next_step(config):
    office = config.parent / "state" / "office.toml"
    office.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"office\.toml: is damaged .* remove it"):
        load(config)
    assert load_own(config).gate.id == "front"
