"""Runs systemd/install unchanged on this machine. Stand-ins replace the programs that would change the machine."""

import hashlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "update"))
from signing import make_key, sign_with

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


QUICK_VENV = """
if [ "$1 $2" = "-m venv" ]; then
    for place in "$@"; do :; done
    mkdir -p "$place" && exec cp -a "$VENV/." "$place"
fi
exec /usr/bin/python3 "$@"
"""
"""Copies a ready venv, because pip needs three seconds to make one."""


@pytest.fixture(scope="session")
def made_venv(tmp_path_factory):
    folder = tmp_path_factory.mktemp("venv") / "made"
    subprocess.run(["/usr/bin/python3", "-m", "venv", str(folder)], check=True)
    return folder


class Card:
    """A machine with stand-ins that record package and user changes. A folder stands for /opt/gated."""

    def __init__(self, folder):
        self.folder, self.root, self.calls = folder, folder / "opt", folder / "calls"
        self.bin, self.tries_s, self.venv = folder / "bin", 60, folder / "no venv"
        self.cwd = None
        self.path = f"{self.bin}:/usr/sbin:/usr/bin:/sbin:/bin"
        self.bin.mkdir()
        for name, body in STANDS_IN.items():
            self.pairing_key(name, body)

    def pairing_key(self, name, body):
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    @property
    def environment(self):
        return {
            "PATH": self.path,
            "CALLS": str(self.calls),
            "GATED_ROOT": str(self.root),
            "HOME": str(self.folder),
            "GATED_TRY_S": str(self.tries_s),
            "VENV": str(self.venv),
        }

    def start(self, *words):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        command = ["sh", str(SCRIPT), *map(str, words)]
        more = {"env": self.environment, "cwd": self.cwd, "start_new_session": True}
        return subprocess.Popen(command, **pipes, text=True, **more)

    def run(self, *words, answer=""):
        process = self.start(*words)
        said = process.communicate(answer, timeout=120)[0]
        return process.returncode, said

    def called(self):
        return self.calls.read_text() if self.calls.exists() else ""


@pytest.fixture
def bare(tmp_path):
    """Return a machine that makes its own venv."""
    return Card(tmp_path)


@pytest.fixture
def card(tmp_path, made_venv):
    card = Card(tmp_path)
    card.venv = made_venv
    card.pairing_key("python3", QUICK_VENV)
    return card


@pytest.fixture
def bundle(tmp_path):
    """Return a bundle of a gated without dependencies."""
    return bundle_of(tmp_path, "# needs nothing\n")


def bundle_of(tmp_path, lock):
    """Return a gated that prints its arguments, packed as `gated bundle` does."""
    folder = tmp_path / "packed"
    (folder / "wheels").mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "models/finds.onnx").write_bytes(b"a model")
    program = "import os, sys\ndef main():\n    print('gated', *sys.argv[1:])\n"
    with zipfile.ZipFile(folder / "wheels/gated-9.9.9-py3-none-any.whl", "w") as archive:
        archive.writestr("gated/__init__.py", program)
        archive.writestr("gated/__main__.py", "import gated\n\ngated.main()\n")
        archive.writestr("gated/errors.py", (SCRIPT.parents[1] / "gated/errors.py").read_text())
        archive.writestr("gated/bounded.py", (SCRIPT.parents[1] / "gated/bounded.py").read_text())
        archive.writestr("gated/update/__init__.py", "")
        archive.writestr(
            "gated/update/locked_libraries.py", (SCRIPT.parents[1] / "gated/update/locked_libraries.py").read_text()
        )
        archive.writestr(f"gated/update/locked/{sys.version_info[0]}.{sys.version_info[1]}.txt", lock)
        info = "gated-9.9.9.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: gated\nVersion: 9.9.9\n")
        archive.writestr(f"{info}/entry_points.txt", "[console_scripts]\ngated = gated:main\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    pack(folder, tmp_path / "bundle.tar")
    return tmp_path / "bundle.tar"


def pack(folder, out, key=None):
    done = subprocess.run(
        "sha256sum $(find . -type f ! -name 'SHA256SUMS*') >SHA256SUMS", shell=True, cwd=folder, check=True
    )
    assert done.returncode == 0
    if key is not None:
        sign_with(key, folder / "SHA256SUMS")
    with tarfile.open(out, "w") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name)


