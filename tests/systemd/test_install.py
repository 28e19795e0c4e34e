"""systemd/install, run as it is, on this machine with other programs in the place of those that would change it."""

import os
import signal
import subprocess
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "systemd" / "install"
STANDS_IN = {
    "dpkg-query": 'printf "install ok installed"',
    "apt-get": 'echo "apt-get $*" >>"$CALLS"',
    "getent": "exit 2",
    "groupadd": 'echo "groupadd $*" >>"$CALLS"',
    "useradd": 'echo "useradd $*" >>"$CALLS"',
    "usermod": 'echo "usermod $*" >>"$CALLS"',
    "userdel": 'echo "userdel $*" >>"$CALLS"',
    "systemctl": 'echo "systemctl $*" >>"$CALLS"',
}


class Card:
    """A machine whose packages and users are written down instead of changed, and whose /opt/gated is a folder."""

    def __init__(self, folder):
        self.folder, self.root, self.calls = folder, folder / "opt", folder / "calls"
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name, body in STANDS_IN.items():
            self.stand_in(name, body)

    def stand_in(self, name, body):
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    @property
    def environment(self):
        path = f"{self.bin}:/usr/sbin:/usr/bin:/sbin:/bin"
        return {"PATH": path, "CALLS": str(self.calls), "GATED_ROOT": str(self.root), "HOME": str(self.folder)}

    def start(self, *words):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        command = ["sh", str(SCRIPT), *map(str, words)]
        return subprocess.Popen(command, **pipes, text=True, env=self.environment, start_new_session=True)

    def run(self, *words, answer=""):
        process = self.start(*words)
        said = process.communicate(answer, timeout=120)[0]
        return process.returncode, said

    def called(self):
        return self.calls.read_text() if self.calls.exists() else ""


@pytest.fixture
def card(tmp_path):
    return Card(tmp_path)


@pytest.fixture
def bundle(tmp_path):
    """A gated that writes down what it was asked for, packed as `gated bundle` does."""
    folder = tmp_path / "packed"
    (folder / "wheels").mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "models/finds.onnx").write_bytes(b"a model")
    program = "import os, sys\ndef main():\n    print('gated', *sys.argv[1:])\n"
    with zipfile.ZipFile(folder / "wheels/gated-9.9.9-py3-none-any.whl", "w") as archive:
        archive.writestr("gated/__init__.py", program)
        info = "gated-9.9.9.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: gated\nVersion: 9.9.9\n")
        archive.writestr(f"{info}/entry_points.txt", "[console_scripts]\ngated = gated:main\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    pack(folder, tmp_path / "bundle.tar")
    return tmp_path / "bundle.tar"


def pack(folder, out):
    done = subprocess.run(
        "sha256sum $(find . -type f ! -name SHA256SUMS) >SHA256SUMS", shell=True, cwd=folder, check=True
    )
    assert done.returncode == 0
    with tarfile.open(out, "w") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name)


def test_it_is_plain_shell():
    for shell in (["sh", "-n"], ["bash", "--posix", "-n"]):
        subprocess.run([*shell, str(SCRIPT)], check=True)


def test_help_says_what_it_takes(card):
    code, said = card.run("--help")
    assert code == 0
    assert "--offline BUNDLE" in said
    assert "--uninstall" in said


def test_an_option_that_is_none_is_named(card):
    code, said = card.run("--ofline", "x")
    assert code == 2
    assert "--ofline is none of my options" in said


def test_from_a_bundle_to_provision_and_not_twice(card, bundle):
    code, said = card.run("--offline", bundle, "--", "--site", "s", "--kiosk")
    assert code == 0, said
    models = card.root / "releases/9.9.9/wheels/models"
    assert said.splitlines()[-1] == f"gated provision --models-from {models} --site s --kiosk"
    assert (card.root / "current").readlink() == Path("releases/9.9.9")
    assert not (card.root / "releases/9.9.9/unfinished").exists()
    assert "useradd --system --gid gated-latch" in card.called()
    assert "--gid gated-kiosk" in card.called()
    code, said = card.run("--offline", bundle)
    assert code == 0
    assert "gated 9.9.9 is there" in said


def test_an_interrupted_install_is_built_anew_and_never_counts_as_whole(card, bundle):
    process = card.start("--offline", bundle)
    unfinished = card.root / "releases/9.9.9/unfinished"
    end = time.monotonic() + 60
    while not unfinished.exists():
        assert time.monotonic() < end
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert unfinished.exists()
    assert not (card.root / "current").is_symlink()
    code, said = card.run("--offline", bundle)
    assert code == 0, said
    assert "building gated 9.9.9" in said
    assert not unfinished.exists()


def test_a_dry_run_changes_nothing(card, bundle):
    card.stand_in("dpkg-query", "exit 1")
    code, said = card.run("--dry-run", "--offline", bundle, "--", "--site", "s")
    assert code == 0, said
    assert "would run: apt-get install" in said
    assert "would run: useradd --system --gid gated " in said
    assert "would build: gated 9.9.9" in said
    assert "would run: gated provision --site s" in said
    assert not card.root.exists()
    assert card.called() == ""


