"""The virtual Pi: one User Mode Linux with the card as its disk, reached over ssh. Used by the steps of the rehearsal.

User Mode Linux is Debian's kernel source, built as a program. It runs the programs of the card at the speed of this
machine, needs no hardware virtualisation, and ends like a machine without power when it is killed.

The console goes to a file and is never cut. The kernel module of the header prints each edge of a watched line there,
so the file also holds the edges of a shutdown and of the instants before a power cut.
"""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

OUTSIDE, ADDRESS, TAP = "10.79.0.1/30", "10.79.0.2", "gatedpi"
BOOT_S = 240.0
SSH = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=3")
WITHIN = """
mount --rbind "$0" "$0/root/mnt" && mount --rbind /dev "$0/root/dev" &&
mount -t proc proc "$0/root/proc" && mount -t tmpfs tmpfs "$0/root/tmp" &&
chroot "$0/root" /usr/bin/env LD_PRELOAD=/mnt/preload.so TMPDIR=/dev/shm /mnt/linux "$@"
"""
"""Runs the kernel among the libraries of the card's Debian, because it was built for them. The shell stays its parent:
the watchdog could not end the first process of a pid namespace from inside."""


class StepError(Exception):
    """A promise that does not hold, in words."""


class Machine:
    """One virtual Pi in a folder that `build` has filled."""

    def __init__(self, place: Path, memory_mb: int = 2500) -> None:
        self.place, self._memory_mb = place, memory_mb
        self.console, self.disk = place / "console", place / "disk.img"
        self._kernel: subprocess.Popen | None = None
        self._card: list[subprocess.Popen] = []
        self.starts = 0
        self.console.write_bytes(b"")
        _network(
            ["tuntap", "add", "dev", TAP, "mode", "tap"],
            ["addr", "add", OUTSIDE, "dev", TAP],
            ["link", "set", TAP, "up"],
        )

    # -- power

    def insert_new_card(self) -> None:
        """Put a new card into the machine: a copy of the image that `build` made."""
        self._copy(self.place / "card.img", self.disk)

    def keep_card(self, name: str) -> None:
        """Keep a copy of the card. The machine is off."""
        self._copy(self.disk, self.place / f"{name}.img")

    def insert_card(self, name: str) -> None:
        """Put the copy of a kept card into the machine."""
        self._copy(self.place / f"{name}.img", self.disk)

    def start(self, cache: str = "", append: str = "") -> float:
        """Switch on, and wait until the machine is up. Returns the seconds.

        `cache`: "" for a card that keeps every write; "honest" for a card that loses at `cut` what nobody flushed;
        "forgetful" for a card that loses at `cut` everything since the start, whatever was flushed.
        """
        disk = self._cached(cache) if cache else self.disk
        command = [
            *("unshare", "--mount", "--pid", "--fork", "--kill-child=SIGKILL", "sh", "-c", WITHIN, str(self.place)),
            *(f"mem={self._memory_mb}M", f"ubd0=/mnt/{disk.relative_to(self.place)}", "root=/dev/ubda", "rw"),
            *("con=null", "con0=null,fd:1", "console=tty0", "loglevel=4", "systemd.show_status=0"),
            *(f"vec0:transport=tap,ifname={TAP},depth=128,gro=0", "net.ifnames=0", *append.split()),
        ]
        with self.console.open("ab") as console:
            self._kernel = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True
            )
        self.starts += 1
        return self.wait()

    def wait(self, timeout_s: float = BOOT_S) -> float:
        """Wait until systemd has finished the boot. Returns the seconds."""
        began = time.monotonic()
        while not self.boot_is_over():
            if self._kernel.poll() is not None:
                raise StepError(f"the machine has ended; see {self.console}")
            if time.monotonic() > began + timeout_s:
                raise StepError(f"the machine does not boot within {timeout_s:.0f} s; see {self.console}")
            time.sleep(0.3)
        return time.monotonic() - began

    def boot_is_over(self) -> bool:
        """Return whether systemd has started everything, or has given up on a part."""
        state = self._ssh("systemctl is-system-running", 20).stdout.strip()
        return state in ("running", "degraded")

    def stop(self) -> None:
        """Switch off in order: `systemctl poweroff`."""
        if self._kernel is None:
            return
        self.tries("systemctl poweroff", 15)
        try:
            self._kernel.wait(90)
        except subprocess.TimeoutExpired:
            raise StepError("the machine does not power off within 90 s") from None
        finally:
            self.cut()

    def cut(self) -> None:
        """Pull the plug: every process of the machine and of its card ends at this instant."""
        for process in (*self._card[::-1], self._kernel):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()
        if self._card:
            subprocess.run(["umount", "-l", str(self.place / "card")], check=False, capture_output=True)
        self._kernel, self._card = None, []

    def freeze(self) -> None:
        """Stop the kernel, as one that hangs."""
        self._signal_kernel(signal.SIGSTOP)

    def ended_within(self, timeout_s: float) -> bool:
        """Wait for the end of the machine, as after a bite of its watchdog."""
        try:
            self._kernel.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        self.cut()
        return True

    def reboot(self) -> float:
        """Restart in order, as a person does. Returns the seconds until it is up."""
        before = self.boot_id()
        began = time.monotonic()
        self.tries("systemctl reboot", 15)
        while (now := self._boot_id()) in ("", before):
            if self._kernel.poll() is not None:
                self.cut()
                self.start()
            if time.monotonic() > began + BOOT_S:
                raise StepError(f"the machine does not restart within {BOOT_S:.0f} s")
            time.sleep(0.5)
        self.wait()
        return time.monotonic() - began if now else 0.0

    def boot_id(self) -> str:
        """Return the id of this boot."""
        return self.run("cat /proc/sys/kernel/random/boot_id").strip()

    def _boot_id(self) -> str:
        done = self._ssh("cat /proc/sys/kernel/random/boot_id", 5)
        return done.stdout.strip() if done.returncode == 0 else ""

    # -- inside

    def run(self, command: str, timeout_s: float = 120.0, stdin: str = "") -> str:
        """Run a shell command as root and return its output. Raises `StepError` with the output if it fails."""
        done = self._ssh(command, timeout_s, stdin)
        if done.returncode != 0:
            tail = (done.stdout + done.stderr).strip()[-1200:]
            raise StepError(f"exit code {done.returncode}: {command[:120]}\n{tail}")
        return done.stdout

    def tries(self, command: str, timeout_s: float = 30.0) -> bool:
        """Run a shell command as root and return whether it succeeds."""
        return self._ssh(command, timeout_s).returncode == 0

    def put(self, source: Path, target: str) -> None:
        """Copy a file or a folder into the machine, through a folder that both see."""
        shared = self.place / "shared"
        shared.mkdir(exist_ok=True)
        subprocess.run(["cp", "-r", str(source), str(shared / source.name)], check=True)
        self.run(
            "mountpoint -q /srv || mount -t hostfs -o hostfs=/mnt/shared none /srv; "
            f"cp -r /srv/{source.name} {target}; umount /srv",
            180,
        )
        subprocess.run(["rm", "-r", str(shared / source.name)], check=True)

    def write(self, target: str, text: str) -> None:
        """Write a text file in the machine."""
        self.run(f"cat >{target}", stdin=text)

    def until(self, command: str, timeout_s: float, why: str) -> float:
        """Wait until a shell command succeeds in the machine. Returns the seconds. Fails with the reason."""
        began = time.monotonic()
        while not self.tries(command):
            if time.monotonic() > began + timeout_s:
                raise StepError(f"in vain for {timeout_s:.0f} s: {why}")
            time.sleep(0.3)
        return time.monotonic() - began

    def ssh_command(self, *options: str) -> list[str]:
        """Return the beginning of an ssh command line. Connections are shared, so that a command starts at once."""
        shared = ("-o", "ControlMaster=auto", "-o", f"ControlPath={self.place / 'ssh'}", "-o", "ControlPersist=60")
        alive = ("-o", "ServerAliveInterval=3", "-o", "ServerAliveCountMax=3")
        return ["ssh", "-q", "-i", str(self.place / "key"), *SSH, *shared, *alive, *options, f"root@{ADDRESS}"]

    def _ssh(self, command: str, timeout_s: float, stdin: str = "") -> subprocess.CompletedProcess:
        try:
            return subprocess.run(
                [*self.ssh_command(), command],
                input=stdin,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            return subprocess.CompletedProcess(error.cmd, 124, "", f"no end within {timeout_s:.0f} s")

    # -- outside

    def control(self, *lines: str) -> None:
        """Act on the header: `low 23`, `float 23`, `card 14 15 0101`, `mark TEXT`."""
        self.run("".join(f"echo '{line}' >/proc/pi-header/control\n" for line in lines))

    def _signal_kernel(self, number: int) -> None:
        """Send a signal to the kernel, the child of the shell in the machine's pid namespace."""
        pid = self._kernel.pid
        for _ in range(2):
            pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
        os.kill(pid, number)

    # -- the card

    def _copy(self, source: Path, target: Path) -> None:
        target.unlink(missing_ok=True)
        subprocess.run(["cp", "--sparse=always", "--reflink=auto", str(source), str(target)], check=True)

    def _cached(self, cache: str) -> Path:
        """Put a card between the machine and its disk whose cache is lost at a cut. Returns the path of its file."""
        folder, server = self.place / "card", self.place / "nbd"
        folder.mkdir(exist_ok=True)
        server.unlink(missing_ok=True)
        mode = {"honest": "writeback", "forgetful": "unsafe"}[cache]
        below = ["nbdkit", "-f", "-U", str(server), "--filter=cache", "file", str(self.disk), f"cache={mode}"]
        self._card = [subprocess.Popen(below, stdin=subprocess.DEVNULL)]
        _until(server.exists)
        file = folder / "disk"
        file.touch(exist_ok=True)
        self._card.append(subprocess.Popen(["nbdfuse", str(file), f"nbd+unix:///?socket={server}"]))
        _until(lambda: file.stat().st_size > 0)
        return file


def end_network() -> None:
    """Remove the network between this machine and the virtual Pi."""
    _network(["link", "del", TAP])


def free_space(place: Path) -> int:
    """Return the free bytes of the folder."""
    return shutil.disk_usage(place).free


def _network(*commands: list[str]) -> None:
    for each in commands:
        subprocess.run(["ip", *each], check=False, capture_output=True)


def _until(true, timeout_s: float = 20.0) -> None:
    end = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > end:
            raise StepError("the card between the machine and its disk does not answer")
        time.sleep(0.05)