def test_the_script_is_plain_shell():
    for shell in (["sh", "-n"], ["bash", "--posix", "-n"]):
        subprocess.run([*shell, str(SCRIPT)], check=True)


def test_help_lists_the_options(card):
    code, output = card.run("--help")
    assert code == 0
    assert "--offline BUNDLE" in output
    assert "--uninstall" in output


def test_an_unknown_option_is_named(card):
    code, output = card.run("--ofline", "x")
    assert code == 2
    assert "unknown option --ofline" in output


def test_from_a_bundle_to_provision_and_not_twice(bare, bundle):
    card = bare
    code, output = card.run("--offline", bundle, "--", "--site", "s", "--kiosk")
    assert code == 0, output
    models = card.root / "releases/9.9.9/wheels/models"
    assert output.splitlines()[-1] == f"gated provision --models-from {models} --site s --kiosk"
    assert (card.root / "current").readlink() == Path("releases/9.9.9")
    assert not (card.root / "releases/9.9.9/unfinished").exists()
    assert "useradd --system --gid gated-latch" in card.called()
    code, output = card.run("--offline", bundle)
    assert code == 0
    assert "gated 9.9.9 is installed" in output


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
    code, output = card.run("--offline", bundle)
    assert code == 0, output
    assert "building gated 9.9.9" in output
    assert not unfinished.exists()


def test_a_dry_run_changes_nothing(card, bundle):
    card.pairing_key("dpkg-query", "exit 1")
    code, output = card.run("--dry-run", "--offline", bundle, "--", "--site", "s")
    assert code == 0, output
    assert "would run: apt-get install" in output
    assert "would run: useradd --system --gid gated " in output
    assert "would build: gated 9.9.9" in output
    assert "would run: gated provision --site s" in output
    assert output.splitlines()[-1].endswith("wheels/models --dry-run --site s"), "the new version itself tries the rest"
    assert not card.root.exists()
    assert card.called() == ""
    assert list(Path("/var/tmp").glob("gated-try.*")) == []


def test_a_dry_run_of_a_bundle_for_another_system_says_so(card, bundle, tmp_path):
    wheel = tmp_path / "packed/wheels/gated-9.9.9-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("gated/__main__.py", "import built_for_another_python\n")
    pack(tmp_path / "packed", bundle)
    code, output = card.run("--dry-run", "--offline", bundle)
    assert code == 3
    assert "is for another system than this one" in output
    assert "No module named 'built_for_another_python'" in output
    assert list(Path("/var/tmp").glob("gated-try.*")) == []


def test_a_dry_run_ends_as_what_it_tried_ends(card, bundle, tmp_path):
    wheel = tmp_path / "packed/wheels/gated-9.9.9-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("gated/__main__.py", "import sys\n\nsys.exit(2 if 'provision' in sys.argv else 0)\n")
    pack(tmp_path / "packed", bundle)
    assert card.run("--dry-run", "--offline", bundle)[0] == 2


def test_the_error_on_a_32_bit_system_names_the_image_for_the_card(card, bundle):
    card.pairing_key("getconf", "echo 32")
    code, output = card.run("--offline", bundle)
    assert code == 3
    assert "32-bit system" in output
    assert "Raspberry Pi OS Lite (64-bit)" in output
    assert not card.root.exists()


def test_a_full_disk_is_reported_before_anything_is_created(card, bundle):
    card.pairing_key("df", "printf 'x\\n/dev/root 1000000 999000 1000 99%% /\\n'")
    code, output = card.run("--offline", bundle)
    assert code == 3
    assert "MB are free for /, and gated needs 700" in output
    assert "free some space" in output
    assert not card.root.exists()


