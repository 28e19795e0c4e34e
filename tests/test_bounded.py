"""Every foreign input has a size limit: each file, each pipe and each line."""

import errno
import hashlib
import io
import os
import socket
import ssl
import stat
import threading
import time

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from gated import bounded
from gated.bounded import TooLongError, TooSlowError, copy, copy_file, ending, read, read_rest, sha256


class Endless(io.RawIOBase):
    """A source that gives bytes without end and counts them."""

    def __init__(self):
        self.given = 0

    def read(self, count=-1):
        assert count >= 0, "asked for all of what never ends"
        self.given += count
        return bytes(count)


@given(st.integers(0, 300_000))
def test_an_endless_source_is_read_to_one_byte_beyond_the_bound(most):
    file = Endless()
    with pytest.raises(TooLongError):
        read_rest(file, most)
    assert file.given == most + 1


@given(st.binary(max_size=2000), st.integers(0, 2000))
def test_a_source_within_the_bound_is_read_whole_and_nothing_else(data, most):
    if len(data) <= most:
        assert read_rest(io.BytesIO(data), most) == data
    else:
        with pytest.raises(TooLongError):
            read_rest(io.BytesIO(data), most)


def test_a_copy_gives_the_digest_and_stops_at_the_bound(tmp_path):
    target = io.BytesIO()
    assert copy(io.BytesIO(b"abc"), target, 3) == hashlib.sha256(b"abc").hexdigest()
    assert target.getvalue() == b"abc"
    with pytest.raises(TooLongError):
        copy_file(Endless(), tmp_path / "new", 100_000)
    assert list(tmp_path.iterdir()) == [], "nothing stays of what was too long"


def test_a_copy_goes_through_no_link(tmp_path):
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "new").symlink_to(tmp_path / "theirs")
    copy_file(io.BytesIO(b"ours"), tmp_path / "new", 4)
    assert (tmp_path / "theirs").read_text() == "theirs"
    assert (tmp_path / "new").read_bytes() == b"ours"


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_copy_is_never_readable_by_more_users_than_its_mode_allows(tmp_path, mode):
    class Watched(io.BytesIO):
        def read(self, *words):
            modes.append(stat.S_IMODE((tmp_path / "new").stat().st_mode))
            return super().read(*words)

    modes = []
    (tmp_path / "new").touch(0o666)
    old = os.umask(0o022)
    try:
        copy_file(Watched(b"ours"), tmp_path / "new", 4, mode)
    finally:
        os.umask(old)
    assert set(modes) == {mode}
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == mode


def test_a_copy_is_private_by_default(tmp_path):
    copy_file(io.BytesIO(b"ours"), tmp_path / "new", 4)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600


@pytest.mark.parametrize("how", [lambda path: read(path, 100), lambda path: sha256(path, 100)])
def test_pipes_and_devices_are_refused_at_once(tmp_path, how):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero", tmp_path):
        with pytest.raises(OSError, match=r"no plain file|Is a directory") as caught:
            how(path)
        assert caught.value.errno in {errno.EINVAL, errno.EISDIR}


def test_a_file_with_a_hole_of_terabytes_is_not_read(tmp_path):
    with (tmp_path / "hole").open("wb") as file:
        file.truncate(1 << 42)
    with pytest.raises(TooLongError, match="longer than 1000 bytes"):
        sha256(tmp_path / "hole", 1000)
    with pytest.raises(TooLongError):
        read(tmp_path / "hole", 1000)


def test_a_line_that_drips_ends_with_its_whole_time():
    """Each byte arrives in time, but the line never ends."""
    authority, over = trustme.CA(), threading.Event()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(serving)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    def drip(listener):
        with serving.wrap_socket(listener.accept()[0], server_side=True) as line:
            while not over.wait(0.01):
                try:
                    line.sendall(b"x")
                except OSError:
                    return

    with socket.create_server(("localhost", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,), daemon=True)
        thread.start()
        began = time.monotonic()
        plain = socket.create_connection(listener.getsockname(), 60)
        with ending(trusting, 1.0, 60.0).wrap_socket(plain, server_hostname="localhost") as line:
            with pytest.raises(TooSlowError, match="too slow"), line.makefile("rb") as file:
                file.readline()
            assert time.monotonic() - began >= 1.0
        over.set()
        thread.join(60)


def test_the_time_for_a_file_grows_with_its_size():
    assert bounded.whole_s(0) == 60
    assert bounded.whole_s(40 << 20) == 60 + 5120
