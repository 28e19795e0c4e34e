"""The learnt reader settings go into the settings file. Nothing else in it changes."""

import tomllib
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.config import UsbSettings, parse
from gated.config.toml_writing import comments, with_values
from gated.errors import ConfigError, StateError
from gated.provision.reader_settings import lines, with_reader, write

READER = "/dev/input/by-id/usb-Sycreader_RFID_0001-event-kbd"
OTHER = '/dev/input/by-id/usb-Other "odd" one-event-kbd'
SLOW = UsbSettings("card", "tab", 120)
EXAMPLE = with_values(
    files("gated").joinpath("example.toml").read_text("utf-8"), {("site", "id"): "courtyard", ("gate", "id"): "front"}
)


def test_the_first_reader_of_a_gate(tmp_path):
    text = with_reader(EXAMPLE, READER, SLOW)
    settings = parse(tomllib.loads(text), tmp_path)
    assert settings.readers.devices == (READER,)
    assert settings.readers.usb == {READER: SLOW}
    assert len(comments(text)) >= len(comments(EXAMPLE)) - 1


def test_a_second_reader_and_then_the_first_anew(tmp_path):
    text = with_reader(with_reader(EXAMPLE, READER, SLOW), OTHER, UsbSettings("keypad"))
    text = with_reader(text, READER, UsbSettings("card", "none", 300))
    settings = parse(tomllib.loads(text), tmp_path)
    assert settings.readers.devices == (READER, OTHER)
    assert settings.readers.usb == {READER: UsbSettings("card", "none", 300), OTHER: UsbSettings("keypad")}
    assert text.count("[readers.usb.") == 2


@pytest.mark.parametrize(
    "text",
    [
        "# mine\n[readers]\nattempts = 4 # four\n[door]\nlock_pin = 4\n",
        '# mine\n[readers]\n# devices = []\ndevices = [\n  "/dev/input/event3",\n]\n[door]\nlock_pin = 4\n',
        '# mine\n[readers]\ndevices = ["/dev/input/event3"]\n',
        "# mine\n",
        f'# mine\n[readers]\ndevices = ["{READER}"]\n[readers.usb."{READER}"]\n# slow\nkind = "auto"\n'
        "[door]\nlock_pin = 4\n",
    ],
)
def test_a_file_that_somebody_wrote_keeps_every_comment_and_value(text):
    new = with_reader(text, READER, SLOW)
    before, after = tomllib.loads(text), tomllib.loads(new)
    assert after["readers"].pop("usb")[READER] == {"kind": "card", "suffix": "tab", "gap_ms": 120}
    assert READER in after["readers"].pop("devices")
    before.get("readers", {}).pop("usb", None)
    had = before.setdefault("readers", {}).pop("devices", [])
    assert set(had) <= set(tomllib.loads(new)["readers"]["devices"])
    assert after == before
    assert set(comments(text)) - {"# devices = []"} <= set(comments(new))
    assert with_reader(new, READER, SLOW) == new


@pytest.mark.parametrize(
    "text",
    ['readers = {devices = ["/dev/x"]}\n', 'readers.devices = ["/dev/x"]\n', "[door]\nx = 1\n[readers.usb]\na = {}\n"],
)
def test_a_file_that_cannot_be_changed_so_is_left_alone_and_the_lines_are_told(text):
    try:
        new = with_reader(text, READER, SLOW)
    except ConfigError as error:
        assert lines(READER, SLOW) in str(error)
    else:
        assert tomllib.loads(new)["readers"]["usb"][READER]["suffix"] == "tab"


@given(
    st.sampled_from(["auto", "card", "keypad"]), st.sampled_from(["auto", "enter", "tab", "space", "none"]),
    st.integers(0, 2000), st.text(st.characters(codec="ascii", exclude_categories=("Cc",)), min_size=1, max_size=20),
)  # fmt: skip
def test_the_learnt_layout_of_any_device_is_read_back(kind, suffix, gap_ms, name):
    usb, path = UsbSettings(kind, suffix, gap_ms), f"/dev/input/{name}"
    read = tomllib.loads(with_reader(EXAMPLE, path, usb))["readers"]
    assert read["devices"] == [path]
    assert read["usb"][path] == {"kind": kind, "suffix": suffix, "gap_ms": gap_ms}


def test_the_file_is_changed_whole_with_its_mode_or_not_at_all(tmp_path):
    config = tmp_path / "gated.toml"
    config.write_text(EXAMPLE)
    config.chmod(0o640)
    write(config, with_reader(EXAMPLE, READER, SLOW))
    assert config.stat().st_mode & 0o777 == 0o640
    assert READER in config.read_text()
    before = config.read_text()
    with pytest.raises(ConfigError):
        write(config, before.replace("tab", "none_such"))
    assert config.read_text() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gated.toml"]
    with pytest.raises(StateError, match="root"):
        write(tmp_path / "missing.toml", before)