def test_no_network_names_the_packages_that_are_missing(card, bundle):
    card.pairing_key("dpkg-query", "exit 1")
    card.pairing_key("apt-get", "echo 'E: Could not resolve' >&2; exit 100")
    code, output = card.run("--offline", bundle)
    assert code == 3
    assert "could not be installed: python3 python3-venv espeak-ng alsa-utils" in output
    assert "connect the network" in output


def test_a_bundle_that_was_altered_is_not_installed(card, bundle):
    data = bundle.read_bytes()
    bundle.write_bytes(data.replace(b"a model", b"A model"))
    code, output = card.run("--offline", bundle)
    assert code == 3
    assert "was altered" in output
    assert not (card.root / "current").is_symlink()


def test_the_names_in_a_bundle_that_is_not_proved_command_no_terminal(card, bundle, tmp_path):
    evil = tmp_path / "packed/models/x\x1b]0;pwn\x07\x9b8m.onnx"
    evil.write_bytes(b"another")
    pack(tmp_path / "packed", bundle)
    bundle.write_bytes(bundle.read_bytes().replace(b"another", b"Another"))
    code, output = card.run("--offline", bundle)
    assert code == 3
    assert "x?]0;pwn?" in output
    assert all(sign.isprintable() or sign == "\n" for sign in output), ascii(output)


def test_a_library_that_is_not_the_tested_one_is_not_installed(card, tmp_path):
    code, output = card.run("--offline", bundle_of(tmp_path, f"tiny==1.0 --hash=sha256:{'0' * 64}\n"))
    assert code == 3
    assert "is for another system than this one" in output
    assert "or was altered" in output
    assert not (card.root / "current").is_symlink()


@pytest.mark.parametrize(("words", "why"), [(["--offline", "/nowhere.tar"], "no file /nowhere.tar"),
                                            (["--offline"], "has no file name")])  # fmt: skip
def test_a_missing_bundle_is_reported(card, words, why):
    code, output = card.run(*words)
    assert code == 3
    assert why in output


def test_a_file_that_is_not_a_bundle_is_reported(card, tmp_path):
    (tmp_path / "x").write_text("x")
    with tarfile.open(tmp_path / "other.tar", "w") as tar:
        tar.add(tmp_path / "x", "x")
    code, output = card.run("--offline", tmp_path / "other.tar")
    assert code == 3
    assert "does not contain gated" in output


def test_installing_needs_root(card):
    card.pairing_key("id", "echo 1000")
    code, output = card.run()
    assert code == 3
    assert "run it with sudo" in output


def test_taking_it_away_asks_first_and_keeps_the_data(card):
    card.root.mkdir()
    code, output = card.run("--uninstall", answer="n\n")
    assert code == 3
    assert card.root.exists()
    code, output = card.run("--uninstall", answer="y\nn\n")
    assert code == 0, output
    assert not card.root.exists()
    assert "Kept: /var/lib/gated, /etc/gated" in output
    assert "userdel" not in card.called()


def test_taking_it_away_without_asking_keeps_the_data_too(card):
    card.root.mkdir()
    code, output = card.run("--uninstall", "--yes")
    assert code == 0, output
    assert not card.root.exists()
    assert "Kept:" in output


def test_a_dry_run_of_taking_it_away_takes_nothing(card):
    card.root.mkdir()
    code, output = card.run("--dry-run", "--uninstall", "--yes")
    assert code == 0, output
    assert "would run: rm -rf" in output
    assert card.root.exists()
    assert card.called() == ""


def test_an_incomplete_bundle_is_distinguished_from_a_missing_network(card, bundle):
    bundle.write_bytes(bundle.read_bytes()[:2000])
    code, output = card.run("--offline", bundle)
    assert code == 3
    assert "is not complete" in output
    assert "copy it again" in output
    assert "network" not in output
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
    code, output = card.run("--offline", bundle)
    assert code == 3
    assert "is for another system than this one" in output
    assert "gated bundle --target" in output
    assert "connect the network" not in output


