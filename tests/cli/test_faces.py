"""Tests enrol, identify and bench on real models and real pictures."""

import shutil

import pytest
from PIL import Image

pytestmark = [pytest.mark.slow, pytest.mark.long]

PERSON = ["--name", "Somebody", "--household", "12", "--consent", "paper-1", "--notice", "v1"]


@pytest.fixture
def home(gate, shared):
    gate.faces = shared / "faces"
    gate.run = gate.invoke
    return gate


def enrol(home, *photos, more=(), check=0):
    words = (word for photo in photos for word in ("--photo", photo))
    return home.json("enrol", *PERSON, *more, *words, check=check)


def only_line(done):
    assert "Traceback" not in done.stderr
    assert done.stderr.count("gated: ") == 1
    return done.stderr


@pytest.fixture
def in_grey(home, tmp_path):
    """Return a function that converts a picture to grey, as a grey camera shows it, and returns its path."""

    def make(name):
        path = tmp_path / f"grey_{name}"
        Image.open(home.faces / name).convert("L").convert("RGB").save(path)
        return path

    return make


@pytest.mark.parametrize("name", ["obama_2.jpg", "biden_1.jpg", "stranger_1.jpg"])
def test_a_grey_picture_of_a_living_face_is_not_an_attack(home, in_grey, name):
    found = home.json("identify", in_grey(name), check=1)
    assert (found["outcome"], found["reason"], found["subject"]) == ("poor_quality", "no_colour", None)


def test_a_grey_photo_is_refused_for_enrolment_with_the_reason(home, in_grey):
    done = enrol(home, in_grey("obama_1.jpg"), check=1)
    assert done["subject"] is None
    assert done["rejected"][0]["reason"] == "the picture has no colour; take a photo in colour"


def test_check_shows_a_note_for_a_camera_without_colour(home, in_grey):
    home.write(camera={"kind": "replay", "path": str(in_grey("obama_1.jpg"))})
    (line,) = [line for line in home.run("check").stdout.splitlines() if "camera" in line]
    assert line.startswith("note  camera: no_colour")
    assert "gated doctor --measure" in line
    home.write(camera={"kind": "replay", "path": str(home.faces / "obama_1.jpg")})
    assert "good  camera" in home.run("check").stdout


def test_a_second_picture_of_the_person_is_recognised(home):
    subject = enrol(home, home.faces / "obama_1.jpg")["subject"]
    found = home.json("identify", home.faces / "obama_2.jpg", check=0)
    assert (found["outcome"], found["subject"]) == ("grant", subject)
    assert found["score"] >= found["threshold"]
    assert found["candidates"][0]["subject"] == subject
    assert found["gallery_size"] == 1
    assert found["faces"] == 1
    assert set(found["timing_ms"]) >= {"detect", "pad", "embed", "search"}


@pytest.mark.parametrize(
    ("picture", "outcome"), [("stranger_1", "deny"), ("biden_1", "deny"), ("pad_attack", "attack")]
)
def test_other_people_are_not_recognised(home, picture, outcome):
    enrol(home, home.faces / "obama_1.jpg")
    found = home.json("identify", home.faces / f"{picture}.jpg", check=1)
    assert (found["outcome"], found["subject"]) == (outcome, None)


def test_an_attack_is_reported_even_for_an_enrolled_face(home):
    enrol(home, home.faces / "pad_bona_fide.jpg")
    assert home.json("identify", home.faces / "pad_bona_fide.jpg", check=0)["outcome"] == "grant"
    assert home.json("identify", home.faces / "pad_attack.jpg", check=1)["outcome"] == "attack"


def test_the_larger_of_two_faces_is_used(home):
    enrol(home, home.faces / "biden_1.jpg")
    found = home.json("identify", home.faces / "obama_and_biden.jpg", check=1)
    assert found["outcome"] == "deny"
    assert found["faces"] >= 2


def test_several_photos_give_several_templates(home):
    done = enrol(home, home.faces / "obama_1.jpg", home.faces / "obama_2.jpg")
    assert done["templates"] == 2
    (person,) = home.json("people", "list")
    assert (person["name"], person["templates"], person["status"]) == ("Somebody", 2, "active")


