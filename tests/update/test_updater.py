"""Tests a whole update: gated keeps the version if the gate is well, else rolls back, and records both."""

import hashlib
import os
import shutil
from contextlib import closing

import pytest
from machine import NEW, OLD
from signing import make_key, sign_with

from gated.errors import BusyError, StateError, UpdateError
from gated.events import Updated
from gated.journal.journal import Journal
from gated.update import rehearsal
from gated.update.signature import read_keys
from gated.update.source import ReleaseSource, sources_in
from gated.update.trial import VersionTrial, read_trial


def told(machine):
    with machine._schemas(machine.releases.current), closing(Journal.open(machine.state, "s", "g")) as journal:
        return [entry.event for entry in journal.entries(limit=1000) if isinstance(entry.event, Updated)]


def test_a_good_version_is_kept_and_the_one_before_stays(machine, bundle):
    machine = machine("good")
    fact = machine.updater.update(ReleaseSource(bundle))
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
        ("sick", "parts lost during the trial: vision"),
        ("unwell", "its starts ended"),
    ],
)
def test_a_version_that_is_no_good_goes_by_itself_and_the_one_before_runs(machine, bundle, kind, why):
    machine = machine(kind)
    fact = machine.updater.update(ReleaseSource(bundle))
    assert (fact.before, fact.after, fact.outcome) == (OLD, NEW, "rolled_back")
    assert why in fact.why
    assert machine.releases.current == OLD
    assert told(machine) == [fact]
    assert machine.updater.trial is None
    assert machine.duty
    assert machine.releases.is_unfit(NEW)


def test_a_version_that_was_taken_back_is_not_tried_again_unless_asked_for(machine, bundle):
    machine = machine("sick")
    machine.updater.update(ReleaseSource(bundle))
    assert machine.updater.newest([ReleaseSource(bundle)]) is None
    machine.kind = "good"
    assert machine.updater.update(ReleaseSource(bundle)) == Updated(OLD, NEW, "kept")


def test_the_newest_of_a_folder_is_meant(machine, tmp_path):
    machine = machine("good")
    sources = []
    for version in ("0.0.9", "0.1.0", "0.1.5", "0.2.0"):
        path = tmp_path / f"gated-{version}-py3-none-any.whl"
        path.touch()
        sources.append(ReleaseSource(path))
    assert machine.updater.newest(sources).version == "0.2.0"
    assert machine.updater.newest(sources[:2]) is None


def test_an_operator_can_return_to_the_previous_version(machine, bundle):
    machine = machine("good")
    machine.updater.update(ReleaseSource(bundle))
    fact = machine.updater.back()
    assert fact == Updated(OLD, NEW, "rolled_back", "going back was requested")
    assert machine.releases.current == OLD
    assert told(machine)[-1] == fact
    assert machine.duty


def test_going_back_without_an_older_release_is_an_error(machine):
    with pytest.raises(UpdateError, match="no version older"):
        machine("good").updater.back()


def test_the_current_version_is_kept_and_an_older_one_refused(machine, tmp_path):
    machine = machine("good")
    for version in ("0.1", "0.0.1"):
        (tmp_path / f"gated-{version}-py3-none-any.whl").touch()
    assert machine.updater.update(ReleaseSource(tmp_path / "gated-0.1-py3-none-any.whl")) is None
    with pytest.raises(UpdateError, match="--back"):
        machine.updater.update(ReleaseSource(tmp_path / "gated-0.0.1-py3-none-any.whl"))


def test_a_version_without_a_way_back_is_never_switched_to(machine, bundle, monkeypatch):
    monkeypatch.setitem(__import__("machine").NEWER, "people.db", "CREATE TABLE a1 (a)")
    machine = machine("good")
    with pytest.raises(UpdateError, match="going back would fail"):
        machine.updater.update(ReleaseSource(bundle))
    assert machine.releases.current == OLD
    assert read_trial(machine.root) is None
    assert machine.duty


def test_a_damaged_bundle_changes_nothing(machine, bundle):
    (bundle / "gated-0.2.0-py3-none-any.whl").write_bytes(b"other")
    machine = machine("good")
    with pytest.raises(UpdateError, match="SHA256SUMS"):
        machine.updater.update(ReleaseSource(bundle))
    assert machine.releases.whole() == [OLD]
    assert machine.duty


def test_of_two_simultaneous_updates_only_one_runs(machine):
    machine = machine("good")
    with machine.updater.alone(), pytest.raises(BusyError, match="gated update"), machine.updater.alone():
        pass


def test_a_rollback_is_not_finished_while_a_brain_uses_the_databases(machine):
    machine = machine("good")
    VersionTrial(OLD, NEW).write(machine.root)
    with pytest.raises(BusyError):
        machine.updater.finish_rollback()
    assert read_trial(machine.root) is not None


