"""The whole of hw_tests on the lines of the virtual Pi, with a scripted person.

Of the limits on time two may be broken here, because two cores are shared: they are named in SLOW and must be rerun on
a Pi. Every other promise must hold.
"""

import json
import re
import subprocess

from person import Bystander
from rig import CHECKOUT, Rig

SLOW = ("a cold gate is ready soon", "frames have the configured rate and are recent")


def run(rig: Rig) -> None:
    """Copy the checkout, make its environment from the bundle, run the tests, and read their report."""
    machine = rig.machine
    machine.run(
        "systemctl stop gated gated-vision.socket gated-vision gated-latch; systemctl mask --runtime gated-latch gated"
    )
    prepare(rig)
    machine.control("mark hardware begins", "float 22", "float 24")
    person = Bystander(rig)
    text = person.run_tests("--tb=short", timeout_s=900)
    machine.control("low 22", "low 24", "mark hardware ends")
    report = json.loads(machine.run("cat /root/gated-hw/report.json"))
    for result in report["results"]:
        notes = "; ".join(f"{name}: {value}" for name, value in result.get("notes", {}).items())
        why = result.get("why", "").splitlines()[0][:120] if result.get("why") else ""
        is_slow = result["promise"].partition(": ")[2] in SLOW
        kept = result["outcome"] == "kept"
        row = (rig.good, notes) if kept else (rig.slow if is_slow else rig.bad, why)
        row[0](f"hw_tests {result['promise']}", row[1])
    rig.figures["the person"] = f"{person.deeds} deeds, {person.claims} claims checked"
    skipped = re.findall(r"not tried, needs ([^-\n]*)", text)
    rig.figures["hw_tests not tried, for want of"] = "; ".join(each.strip() for each in skipped)
    machine.run("systemctl unmask --runtime gated-latch gated; systemctl start gated-vision.socket gated-latch gated")
    rig.await_duty()


def prepare(rig: Rig) -> None:
    """Bring the checkout and an environment for its tests into the machine."""
    machine = rig.machine
    if machine.tries("test -x /root/gated/.venv/bin/pytest"):
        return
    archive = machine.place / "checkout.tar"
    subprocess.run(["git", "-C", str(CHECKOUT), "archive", "-o", str(archive), "HEAD"], check=True)
    machine.put(archive, "/root/checkout.tar")
    machine.put(machine.place / "wheels", "/root/wheels")
    machine.run(
        "mkdir -p /root/gated /root/gated-hw && tar -xf /root/checkout.tar -C /root/gated && cd /root/gated && "
        "python3 -m venv --system-site-packages .venv && "
        "python3 -c 'import numpy; print(f\"numpy=={numpy.__version__}\")' >/root/constraints && "
        ".venv/bin/pip -q install --no-index -c /root/constraints -f /opt/gated/current/../wheels "
        "-f $(readlink -f /opt/gated/current)/wheels -f /root/wheels gated pytest pytest-asyncio",
        400,
    )
    machine.run("sync; rm -rf /root/wheels /root/checkout.tar")
