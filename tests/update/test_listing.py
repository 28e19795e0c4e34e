"""The signed list gives the length of each file, so that a copy stops at the right place."""

import hashlib
import subprocess

import pytest

from gated.errors import UpdateError
from gated.update.listing import MOST_ALL, MOST_FILE, MOST_FILES, listed, sums

NONE = "0" * 64


def test_every_packed_file_is_listed_with_its_size(tmp_path):
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels/a.whl").write_bytes(b"abc")
    found = listed(sums(tmp_path, ()), "here")
    assert list(found) == ["a.whl"]
    assert (found["a.whl"].digest, found["a.whl"].most) == (hashlib.sha256(b"abc").hexdigest(), 3)


def test_a_list_of_sha256sum_alone_is_read_and_bounded(tmp_path):
    (tmp_path / "a.whl").write_bytes(b"abc")
    text = subprocess.run(["sha256sum", "a.whl"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert listed(text, "here")["a.whl"].most == MOST_FILE


@pytest.mark.parametrize("text", [
    f"# size {MOST_ALL + 1} a.whl\n{NONE}  a.whl\n",
    "".join(f"# size {MOST_ALL // 2} {n}\n{NONE}  {n}\n" for n in range(3)),
    "".join(f"{NONE}  {n}\n" for n in range(MOST_FILES + 1)),
])  # fmt: skip
def test_a_list_that_would_fill_the_disk_is_refused(text):
    with pytest.raises(UpdateError, match="more than the limits"):
        listed(text, "here")


@pytest.mark.parametrize("line", ["# size -1 a.whl", "# size ٣ a.whl", f"# size {'9' * 5000} a.whl", "# size a.whl"])
def test_a_size_that_is_none_counts_as_none(line):
    assert listed(f"{line}\n{NONE}  a.whl\n", "here")["a.whl"].most == MOST_FILE