def test_without_a_trial_there_is_nothing_to_finish_keep_or_resume(machine):
    machine = machine("good")
    assert machine.updater.finish_rollback() is None
    assert machine.updater.resume() is None
    machine.updater.keep()
    assert told(machine) == []


def test_a_database_that_cannot_go_back_leaves_the_trial_for_another_time(machine, bundle, monkeypatch):
    machine = machine("late")

    def broken(state):
        raise StateError("the disk fails")

    monkeypatch.setattr(rehearsal, "go_back", broken)
    with pytest.raises(StateError):
        machine.updater.update(ReleaseSource(bundle))
    assert read_trial(machine.root).why
    monkeypatch.undo()
    machine.boot()
    assert (machine.releases.current, read_trial(machine.root)) == (OLD, None)


def test_a_deaf_answer_of_a_version_is_a_reason(machine, bundle, monkeypatch):
    machine = machine("good")
    step = machine.step
    monkeypatch.setattr(machine, "step", lambda name: "no json" if name == "look" else step(name))
    with pytest.raises(UpdateError, match="cannot read the state of the gate"):
        machine.updater.update(ReleaseSource(bundle))
    assert machine.releases.current == OLD


def test_a_version_that_is_whole_and_does_not_run_is_built_anew(machine, bundle):
    machine = machine("good")
    program = machine.releases.program(NEW)
    program.parent.mkdir(parents=True)
    program.write_text("#!/usr/bin/python3.7-of-before\n")
    program.chmod(0o755)
    assert machine.updater.update(ReleaseSource(bundle)) == Updated(OLD, NEW, "kept")
    assert machine.releases.trouble(NEW) == ""


def test_a_version_that_is_there_from_other_files_is_built_anew(machine, bundle):
    """A repaired version may have the same number as the one that was taken back."""
    machine = machine("good")
    machine.updater.update(ReleaseSource(bundle))
    machine.updater.back()
    before = (machine.releases.folder(NEW) / "wheels/SHA256SUMS").read_text()
    mark = machine.releases.folder(NEW) / "built before"
    mark.touch()
    machine.updater.update(ReleaseSource(bundle))
    assert mark.exists(), "the same files are not built again"
    machine.updater.back()
    (bundle / "SHA256SUMS").write_text(before + "# repaired\n")
    assert machine.updater.update(ReleaseSource(bundle)) == Updated(OLD, NEW, "kept")
    assert not mark.exists()


def test_going_back_to_a_version_that_does_not_run_here_is_refused(machine, bundle):
    machine = machine("good")
    machine.updater.update(ReleaseSource(bundle))
    machine.releases.program(OLD).write_text("#!/usr/bin/python3.7-of-before\n")
    with pytest.raises(UpdateError, match=r"0\.1\.0 cannot run on this system .*0\.2\.0 keeps running"):
        machine.updater.back()
    assert machine.releases.current == NEW
    assert machine.duty


# -- the signer --------------------------------------------------------------------------------------------------------


@pytest.fixture
def key(tmp_path):
    return make_key(tmp_path / "keys")


def signed(bundle, by, believed):
    """Sign the bundle with a key. `believed` holds the private keys whose public halves the bundle brings."""
    public = "".join(each.with_name(f"{each.name}.pub").read_text() for each in believed)
    (bundle / "release.pub").write_text(public)
    sums = [line for line in (bundle / "SHA256SUMS").read_text().splitlines() if "release.pub" not in line]
    sums.append(f"{hashlib.sha256(public.encode()).hexdigest()}  release.pub")
    (bundle / "SHA256SUMS").write_text("\n".join(sums) + "\n")
    sign_with(by, bundle / "SHA256SUMS")
    return ReleaseSource(bundle)


def public(*keys):
    return [read_keys(key.with_name(f"{key.name}.pub"))[0] for key in keys]


def test_a_gate_that_believes_a_key_updates_to_nothing_else_and_goes_on(machine, bundle, key):
    machine = machine("good")
    machine.releases.trust_keys(public(key))
    with pytest.raises(UpdateError, match="is not signed"):
        machine.updater.update(ReleaseSource(bundle))
    assert machine.releases.current == OLD
    assert not machine.releases.is_whole(NEW)
    assert machine.updater.update(signed(bundle, key, [key])).outcome == "kept"


def test_the_first_signed_version_that_is_kept_brings_its_key(machine, bundle, key):
    """The gate comes from a version without signatures."""
    machine = machine("good")
    assert machine.releases.keys == []
    machine.updater.update(signed(bundle, key, [key]))
    assert machine.releases.keys == public(key)


def test_the_old_key_names_the_new_one(machine, bundle, key, tmp_path):
    machine, following = machine("good"), make_key(tmp_path / "keys", "following")
    machine.releases.trust_keys(public(key))
    machine.updater.update(signed(bundle, key, [following]))
    assert machine.releases.keys == public(following)


