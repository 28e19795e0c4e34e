"""The server of a model file is not trusted. A file gets its final name only if its digest is right."""

import hashlib
import json
import os
import random
from contextlib import contextmanager

import msgspec
import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from gated import bounded
from gated.config import ModelSettings
from gated.errors import BusyError, ModelError
from gated.face import download, model_entry
from gated.face.download import Download, secure
from gated.face.licences import accepted
from gated.face.manifest import load_manifest
from gated.face.model_files import pull_set, unaccepted
from gated.face.model_sources import find
from gated.face.onnx import Model
from gated.storage.process_lock import FileLock

FILES = {name: random.Random(name).randbytes(300_000) for name in ("finds.onnx", "looks.onnx", "knows.onnx")}
SIZE = 300_000


def cut_after(count):
    """Return an answer that sends the right length and hangs up in the middle."""

    def cut(answer, content, begin):
        rest = content[begin:]
        place = {"Content_Range": f"bytes {begin}-{len(content) - 1}/{len(content)}"} if begin else {}
        answer.head(206 if begin else 200, Content_Length=len(rest), **place)
        answer.wfile.write(rest[:count])

    return cut


def no_ranges(answer, content, begin):
    """Send the whole file, whatever range is requested."""
    answer.head(200, Content_Length=len(content))
    answer.wfile.write(content)


def wrong_range(answer, content, begin):
    """Send another range than the requested one, with a correct header."""
    answer.head(206, Content_Length=len(content) - 7, Content_Range=f"bytes 7-{len(content) - 1}/{len(content)}")
    answer.wfile.write(content[7:])


def without_length(answer, content, begin):
    answer.head(200)
    answer.wfile.write(content)