def test_a_full_data_partition_is_reported_though_the_root_has_room(card, bundle, tmp_path):
    card.root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(card.root)], check=True)
    try:
        code, output = card.run("--offline", bundle)
        assert code == 3
        assert f"MB are free for {card.root}" in output
        assert "free some space" in output
        assert list(card.root.iterdir()) == []
    finally:
        subprocess.run(["umount", "-l", str(card.root)], check=True)


def test_a_careful_umask_hides_nothing_from_the_gates_user(card, bundle):
    before = os.umask(0o077)
    try:
        code, output = card.run("--offline", bundle)
    finally:
        os.umask(before)
    assert code == 0, output
    closed = [path for path in card.root.rglob("*") if not path.is_symlink() and not path.stat().st_mode & 0o004]
    assert closed == []


def spoilt(card, how):
    """Break the installed version as an upgrade of the operating system does."""
    venv = card.root / "releases/9.9.9/venv"
    if how == "dangling":
        for name in ("python", "python3"):
            (venv / "bin" / name).unlink()
            (venv / "bin" / name).symlink_to("/usr/bin/python3.7-of-before")
    elif how == "another python":
        (library,) = (venv / "lib").iterdir()
        library.rename(library.with_name("python3.7"))
    elif how == "broken library":
        next(venv.glob("lib/*/site-packages/gated/__init__.py")).write_text("raise ImportError('wrong ELF class')\n")
    else:
        next(venv.glob("lib/*/site-packages/gated/__init__.py")).write_text("import time\ntime.sleep(60)\n")


def test_a_version_that_does_not_run_after_an_upgrade_of_the_system_is_built_anew(card, bundle):
    assert card.run("--offline", bundle)[0] == 0
    for how, why in (
        ("dangling", "this system does not have its Python any more"),
        ("another python", "No module named 'gated'"),
        ("broken library", "wrong ELF class"),
        ("hangs", "it does not answer"),
    ):
        spoilt(card, how)
        card.tries_s = 3 if how == "hangs" else 60
        code, output = card.run("--offline", bundle, "--", "--site", "s")
        assert code == 0, output
        assert "gated 9.9.9 is installed but does not run here: " in output
        assert why in output
        assert "upgrade of the whole system" in output
        assert output.splitlines()[-1].endswith("--site s")
        assert not (card.root / "releases/9.9.9.broken").exists()


def test_a_current_version_that_does_not_run_gives_way_to_the_one_that_was_brought(card, bundle):
    old = card.root / "releases/9.9.8/venv/bin"
    old.mkdir(parents=True)
    (old / "gated").write_text("#!/usr/bin/python3.7-of-before\n")
    (old / "gated").chmod(0o755)
    (card.root / "current").symlink_to("releases/9.9.8")
    code, output = card.run("--offline", bundle)
    assert code == 0, output
    assert "releases/9.9.8 does not run here" in output
    assert (card.root / "current").readlink() == Path("releases/9.9.9")


def test_a_failed_rebuild_leaves_the_installed_version(card, bundle):
    assert card.run("--offline", bundle)[0] == 0
    spoilt(card, "broken library")
    data = bundle.read_bytes()
    bundle.write_bytes(data.replace(b"a model", b"A model"))
    code, output = card.run("--offline", bundle)
    assert code == 3
    assert "was altered" in output
    assert [path.name for path in (card.root / "releases").iterdir()] == ["9.9.9"]
    assert (card.root / "releases/9.9.9/venv/bin/gated").exists()


def other_files(tmp_path, bundle):
    """Pack other files as the same version."""
    (tmp_path / "packed/models/finds.onnx").write_bytes(b"another model")
    pack(tmp_path / "packed", bundle)
    return bundle


