"""The owner accepts licence and training data of each model once. The record names the file, both texts and the day."""

import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from gated.config import ModelSettings
from gated.face.licences import LICENCES, accept, accepted, accepted_at, described, not_accepted, refusal
from gated.face.manifest import load_manifest


@pytest.fixture(scope="module")
def shipped():
    return load_manifest(ModelSettings(dir="/nowhere"))


@pytest.fixture
def entry(shipped):
    return shipped.models["mobilefacenet_128d"]


def test_nothing_is_accepted_before_the_owner_accepts_it(tmp_path, entry):
    assert not_accepted([entry], accepted(tmp_path)) == [entry]
    assert accepted_at(entry, accepted(tmp_path)) is None


def test_an_accepted_licence_stays_accepted_with_its_day(tmp_path, entry):
    accept(tmp_path, [entry])
    at = accepted_at(entry, accepted(tmp_path))
    assert timedelta(0) <= datetime.now(UTC) - at < timedelta(minutes=5)
    (row,) = json.loads((tmp_path / LICENCES).read_text())
    assert row["training_data"].startswith("MS-Celeb-1M")
    assert (row["file"], row["sha256"], row["licence"]) == (entry.file, entry.sha256, entry.licence)


@pytest.mark.parametrize("field", ["file", "sha256", "licence", "training_data"])
def test_a_model_that_changed_is_asked_for_again(tmp_path, entry, field):
    accept(tmp_path, [entry])
    changed = msgspec.structs.replace(entry, **{field: "0" * 64})
    assert not_accepted([entry, changed], accepted(tmp_path)) == [changed]


def test_a_record_from_before_training_data_were_named_is_read_and_asked_again(tmp_path, entry):
    old = {"file": entry.file, "sha256": entry.sha256, "licence": entry.licence, "at": "2025-01-01T00:00:00Z"}
    (tmp_path / LICENCES).write_text(json.dumps([old]))
    assert len(accepted(tmp_path)) == 1
    assert not_accepted([entry], accepted(tmp_path)) == [entry]
    unnamed = msgspec.structs.replace(entry, training_data="")
    assert not_accepted([unnamed], accepted(tmp_path)) == []


def test_earlier_records_stay(tmp_path, shipped):
    first, second = shipped.models["mobilefacenet_128d"], shipped.models["intel_0095"]
    accept(tmp_path, [first])
    accept(tmp_path, [second])
    assert not_accepted([first, second], accepted(tmp_path)) == []


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b"[[[[", b"\xff"])
def test_a_damaged_record_accepts_nothing(tmp_path, entry, damage):
    (tmp_path / LICENCES).write_bytes(damage)
    assert not_accepted([entry], accepted(tmp_path)) == [entry]


def test_the_training_data_stand_beside_the_licence(entry):
    assert described(entry).startswith(
        "mobilefacenet_128d.onnx: Apache-2.0, foamliu/MobileFaceNet; trained on: MS-Celeb"
    )


@pytest.mark.parametrize(
    ("model", "others"),
    [
        ("mobilefacenet_128d", "(the set without it: site-light-intel)"),
        ("intel_0095", "(the set without it: site-light)"),
        ("face_antispoof_128", "(the set without it: site-light or site-light-intel)"),
        ("yunet_n_dynamic", None),
    ],
)
def test_the_refusal_of_a_source_names_the_sets_without_that_source(shipped, model, others):
    message = str(refusal(shipped, "site", [shipped.models[model]]))
    assert "add --accept-licence" in message
    assert others in message if others else "the set without it" not in message