def test_an_empty_gallery_admits_nobody(home):
    found = home.json("identify", home.faces / "obama_1.jpg", check=1)
    assert (found["outcome"], found["candidates"], found["score"]) == ("deny", [], None)


def test_a_face_of_another_person_is_refused_by_id_and_not_by_name(home):
    subject = enrol(home, home.faces / "obama_1.jpg")["subject"]
    done = home.run("enrol", *PERSON, "--photo", home.faces / "obama_2.jpg", "--yes", check=1)
    assert subject in only_line(done)
    assert "Somebody" not in done.stderr
    assert len(home.json("people", "list")) == 1


def test_a_second_person_with_the_same_name_in_a_household_needs_confirmation(home):
    subject = enrol(home, home.faces / "obama_1.jpg")["subject"]
    done = home.run("enrol", *PERSON, "--photo", home.faces / "biden_1.jpg", check=2)
    assert f"{subject} has the same name" in done.stderr
    assert "Somebody" not in done.stderr
    assert len(home.json("people", "list")) == 1
    assert enrol(home, home.faces / "biden_1.jpg", more=["--yes"])["subject"] not in (None, subject)


def test_a_refusal_as_json_has_its_own_fields(home):
    subject = enrol(home, home.faces / "obama_1.jpg")["subject"]
    refused = enrol(home, home.faces / "obama_2.jpg", more=["--yes"], check=1)
    assert (refused["subject"], refused["templates"]) == (None, 0)
    assert subject in refused["rejected"][0]["reason"]


def test_photos_of_two_people_are_refused(home):
    done = home.run(
        "enrol", *PERSON, "--photo", home.faces / "obama_1.jpg", "--photo", home.faces / "biden_1.jpg", check=1
    )
    only_line(done)
    assert home.json("people", "list") == []


def test_enrolling_needs_consent_and_a_notice(home):
    photo = ["--photo", home.faces / "obama_1.jpg", "--name", "a", "--household", "b"]
    assert home.run("enrol", *photo, "--notice", "v1").returncode == 2
    assert home.run("enrol", *photo, "--consent", "x").returncode == 2
    only_line(home.run("enrol", *photo, "--consent", " ", "--notice", "v1", check=1))
    assert home.json("people", "list") == []


BAD = {
    "truncated.jpg": "incomplete", "text.jpg": "is a text", "empty.jpg": "is empty", "huge.png": "too large",
    "wall.jpg": "no face", "missing.jpg": "not a file",
}  # fmt: skip
"""Files that are no portrait, with a word of the message for each."""


@pytest.fixture(scope="module")
def bad(tmp_path_factory, shared):
    """Return a folder with the files of `BAD`."""
    folder = tmp_path_factory.mktemp("bad")
    (folder / "truncated.jpg").write_bytes((shared / "faces/obama_1.jpg").read_bytes()[:30_000])
    (folder / "text.jpg").write_text("not a picture")
    (folder / "empty.jpg").touch()
    Image.new("1", (20_000, 20_000)).save(folder / "huge.png")  # 1 bit per pixel is quick to write
    Image.new("RGB", (800, 600), (120, 130, 140)).save(folder / "wall.jpg")
    return folder


def test_every_bad_photo_is_reported_with_its_reason_and_the_good_one_is_used(home, bad):
    done = enrol(home, *(bad / name for name in BAD), home.faces / "obama_1.jpg")
    assert done["templates"] == 1
    told = {row["photo"].rsplit("/", 1)[1]: row["reason"] for row in done["rejected"]}
    assert set(told) == set(BAD)
    for name, word in BAD.items():
        assert word in told[name], f"{name}: {told[name]}"


def test_without_a_good_photo_nobody_is_enrolled(home, bad):
    done = enrol(home, bad / "wall.jpg", home.faces / "obama_and_biden.jpg", check=1)
    assert (done["subject"], done["templates"], len(done["rejected"])) == (None, 0, 2)
    assert home.events() == []


@pytest.mark.parametrize("name", ["truncated.jpg", "text.jpg", "empty.jpg", "huge.png", "missing.jpg"])
def test_a_bad_picture_gives_one_clear_message(home, bad, name):
    assert name in only_line(home.run("identify", bad / name, check=1))