def test_a_version_that_is_there_from_other_files_is_built_anew(card, bundle, tmp_path):
    """Only the files of the list that was proved are installed, even if the version's name is the same."""
    assert card.run("--offline", bundle)[0] == 0
    card.pairing_key("systemctl", "exit 3")
    code, output = card.run("--dry-run", "--offline", other_files(tmp_path, bundle))
    assert code == 0, output
    assert "would build" in output
    code, output = card.run("--offline", bundle)
    assert code == 0, output
    assert "from other files" in output
    assert (card.root / "releases/9.9.9/wheels/models/finds.onnx").read_bytes() == b"another model"
    code, output = card.run("--offline", bundle)
    assert "gated 9.9.9 is installed\n" in output


def test_a_running_gate_keeps_its_files_and_the_error_names_another_version(card, bundle, tmp_path):
    assert card.run("--offline", bundle)[0] == 0
    code, output = card.run("--offline", other_files(tmp_path, bundle))
    assert code == 3
    assert "gated 9.9.9 runs here, and" in output
    assert "give the other files another version number" in output
    assert (card.root / "releases/9.9.9/wheels/models/finds.onnx").read_bytes() == b"a model"


# -- the signer --------------------------------------------------------------------------------------------------------


@pytest.fixture
def key(tmp_path):
    return make_key(tmp_path / "keys")


def signed(tmp_path, bundle, key):
    """Add a public key to the bundle and sign it with a private key."""
    (tmp_path / "packed/release.pub").write_bytes(key.with_name(f"{key.name}.pub").read_bytes())
    pack(tmp_path / "packed", bundle, key)
    return bundle


def believe(card, key):
    card.root.mkdir(exist_ok=True)
    (card.root / "release.pub").write_bytes(key.with_name(f"{key.name}.pub").read_bytes())


def test_a_signed_bundle_is_installed_and_its_key_is_handed_on_to_be_believed(card, bundle, tmp_path, key):
    """No installed file keeps special rights, such as setuid."""
    (tmp_path / "packed/models/finds.onnx").chmod(0o6777)
    code, output = card.run("--offline", signed(tmp_path, bundle, key))
    assert code == 0, output
    assert {path.stat().st_mode & 0o7022 for path in (card.root / "releases/9.9.9/wheels").rglob("*")} == {0}
    assert "signed: 256 SHA256:" in output
    assert f"provision --release-key {card.root}/releases/9.9.9/wheels/release.pub" in output


def test_a_machine_that_believes_a_key_installs_nothing_else(card, bundle, tmp_path, key):
    believe(card, key)
    code, output = card.run("--offline", bundle)
    assert code == 3
    assert "is not signed, and this gate accepts signed bundles only" in output
    thief = make_key(tmp_path / "elsewhere", "thief")
    for words in (["--offline", signed(tmp_path, bundle, thief)], ["--dry-run", "--offline", bundle]):
        code, output = card.run(*words)
        assert code == 3
        assert "is not signed with a key that this gate trusts" in output
        assert not (card.root / "current").is_symlink()


def test_the_key_of_before_names_the_next_one(card, bundle, tmp_path, key):
    believe(card, key)
    following = make_key(tmp_path / "keys", "following")
    (tmp_path / "packed/release.pub").write_bytes(following.with_name("following.pub").read_bytes())
    pack(tmp_path / "packed", bundle, key)
    assert card.run("--offline", bundle)[0] == 0
    assert "following" in (card.root / "release.pub").read_text()


