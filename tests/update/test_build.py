"""Builds a version for real: a venv, pip without a network, compiled files, and its answer to `--version`."""

import base64
import hashlib
import shutil
import sys
import venv
import zipfile

import pytest
from signing import make_key

from gated.errors import UpdateError
from gated.update import build as build_module
from gated.update import locked_libraries as lock_module
from gated.update.build import build, run
from gated.update.listing import SUMS
from gated.update.locked_libraries import this_python
from gated.update.signature import read_keys
from gated.update.source import ReleaseSource

pytestmark = pytest.mark.long

SAYS = "def main():\n    print('gated, version {version}')\n"


def pack(folder, version, *, says=None, requires="", lock="", beside=None):
    """Write the smallest wheel of gated (PEP 427) with its lock, its digest and other wheels beside it."""
    name = f"gated-{version}"
    files = {
        "gated/__init__.py": SAYS.format(version=says or version),
        f"gated/update/locked/{this_python()}.txt": lock,
        f"{name}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: gated\nVersion: {version}\n{requires}",
        f"{name}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: us\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{name}.dist-info/entry_points.txt": "[console_scripts]\ngated = gated:main\n",
    }
    lines = [f"{path},sha256={_digest(text)},{len(text)}" for path, text in files.items()]
    files[f"{name}.dist-info/RECORD"] = "\n".join([*lines, f"{name}.dist-info/RECORD,,", ""])
    folder.mkdir()
    wheel = folder / f"{name}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    for path in [beside] if beside else []:
        shutil.copyfile(path, folder / path.name)
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  ./{path.name}\n" for path in folder.glob("*.whl")]
    (folder / SUMS).write_text("".join(sums))
    return ReleaseSource(folder)


@pytest.fixture
def tiny(tmp_path):
    """Make a small library, and return the lock line that names it."""
    wheel = tmp_path / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny.py", "")
        archive.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("tiny-1.0.dist-info/RECORD", "")
    return wheel, f"tiny==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


@pytest.fixture(scope="session")
def made_venv(tmp_path_factory):
    """Make one compiled venv with pip for the tests of the libraries in it. It takes five seconds."""
    folder = tmp_path_factory.mktemp("made") / "venv"
    venv.EnvBuilder(symlinks=True, with_pip=True).create(folder)
    run([str(folder / "bin/python"), "-m", "compileall", "-q", str(folder / "lib")])
    return folder


@pytest.fixture
def copied_venv(made_venv, monkeypatch):
    """Copy that venv in place of each new one."""
    monkeypatch.setattr(venv.EnvBuilder, "create", lambda _, folder: shutil.copytree(made_venv, folder, symlinks=True))


def _digest(text):
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


@pytest.mark.slow
def test_a_bundle_becomes_a_whole_version_without_a_network(releases, tmp_path):
    assert build(releases, pack(tmp_path / "b", "0.2.0")) == "0.2.0"
    assert releases.is_whole("0.2.0")
    assert run([str(releases.program("0.2.0"))]) == "gated, version 0.2.0\n"
    venv = releases.folder("0.2.0") / "venv"
    assert list(venv.glob("lib/*/site-packages/gated/__pycache__/*.pyc")), "a read-only root cannot compile it later"
    assert releases.current == "0.1.0"


@pytest.mark.slow
@pytest.mark.usefixtures("copied_venv")
def test_a_version_that_is_another_than_it_says_or_wants_what_is_not_there_is_no_version(releases, tmp_path):
    with pytest.raises(UpdateError, match="reports its version as"):
        build(releases, pack(tmp_path / "b", "0.2.0", says="0.9.9"))
    with pytest.raises(UpdateError, match="nothing-of-that-name"):
        build(releases, pack(tmp_path / "c", "0.3.0", requires="Requires-Dist: nothing-of-that-name\n"))
    assert releases.whole() == ["0.1.0"]


def test_the_last_line_of_a_program_is_in_the_error():
    with pytest.raises(UpdateError, match="ended with 3: the last word"):
        run(["/bin/sh", "-c", "echo first; echo 'the last word' >&2; exit 3"])


def test_a_program_that_hangs_or_is_missing_raises_the_same_error(tmp_path):
    with pytest.raises(UpdateError, match="timed out"):
        run(["/bin/sleep", "60"], longest_s=0.1)
    with pytest.raises(UpdateError, match="No such file"):
        run([str(tmp_path / "nothing")])