def without_length_cut(answer, content, begin):
    answer.head(200)
    answer.wfile.write(content[: len(content) // 2])


def too_short_a_length(answer, content, begin):
    answer.head(200, Content_Length=100)
    answer.wfile.write(content)


def too_long_a_length(answer, content, begin):
    answer.head(200, Content_Length=len(content) + 100)
    answer.wfile.write(content)


def no_number_as_length(answer, content, begin):
    answer.head(200, Content_Length="²")
    answer.wfile.write(content)


def absurd_length(answer, content, begin):
    answer.head(200, Content_Length="9" * 5000)
    answer.wfile.write(content)


def drips_headers(answer, content, begin):
    answer.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    drip(answer)


def drips_chunks(answer, content, begin):
    answer.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;")
    drip(answer)


def drips_bytes(answer, content, begin):
    answer.head(200)
    drip(answer)


def drip(answer):
    while not answer.server.is_over.wait(0.02):
        answer.wfile.write(b"x")
        answer.wfile.flush()


def wrong(answer, content, begin):
    answer.head(200, Content_Length=len(content))
    answer.wfile.write(bytes(len(content)))


def too_much(answer, content, begin):
    answer.head(200)
    for _ in range(100):
        answer.wfile.write(content)


def says_it_is_huge(answer, content, begin):
    answer.head(200, Content_Length=10**15)
    answer.wfile.write(content)


def silent(answer, content, begin):
    answer.head(200, Content_Length=len(content))
    answer.wfile.write(content[:1000])
    answer.server.is_over.wait(10)


def nothing_at_all(answer, content, begin):
    answer.server.is_over.wait(10)


def refused(status):
    return lambda answer, content, begin: answer.head(status, Content_Length=0)


def to(url):
    return lambda answer, content, begin: answer.head(302, Location=url, Content_Length=0)


@pytest.fixture
def shelf(https_shelf):
    https_shelf.files = {f"/{name}": content for name, content in FILES.items()}
    return https_shelf


MODEL = """
[models.{name}]
role = "{role}"
file = "{name}.onnx"
sha256 = "{sha256}"
licence = "{licence}"
grade = "site"
input = {{ size = [32, 32], order = "rgb" }}
{more}
"""
MORE = {
    "finds": ("detector", ""),
    "looks": ("pad", "crop_scale = 2.0\nbona_fide = 1"),
    "knows": ("embedder", "dimension = 16\nthreshold = 0.5\nlandmarks = [[1, 1], [2, 2], [3, 3], [4, 4], [5, 5]]"),
}


def manifest(folder, address, *, sizes=True, licence="Apache-2.0", without=()):
    text = '[sets.site]\ngrade = "site"\nabout = ""\ndetector = "finds"\npad = ["looks"]\nembedder = "knows"\n'
    text += "pad_threshold = 0.5\n"
    for name, (role, more) in MORE.items():
        content = FILES[f"{name}.onnx"]
        rest = f"{more}\nsize_bytes = {SIZE}" if sizes else more
        rest += "" if name in without else f'\nurl = "{address(f"{name}.onnx")}"'
        sha256 = hashlib.sha256(content).hexdigest()
        text += MODEL.format(name=name, role=role, sha256=sha256, licence=licence, more=rest)
    (folder / "manifest.toml").write_text(text)
    return ModelSettings(dir=str(folder / "models"), manifest=str(folder / "manifest.toml"))


@pytest.fixture
def site(shelf, tmp_path):
    return manifest(tmp_path, shelf.url)


@pytest.fixture
def models(tmp_path):
    return tmp_path / "models"


def here(models):
    """Return the files under their final names. Each must be correct."""
    found = sorted(path.name for path in models.glob("*.onnx"))
    for name in found:
        assert (models / name).read_bytes() == FILES[name], f"{name} is installed but wrong"
    return found


ALL = sorted(FILES)


# -- a good server ----------------------------------------------------------------------------------------------------


def test_a_set_is_downloaded_and_verified(site, shelf, models):
    done = pull_set(site, "site", accept=True)
    assert [(each.file, each.origin) for each in done] == [
        ("finds.onnx", "fetched"), ("looks.onnx", "fetched"), ("knows.onnx", "fetched")
    ]  # fmt: skip
    assert here(models) == ALL
    assert list(models.glob("*.part")) == []


def test_a_correct_file_is_not_downloaded_again(site, shelf, models):
    models.mkdir()
    (models / "finds.onnx").write_bytes(FILES["finds.onnx"])
    (models / "looks.onnx").write_bytes(b"something else")
    done = pull_set(site, "site", accept=True)
    assert [each.origin for each in done] == ["here", "fetched", "fetched"]
    shelf.asked.clear()
    assert {each.origin for each in pull_set(site, "site", accept=False)} == {"here"}
    assert shelf.asked == []
    assert here(models) == ALL


def test_requests_carry_nothing_but_the_address_and_range(site, shelf, monkeypatch):
    monkeypatch.setenv("NETRC", "/nowhere")
    pull_set(site, "site", accept=True)
    for _, _, headers in shelf.asked:
        assert {name.lower() for name in headers} <= {"host", "user-agent", "connection", "accept-encoding", "range"}
        assert headers["User-Agent"] == "gated"


def test_progress_ends_at_the_full_size(site):
    steps_seen = []
    pull_set(site, "site", progress=lambda *step: steps_seen.append(step), accept=True)
    for name in ALL:
        steps = [(done, total) for file, done, total in steps_seen if file == name]
        assert steps == sorted(steps)
        assert steps[-1] == (SIZE, SIZE)


# -- the connection ---------------------------------------------------------------------------------------------------


def test_an_interrupted_download_resumes(site, shelf, models):
    shelf.todo = [cut_after(100_000), cut_after(50_000)]
    pull_set(site, "site", accept=True)
    assert [begin for _, begin, _ in shelf.asked[:3]] == [0, 100_000, 150_000]
    assert here(models) == ALL


def test_a_download_that_keeps_failing_leaves_its_part_for_the_next_run(site, shelf, models):
    shelf.always = cut_after(1000)
    with pytest.raises(ModelError, match=r"finds\.onnx: .*bytes are here, run the command again"):
        pull_set(site, "site", accept=True)
    assert here(models) == []
    assert (models / "finds.onnx.part").read_bytes() == FILES["finds.onnx"][: 1000 * download.TRIES]
    shelf.always = None
    shelf.asked.clear()
    pull_set(site, "site", accept=True)
    assert shelf.asked[0][1] == 1000 * download.TRIES
    assert here(models) == ALL


def test_a_server_without_ranges_sends_the_whole_file_again(site, shelf, models):
    shelf.todo = [cut_after(100_000), no_ranges]
    pull_set(site, "site", accept=True)
    assert here(models) == ALL


def test_a_complete_part_is_only_renamed(site, shelf, models):
    models.mkdir()
    (models / "finds.onnx.part").write_bytes(FILES["finds.onnx"])
    pull_set(site, "site", accept=True)
    assert "/finds.onnx" not in {path for path, _, _ in shelf.asked}
    assert here(models) == ALL


@pytest.mark.parametrize("sizes", [True, False])
@pytest.mark.parametrize("length", [0, 1, 1000, SIZE - 1, SIZE, SIZE + 1, 2 * SIZE])
def test_a_damaged_part_is_deleted_and_downloaded_again(shelf, tmp_path, models, length, sizes):
    site = manifest(tmp_path, shelf.url, sizes=sizes)
    models.mkdir()
    (models / "finds.onnx.part").write_bytes(b"\xff" * length)
    pull_set(site, "site", accept=True)
    assert here(models) == ALL
    assert len([path for path, _, _ in shelf.asked if path == "/finds.onnx"]) <= 2


def test_a_response_with_the_wrong_range_is_requested_again(site, shelf, models):
    models.mkdir()
    (models / "finds.onnx.part").write_bytes(FILES["finds.onnx"][:5000])
    shelf.todo = [wrong_range, None]
    pull_set(site, "site", accept=True)
    assert here(models) == ALL


@pytest.mark.parametrize("how", [without_length, no_number_as_length])
def test_a_response_without_a_length_is_accepted(site, shelf, models, how):
    shelf.always = how
    pull_set(site, "site", accept=True)
    assert here(models) == ALL


def test_a_silent_truncation_is_found_by_the_size_in_the_manifest(site, shelf, models):
    shelf.todo = [without_length_cut]
    pull_set(site, "site", accept=True)
    assert here(models) == ALL
    assert shelf.asked[1][1] == SIZE // 2


@pytest.mark.parametrize(
    "how", [too_short_a_length, too_long_a_length, wrong, refused(404), refused(500), cut_after(0)]
)
@pytest.mark.parametrize("sizes", [True, False])
def test_a_wrong_or_refused_response_gives_an_error_and_no_file(shelf, tmp_path, models, how, sizes):
    site = manifest(tmp_path, shelf.url, sizes=sizes)
    shelf.always = how
    with pytest.raises(ModelError) as caught:
        pull_set(site, "site", accept=True)
    assert all(name in str(caught.value) for name in ALL), "one error names every file"
    assert here(models) == []


def test_one_failing_file_does_not_stop_the_others(site, shelf, models):
    shelf.files["/finds.onnx"] = b"another file" * 10
    with pytest.raises(ModelError, match=r"finds\.onnx"):
        pull_set(site, "site", accept=True)
    assert here(models) == ["knows.onnx", "looks.onnx"]
    assert list(models.glob("*.part")) == []


@pytest.mark.parametrize("how", [too_much, says_it_is_huge])
def test_more_bytes_than_expected_are_refused(site, shelf, models, how):
    shelf.always = how
    with pytest.raises(ModelError, match=f"at most {SIZE} are allowed"):
        pull_set(site, "site", accept=True)
    assert list(models.glob("*.onnx*")) == []


def test_a_file_of_unknown_size_has_a_limit(shelf, tmp_path, models, monkeypatch):
    monkeypatch.setattr(download, "MOST_BYTES", SIZE)
    shelf.always = too_much
    with pytest.raises(ModelError, match="are allowed"):
        pull_set(manifest(tmp_path, shelf.url, sizes=False), "site", accept=True)
    assert list(models.glob("*.onnx*")) == []


def one(shelf, tmp_path, **limits):
    return Download(shelf.url("finds.onnx"), tmp_path / "finds.part", SIZE, lambda *_: None, **limits)


@pytest.mark.parametrize("how", [silent, nothing_at_all])
def test_a_silent_server_times_out(shelf, tmp_path, how):
    shelf.always = how
    with pytest.raises(ModelError, match=r"timed out|cut"):
        one(shelf, tmp_path, silence_s=0.2).fetch()


@pytest.mark.parametrize("how", [drips_headers, drips_chunks, drips_bytes])
def test_a_server_that_drips_is_left_when_the_time_for_the_size_is_over(shelf, tmp_path, monkeypatch, how):
    """Each byte comes in time. Header lines may have 64 KiB each, so nobody else ends it."""
    monkeypatch.setattr(bounded, "whole_s", lambda most: 1.0)
    shelf.always = how
    with pytest.raises(ModelError, match="too slow, not complete after 1 s; .*--from"):
        one(shelf, tmp_path).fetch()


def test_a_length_of_thousands_of_digits_is_no_length(site, shelf, models):
    shelf.always = absurd_length
    pull_set(site, "site", accept=True)
    assert here(models) == ALL


def test_an_unreachable_server_is_one_clear_error(tmp_path, models):
    site = manifest(tmp_path, lambda name: f"https://127.0.0.1:9/{name}")
    with pytest.raises(ModelError, match="refused"):
        pull_set(site, "site", accept=True)


# -- the server -------------------------------------------------------------------------------------------------------


def test_a_server_with_an_untrusted_certificate_is_refused(site, shelf, models, tmp_path, monkeypatch):
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "other.pem"))
    with pytest.raises(ModelError, match="certificate is not trusted .*SSL_CERT_FILE"):
        pull_set(site, "site", accept=True)
    assert here(models) == []
    assert shelf.asked == []


