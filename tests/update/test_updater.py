"""An update from the first file to the last: kept if the gate is well with it, else taken back, and written down."""

from contextlib import closing

import pytest
from machine import NEW, OLD

from gated.errors import BusyError, StateError, UpdateError
from gated.events import Updated
from gated.journal.journal import Journal
from gated.update import rehearsal
from gated.update.source import Source
from gated.update.trial import Trial, read_trial


def told(machine):
    with machine._schemas(machine.releases.current), closing(Journal.open(machine.state, "s", "g")) as journal:
        return [entry.event for entry in journal.entries(limit=1000) if isinstance(entry.event, Updated)]


def test_a_good_version_is_kept_and_the_one_before_stays(machine, bundle):
    machine = machine("good")
    fact = machine.updater.update(Source(bundle))
    assert fact == Updated(OLD, NEW, "kept")
    assert machine.releases.current == NEW
    assert machine.releases.whole() == [OLD, NEW]
    assert told(machine) == [fact]
    assert machine.updater.trial is None
    assert machine.duty


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("dead", "its starts ended"),
        ("late", "its starts ended"),
        ("sick", "lost with it: vision"),
        ("unwell", "its starts ended"),
    ],
)
def test_a_version_that_is_no_good_goes_by_itself_and_the_one_before_runs(machine, bundle, kind, why):
    machine = machine(kind)
    fact = machine.updater.update(Source(bundle))
    assert (fact.before, fact.after, fact.outcome) == (OLD, NEW, "rolled_back")
    assert why in fact.why
    assert machine.releases.current == OLD
    assert told(machine) == [fact]
    assert machine.updater.trial is None
    assert machine.duty
    assert machine.releases.is_unfit(NEW)


def test_a_version_that_was_taken_back_is_not_tried_again_unless_asked_for(machine, bundle):
    machine = machine("sick")
    machine.updater.update(Source(bundle))
    assert machine.updater.newest([Source(bundle)]) is None
    machine.kind = "good"
    assert machine.updater.update(Source(bundle)) == Updated(OLD, NEW, "kept")


def test_the_newest_of_a_folder_is_meant(machine, tmp_path):
    machine = machine("good")
    sources = []
    for version in ("0.0.9", "0.1.0", "0.1.5", "0.2.0"):
        path = tmp_path / f"gated-{version}-py3-none-any.whl"
        path.touch()
        sources.append(Source(path))
    assert machine.updater.newest(sources).version == "0.2.0"
    assert machine.updater.newest(sources[:2]) is None


def test_somebody_can_go_back(machine, bundle):
    machine = machine("good")
    machine.updater.update(Source(bundle))
    fact = machine.updater.back()
    assert fact == Updated(OLD, NEW, "rolled_back", "somebody asked for it")
    assert machine.releases.current == OLD
    assert told(machine)[-1] == fact
    assert machine.duty


def test_where_there_is_nothing_to_go_back_to_one_is_told(machine):
    with pytest.raises(UpdateError, match="no version before"):
        machine("good").updater.back()


def test_what_runs_already_is_left_alone_and_older_is_refused(machine, tmp_path):
    machine = machine("good")
    for version in ("0.1", "0.0.1"):
        (tmp_path / f"gated-{version}-py3-none-any.whl").touch()
    assert machine.updater.update(Source(tmp_path / "gated-0.1-py3-none-any.whl")) is None
    with pytest.raises(UpdateError, match="--back"):
        machine.updater.update(Source(tmp_path / "gated-0.0.1-py3-none-any.whl"))


def test_a_version_without_a_way_back_is_never_switched_to(machine, bundle, monkeypatch):
    monkeypatch.setitem(__import__("machine").NEWER, "people.db", "CREATE TABLE a1 (a)")
    machine = machine("good")
    with pytest.raises(UpdateError, match="no way back"):
        machine.updater.update(Source(bundle))
    assert machine.releases.current == OLD
    assert read_trial(machine.root) is None
    assert machine.duty


def test_a_damaged_bundle_changes_nothing(machine, bundle):
    (bundle / "gated-0.2.0-py3-none-any.whl").write_bytes(b"other")
    machine = machine("good")
    with pytest.raises(UpdateError, match="SHA256SUMS"):
        machine.updater.update(Source(bundle))
    assert machine.releases.whole() == [OLD]
    assert machine.duty


def test_two_updates_at_once_are_one(machine):
    machine = machine("good")
    with machine.updater.alone(), pytest.raises(BusyError, match="gated update"), machine.updater.alone():
        pass


def test_nothing_is_settled_while_a_brain_has_the_databases(machine):
    machine = machine("good")
    Trial(OLD, NEW).write(machine.root)
    with pytest.raises(BusyError):
        machine.updater.settle()
    assert read_trial(machine.root) is not None


def test_without_a_trial_there_is_nothing_to_settle_keep_or_resume(machine):
    machine = machine("good")
    assert machine.updater.settle() is None
    assert machine.updater.resume() is None
    machine.updater.keep()
    assert told(machine) == []


def test_a_database_that_cannot_go_back_leaves_the_trial_for_another_time(machine, bundle, monkeypatch):
    machine = machine("late")

    def broken(state):
        raise StateError("the disk fails")

    monkeypatch.setattr(rehearsal, "go_back", broken)
    with pytest.raises(StateError):
        machine.updater.update(Source(bundle))
    assert read_trial(machine.root).why
    monkeypatch.undo()
    machine.boot()
    assert (machine.releases.current, read_trial(machine.root)) == (OLD, None)


def test_a_deaf_answer_of_a_version_is_a_reason(machine, bundle, monkeypatch):
    machine = machine("good")
    step = machine.step
    monkeypatch.setattr(machine, "step", lambda name: "no json" if name == "look" else step(name))
    with pytest.raises(UpdateError, match="does not say how the gate is"):
        machine.updater.update(Source(bundle))
    assert machine.releases.current == OLD
