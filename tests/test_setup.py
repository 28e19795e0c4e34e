"""Tests `tests/try` and `tests/run` on any machine: they report all missing parts first, and use only tested versions.

The scripts run unchanged in a copy of the checkout. PATH holds stand-ins: a Python that makes an empty venv and records
pip's arguments, and an apt-get that records the packages.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
PLAIN = ("sh", "cat", "cksum", "pwd", "rm", "mkdir", "dirname", "basename", "env", "cp", "chmod", "sleep")
PYTHON = """\
case "$*" in
    *version_info*) echo "${VERSION:-3.11}" ;;
    *python_version*) echo "${VERSION:-3.11}.9" ;;
    *ensurepip*) [ -z "${NO_VENV:-}" ] ;;
    "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    *"pip install"*--editable*) printf '#!/bin/sh\\necho "gated $*"\\nexit "${RESULT:-0}"\\n' >.venv/bin/gated
        chmod 755 .venv/bin/gated
        echo "pip $*" >>"$CALLS" ;;
    *"pip install"*) echo "pip $*" >>"$CALLS"; [ -z "${NO_NETWORK:-}" ] ;;
    *) echo "python $*${PYTHONDONTWRITEBYTECODE:+ compiles again}" >>"$CALLS" ;;
esac
"""
TOOLS = (
    "mosquitto",
    "nats-server",
    "rabbitmq-server",
    "epmd",
    "chromium",
    "espeak-ng",
    "ssh-keygen",
    "systemd-analyze",
    "aplay",
)
CHECKS = ("ruff", "mypy", "lint-imports")


class Machine:
    """A checkout and its PATH."""

    def __init__(self, folder):
        self.checkout, self.bin, self.calls = folder / "checkout", folder / "bin", folder / "calls"
        self.bin.mkdir()
        for name in PLAIN:
            (self.bin / name).symlink_to(shutil.which(name))
        self.has("python3", PYTHON)
        self.has("id", 'echo "${WHO:-0}"')
        self.has("apt-get", 'echo "apt-get $*" >>"$CALLS"; [ -z "${NO_NETWORK:-}" ]')
        self.has("systemctl", 'echo "systemctl $*" >>"$CALLS"')
        self.has("fc-list", "echo a font")
        for name in TOOLS:
            self.has(name, "exit 0")
        (self.checkout / "tests").mkdir(parents=True)
        (self.checkout / "gated/update").mkdir(parents=True)
        for name in ("pyproject.toml", "tests/run", "tests/try", "tests/setup.sh"):
            shutil.copy(TOP / name, self.checkout / name)
        for name in ("tests/lock", "gated/update/locked"):
            shutil.copytree(TOP / name, self.checkout / name)
        # have() also looks in folders outside an ordinary user's PATH; here it must not look at this machine
        setup = self.checkout / "tests/setup.sh"
        setup.write_text(setup.read_text().replace("/usr/sbin/", f"{folder}/sbin/"))

    def has(self, name, body):
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def lacks(self, *names):
        for name in names:
            (self.bin / name).unlink()

    def run(self, script, *words, **more):
        environment = {"PATH": str(self.bin), "CALLS": str(self.calls), **more}
        command = [str(self.bin / "sh"), f"tests/{script}", *words]
        done = subprocess.run(command, cwd=self.checkout, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def called(self):
        return self.calls.read_text().splitlines() if self.calls.exists() else []


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_the_scripts_are_plain_shell():
    for name in ("run", "try", "renew", "setup.sh"):
        for shell in (["sh", "-n"], ["bash", "--posix", "-n"]):
            subprocess.run([*shell, str(TOP / "tests" / name)], check=True)


def test_a_user_without_root_gets_one_message_and_no_installation(machine):
    machine.lacks("mosquitto", "chromium", "aplay", "fc-list")
    code, said, told = machine.run("run", WHO="1000", NO_VENV="1")
    assert (code, said) == (3, "")
    for package in ("python3-venv", "mosquitto", "chromium", "alsa-utils", "fontconfig fonts-noto-cjk"):
        assert f"\n  {package} (" in told, package
    install = (
        "sudo apt-get update && sudo apt-get install --no-install-recommends python3-venv mosquitto chromium alsa-utils"
    )
    assert f"{install} fontconfig fonts-noto-cjk\n" in told
    assert "the Python libraries that it was tested with (into " in told
    assert machine.called() == []
    assert not (machine.checkout / ".venv").exists()


def test_the_message_names_tests_that_need_root(machine):
    note = "Without root the suite is not whole"
    machine.lacks("chromium")
    code, _, output = machine.run("run", WHO="1000")
    assert code == 3
    assert output.count(note) == 1
    assert "sudo sh tests/run\n" in output
    assert output.index("\n  chromium (") < output.index(note) < output.index("sudo apt-get update")
    machine.has("chromium", "exit 0")
    assert note in machine.run("run", WHO="1000")[2]
    assert note not in machine.run("run")[2]
    assert note not in machine.run("try", WHO="1000")[2]


def test_with_root_all_is_named_before_anything_is_installed(machine):
    machine.lacks("mosquitto", "espeak-ng")
    machine.has("apt-get", 'echo "apt-get $*" >>"$CALLS"; echo "apt-get runs" >&2')
    code, _, output = machine.run("run", "-k", "lease")
    assert output.startswith("Missing, and installed now:\n  mosquitto (")
    assert output.index("espeak-ng (") < output.index("apt-get runs")
    calls = machine.called()
    assert calls[:2] == ["apt-get update -qq", "apt-get install -y -qq --no-install-recommends mosquitto espeak-ng"]
    assert calls[2] == "systemctl disable --quiet --now mosquitto"
    assert code == 127  # the empty venv has no ruff


def test_only_the_locked_libraries_are_asked_for_and_by_their_hashes(machine):
    for name in CHECKS:
        machine.run("try")
        (machine.checkout / ".venv/bin" / name).write_text("#!/bin/sh\n")
        (machine.checkout / ".venv/bin" / name).chmod(0o755)
    machine.calls.unlink()
    code, _, output = machine.run("run", "tests/door", PYTHONDONTWRITEBYTECODE="1")
    assert code == 0, output
    locked, own, compiling, suite = machine.called()
    assert "--no-deps --only-binary :all: --require-hashes" in locked
    assert locked.endswith("--requirement tests/lock/3.11.txt --requirement tests/lock/picamera2.txt")
    assert "--no-index --no-build-isolation --no-deps --editable ." in own
    assert compiling == "python -m pytest --quiet --collect-only", "one process compiles all tests, and writes them"
    assert suite.startswith("python -m pytest -n 4 --dist loadfile --no-loadscope-reorder ")
    assert suite.endswith(" tests/door")


def test_the_second_time_needs_no_network_and_another_lock_does(machine):
    assert machine.run("try")[0] == 0
    assert machine.run("try", NO_NETWORK="1") == (0, "gated demo\n", machine.run("try")[2])
    lock = machine.checkout / "gated/update/locked/3.11.txt"
    lock.write_text(lock.read_text() + "# newer\n")
    code, _, output = machine.run("try", NO_NETWORK="1")
    assert code == 3
    assert "The Python libraries could not be installed. Is there a network?" in output


def test_an_interpreter_that_is_gone_has_the_venv_made_anew(machine):
    assert machine.run("try")[0] == 0
    python = machine.checkout / ".venv/bin/python"
    python.unlink()
    python.symlink_to("/nowhere/python3.9")
    (machine.checkout / ".venv/installed").unlink()
    assert machine.run("try")[0] == 0
    assert not python.is_symlink()


def test_the_error_for_missing_packages_has_the_command_to_run(machine):
    machine.lacks("chromium")
    code, _, output = machine.run("run", NO_NETWORK="1")
    assert code == 3
    assert "could not be installed. Is there a network?" in output
    assert "apt-get install --no-install-recommends chromium" in output


def test_an_untested_python_is_reported_and_a_tested_one_is_used(machine):
    code, _, output = machine.run("try", VERSION="3.14")
    assert code == 3
    assert "This system has Python 3.14.9, and gated is tested with 3.11 3.12 3.13" in output
    machine.has("python3.12", "VERSION=3.12\n" + PYTHON)
    code, _, output = machine.run("try", VERSION="3.14")
    assert code == 0
    assert "--requirement gated/update/locked/3.12.txt" in machine.called()[0]
    code, _, output = machine.run("try", VERSION="3.14", PYTHON="python3")
    assert code == 3
    assert "PYTHON=python3 is none of the Pythons" in output


def test_without_any_python_both_packages_are_named(machine):
    machine.lacks("python3")
    code, _, output = machine.run("try", WHO="1000")
    assert code == 3
    assert "\n  python3 python3-venv (runs gated)\n" in output


@pytest.mark.parametrize("words", [(), ("people", "list")])
@pytest.mark.parametrize("result", ["0", "1"])
def test_try_ends_with_how_to_go_on_and_with_the_result_of_the_command(machine, words, result):
    code, said, told = machine.run("try", *words, RESULT=result)
    assert code == int(result)
    assert said == f"gated {' '.join(words) or 'demo'}\n"
    assert "Go on: .venv/bin/gated --help" in told
    assert "pipx install ." in told