def test_a_version_that_is_there_is_tried_only_while_its_key_is_believed(machine, bundle, key, tmp_path):
    """A replaced stolen key does not come back with a version that it signed."""
    machine, following = machine("good"), make_key(tmp_path / "keys", "following")
    machine.releases.trust_keys(public(key))
    source = signed(bundle, key, [key])
    machine.updater.update(source)
    machine.updater.back()
    machine.releases.trust_keys(public(following))
    assert machine.releases.is_whole(NEW)
    with pytest.raises(UpdateError, match="does not trust"):
        machine.updater.update(source)
    assert machine.releases.current == OLD
    assert machine.releases.keys == public(following)
    assert machine.updater.update(signed(bundle, following, [following])).outcome == "kept"


def test_a_key_that_was_replaced_during_a_trial_stays(machine, bundle, key, tmp_path, monkeypatch, caplog):
    machine, following = machine("good"), make_key(tmp_path / "keys", "following")
    machine.releases.trust_keys(public(key))
    watch = machine.updater._watch

    def replaced(trial):
        machine.releases.trust_keys(public(following))
        return watch(trial)

    monkeypatch.setattr(machine.updater, "_watch", replaced)
    assert machine.updater.update(signed(bundle, key, [key])).outcome == "kept"
    assert machine.releases.keys == public(following)
    assert "are not trusted" in caplog.text


def test_a_version_that_is_taken_back_changes_no_key(machine, bundle, key, tmp_path):
    machine, following = machine("sick"), make_key(tmp_path / "keys", "following")
    machine.releases.trust_keys(public(key))
    machine.updater.update(signed(bundle, key, [following]))
    assert machine.releases.current == OLD
    assert machine.releases.keys == public(key)


def test_a_new_key_cannot_name_itself(machine, bundle, key, tmp_path):
    machine, thief = machine("good"), make_key(tmp_path / "keys", "thief")
    machine.releases.trust_keys(public(key))
    with pytest.raises(UpdateError, match="does not trust"):
        machine.updater.update(signed(bundle, thief, [thief, key]))
    assert machine.releases.keys == public(key)


def test_an_older_release_is_refused_however_it_is_signed(machine, bundle, key):
    machine = machine("good")
    machine.releases.trust_keys(public(key))
    machine.updater.update(signed(bundle, key, [key]))
    wheel = next(bundle.glob("gated-*.whl"))
    wheel.rename(bundle / wheel.name.replace(NEW, "0.0.1"))
    (bundle / "SHA256SUMS").write_text((bundle / "SHA256SUMS").read_text().replace(NEW, "0.0.1"))
    with pytest.raises(UpdateError, match="is older than"):
        machine.updater.update(signed(bundle, key, [key]))
    assert machine.updater.newest([ReleaseSource(bundle)]) is None
    assert machine.updater.back().outcome == "rolled_back", "a person may go back to what is here"


@pytest.mark.parametrize("spoil", ["link", "write", "owner", "empty", "rubbish"])
def test_a_key_that_others_could_have_put_there_stops_the_update(machine, bundle, key, spoil):
    machine = machine("good")
    machine.releases.trust_keys(public(key))
    path = machine.releases.root / "release.pub"
    match spoil:
        case "link":
            path.rename(path.with_name("elsewhere"))
            path.symlink_to("elsewhere")
        case "write":
            path.chmod(0o666)
        case "owner":
            if os.geteuid() != 0:
                pytest.skip("only root can give a file to somebody else")
            os.chown(path, 65534, 65534)
        case _:
            path.write_text("" if spoil == "empty" else "ssh-ed25519 AAAA")
    with pytest.raises(UpdateError):
        machine.updater.update(signed(bundle, key, [key]))
    assert machine.releases.current == OLD


def test_the_newest_that_is_signed_is_taken_whatever_else_lies_there(machine, bundle, key, tmp_path, caplog):
    """An unsigned release, a stranger's release and an incomplete copy hide no signed release."""
    machine = machine("good")
    machine.releases.trust_keys(public(key))
    place = tmp_path / "releases"
    place.mkdir(mode=0o755)
    shutil.copytree(bundle, place / "unsigned")
    for name, version, by in (("good", NEW, key), ("strange", "8.0.0", make_key(tmp_path / "elsewhere"))):
        shutil.copytree(bundle, place / name)
        wheel = next((place / name).glob("gated-*.whl"))
        wheel.rename(wheel.with_name(wheel.name.replace(NEW, version)))
        sums = (place / name / "SHA256SUMS").read_text().replace(NEW, version)
        (place / name / "SHA256SUMS").write_text(sums)
        signed(place / name, by, [by])
    wheel = next((place / "unsigned").glob("gated-*.whl"))
    wheel.rename(wheel.with_name(wheel.name.replace(NEW, "9.0.0")))
    (place / "half.tar").write_bytes(b"half of a tar")
    assert machine.updater.newest(sources_in(place)).path == place / "good"
    for why in ("is not signed", "does not trust", "half.tar"):
        assert why in caplog.text
