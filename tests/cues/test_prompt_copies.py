"""Prompts from a stick: what a gate can play, to a bound, and no other file of whoever copies."""

import os

import pytest

from gated.cues import prompt_copies
from gated.cues.prompt_copies import copy_prompts


@pytest.fixture
def stick(tmp_path):
    folder = tmp_path / "stick"
    (folder / "zh").mkdir(parents=True)
    (folder / "zh/open.wav").write_bytes(b"a voice")
    (folder / "made.json").write_text("{}")
    return folder


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_prompts_are_copied_and_nothing_else(stick, tmp_path):
    (stick / "zh/film.mkv").write_bytes(bytes(1000))
    (stick / "System Volume Information").mkdir()
    assert copy_prompts(stick, tmp_path / "prompts") == 2
    assert files(tmp_path / "prompts") == ["made.json", "zh/open.wav"]
    assert (tmp_path / "prompts/zh/open.wav").read_bytes() == b"a voice"


@pytest.mark.parametrize("kind", ["hole", "pipe", "device", "link"])
def test_a_hostile_stick_fills_no_disk_and_reads_no_secret(stick, tmp_path, kind):
    path = stick / "zh/open.wav"
    path.unlink()
    if kind == "hole":
        with path.open("wb") as file:
            file.truncate(1 << 42)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        (tmp_path / "key").write_text("secret")
        path.symlink_to(tmp_path / "key")
    with pytest.raises(OSError, match=r"is (longer|no plain|a link).*open\.wav"):
        copy_prompts(stick, tmp_path / "prompts")
    assert files(tmp_path / "prompts") == ["made.json"]


def test_a_prompt_is_copied_only_up_to_the_size_that_is_played(stick, tmp_path, monkeypatch):
    monkeypatch.setattr(prompt_copies, "MOST_WAV_BYTES", 6)
    with pytest.raises(OSError, match="longer than 6 bytes"):
        copy_prompts(stick, tmp_path / "prompts")
