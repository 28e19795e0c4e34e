"""What the keyboard of a gate screen could do to the machine, and may not: reboot it, halt it, or ask the kernel.

The compositor and the browser see only the keys that are left: these are taken by the kernel, systemd and logind before
them.
"""

from pathlib import Path

from gated.errors import UpdateError
from gated.health.finding import Finding, amber, green
from gated.update.units import systemctl

FILES = {
    "etc/sysctl.d/90-gated-kiosk.conf": "# No key of the gate screen's keyboard asks the kernel to reboot or kill.\n"
    "kernel.sysrq = 0\n",
    "etc/systemd/system.conf.d/gated-kiosk.conf": "# Ctrl-Alt-Del, also seven times within two seconds, does nothing.\n"
    "[Manager]\nCtrlAltDelBurstAction=none\n",
    "etc/systemd/logind.conf.d/gated-kiosk.conf": "# Keys that halt a machine do nothing; no other console opens.\n"
    "[Login]\nNAutoVTs=0\nReserveVT=0\n"
    + "".join(
        f"Handle{key}=ignore\nHandle{key}LongPress=ignore\n"
        for key in ("PowerKey", "RebootKey", "SuspendKey", "HibernateKey")
    ),
}
"""By their place."""
MASKED = "ctrl-alt-del.target"
"""What systemd starts at Ctrl-Alt-Del (systemd.special(7)): a reboot, unless it is masked."""


def files(root: Path) -> dict[Path, str]:
    """What is to be written, by its place."""
    return {root / name: text for name, text in FILES.items()}


def is_masked(root: Path) -> bool:
    """Whether Ctrl-Alt-Del does nothing."""
    link = root / "etc/systemd/system" / MASKED
    return link.is_symlink() and str(link.readlink()) == "/dev/null"


def mask(root: Path) -> None:
    """Have Ctrl-Alt-Del do nothing. Raises `UpdateError`."""
    systemctl("mask", *(["--root", str(root)] if root != Path("/") else []), MASKED)


def take_effect() -> Finding:
    """Have the kernel and logind read what was written; systemd has been reloaded. The gate does not wait for that."""
    try:
        systemctl("restart", "systemd-sysctl.service")
        systemctl("kill", "--signal=HUP", "systemd-logind.service")
    except UpdateError as error:
        return amber("keyboard", f"its keys can still reboot this machine ({error})", "reboot once, or unplug it")
    return green("keyboard", "no key of it reboots or halts this machine")