def test_a_32_bit_system_is_told_what_to_write_onto_the_card(card, bundle):
    card.stand_in("getconf", "echo 32")
    code, said = card.run("--offline", bundle)
    assert code == 3
    assert "32-bit system" in said
    assert "Raspberry Pi OS Lite (64-bit)" in said
    assert not card.root.exists()


def test_a_full_disk_is_said_before_anything_is_made(card, bundle):
    card.stand_in("df", "printf 'x\\n/dev/root 1000000 999000 1000 99%% /\\n'")
    code, said = card.run("--offline", bundle)
    assert code == 3
    assert "MB are free for /, and gated takes 700" in said
    assert "make room" in said
    assert not card.root.exists()


def test_no_network_names_the_packages_that_are_missing(card, bundle):
    card.stand_in("dpkg-query", "exit 1")
    card.stand_in("apt-get", "echo 'E: Could not resolve' >&2; exit 100")
    code, said = card.run("--offline", bundle)
    assert code == 3
    assert "could not be installed: python3 python3-venv espeak-ng alsa-utils" in said
    assert "connect the network" in said


def test_a_bundle_that_was_altered_is_not_installed(card, bundle):
    data = bundle.read_bytes()
    bundle.write_bytes(data.replace(b"a model", b"A model"))
    code, said = card.run("--offline", bundle)
    assert code == 3
    assert "is not what was packed" in said
    assert not (card.root / "current").is_symlink()


@pytest.mark.parametrize(("words", "why"), [(["--offline", "/nowhere.tar"], "/nowhere.tar is not there"),
                                            (["--offline"], "names no bundle")])  # fmt: skip
def test_a_bundle_that_is_not_there_is_said(card, words, why):
    code, said = card.run(*words)
    assert code == 3
    assert why in said


def test_something_else_than_a_bundle_is_said(card, tmp_path):
    (tmp_path / "x").write_text("x")
    with tarfile.open(tmp_path / "other.tar", "w") as tar:
        tar.add(tmp_path / "x", "x")
    code, said = card.run("--offline", tmp_path / "other.tar")
    assert code == 3
    assert "has no gated in it" in said


def test_nobody_but_root_may(card):
    card.stand_in("id", "echo 1000")
    code, said = card.run()
    assert code == 3
    assert "run it with sudo" in said


def test_taking_it_away_asks_first_and_keeps_the_data(card):
    card.root.mkdir()
    code, said = card.run("--uninstall", answer="n\n")
    assert code == 3
    assert card.root.exists()
    code, said = card.run("--uninstall", answer="y\nn\n")
    assert code == 0, said
    assert not card.root.exists()
    assert "Kept: /var/lib/gated, /etc/gated" in said
    assert "userdel" not in card.called()


def test_taking_it_away_without_asking_keeps_the_data_too(card):
    card.root.mkdir()
    code, said = card.run("--uninstall", "--yes")
    assert code == 0, said
    assert not card.root.exists()
    assert "Kept:" in said


def test_a_dry_run_of_taking_it_away_takes_nothing(card):
    card.root.mkdir()
    code, said = card.run("--dry-run", "--uninstall", "--yes")
    assert code == 0, said
    assert "would run: rm -rf" in said
    assert card.root.exists()
    assert card.called() == ""


def test_a_bundle_that_was_not_copied_whole_is_told_from_a_missing_network(card, bundle):
    bundle.write_bytes(bundle.read_bytes()[:2000])
    code, said = card.run("--offline", bundle)
    assert code == 3
    assert "is not whole" in said
    assert "copy it anew" in said
    assert "network" not in said
    assert not card.root.exists()


def test_a_bundle_for_another_system_says_which_python_is_here(card, bundle, tmp_path):
    folder = tmp_path / "packed"
    wheel = folder / "wheels/gated-9.9.9-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(
            "gated-9.9.9.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: gated\nVersion: 9.9.9\nRequires-Dist: built-for-another\n",
        )
    pack(folder, bundle)
    code, said = card.run("--offline", bundle)
    assert code == 3
    assert "is for another system than this one" in said
    assert "gated bundle --target" in said
    assert "connect the network" not in said


def test_a_data_partition_that_is_full_is_said_though_the_root_has_room(card, bundle, tmp_path):
    card.root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(card.root)], check=True)
    try:
        code, said = card.run("--offline", bundle)
        assert code == 3
        assert f"MB are free for {card.root}" in said
        assert "make room" in said
        assert list(card.root.iterdir()) == []
    finally:
        subprocess.run(["umount", "-l", str(card.root)], check=True)


def test_a_careful_umask_hides_nothing_from_the_gates_user(card, bundle):
    before = os.umask(0o077)
    try:
        code, said = card.run("--offline", bundle)
    finally:
        os.umask(before)
    assert code == 0, said
    closed = [path for path in card.root.rglob("*") if not path.is_symlink() and not path.stat().st_mode & 0o004]
    assert closed == []


def test_a_screen_in_the_answers_has_its_user_too(card, bundle, tmp_path):
    (tmp_path / "answers.toml").write_text("kiosk = true\n")
    code, said = card.run("--offline", bundle, "--", "--answers", tmp_path / "answers.toml")
    assert code == 0, said
    assert "--gid gated-kiosk" in card.called()
