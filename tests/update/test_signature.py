"""gated accepts a signature by ssh-keygen if it trusts the key, and no other signature."""

import base64
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from signing import FINGERPRINT, MESSAGE, PUBLIC, SIGNED, make_key, sign_with

from gated.errors import UpdateError
from gated.update.signature import MOST_KEYS, check, keys_in, read_keys, sign

KEYS = keys_in(PUBLIC)


def test_a_signature_of_openssh_is_accepted():
    assert check(MESSAGE, SIGNED, KEYS, "it") == KEYS[0]
    assert (KEYS[0].fingerprint, KEYS[0].line, KEYS[0].comment) == (FINGERPRINT, PUBLIC, "release key")


def test_ssh_keygen_and_this_module_accept_each_others_signatures(tmp_path):
    """Compares our code with ssh-keygen in both directions: ssh-keygen also accepts what it signs for us."""
    key = make_key(tmp_path)
    (tmp_path / "SHA256SUMS").write_bytes(MESSAGE)
    sign(tmp_path / "SHA256SUMS", key)
    signed = (tmp_path / "SHA256SUMS.sig").read_text()
    keys = read_keys(tmp_path / "release.pub")
    assert check(MESSAGE, signed, keys, "it").comment == "release"
    shown = subprocess.run(["ssh-keygen", "-l", "-f", str(key)], capture_output=True, text=True, check=True).stdout
    assert keys[0].fingerprint in shown
    (tmp_path / "signers").write_text(f"me {keys[0].line}\n")
    verify = ["ssh-keygen", "-Y", "verify", "-f", "signers", "-I", "me", "-n", "gated-release", "-s", "SHA256SUMS.sig"]
    subprocess.run(verify, input=MESSAGE, cwd=tmp_path, check=True, capture_output=True)


def test_a_signature_of_another_key_for_something_else_or_of_other_bytes_is_not_believed(tmp_path):
    key, other = make_key(tmp_path), make_key(tmp_path, "other")
    path = tmp_path / "SHA256SUMS"
    path.write_bytes(MESSAGE)
    keys = read_keys(tmp_path / "release.pub")

    def judged(by, namespace="gated-release", message=MESSAGE):
        sign_with(by, path, namespace)
        return check(message, (tmp_path / "SHA256SUMS.sig").read_text(), keys, "it")

    assert judged(key) == keys[0]
    with pytest.raises(UpdateError, match="does not trust"):
        judged(other)
    with pytest.raises(UpdateError, match="another purpose"):
        judged(key, namespace="file")
    for message in (MESSAGE + b"\n", b"", MESSAGE.upper()):
        with pytest.raises(UpdateError, match="does not match"):
            judged(key, message=message)


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_a_key_of_another_kind_is_refused_by_name(tmp_path, kind):
    make_key(tmp_path, kind=kind)
    with pytest.raises(UpdateError, match="ed25519"):
        read_keys(tmp_path / "release.pub")


@pytest.mark.parametrize(
    "text",
    ["", "# only a remark\n", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-ed25519 !!!", "ssh-ed25519 " + "A" * 1000,
     PUBLIC.replace("ssh-ed25519", "ssh-rsa", 1), PUBLIC[:60], PUBLIC.replace("SFgy", "SFgyAAAA"),
     PUBLIC + "\nrubbish"],
)  # fmt: skip
def test_a_text_that_is_no_list_of_public_keys_is_refused(text):
    with pytest.raises(UpdateError):
        keys_in(text)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "", lambda text: text.replace("BEGIN", "END"), lambda text: text[:-40],
        lambda text: text.replace("U1NI", "V1NI"), lambda text: text.replace("AAAAAQ", "AAAAAg", 1),
        lambda text: SIGNED[: SIGNED.index("\n")] + "\n" + "A" * MOST_KEYS + "\n-----END SSH SIGNATURE-----",
        lambda text: text.replace("ZgPz", "ZgP0").replace("877gP", "877gQ"), lambda text: "!" + text,
        lambda text: text.replace("-----END", base64.b64encode(b"more").decode() + "\n-----END"),
    ],
)  # fmt: skip
def test_an_altered_signature_is_reported(change):
    with pytest.raises(UpdateError):
        check(MESSAGE, change(SIGNED), KEYS, "it")


@settings(max_examples=300)
@given(st.data())
def test_no_changed_byte_of_a_signature_is_believed(data):
    """Tries changed, missing and added bytes. Each gives one clear error."""
    blob = bytearray(base64.b64decode("".join(SIGNED.splitlines()[1:-1])))
    at = data.draw(st.integers(0, len(blob) - 1))
    match data.draw(st.sampled_from(["change", "cut", "add"])):
        case "change":
            blob[at] ^= data.draw(st.integers(1, 255))
        case "cut":
            del blob[at:]
        case _:
            blob[at:at] = data.draw(st.binary(min_size=1, max_size=8))
    text = f"-----BEGIN SSH SIGNATURE-----\n{base64.b64encode(blob).decode()}\n-----END SSH SIGNATURE-----\n"
    with pytest.raises(UpdateError):
        check(MESSAGE, text, KEYS, "it")


def test_signing_without_a_key_or_ssh_keygen_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "SHA256SUMS").write_bytes(MESSAGE)
    with pytest.raises(UpdateError, match="cannot sign with it"):
        sign(tmp_path / "SHA256SUMS", tmp_path / "none")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UpdateError, match="openssh-client"):
        sign(tmp_path / "SHA256SUMS", tmp_path / "none")
