"""Tests `gated models pull`: licences first, a progress bar only on a terminal, a clear message about missing files."""

import hashlib
import os
import pty
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

FILES = {"finds.onnx": b"f" * 1000, "looks.onnx": b"l" * 1000, "knows.onnx": b"k" * 1000}
MANIFEST = """
[sets.site]
grade = "site"
about = ""
detector = "finds"
pad = ["looks"]
embedder = "knows"
pad_threshold = 0.5
"""
ENTRY = """
[models.{name}]
role = "{role}"
file = "{name}.onnx"
sha256 = "{sha256}"
licence = "Licence of {name}"
grade = "site"
input = {{ size = [32, 32], order = "rgb" }}
{more}
"""
MORE = {
    "finds": ("detector", ""),
    "looks": ("pad", "crop_scale = 2.0\nbona_fide = 1"),
    "knows": ("embedder", "dimension = 16\nthreshold = 0.5\nlandmarks = [[1, 1], [2, 2], [3, 3], [4, 4], [5, 5]]"),
}


@pytest.fixture
def desk(gate):
    """Return a gate whose manifest lists three files, and a USB stick with these files."""
    text = MANIFEST
    for name, (role, more) in MORE.items():
        sha256 = hashlib.sha256(FILES[f"{name}.onnx"]).hexdigest()
        text += ENTRY.format(name=name, role=role, sha256=sha256, more=more)
    (gate.folder / "manifest.toml").write_text(text)
    gate.models, gate.stick = gate.folder / "models", gate.folder / "stick"
    gate.stick.mkdir()
    for name, content in FILES.items():
        (gate.stick / name).write_bytes(content)
    gate.write(models={"dir": str(gate.models), "manifest": str(gate.folder / "manifest.toml")})
    return gate


def test_without_acceptance_of_the_licences_nothing_is_copied(desk):
    done = desk.run("models", "pull", "--from", desk.stick, check=3)
    assert "finds.onnx: Licence of finds" in done.stderr
    assert "add --accept-licence" in done.stderr
    assert list(desk.models.glob("*.onnx")) == []


def test_a_set_is_copied_from_a_stick_and_a_pipe_gets_only_the_result(desk):
    done = desk.run("models", "pull", "--from", desk.stick, "--accept-licence", check=0)
    assert done.stdout.splitlines() == [f"{name}: copied, SHA-256 is correct" for name in FILES]
    assert done.stderr.splitlines() == [f"{name}: Licence of {name.removesuffix('.onnx')}" for name in FILES]
    assert {path.name for path in desk.models.glob("*.onnx")} == set(FILES)
    again = desk.run("models", "pull", check=0)
    assert again.stderr == ""
    assert again.stdout.splitlines() == [f"{name}: here, SHA-256 is correct" for name in FILES]


def test_another_folder_may_be_named(desk):
    other = desk.folder / "other" / "models"
    desk.run("models", "pull", "site", "--from", desk.stick, "--dir", other, "--accept-licence", check=0)
    assert {path.name for path in other.glob("*.onnx")} == set(FILES)
    assert not desk.models.exists()


def test_an_unavailable_model_is_reported_with_the_next_step(desk):
    done = desk.run("models", "pull", "--accept-licence", check=3)
    assert done.stderr.count("the manifest has no address for it; copy it with --from") == 3


def test_a_misspelt_set_gets_a_hint(desk):
    assert "did you mean 'site'" in desk.run("models", "pull", "sit", check=3).stderr


@pytest.mark.parametrize(("answer", "code"), [(b"y\n", 0), (b"n\n", 3)])
def test_on_a_terminal_there_is_a_question_and_a_progress_bar(desk, answer, code):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "gated", "--config", desk.config, "models", "pull", "--from", desk.stick]
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env) as process:
        os.close(theirs)
        os.write(ours, answer)
        printed = b""
        try:
            while some := os.read(ours, 65536):
                printed += some
        except OSError:  # the other end closed the connection
            pass
    os.close(ours)
    assert process.returncode == code
    assert b"Do you accept these licences" in printed
    assert {path.name for path in desk.models.glob("*.onnx")} == (set(FILES) if code == 0 else set())
    assert (b"1.0/1.0 kB" in printed) == (code == 0)


@pytest.mark.parametrize(
    ("words", "line", "lines"),
    [
        (["pull", "courtyard"], "here, SHA-256 is correct", 3),
        (["verify", "courtyard"], "digest and known answer are correct", 3),
        (["list", "--json"], '"set": "courtyard"', 3),
    ],
)
def test_models_are_pulled_verified_and_listed_without_settings(tmp_path, words, line, lines):
    command = [sys.executable, "-m", "gated", "models", *words]
    env = {name: value for name, value in os.environ.items() if name != "GATED_CONFIG"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env, check=True)
    assert done.stdout.count(line) == lines


def test_training_data_are_shown_before_acceptance_and_the_day_afterwards(desk):
    text = (desk.folder / "manifest.toml").read_text()
    text = text.replace(
        'licence = "Licence of knows"', 'licence = "Apache-2.0"\ntraining_data = "pictures of celebrities"'
    )
    (desk.folder / "manifest.toml").write_text(text)
    refused = desk.run("models", "pull", "--from", desk.stick, check=3)
    assert "knows.onnx: Apache-2.0; trained on: pictures of celebrities" in refused.stderr
    assert [row["accepted"] for row in desk.json("models", "list", check=0)] == [None, None, None]
    desk.run("models", "pull", "--from", desk.stick, "--accept-licence", check=0)
    rows = {row["file"]: row for row in desk.json("models", "list", check=0)}
    assert rows["knows.onnx"]["training_data"] == "pictures of celebrities"
    today = datetime.now(UTC)
    assert all(row["accepted"] in {f"{today:%F}", f"{today - timedelta(days=1):%F}"} for row in rows.values())
    assert f"{rows['knows.onnx']['accepted']}" in desk.run("models", "list", check=0).stdout


def test_a_stick_and_a_mirror_exclude_each_other(desk):
    done = desk.run("models", "pull", "--from", desk.stick, "--mirror", "https://a.example", check=2)
    assert "give one of them" in done.stderr


def test_the_smaller_sets_are_named_to_who_refuses_a_source(gate):
    done = gate.run("models", "pull", "site", "--from", gate.folder, "--dir", gate.folder / "models", check=3)
    assert "mobilefacenet_128d.onnx" in done.stderr
    assert (
        "MS-Celeb-1M: pictures of celebrities from the web, which its publisher withdrew (the set without it: "
        "site-light-intel)" in done.stderr
    )


def test_the_site_set_is_installed_from_a_stick_verified_and_used(gate, shared):
    folder = gate.folder / "models"
    gate.run("models", "pull", "site", "--from", shared / "models", "--dir", folder, "--accept-licence", check=0)
    gate.write(models={"dir": str(folder), "set": "site"})
    for name in ("site", "site-light", "site-light-intel"):
        assert gate.json("models", "verify", name, check=0)["ok"]
    for name, flat in (("obama", "12"), ("biden", "13")):
        words = ("--household", flat, "--consent", "p", "--notice", "1", "--photo", shared / "faces" / f"{name}_1.jpg")
        gate.run("enrol", "--name", name, *words, check=0)
    found = gate.json("identify", shared / "faces" / "obama_2.jpg", check=0)
    assert found["threshold"] == round(gate.json("calibrate", check=0)["threshold"], 4)
    assert f"threshold {found['threshold']}" in gate.run("identify", shared / "faces" / "obama_2.jpg").stdout
