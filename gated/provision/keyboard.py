"""Block the keys of a gate screen's keyboard that could reboot or halt the machine, or send requests to the kernel.

The kernel, systemd and logind handle these keys before the compositor and the browser see them.
"""

from pathlib import Path

from gated.doctor.finding import Finding, amber, green
from gated.errors import UpdateError
from gated.update.services import systemctl

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
"""The text of each configuration file, by its path below the root."""
MASKED = "ctrl-alt-del.target"
"""The systemd target that Ctrl-Alt-Del starts (systemd.special(7)).

Unless this target is masked, it reboots the machine.
"""


def files(root: Path) -> dict[Path, str]:
    """Return the text of each file to write, by its path."""
    return {root / name: text for name, text in FILES.items()}


def is_masked(root: Path) -> bool:
    """Return whether Ctrl-Alt-Del is disabled."""
    link = root / "etc/systemd/system" / MASKED
    return link.is_symlink() and str(link.readlink()) == "/dev/null"


def mask(root: Path) -> None:
    """Disable Ctrl-Alt-Del. Raises `UpdateError`."""
    systemctl("mask", *(["--root", str(root)] if root != Path("/") else []), MASKED)


def apply_files() -> Finding:
    """Make the kernel and logind read the new files. systemd must be reloaded before. Return a finding; a failure does
    not stop the gate.
    """
    try:
        systemctl("restart", "systemd-sysctl.service")
        systemctl("kill", "--signal=HUP", "systemd-logind.service")
    except UpdateError as error:
        return amber(
            "keyboard",
            f"its keys can still restart this machine ({error})",
            "restart the machine once, or unplug the keyboard",
        )
    return green("keyboard", "no key restarts or halts this machine")
