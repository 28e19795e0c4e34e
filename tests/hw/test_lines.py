"""The hardware tests over real gpiozero and lgpio, on a simulated chip with connected lines."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PI = PROJECT / "tests" / "door" / "pi"
LOCK, PROBE, CONTACT, LEAF, REX, BUTTON = 17, 27, 22, 25, 23, 24

PLUGIN = f"""
import gc
from kernel import kernel_of, lgpio

KERNEL = kernel_of({{0: {{"label": "pinctrl-rp1"}}}}, {{{LOCK}: {PROBE}, {LEAF}: {CONTACT}, {BUTTON}: {REX}}})

def pytest_runtest_logfinish(nodeid):
    gc.collect()
    print("LEFT", nodeid.rpartition("::")[2], sorted(KERNEL.chips[0].holders), len(KERNEL.handles),
          len(lgpio._notify_thread.callbacks), lgpio._notify_thread.is_alive())
"""


def test_every_promise_of_the_wires_is_kept_and_every_line_released(tmp_path):
    (tmp_path / "wired.py").write_text(textwrap.dedent(PLUGIN))
    wiring = {
        "": 1, "_LOCK_PIN": LOCK, "_PROBE_PIN": PROBE, "_CONTACT_PIN": CONTACT, "_LEAF_PIN": LEAF, "_REX_PIN": REX,
        "_BUTTON_PIN": BUTTON, "_FOLDER": tmp_path,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "wired", "-p", "no:cacheprovider", "-q", "-s", "-n", "0",
         "hw_tests/test_gate.py", "-k", "TestDoor"],
        cwd=PROJECT,
        env={**os.environ, **{f"GATED_HW{name}": str(value) for name, value in wiring.items()},
             "PYTHONPATH": f"{tmp_path}:{PI}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    left = [line.split(maxsplit=2)[2] for line in done.stdout.splitlines() if "LEFT" in line and "test_" in line]
    assert len(left) >= 5
    assert set(left) == {"[] 0 0 True"}, done.stdout