def test_a_redirect_is_followed(site, shelf, models):
    shelf.files["/else"] = FILES["finds.onnx"]
    shelf.todo = [to(shelf.url("else")), cut_after(1000), to("/else")]
    pull_set(site, "site", accept=True)
    assert [(path, begin) for path, begin, _ in shelf.asked[:4]] == [
        ("/finds.onnx", 0), ("/else", 0), ("/finds.onnx", 1000), ("/else", 1000)
    ]  # fmt: skip
    assert here(models) == ALL


@pytest.mark.parametrize("where", ["http://localhost/x", "ftp://localhost/x", "file:///etc/passwd", "data:,x", "x:y"])
def test_a_redirect_out_of_https_is_not_followed(site, shelf, models, where):
    shelf.always = to(where)
    with pytest.raises(ModelError, match="refused; only https|answered 302"):
        pull_set(site, "site", accept=True)
    assert list(models.glob("*.onnx*")) == []


def test_the_body_of_a_redirect_is_not_read(site, shelf, models):
    """A server could send one without an end, and urllib would keep all of it in memory."""
    sent = []

    def body(answer, content, begin):
        answer.head(302, Location=shelf.url("else"))
        try:
            for _ in range(100):
                answer.wfile.write(bytes(1 << 20))
                sent.append(1)
        except OSError:
            pass

    shelf.files["/else"] = FILES["finds.onnx"]
    shelf.todo = [body]
    pull_set(site, "site", accept=True)
    assert len(sent) < 50
    assert here(models) == ALL


