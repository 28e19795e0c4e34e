"""A photo is identified as the gate would judge its face."""

from contextlib import closing
from datetime import UTC, datetime

import pytest
from PIL import Image

from gated.access.face_calibration import rules_for
from gated.access.photo_face import photo_face
from gated.access.photos import identify_photo
from gated.config import AccessSettings, FaceSettings, ModelSettings
from gated.face.pipeline import load_pipeline
from gated.gallery.enrolment import enrol
from gated.gallery.gallery import Gallery
from gated.simulator.desk import PHOTO_VIEWS, portrait
from gated.simulator.morning import residents

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(("own", "outcome", "threshold"), [(None, "grant", None), (0.99995, "deny", 1.0)])
def test_a_person_with_an_own_threshold_is_judged_by_it(tmp_path, own, outcome, threshold):
    pipeline = load_pipeline(ModelSettings(set="courtyard"), FaceSettings())
    rules, photos = rules_for(AccessSettings(), pipeline.ready()), [tmp_path / "1.png", tmp_path / "2.png"]
    for number, path in enumerate(photos):
        Image.fromarray(portrait(residents(1)[0], PHOTO_VIEWS[number], number)).save(path)
    ready = pipeline.ready()
    with closing(Gallery.open(tmp_path, "courtyard-2", ready.embedder_sha256, ready.dimension)) as gallery:
        vector = photo_face(pipeline, photos[0], rules).embedding
        known = enrol(gallery, "Ann", "12", [vector], consent="p", notice="1", threshold=rules.threshold, at=AT)
        found = identify_photo(pipeline, gallery, photos[1], rules, {} if own is None else {known.subject: own})
    assert (found.outcome, found.threshold) == (outcome, threshold or round(rules.threshold, 4))