def by_hand(card, bundle, key):
    """Run the commands of the README that prove a first bundle and then install it."""
    text = (SCRIPT.parent / "README.md").read_text().partition("### Before the first bundle runs\n")[2]
    public = " ".join(key.with_name(f"{key.name}.pub").read_text().split()[:2])
    commands = text.split("```")[1].removeprefix("sh\n").replace("sudo ", "").replace("ssh-ed25519 AAAA...", public)
    folder = card.folder / "by hand"
    folder.mkdir()
    bundle.rename(folder / "gate.tar")
    done = subprocess.run(
        ["sh", "-c", commands],
        cwd=folder,
        env=card.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def with_install(tmp_path, text=None):
    (tmp_path / "packed/install").write_text(text or SCRIPT.read_text())


def test_a_person_proves_the_first_bundle_before_any_of_it_runs(card, bundle, tmp_path, key):
    with_install(tmp_path)
    code, said = by_hand(card, signed(tmp_path, bundle, key), key)
    assert code == 0, said
    assert "install: OK" in said
    assert (card.root / "releases/9.9.9/venv/bin/gated").exists()


def test_an_install_that_its_owner_did_not_sign_does_not_run(card, bundle, tmp_path, key):
    with_install(tmp_path)
    pack(tmp_path / "packed", bundle, key)
    with_install(tmp_path, f"touch {tmp_path}/ran\n")
    with tarfile.open(bundle, "w") as tar:
        for path in sorted((tmp_path / "packed").iterdir()):
            tar.add(path, path.name)
    code, said = by_hand(card, bundle, key)
    assert code != 0
    assert "install: FAILED" in said
    assert not (tmp_path / "ran").exists()


def test_a_bundle_of_a_thief_with_the_thiefs_own_install_does_not_run(card, bundle, tmp_path, key):
    with_install(tmp_path, f"touch {tmp_path}/ran\n")
    code, _ = by_hand(card, signed(tmp_path, bundle, make_key(tmp_path / "elsewhere", "thief")), key)
    assert code != 0
    assert not (tmp_path / "ran").exists()


def test_a_bundle_with_two_lists_is_refused(card, bundle, tmp_path, key):
    """tar(1) unpacks the last file of a name for the person, and the script takes the first."""
    with_install(tmp_path)
    packed, thief = tmp_path / "packed", make_key(tmp_path / "elsewhere", "thief")
    signed(tmp_path, bundle, key)
    proved = {name: (packed / name).read_bytes() for name in ("SHA256SUMS", "SHA256SUMS.sig")}
    (packed / "models/finds.onnx").write_bytes(b"a model of the thief")
    signed(tmp_path, bundle, thief)
    with tarfile.open(bundle, "a") as tar:
        for name, data in proved.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    code, said = by_hand(card, bundle, key)
    assert code == 3, said
    assert "contains SHA256SUMS twice" in said


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_bundle_that_has_more_in_it_than_was_packed_is_not_installed(card, bundle, kind):
    with tarfile.open(bundle, "a") as tar:
        more = tarfile.TarInfo("wheels/gated-9.9.9-1-py3-none-any.whl")
        if kind == "link":
            more.type, more.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(more)
    code, output = card.run("--offline", bundle)
    assert code == 3
    assert "contains more or fewer files than its list" in output
    assert not (card.root / "current").is_symlink()
    assert not (card.root / "releases/9.9.9/wheels").exists(), "what nobody packed stays nowhere"


def test_a_machine_without_ssh_keygen_that_believes_a_key_says_what_to_install(card, bundle, tmp_path, key):
    believe(card, key)
    signed(tmp_path, bundle, key)
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    for folder in ("/usr/bin", "/bin"):
        for path in Path(folder).iterdir():
            if path.name != "ssh-keygen" and not (hidden / path.name).exists():
                (hidden / path.name).symlink_to(path)
    card.path = f"{card.bin}:{hidden}:/usr/sbin:/sbin"
    code, output = card.run("--offline", bundle)
    assert code == 3
    assert "apt-get install openssh-client" in output


# -- hostile bundles ---------------------------------------------------------------------------------------------------


def rebuilt(bundle, change):
    """Rewrite the archive. `change` yields the new members for each old member, or none to omit it."""
    with tarfile.open(bundle) as old:
        members = [(info, old.extractfile(info).read() if info.isreg() else b"") for info in old.getmembers()]
    with tarfile.open(bundle, "w") as new:
        for info, data in members:
            for changed, content in change(info, data):
                changed.size = len(content)
                new.addfile(changed, io.BytesIO(content))


def refused(card, bundle, words):
    """Assert that the machine refused the bundle and that no file of it remains."""
    code, output = card.run("--offline", bundle)
    assert code == 3, output
    assert words in output
    assert "->" in output, "what to do about it"
    assert not (card.root / "current").is_symlink()
    left = [path.name for path in card.root.rglob("*") if path.is_file()] if card.root.exists() else []
    assert set(left) <= {"unfinished", "release.pub"}, "nothing of it stays"


def listed_with_sizes(tmp_path):
    """Write the list with sizes, as `gated bundle` makes it, and pack the bundle again."""
    folder = tmp_path / "packed"
    text = (folder / "SHA256SUMS").read_text()
    paths = [line[66:] for line in text.splitlines()]
    (folder / "SHA256SUMS").write_text("".join(f"# size {(folder / p).stat().st_size} {p}\n" for p in paths) + text)
    with tarfile.open(tmp_path / "bundle.tar", "w") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name)