def test_a_sixth_redirect_is_refused(site, shelf, models):
    shelf.files |= {f"/{n}": FILES["finds.onnx"] for n in range(9)}
    shelf.todo = [to(shelf.url(str(n))) for n in range(5)]
    pull_set(site, "site", accept=True)
    assert here(models) == ALL
    (models / "finds.onnx").unlink()
    shelf.todo = [to(shelf.url(str(n))) for n in range(6)]
    with pytest.raises(ModelError, match="the server answered 302"):
        pull_set(site, "site", accept=True)


@given(st.sampled_from(["http", "HTTP", "ftp", "file", "", "httpss", "https "]), st.text(max_size=20))
@settings(max_examples=50)
def test_only_https_addresses_are_requested(scheme, rest):
    with pytest.raises(ModelError):
        secure(f"{scheme}://{rest}")


def test_an_address_with_a_password_in_it_is_refused():
    assert secure("https://example.org/a@b") == "https://example.org/a@b"
    with pytest.raises(ModelError, match="without user name and password"):
        secure("https://me:secret@example.org/a")


# -- licences ---------------------------------------------------------------------------------------------------------


def test_nothing_is_downloaded_before_its_licence_is_accepted(site, shelf, models):
    with pytest.raises(ModelError, match="finds.onnx: Apache-2.0"):
        pull_set(site, "site", accept=False)
    assert shelf.asked == []
    assert accepted(models) == []
    assert len(unaccepted(site, "site")) == 3


