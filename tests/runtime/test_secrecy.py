"""Brain, vision and office set their memory non-dumpable and write no core dump."""

import ast
import ctypes
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import gated
from gated.runtime.secrecy import keep_memory_secret

PR_GET_DUMPABLE = 3


def test_no_core_is_left_and_nobody_attaches():
    pid = os.fork()
    if pid == 0:
        keep_memory_secret()
        is_kept = resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
        os._exit(0 if is_kept and ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.parametrize(
    ("module", "function"),
    [("app.py", "run"), ("office/serve.py", "serve"), ("vision.py", "_serve"), ("cli/__init__.py", "main")],
)
def test_processes_with_faces_or_keys_disable_core_dumps_first(module, function):
    tree = ast.parse((Path(gated.__file__).parent / module).read_text())
    found = next(node for node in tree.body if getattr(node, "name", "") == function)
    first = next(node for node in found.body if not isinstance(getattr(node, "value", None), ast.Constant))
    assert ast.unparse(first) == "keep_memory_secret()"


def test_a_command_leaves_no_core(gate):
    """Commands load galleries and keys too, but no unit forbids their core dumps."""
    script = (
        "import resource, sys; from gated.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: print(resource.getrlimit(resource.RLIMIT_CORE))"
    )
    command = [sys.executable, "-c", script, "--config", str(gate.config), "config", "show"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.endswith("(0, 0)\n")


@pytest.mark.slow
def test_a_brain_that_runs_leaves_no_core(gate):
    gate.write(models={"dir": "nowhere"})
    brain = gate.start("run")

    def limit():
        row = next(line for line in Path(f"/proc/{brain.pid}/limits").read_text().splitlines() if "core" in line)
        return row.split()[4:6]

    gate.wait_for(lambda: limit() == ["0", "0"], timeout_s=60)