def test_a_list_with_sizes_is_taken_and_proved(card, bundle, tmp_path):
    listed_with_sizes(tmp_path)
    code, output = card.run("--offline", bundle)
    assert code == 0, output
    wheels = card.root / "releases/9.9.9/wheels"
    assert (wheels / "SHA256SUMS").read_text().startswith("# size ")
    assert (wheels / "models/finds.onnx").read_bytes() == b"a model"


def test_nothing_is_unpacked_before_it_is_proved_who_packed_it(card, bundle, tmp_path, key):
    believe(card, key)
    seen = card.folder / "seen"
    card.pairing_key("tar", f'echo "$*" >>{seen}\nexec /usr/bin/tar "$@"')
    signed(tmp_path, bundle, make_key(tmp_path / "elsewhere", "thief"))
    refused(card, bundle, "is not signed with a key that this gate trusts")
    taken = [line.split(" -- ")[1] for line in seen.read_text().splitlines() if " -- " in line]
    assert set(taken) == {"SHA256SUMS", "SHA256SUMS.sig", "release.pub"}


def test_a_file_is_unpacked_to_the_size_that_is_listed_and_no_further(card, bundle, tmp_path):
    listed_with_sizes(tmp_path)
    rebuilt(bundle, lambda info, data: [(info, data + bytes(5_000_000) if info.name.endswith("onnx") else data)])
    refused(card, bundle, "longer than 7 bytes")


def test_a_hole_of_terabytes_is_not_unpacked(card, bundle, tmp_path):
    listed_with_sizes(tmp_path)

    def holed(info, data):
        if info.name.endswith("onnx"):
            big = str(1 << 42)
            info.pax_headers = {"GNU.sparse.map": f"0,0,{big},0", "GNU.sparse.size": big, "GNU.sparse.numblocks": "2"}
            data = b""
        return [(info, data)]

    rebuilt(bundle, holed)
    refused(card, bundle, "")


@pytest.mark.parametrize("form", ["w:gz", "w:xz"])
def test_a_compressed_bundle_is_not_unpacked(card, bundle, tmp_path, form):
    with tarfile.open(bundle, form) as tar:
        tar.add(tmp_path / "packed", ".")
    refused(card, bundle, "is not complete")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_a_link_or_device_in_place_of_a_file_is_refused(card, bundle, kind):
    def changed(info, data):
        if info.name.endswith("onnx"):
            info.type, info.linkname, data = kind, "/etc/passwd", b""
        return [(info, data)]

    rebuilt(bundle, changed)
    refused(card, bundle, "was altered")


def test_a_file_that_is_there_twice_is_refused(card, bundle):
    rebuilt(bundle, lambda info, data: [(info, data)] * (1 + info.name.endswith("onnx")))
    refused(card, bundle, "contains models/finds.onnx twice")


@pytest.mark.parametrize("name", ["../../outside", "/etc/cron.d/evil", "a/../../../b", "--checkpoint-action=exec=sh x"])
def test_no_name_leads_out_of_the_folder_or_is_an_option(card, bundle, tmp_path, name):
    folder = tmp_path / "packed"
    digest = hashlib.sha256(b"evil").hexdigest()
    with (folder / "SHA256SUMS").open("a") as sums:
        sums.write(f"{digest}  {name}\n")
    info = tarfile.TarInfo(name)

    def changed(each, data):
        return [(each, (folder / "SHA256SUMS").read_bytes() if each.name == "SHA256SUMS" else data)]

    rebuilt(bundle, changed)
    with tarfile.open(bundle, "a") as tar:
        info.size = 4
        tar.addfile(info, io.BytesIO(b"evil"))
    refused(card, bundle, "was altered")