def test_accepted_licences_are_recorded_beside_the_models(site, models):
    pull_set(site, "site", accept=True)
    written = json.loads((models / "licences.json").read_text())
    assert [(each["file"], each["licence"]) for each in written] == [
        ("finds.onnx", "Apache-2.0"), ("looks.onnx", "Apache-2.0"), ("knows.onnx", "Apache-2.0")
    ]  # fmt: skip
    assert all(each["at"].endswith("Z") and len(each["sha256"]) == 64 for each in written)


def test_an_accepted_licence_is_not_asked_for_again(site, shelf, models):
    shelf.always = cut_after(10)
    with pytest.raises(ModelError):
        pull_set(site, "site", accept=True)
    shelf.always = None
    assert unaccepted(site, "site") == []
    pull_set(site, "site", accept=False)
    assert here(models) == ALL
    assert len(accepted(models)) == 3


def test_a_changed_licence_must_be_accepted_again(site, shelf, models, tmp_path):
    pull_set(site, "site", accept=True)
    (models / "finds.onnx").unlink()
    site = manifest(tmp_path, shelf.url, licence="only on Sundays")
    assert [entry.file for entry in unaccepted(site, "site")] == ["finds.onnx"]
    with pytest.raises(ModelError, match="only on Sundays"):
        pull_set(site, "site", accept=False)
    assert {each.licence for each in accepted(models)} == {"Apache-2.0"}


def test_a_damaged_list_of_licences_accepts_nothing(site, models):
    models.mkdir()
    (models / "licences.json").write_text('[{"file": "finds.onnx"')
    with pytest.raises(ModelError, match="accept"):
        pull_set(site, "site", accept=False)


# -- from a stick -----------------------------------------------------------------------------------------------------


@pytest.fixture
def stick(tmp_path):
    folder = tmp_path / "stick"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    return folder


def test_a_set_is_copied_from_a_folder_and_verified(site, shelf, stick, models):
    assert {each.origin for each in pull_set(site, "site", source=stick, accept=True)} == {"copied"}
    assert here(models) == ALL
    assert shelf.asked == []


def test_a_wrong_file_in_the_folder_is_refused_and_the_others_copied(site, stick, models):
    (stick / "finds.onnx").write_bytes(FILES["looks.onnx"])
    (stick / "knows.onnx").unlink()
    with pytest.raises(ModelError) as caught:
        pull_set(site, "site", source=stick, accept=True)
    assert "finds.onnx: the one from" in str(caught.value)
    assert "knows.onnx: file not found" in str(caught.value)
    assert here(models) == ["looks.onnx"]
    assert list(models.glob("*.part")) == []


def test_a_copy_replaces_a_partial_download(site, stick, models):
    models.mkdir()
    (models / "finds.onnx.part").write_bytes(b"\0" * (SIZE + 5))
    pull_set(site, "site", source=stick, accept=True)
    assert here(models) == ALL


def test_the_error_for_a_model_without_an_address_names_the_other_options(shelf, tmp_path, stick, models):
    site = manifest(tmp_path, shelf.url, without=["looks"])
    with pytest.raises(ModelError, match="no address for it; copy it with --from"):
        pull_set(site, "site", accept=True)
    assert here(models) == ["finds.onnx", "knows.onnx"]
    assert [each.origin for each in pull_set(site, "site", source=stick, accept=True)] == ["here", "copied", "here"]


