"""The installed packages equal the tested ones: one lock for each Python, with hashes, and nothing else."""

import hashlib
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from gated.errors import UpdateError
from gated.update import locked_libraries
from gated.update.locked_libraries import (
    FROM_SYSTEM,
    check_unpacked,
    check_wheels,
    lock_in,
    own_lock,
    this_python,
    without,
)

TOP = Path(__file__).parents[2]
RUN, TEST = TOP / "gated" / "update" / "locked", TOP / "tests" / "lock"
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))
PYTHONS = ("3.11", "3.12", "3.13")
FILES = sorted([*RUN.glob("*.txt"), *TEST.glob("*.txt")])
RENEW = "renew it: sh tests/renew"


def entries(text):
    """Return each requirement of a lock: its name, version and hashes."""
    found = {}
    for line in text.replace("\\\n", " ").splitlines():
        if line and not line.startswith("#"):
            words = line.split()
            assert all(word.startswith("--hash=sha256:") for word in words[1:]), line
            requirement = Requirement(words[0])
            (pin,) = requirement.specifier
            assert pin.operator == "==", line
            found[canonicalize_name(requirement.name)] = (Version(pin.version), words[1:])
    return found


def wanted(python, extras=()):
    """Return the packages that pyproject.toml requires under a Python version."""
    words, project = [], PROJECT["project"]
    words += project["dependencies"]
    for extra in extras:
        words += project["optional-dependencies"][extra]
    environment = {"python_version": python, "python_full_version": f"{python}.2", "sys_platform": "linux"}
    requirements = map(Requirement, words)
    return [r for r in requirements if r.marker is None or r.marker.evaluate(environment)]


def test_there_is_a_lock_for_every_python_that_is_supported():
    assert {path.name for path in RUN.glob("*.txt")} == {*(f"{python}.txt" for python in PYTHONS), "build.txt"}
    assert {f"{python}.txt" for python in PYTHONS} <= {path.name for path in TEST.glob("*.txt")}
    assert f"PYTHONS='{' '.join(PYTHONS)}'" in (TOP / "tests" / "setup.sh").read_text("utf-8")


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(("folder", "extras"), [(RUN, ()), (TEST, ("dev", "video"))])
def test_the_lock_satisfies_what_the_project_asks_for(python, folder, extras):
    have = entries((folder / f"{python}.txt").read_text("utf-8"))
    for requirement in wanted(python, extras):
        name = canonicalize_name(requirement.name)
        if name != "gated":
            assert name in have, f"{requirement} is not locked for {python}; {RENEW}"
            assert requirement.specifier.contains(have[name][0]), f"{requirement} against {have[name][0]}; {RENEW}"


def test_the_packages_that_build_the_wheel_are_locked():
    have = entries((RUN / "build.txt").read_text("utf-8"))
    for requirement in map(Requirement, PROJECT["build-system"]["requires"]):
        assert requirement.specifier.contains(have[canonicalize_name(requirement.name)][0]), RENEW


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_library_has_hashes_and_no_lock_names_a_host(path):
    text = path.read_text("utf-8")
    assert all(hashes for _, hashes in entries(text).values())
    assert "://" not in text
    assert "index" not in text.replace("index==", "")
    assert not any(line.lstrip().startswith(("-i", "--find", "--extra", "-f")) for line in text.splitlines())


@pytest.mark.parametrize("python", PYTHONS)
def test_the_tested_versions_are_those_that_run_and_build(python):
    tested = entries((TEST / f"{python}.txt").read_text("utf-8"))
    for path in (RUN / f"{python}.txt", RUN / "build.txt"):
        for name, locked in entries(path.read_text("utf-8")).items():
            assert tested[name] == locked, f"{name} of {path.name}; {RENEW}"