def test_a_list_that_would_fill_the_disk_is_refused(card, bundle, tmp_path):
    path = tmp_path / "packed/SHA256SUMS"
    path.write_text(f"# size {10**14} ./models/finds.onnx\n" + path.read_text())
    rebuilt(bundle, lambda info, data: [(info, path.read_bytes() if info.name == "SHA256SUMS" else data)])
    refused(card, bundle, "lists more files or bytes than any bundle")


@pytest.mark.parametrize("name", ["SHA256SUMS", "SHA256SUMS.sig", "release.pub"])
def test_the_list_and_the_signature_are_bounded_too(card, bundle, tmp_path, key, name):
    signed(tmp_path, bundle, key)
    rebuilt(bundle, lambda info, data: [(info, b"#" * 2_000_000 if info.name == name else data)])
    refused(card, bundle, f"{name} in {bundle} is longer than")


def test_a_bundle_that_is_a_hole_is_not_read(card, tmp_path):
    with (tmp_path / "hole.tar").open("wb") as file:
        file.truncate(1 << 42)
    refused(card, tmp_path / "hole.tar", "is larger than any bundle")


def test_wheels_that_fill_the_disk_when_they_are_unpacked_are_refused(card, bundle, tmp_path):
    """Ten files of 200 MB of zeros, in 2 MB."""
    wheel = tmp_path / "packed/wheels/bomb-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number in range(10):
            with archive.open(f"{number}", "w", force_zip64=True) as file:
                for _ in range(12):
                    file.write(bytes(10_000_000))
    pack(tmp_path / "packed", bundle)
    refused(card, bundle, "would fill the disk")


@pytest.mark.parametrize("does_run", [True, False])
def test_an_older_bundle_takes_no_key_back(card, bundle, tmp_path, key, does_run):
    """An older bundle has a signature by a trusted key, and dates from before the second key."""
    believe(card, key)
    other = make_key(tmp_path / "keys", "other")
    both = (card.root / "release.pub").read_text() + other.with_name("other.pub").read_text()
    (card.root / "release.pub").write_text(both)
    runs = card.root / "releases/10.0.0/venv/bin/gated"
    runs.parent.mkdir(parents=True)
    runs.write_text("#!/bin/sh\n" if does_run else "#!/nowhere\n")
    runs.chmod(0o755)
    (card.root / "current").symlink_to("releases/10.0.0")
    code, output = card.run("--offline", signed(tmp_path, bundle, key))
    assert code == 0, output
    assert (card.root / "release.pub").read_text() == both


def test_a_download_is_bounded_before_its_hash_is_known():
    """An endless download cannot fill the card, and a download that drips is abandoned."""
    text = SCRIPT.read_text()
    assert "ulimit -f $((MOST_FILE / 512)); ulimit -v 524288; exec timeout" in text
    assert all(
        "fetching" in line for line in text.splitlines() if "$pip install $locked" in line or "$pip download" in line
    )
    assert "ulimit -f 524288; ulimit -v 524288" in (SCRIPT.parents[1] / "tests/setup.sh").read_text()


@pytest.mark.parametrize("words", [[], ["--dry-run"]])
def test_nothing_runs_that_lies_beside_a_bundle(bare, bundle, tmp_path, words):
    """In the folder of a USB stick, `python3 -m venv` would run a `venv.py` from there, as root and without proof."""
    stick = tmp_path / "stick"
    stick.mkdir()
    for name in ("venv", "platform", "zipfile", "pip", "ensurepip", "gated", "shutil"):
        (stick / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write(__name__)\n")
    bare.cwd = stick
    code, output = bare.run(*words, "--offline", bundle)
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()
    assert code == 0, output