# -- the folder -------------------------------------------------------------------------------------------------------


def test_two_pulls_never_write_into_one_folder(site, models):
    models.mkdir()
    lock = FileLock(models / ".pull.lock", "a pull")
    with pytest.raises(BusyError):
        pull_set(site, "site", accept=True)
    lock.close()
    pull_set(site, "site", accept=True)


def test_a_folder_that_cannot_be_created_is_one_clear_error(shelf, tmp_path):
    (tmp_path / "models").write_text("a file")
    with pytest.raises(ModelError, match="choose --dir"):
        pull_set(manifest(tmp_path, shelf.url), "site", accept=True)


def test_a_full_disk_is_one_clear_error_and_leaves_no_file(site, models, monkeypatch):
    @contextmanager
    def full(*_):
        raise OSError(28, "No space left on device")
        yield

    monkeypatch.setattr(Download, "_store", lambda *_: full().__enter__())
    with pytest.raises(ModelError, match="No space left .*free some space"):
        pull_set(site, "site", accept=True)
    assert here(models) == []


def test_a_shipped_set_needs_no_download():
    assert {each.origin for each in pull_set(ModelSettings(), "courtyard", accept=False)} == {"here"}


def test_the_sizes_in_the_manifest_are_those_of_the_files(shared):

    wanted = [
        each
        for entry in load_manifest(ModelSettings(dir="/nowhere")).models.values()
        for each in (entry, *entry.sources)
    ]
    found = [(file, each) for each in wanted if (file := find(shared / "models", each)) is not None]
    assert len(found) >= 10
    for file, each in found:
        assert file.stat().st_size == each.size_bytes


# -- any server -------------------------------------------------------------------------------------------------------

HOWS = [None, no_ranges, wrong_range, without_length, without_length_cut, too_short_a_length, too_long_a_length]
HOWS += [
    wrong,
    too_much,
    says_it_is_huge,
    refused(404),
    refused(416),
    cut_after(1),
    cut_after(200_000),
    to("http://x/"),
]


@pytest.mark.parametrize("seed", range(12))
def test_no_server_leaves_a_wrong_file_and_a_good_one_completes_the_set(site, shelf, models, seed):
    dice = random.Random(seed)
    for _ in range(3):
        shelf.todo = dice.choices(HOWS, k=dice.randint(1, 8))
        try:
            pull_set(site, "site", accept=True)
        except ModelError:
            assert here(models) != ALL
    shelf.todo = []
    pull_set(site, "site", accept=True)
    assert here(models) == ALL


# -- a stick by an enemy ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [True, False])
@pytest.mark.parametrize("kind", ["long", "hole", "pipe", "device"])
def test_a_stick_neither_fills_the_disk_nor_blocks_the_pull(shelf, tmp_path, models, stick, monkeypatch, kind, sizes):
    monkeypatch.setattr(model_entry, "MOST_BYTES", SIZE)
    site, path = manifest(tmp_path, shelf.url, sizes=sizes), stick / "finds.onnx"
    if kind == "long":
        path.write_bytes(bytes(SIZE + 1))
    elif kind == "hole":
        with path.open("wb") as file:
            file.truncate(1 << 42)
    else:
        path.unlink()
        os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
    with pytest.raises(ModelError, match=r"finds\.onnx: is .*find the one that the manifest names"):
        pull_set(site, "site", source=stick, accept=True)
    assert sorted(path.name for path in models.glob("*.onnx*")) == ["knows.onnx", "looks.onnx"]


def test_a_hole_in_the_place_of_a_model_is_not_read(site, models):
    models.mkdir()
    with (models / "finds.onnx").open("wb") as file:
        file.truncate(1 << 42)
    entry = load_manifest(site).model_set("site").detector
    entry = msgspec.structs.replace(entry, known_answer=model_entry.KnownAnswer((("x", 0, 0.0),), 1.0))
    with pytest.raises(ModelError, match="longer than 300000 bytes"):
        Model.load(entry, models, 1)
    pull_set(site, "site", accept=True)
    assert here(models) == ALL