def test_identify_reports_a_picture_without_a_face(home, bad):
    found = home.json("identify", bad / "wall.jpg", check=1)
    assert (found["outcome"], found["faces"], found["pad_score"]) == ("no_face", 0, None)


def test_a_face_too_small_is_poor_quality(home):
    Image.open(home.faces / "stranger_1.jpg").resize((200, 200)).save(home.folder / "small.png")
    found = home.json("identify", home.folder / "small.png", check=1)
    assert (found["outcome"], found["reason"]) == ("poor_quality", "too_small")


def altered_models(gate, shared, change):
    folder = gate.folder / "models"
    shutil.copytree(shared / "models", folder)
    change(folder / "mobilefacenet_128d.onnx")
    gate.write(models={"dir": str(folder)})


def test_a_missing_model_gives_one_clear_message(home, shared):
    altered_models(home, shared, lambda file: file.unlink())
    assert "mobilefacenet_128d.onnx" in only_line(home.run("identify", home.faces / "obama_1.jpg", check=3))
    done = home.json("models", "verify", check=3)
    assert [row["file"] for row in done["models"] if row["problem"]] == ["mobilefacenet_128d.onnx"]


def test_one_altered_byte_of_a_model_is_detected(home, shared):
    def alter(file):
        file.chmod(0o644)
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)

    altered_models(home, shared, alter)
    assert "SHA-256" in only_line(home.run("enrol", *PERSON, "--photo", home.faces / "obama_1.jpg", check=3))
    assert home.json("people", "list") == []


def test_the_models_can_be_named_on_the_command_line(home, shared):
    home.write(models={"dir": "/nowhere"})
    home.run("--models", shared / "models", "models", "verify", check=0)


def test_bench_reports_stages_ratio_and_search(home):
    told = home.json("bench", "--rounds", "10", "--photo", home.faces / "obama_1.jpg", check=0)
    print(f"pipeline over bare models {told['ratio']:.2f}, search over bare product {told['search']['ratio']:.2f}")
    assert set(told["stages_ms"]) >= {"detect", "pad", "embed"}
    assert told["bare_ms"] > 0
    assert told["faces"] == 1
    assert told["ratio"] == pytest.approx(told["total_ms"] / told["bare_ms"], rel=0.5)
    assert home.json("bench", "--rounds", "5", check=0)["synthetic"]
    assert "ours / bare" in home.run("bench", "--rounds", "5", check=0).stdout


def test_a_suspended_person_is_refused_and_a_resumed_one_admitted(home):
    subject = enrol(home, home.faces / "obama_1.jpg")["subject"]
    home.run("people", "suspend", subject, check=0)
    assert home.json("identify", home.faces / "obama_2.jpg", check=1)["reason"] == "suspended"
    home.run("people", "resume", subject, check=0)
    assert home.json("identify", home.faces / "obama_2.jpg", check=0)["outcome"] == "grant"
    home.run("people", "remove", subject, "--yes", check=0)
    assert home.json("identify", home.faces / "obama_2.jpg", check=1)["reason"] == "unknown"
    kinds = [e["kind"] for e in home.events()]
    assert kinds == ["person_enrolled", "person_suspended", "person_resumed", "person_removed"]


def test_a_picture_of_a_picture_is_not_enrolled_without_paper(home):
    done = enrol(home, home.faces / "pad_attack.jpg", check=1)
    assert done["subject"] is None
    assert "print or a screen" in done["rejected"][0]["reason"]
    assert home.events() == []


def test_a_scan_is_enrolled_with_paper_and_the_journal_records_it(home):
    assert enrol(home, home.faces / "pad_attack.jpg", more=["--paper"])["templates"] == 1
    assert enrol(home, home.faces / "obama_1.jpg", more=["--yes"])["templates"] == 1
    scanned, other = home.events("person_enrolled")
    assert scanned["is_from_paper"] is True
    assert "is_from_paper" not in other or not other["is_from_paper"]


def test_a_photo_upside_down_is_enrolled_upright(home):
    Image.open(home.faces / "obama_2.jpg").rotate(180).save(home.folder / "down.png")
    subject = enrol(home, home.folder / "down.png")["subject"]
    found = home.json("identify", home.faces / "obama_1.jpg", check=0)
    assert found["subject"] == subject
