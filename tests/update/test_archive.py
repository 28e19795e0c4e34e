"""Tests hostile archives: links, devices, holes, endless headers, negative sizes."""

import io
import tarfile

import pytest

from gated.update.archive import MOST_HEADERS, members_of


def made(path, *members, form=tarfile.PAX_FORMAT):
    """Return an archive of headers, each with its data."""
    with tarfile.open(path, "w", format=form) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return path


def member(name, size=0, **more):
    info = tarfile.TarInfo(name)
    info.size = size
    for key, value in more.items():
        setattr(info, key, value)
    return info


def found(path):
    with members_of(path) as members:
        return [(name, file.read()) for name, file in members]


def raw(name=b"x", size=b"00000000000", kind=b"0", data=b""):
    """Return a raw header with any content."""
    head = bytearray(512)
    head[0 : len(name)] = name
    head[100:108], head[108:116], head[116:124] = b"0000644\0", b"0000000\0", b"0000000\0"
    head[124 : 124 + len(size)] = size
    head[136:148], head[156:157], head[257:265] = b"00000000000\0", kind, b"ustar\x0000"
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + data


def test_plain_files_are_read_with_their_long_names(tmp_path):
    path = made(tmp_path / "a.tar", (member("x" * 300, 3), b"abc"), (member("门.wav", 1), b"d"))
    assert found(path) == [("x" * 300, b"abc"), ("门.wav", b"d")]


def test_links_devices_and_pipes_are_none(tmp_path):
    kinds = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE)
    strange = [(member(f"x{n}", type=kind, linkname="/etc/shadow"), b"") for n, kind in enumerate(kinds)]
    assert found(made(tmp_path / "a.tar", *strange, (member("y", 1), b"y"))) == [("y", b"y")]


def test_a_file_with_a_hole_of_terabytes_is_none(tmp_path):
    more = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(1 << 42), "GNU.sparse.realsize": str(1 << 42)}
    path = made(tmp_path / "a.tar", (member("x", 1, pax_headers=more), b"x"), (member("y", 1), b"y"))
    assert found(path) == [("y", b"y")]


@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K"])
def test_a_header_of_gigabytes_is_not_read_into_memory(tmp_path, kind):
    with (tmp_path / "a.tar").open("wb") as file:
        file.write(raw(size=b"%011o" % (4 << 30), kind=kind))
        file.truncate(5 << 30)
    with pytest.raises(tarfile.ReadError, match="so it is not a bundle"):
        found(tmp_path / "a.tar")


@pytest.mark.parametrize("kind", [b"0", b"x", b"S"])
def test_a_size_below_nothing_ends(tmp_path, kind):
    """A reader that accepts a negative size goes back and reads the same header for ever."""
    with (tmp_path / "a.tar").open("wb") as file:
        file.write(raw() + raw(size=b"\xff" * 10 + b"\xfe\x00", kind=kind) + raw(b"y") + bytes(10240))
    with pytest.raises(tarfile.TarError):
        found(tmp_path / "a.tar")


def test_members_without_number_are_not_kept_in_memory(tmp_path):
    with (tmp_path / "a.tar").open("wb") as file:
        for _ in range(MOST_HEADERS // 512 // 64 + 1):
            file.write(raw() * 64)
    with pytest.raises(tarfile.ReadError, match="so it is not a bundle"):
        found(tmp_path / "a.tar")
