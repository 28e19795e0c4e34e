"""A release key made by the real ssh-keygen, and signatures by it, new and stored."""

import shutil
import subprocess

PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG9u843HEm9ZeirSZj6J3CI6NVVoYhI3gxKCvv6/SFgy release key"
FINGERPRINT = "SHA256:L0qBk3vFJK7qTj2yXg0E45nxi5SX0cd81Ju4hkDE8Wk"
MESSAGE = b"abc  gated-1.whl\n"
SIGNED = """-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgb27zjccSb1l6KtJmPoncIjo1VW
hiEjeDEoK+/r9IWDIAAAANZ2F0ZWQtcmVsZWFzZQAAAAAAAAAGc2hhNTEyAAAAUwAAAAtz
c2gtZWQyNTUxOQAAAEA7jy43cHO+rz0Pal2RpNHETHA5LnjSR1xZyqYC61TnybeyvVTjgq
uDaqMdYbgDzPZiJwOZ1g+VcEZSecd877gP
-----END SSH SIGNATURE-----
"""
"""A signature by OpenSSH 9.2, `ssh-keygen -Y sign -n gated-release`."""


def make_key(folder, name="release", kind="ed25519"):
    """Make a private key without a passphrase. The public key lies beside it."""
    assert shutil.which("ssh-keygen"), "ssh-keygen is not installed (apt install openssh-client)"
    folder.mkdir(parents=True, exist_ok=True)
    command = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", str(folder / name)]
    subprocess.run(command, check=True)
    return folder / name


def sign_with(key, path, namespace="gated-release"):
    """Sign a file as a person would. Replaces an older signature."""
    path.with_name(f"{path.name}.sig").unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", namespace, str(path)], check=True)