@pytest.mark.slow
@pytest.mark.usefixtures("copied_venv")
def test_a_library_of_the_lock_is_installed_by_its_hash(releases, tmp_path, tiny):
    wheel, line = tiny
    needs = "Requires-Dist: tiny>=1\n"
    assert build(releases, pack(tmp_path / "b", "0.2.0", requires=needs, lock=line, beside=wheel)) == "0.2.0"
    assert list((releases.folder("0.2.0") / "venv").glob("lib/*/site-packages/tiny.py"))


def test_a_library_that_the_lock_does_not_know_makes_no_version(releases, tmp_path, tiny):
    wheel, line = tiny
    other = line.replace("sha256:", "sha256:0")[:-2] + "\n"
    for number, lock in enumerate(("", other)):
        with pytest.raises(UpdateError, match=r"tiny-1\.0-py3-none-any\.whl: not tested with this gated"):
            build(releases, pack(tmp_path / f"b{number}", "0.2.0", lock=lock, beside=wheel))
    assert releases.whole() == ["0.1.0"]


@pytest.mark.slow
@pytest.mark.usefixtures("copied_venv")
def test_a_library_of_the_lock_that_did_not_come_is_named(releases, tmp_path, tiny):
    with pytest.raises(UpdateError, match="tiny"):
        build(releases, pack(tmp_path / "b", "0.2.0", lock=tiny[1]))
    assert releases.whole() == ["0.1.0"]


def test_a_version_without_a_lock_for_this_python_is_refused(releases, tmp_path):
    source = pack(tmp_path / "b", "0.2.0")
    wheel = next((tmp_path / "b").glob("*.whl"))
    data = wheel.read_bytes().replace(f"locked/{this_python()}.txt".encode(), b"locked/9.99.txt")
    wheel.write_bytes(data)
    (tmp_path / "b" / SUMS).write_text(f"{hashlib.sha256(data).hexdigest()}  {wheel.name}\n")
    with pytest.raises(UpdateError, match=f"for Python {this_python()}; use a gated made for this Python"):
        build(releases, source)


# -- no proof ----------------------------------------------------------------------------------------------------------


def test_an_unsigned_bundle_removes_nothing_that_is_installed(releases, tmp_path, make_whole):
    """A good version exists, and another person brings a different one with the same name."""
    make_whole(releases, "0.2.0")
    make_key(tmp_path / "keys")
    releases.trust_keys(read_keys(tmp_path / "keys/release.pub"))
    with pytest.raises(UpdateError, match="is not signed"):
        build(releases, pack(tmp_path / "b", "0.2.0"))
    assert releases.is_whole("0.2.0")


def test_a_file_that_differs_from_its_hash_is_left_nowhere(releases, tmp_path):
    source = pack(tmp_path / "b", "0.2.0")
    (wheel,) = (tmp_path / "b").glob("*.whl")
    wheel.write_bytes(b"evil")
    with pytest.raises(UpdateError, match="does not match SHA256SUMS"):
        build(releases, source)
    assert not releases.folder("0.2.0").exists()


def test_a_wheel_that_fills_the_disk_when_it_is_unpacked_is_not_installed(releases, tmp_path, monkeypatch):
    monkeypatch.setattr(lock_module, "MOST_UNPACKED", 100_000)
    monkeypatch.setattr(build_module, "run", lambda *_: pytest.fail("something ran"))
    with pytest.raises(UpdateError, match="bytes unpacked, more than the limit of 100000"):
        build(releases, pack(tmp_path / "b", "0.2.0", says="0" * 100_000))


def test_nothing_runs_that_lies_where_root_happens_to_be(tmp_path, monkeypatch):
    """`python -m pip` in the folder of a USB stick would run a `pip.py` from there."""
    (tmp_path / "evil.py").write_text("print('ran')\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UpdateError, match="No module named evil"):
        run([sys.executable, "-m", "evil"])


@pytest.mark.slow
@pytest.mark.usefixtures("copied_venv")
def test_the_environment_brings_no_library_beside_the_lock(releases, tmp_path, tiny, monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", str(tiny[0].parent))
    with pytest.raises(UpdateError, match="tiny"):
        build(releases, pack(tmp_path / "b", "0.2.0", requires="Requires-Dist: tiny\n"))
