"""The program reads a hand-written file in any encoding it can detect. Otherwise it says how to save the file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gated
from gated.config import load_own
from gated.config.handwritten import HandwritingError, read_text, read_toml, text_of, toml_of
from gated.config.reading import read
from gated.errors import ConfigError, ModelError

TOML = '# 小区大门\n[site]\nid = "market-south"\n[gate]\nid = "gate-2"\n'
READ = {
    "plain": TOML.encode(),
    "utf-8 with a mark": TOML.encode("utf-8-sig"),
    "utf-16 with a mark": TOML.encode("utf-16"),
    "utf-16-le with a mark": b"\xff\xfe" + TOML.encode("utf-16-le"),
    "utf-16-be with a mark": b"\xfe\xff" + TOML.encode("utf-16-be"),
    "utf-16-le": TOML.encode("utf-16-le"),
    "utf-16-be": TOML.encode("utf-16-be"),
    "utf-32 with a mark": TOML.encode("utf-32"),
    "utf-32-be with a mark": b"\0\0\xfe\xff" + TOML.encode("utf-32-be"),
    "utf-32-le": TOML.encode("utf-32-le"),
    "utf-32-be": TOML.encode("utf-32-be"),
    "lines of Windows": TOML.replace("\n", "\r\n").encode(),
    "lines of old Macs": TOML.replace("\n", "\r").encode(),
    "all of Windows": TOML.replace("\n", "\r\n").encode("utf-16"),
}


@pytest.mark.parametrize("data", READ.values(), ids=READ)
def test_text_in_a_recognisable_encoding_is_read(data):
    assert text_of(data) == TOML


@pytest.mark.parametrize("encoding", ["gbk", "gb18030", "gb2312"])
def test_gbk_is_named_with_its_line_and_how_to_save_it(encoding):
    with pytest.raises(HandwritingError, match=r"is not UTF-8 \(line 1\), but probably GBK .*iconv -f GB18030"):
        text_of(TOML.encode(encoding))


@pytest.mark.parametrize(
    "data", ["# \n# caf\xe9\n".encode("latin-1"), b"# \n\xff\xff\xff", "# \n# 門\n".encode("big5")]
)
def test_another_encoding_is_reported_and_never_guessed(data):
    with pytest.raises(HandwritingError, match=r"is not UTF-8 \(line 2\).*save it as UTF-8"):
        text_of(data)


@pytest.mark.parametrize(
    ("data", "line"),
    [(b"\0" * 20, 1), (TOML.encode() + b"\0\0\0", 6), (b"a = 1\nb = \0\n", 2), (b"\xef\xbb\xbfa\0b", 1)],
)
def test_nul_bytes_are_reported_as_damage_with_their_line(data, line):
    with pytest.raises(HandwritingError, match=f"NUL bytes from line {line} on: the file is damaged"):
        text_of(data)


def test_a_truncated_utf_16_file_is_reported_as_damaged():
    with pytest.raises(HandwritingError, match=r"UTF-16-LE but is damaged|NUL bytes"):
        text_of(b"\xff\xfe" + TOML.encode("utf-16-le")[:-1])


@given(st.binary(max_size=200))
def test_any_bytes_give_text_or_a_named_problem(data):
    try:
        text = text_of(data)
    except HandwritingError:
        return
    assert "\0" not in text
    assert "\r" not in text


@given(st.text(st.characters(codec="utf-16", exclude_characters="\0\r\ufeff"), max_size=80))
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_valid_text_is_returned_unchanged(encoding, text):
    text = f"a = 1 # {text}"
    assert text_of(text.encode(encoding)) == text


def test_a_path_that_is_not_a_file_gives_the_next_step(tmp_path):
    with pytest.raises(HandwritingError, match=r"No such file.*; name an existing file"):
        read_text(tmp_path / "none.toml")
    with pytest.raises(HandwritingError, match="this is a folder; name a file in it"):
        read_text(tmp_path)


def test_an_unreadable_file_names_the_user_who_may_read_it(open_folder):
    (open_folder / "gated.toml").write_text(TOML)
    (open_folder / "gated.toml").chmod(0)
    uid = os.geteuid()
    if uid == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(HandwritingError, match=r"Permission denied.*sudo -u gated"):
            read_text(open_folder / "gated.toml")
    finally:
        os.seteuid(uid)


@pytest.mark.parametrize(
    ("line", "advice"),
    [("id = “gate-2”", 'write " for “, " for ” there'), ("id＝1", "write = for ＝"),
     ("\u3000id = 1", "write a blank for"),
     ("【gate】", r"write [ for 【, ] for 】"), ("pins = [1，2]", "write , for ，")],
)  # fmt: skip
def test_lookalike_characters_are_named(line, advice):
    with pytest.raises(HandwritingError) as error:
        toml_of(f'name = "“很好”"\n{line}\n')
    assert advice in str(error.value)
    assert "line 2" in str(error.value)


def test_lookalike_characters_inside_text_are_accepted():
    assert toml_of('name = "“很好”，是"\n') == {"name": "“很好”，是"}
    with pytest.raises(HandwritingError) as error:
        toml_of('name = "“很好”"\nid = \n')
    assert "write" not in str(error.value)


@pytest.mark.parametrize("data", [b"", b"\n \n", b"\xff\xfe", b"\xef\xbb\xbf"])
def test_an_empty_file_is_reported_as_empty(tmp_path, data):
    (tmp_path / "gated.toml").write_bytes(data)
    with pytest.raises(ConfigError, match=r"gated\.toml: is empty; `gated config new` writes"):
        read(tmp_path / "gated.toml")


# -- every file that people write --------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", READ.values(), ids=READ)
def test_settings_are_read_in_every_supported_encoding(tmp_path, data):
    (tmp_path / "gated.toml").write_bytes(data)
    assert load_own(tmp_path / "gated.toml").gate.id == "gate-2"


def test_unreadable_settings_name_the_file(tmp_path):
    (tmp_path / "gated.toml").write_bytes(TOML.encode("gbk"))
    with pytest.raises(ConfigError, match=r"gated\.toml: is not UTF-8 .*GBK"):
        load_own(tmp_path / "gated.toml")
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read .*`gated config new` writes"):
        read(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="this is a folder"):
        read(tmp_path)


def test_the_model_manifest_is_read_with_a_byte_order_mark_and_other_encodings_are_named(tmp_path):
    from gated.config import ModelSettings
    from gated.face.manifest import find_manifest, load_manifest

    usual = find_manifest(ModelSettings()).read_text("utf-8")
    other = ModelSettings(manifest=str(tmp_path / "manifest.toml"))
    (tmp_path / "manifest.toml").write_bytes(usual.encode("utf-16"))
    assert load_manifest(other).sets == load_manifest(ModelSettings()).sets
    (tmp_path / "manifest.toml").write_bytes(f"# 模型\n{usual}".encode("gbk", "replace"))
    with pytest.raises(ModelError, match=r"manifest\.toml: the manifest of models is not UTF-8 .*GBK"):
        load_manifest(other)


def test_a_command_reports_the_encoding_in_one_line_without_a_traceback(tmp_path):
    (tmp_path / "gated.toml").write_bytes(TOML.encode("gbk"))
    command = [sys.executable, "-m", "gated", "--config", str(tmp_path / "gated.toml"), "config", "show"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "probably GBK" in done.stderr


def test_installer_answers_are_read_like_settings(tmp_path):
    from gated.provision.installer_answers import answered

    file = tmp_path / "answers.toml"
    file.write_bytes('site = "s"\r\ngate = "g"\r\n'.encode("utf-16"))
    assert answered(file, {}, None).gate == "g"
    file.write_bytes('site = "s" # 小区\ngate = "g"\n'.encode("gb18030"))
    with pytest.raises(ConfigError, match=r"answers\.toml: is not UTF-8"):
        answered(file, {}, None)


def test_only_one_module_reads_hand_written_toml():
    """`overlay` reads settings from the office and from gated itself; `answers` reads a single command-line value."""
    package = Path(gated.__file__).parent
    readers = {path.relative_to(package).as_posix() for path in package.rglob("*.py") if "tomllib" in path.read_text()}
    assert readers == {"config/handwritten.py", "config/overlay.py", "provision/installer_answers.py"}


def test_a_table_is_written_into_settings_of_any_encoding(tmp_path):
    (tmp_path / "a.toml").write_bytes(TOML.encode("utf-16"))
    assert read_toml(tmp_path / "a.toml")["site"] == {"id": "market-south"}


@pytest.mark.parametrize("read", [read_text, read_toml])
def test_an_endless_file_is_not_read_into_memory(read, tmp_path):
    with pytest.raises(HandwritingError, match="longer than"):
        read(Path("/dev/zero"))
    with (tmp_path / "hole").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(HandwritingError, match="longer than"):
        read(tmp_path / "hole")
