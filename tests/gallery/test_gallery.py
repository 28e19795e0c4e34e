import logging
import threading
from dataclasses import replace

import numpy as np
import pytest

from gated.errors import EmbeddingError, SubjectNotFoundError
from gated.gallery.gallery import Gallery
from gated.gallery.search import Index
from tests.gallery.changes import remove, resume, suspend


def test_an_empty_state_folder_becomes_an_empty_gallery(gallery, face) -> None:
    assert gallery.people() == []
    assert gallery.search(face(1)) == ()
    assert (gallery.size, gallery.template_count, gallery.foreign_count, gallery.unreadable_count) == (0, 0, 0, 0)


def test_nothing_changed_is_nothing_reloaded(gallery, join) -> None:
    join(gallery, 1)
    assert not gallery.reload_if_changed()


def test_changes_of_another_process_are_followed(gallery, opened, join, face) -> None:
    other = opened()
    ann = join(other, 1)
    assert gallery.search(face(1)) == ()
    assert gallery.reload_if_changed()
    assert gallery.search(face(1))[0].subject == ann.subject
    suspend(other, ann.subject)
    assert gallery.reload_if_changed()
    assert gallery.search(face(1))[0].status == "suspended"
    resume(other, ann.subject)
    assert gallery.reload_if_changed()
    assert gallery.search(face(1))[0].status == "active"
    remove(other, ann.subject)
    assert gallery.reload_if_changed()
    assert gallery.search(face(1)) == ()
    assert not gallery.reload_if_changed()


def test_two_processes_do_not_keep_each_other_reloading(gallery, opened, join) -> None:
    other = opened()
    remove(other, join(other, 1).subject)
    for _ in range(3):
        gallery.reload_if_changed()
        other.reload_if_changed()
    assert not gallery.reload_if_changed()
    assert not other.reload_if_changed()


def test_own_changes_hold_at_once(gallery, join, face) -> None:
    ann, bob = join(gallery, 1), join(gallery, 2)
    suspend(gallery, ann.subject)
    assert gallery.search(face(1))[0].status == "suspended"
    resume(gallery, ann.subject)
    assert gallery.search(face(1))[0].status == "active"
    assert remove(gallery, ann.subject) == 1
    assert [candidate.subject for candidate in gallery.search(face(1))] == [bob.subject]
    assert not gallery.reload_if_changed()


def test_an_unknown_subject_is_an_error_by_name(gallery) -> None:
    register = gallery._register
    for ask in (gallery.person, register.suspend, register.resume, register.remove):
        with pytest.raises(SubjectNotFoundError):
            ask("0123456789abcdef")


def test_templates_of_another_embedder_are_kept_and_not_searched(gallery, opened, join, face) -> None:
    ann = join(gallery, 1, pictures=3)
    newer = opened(embedder="cd" * 32)
    assert (newer.size, newer.template_count, newer.foreign_count) == (0, 0, 3)
    assert newer.search(face(1)) == ()
    assert newer.person(ann.subject).subject == ann.subject
    assert opened().template_count == 3


def test_an_odd_probe_is_an_error(gallery, join) -> None:
    join(gallery, 1)
    with pytest.raises(EmbeddingError):
        gallery.search(np.full(32, np.nan, np.float32))


def spoil(gallery: Gallery, sql: str) -> None:
    gallery._register._templates.connection.execute(sql)


def test_a_damaged_template_is_counted_and_affects_no_other_person(gallery, opened, join, face, caplog) -> None:
    ann, bob = join(gallery, 1, pictures=2), join(gallery, 2)
    spoil(gallery, "UPDATE templates SET sealed = zeroblob(length(sealed)) WHERE rowid = 1")
    with caplog.at_level(logging.WARNING):
        later = opened()
    assert (later.unreadable_count, later.template_count, later.size) == (1, 2, 2)
    assert "1 templates do not open" in caplog.text
    for subject in (ann.subject, bob.subject):
        assert subject not in caplog.text
    assert {candidate.subject for candidate in later.search(face(2))} == {ann.subject, bob.subject}


def test_a_missing_data_key_affects_no_other_person(gallery, opened, join, face) -> None:
    ann, bob = join(gallery, 1), join(gallery, 2)
    spoil(gallery, "PRAGMA foreign_keys = OFF")
    spoil(gallery, f"DELETE FROM data_keys WHERE subject = '{ann.subject}'")
    later = opened()
    assert (later.unreadable_count, later.size) == (1, 1)
    assert later.search(face(2))[0].subject == bob.subject


def test_a_template_that_opens_and_is_no_embedding_is_left_out(gallery, opened, join, face) -> None:
    bob, evil = join(gallery, 2), face(1)
    for number, odd in enumerate((np.full(32, np.nan, np.float32), evil * 3, evil[:31], evil[:0])):
        with gallery.enrolling():  # as a faulty gated, or an attacker with the site's key, could do
            gallery.add(replace(gallery.person(bob.subject), subject=f"{number:016}"), [odd])
    later = opened()
    assert (later.unreadable_count, later.size) == (4, 1)
    assert [candidate.subject for candidate in later.search(face(2), limit=9)] == [bob.subject]
    assert remove(later, f"{0:016}") == 1


def test_searching_goes_on_while_the_gallery_is_reloaded_in_another_thread(gallery, opened, join, face) -> None:
    other, ann = opened(), join(gallery, 1)
    other.reload_if_changed()
    wrong, stop = [], threading.Event()

    def search() -> None:
        while not stop.is_set():
            first = other.search(face(1))[0]
            if first.subject != ann.subject:
                wrong.append(first)

    def follow() -> None:
        while not stop.is_set():
            other.reload_if_changed()

    threads = [threading.Thread(target=search), threading.Thread(target=follow)]
    for thread in threads:
        thread.start()
    for person in range(2, 12):
        remove(gallery, join(gallery, person).subject)
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong


def test_one_gallery_may_be_used_from_several_threads(gallery, join, face) -> None:
    errors: list[Exception] = []

    def work(person: int) -> None:
        try:
            for _ in range(3):
                subject = join(gallery, person).subject
                suspend(gallery, subject)
                assert gallery.search(face(person))[0].subject == subject
                gallery.reload_if_changed()
                assert remove(gallery, subject) == 1
        except Exception as error:  # noqa: BLE001 - brought over to the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=work, args=(person,)) for person in range(1, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert gallery.people() == []


def test_closing_twice_is_fine(gallery) -> None:
    gallery.close()
    gallery.close()


def test_an_index_that_was_loaded_for_another_embedder_is_never_searched(gallery, opened, join, face, monkeypatch):
    """Another thread loads the index while the models change. Otherwise new probes meet old templates until the next
    change of the gallery.
    """
    before, dimension, switched = gallery.embedder_sha256, gallery.dimension, []

    def build(*given):
        if not switched:
            switched.append(1)
            gallery.switch_embedder("cd" * 32, dimension)
        return Index(*given)

    join(opened(), 1)
    monkeypatch.setattr(
        "gated.gallery.gallery.Index", lambda rows, *more: build(rows, *more) if rows else Index((), *more)
    )
    gallery.reload_if_changed()
    assert switched
    assert gallery.search(face(1)) == ()
    gallery.reload_if_changed()
    assert (gallery.size, gallery.foreign_count) == (0, 1)
    gallery.switch_embedder(before, dimension)
    assert gallery.reload_if_changed()
    assert gallery.size == 1