def test_a_compiled_package_has_files_for_every_machine():
    """A universal wheel and its source are two files. A compiled package has many."""
    for python in PYTHONS:
        have = entries((RUN / f"{python}.txt").read_text("utf-8"))
        for name in ("numpy", "onnxruntime", "msgspec", "cryptography", "pillow", "zxing-cpp", "cffi"):
            assert len(have[name][1]) > 4, name


# -- read from the wheel -----------------------------------------------------------------------------------------------

LOCK = """\
# Written by hand.
one==1.0 \\
    --hash=sha256:{a}
numpy==2.0 \\
    --hash=sha256:{b} \\
    --hash=sha256:{c}
two==3 --hash=sha256:{d}
""".format(**{letter: letter * 64 for letter in "abcd"})


def test_packages_of_the_system_are_left_out_with_their_hashes():
    left = without(LOCK, FROM_SYSTEM)
    assert list(entries(left)) == ["one", "two"]
    assert "b" * 64 not in left
    assert without(LOCK, ()) == LOCK


def test_a_wheel_carries_the_lock_of_each_python(tmp_path):
    wheel = tmp_path / "gated-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("gated/update/locked/3.11.txt", LOCK)
    assert lock_in(wheel, "3.11") == LOCK
    with pytest.raises(UpdateError, match="no list of tested libraries for Python 3.14"):
        lock_in(wheel, "3.14")
    wheel.write_bytes(b"no wheel")
    with pytest.raises(UpdateError, match="cannot be read as a wheel"):
        lock_in(wheel, "3.11")


def test_a_file_whose_hash_the_lock_does_not_know_is_refused_by_name(tmp_path):
    good, bad, worse = (tmp_path / f"{name}-1.whl" for name in ("good", "bad", "worse"))
    for path in (good, bad, worse):
        path.write_text(path.name)
    known = f"good==1 --hash=sha256:{hashlib.sha256(good.read_bytes()).hexdigest()}\n"
    check_wheels([good], known)
    with pytest.raises(UpdateError, match=r"bad-1\.whl, worse-1\.whl: not tested with this gated"):
        check_wheels([good, worse, bad], known)


def test_the_installer_reads_it_before_anything_is_installed():
    """`systemd/install` runs this module from the wheel, with the Python of a bare system."""
    command = [sys.executable, "-S", "-m", "gated.update.locked_libraries"]
    whole, less = (
        subprocess.run([*command, *more], cwd=TOP, capture_output=True, text=True, check=True, env={}).stdout
        for more in ((), ("--system",))
    )
    assert whole == own_lock(this_python())
    assert entries(whole).keys() - entries(less).keys() == FROM_SYSTEM


def test_a_python_that_nobody_tested_is_named(monkeypatch, capsys):
    monkeypatch.setattr(locked_libraries, "this_python", lambda: "3.99")
    assert locked_libraries.main([]) == UpdateError.exit_code != 0
    output = capsys.readouterr()
    assert "for Python 3.99" in output.err
    assert output.out == ""


def test_a_lock_that_unpacks_without_end_is_not_read(tmp_path, monkeypatch):
    """A zip file compresses zeros a thousand to one."""
    with zipfile.ZipFile(tmp_path / "bomb.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("gated/update/locked/3.11.txt", bytes(50_000_000))
    with pytest.raises(UpdateError, match="longer than"):
        lock_in(tmp_path / "bomb.whl", "3.11")


def test_wheels_are_weighed_together_before_they_are_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(locked_libraries, "MOST_UNPACKED", 1_000_000)
    for name in ("a.whl", "b.whl"):
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x", bytes(600_000))
    check_unpacked([tmp_path / "a.whl"])
    with pytest.raises(UpdateError, match=r"b\.whl: 1200000 bytes unpacked"):
        check_unpacked([tmp_path / "a.whl", tmp_path / "b.whl"])
    (tmp_path / "c.whl").write_bytes(b"no wheel")
    with pytest.raises(UpdateError, match=r"c\.whl: cannot be read as a wheel"):
        check_unpacked([tmp_path / "c.whl"])
