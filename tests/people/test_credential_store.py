import sqlite3
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gated.errors import BusyError, CredentialError, StateError, SubjectNotFoundError
from gated.people.access_rule import AccessRule, Holder
from gated.people.credential_store import Credentials
from gated.people.issuing import issue_card, set_pin
from gated.people.preferences import NO_PREFERENCES, Preferences
from gated.types import SubjectId

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
NOBODY = SubjectId("0123456789abcdef")
OFFICE = AccessRule("main", "office", NOON, NOON + DAY)


def test_the_store_opens_without_a_register_a_model_or_a_template(tmp_path) -> None:
    store = Credentials.open(tmp_path / "new", "site")
    issue_card(store, "12345678", None)
    store.close()
    store.close()
    again = Credentials.open(tmp_path / "new", "site")
    assert len(again.all()) == 1
    again.close()


def test_the_first_and_the_last_use_are_stored(store) -> None:
    card = issue_card(store, "12345678", None)
    assert store.use(card.id, NOON)
    assert store.use(card.id, NOON + DAY)
    assert store.all() == [replace(card, first_used_at=NOON, last_used_at=NOON + DAY)]


def test_a_use_at_an_unknown_time_counts_and_changes_no_time(store) -> None:
    card = issue_card(store, "12345678", None, uses=3)
    store.use(card.id, None)
    assert store.all() == [replace(card, uses_left=2)]
    store.use(card.id, NOON)
    store.use(card.id, None)
    assert store.all() == [replace(card, uses_left=0, first_used_at=NOON, last_used_at=NOON)]


def test_counted_uses_end_and_stay_ended(store) -> None:
    card = issue_card(store, "12345678", None, uses=2)
    assert [store.use(card.id, NOON) for _ in range(4)] == [True, True, False, False]
    assert store.all()[0].uses_left == 0


def test_an_unreleased_use_is_returned(store) -> None:
    counted, plain = issue_card(store, "12345678", None, uses=1), issue_card(store, "87654321", None)
    store.use(counted.id, NOON)
    for card in (counted, plain):
        store.give_back(card.id)
    assert [card.uses_left for card in store.all()] == [1, None]


def test_a_removed_credential_is_not_used(store) -> None:
    assert not store.use("nothing", NOON)


def test_parallel_uses_grant_exactly_the_available_number(state, store) -> None:
    card = issue_card(store, "12345678", None, uses=7)
    other = Credentials.open(state, "site")
    granted: list[bool] = []

    def hurry(which: Credentials) -> None:
        for _ in range(10):
            granted.append(which.use(card.id, NOON))

    threads = [threading.Thread(target=hurry, args=(which,)) for which in (store, other, store)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert (len(granted), sum(granted)) == (30, 7)


def test_every_change_except_our_own_uses_is_a_new_version(state, store, live) -> None:
    ann, other = live("a"), Credentials.open(state, "site")
    seen = [store.version()]
    for change in (
        lambda: issue_card(store, "12345678", ann),
        lambda: set_pin(other, "492716", ann, least=6),
        lambda: other.set_access_rules(ann, [OFFICE]),
        lambda: store.set_preferences(ann, Preferences(first="touch")),
        lambda: other.set_role(ann, "staff"),
        lambda: live("b"),
    ):
        change()
        seen.append(store.version())
    assert len(set(seen)) == len(seen)
    store.use(store.all()[0].id, NOON)
    store.give_back(store.all()[0].id)
    assert store.version() == seen[-1]
    other.close()


def test_a_person_without_settings_is_a_plain_resident(store, live) -> None:
    ann = live("a")
    assert store.holders() == {ann: Holder()}


def test_a_suspension_and_an_invalid_status_are_seen(store, register, live) -> None:
    ann, bob = live("a"), live("b")
    register.suspend(ann)
    assert store.holders()[ann].is_suspended
    assert not store.holders()[bob].is_suspended
    connection = register._people.connection
    connection.execute("PRAGMA ignore_check_constraints = ON")
    connection.execute("UPDATE people SET status = 'Active' WHERE subject = ?", (bob,))
    assert store.holders()[bob].is_suspended


@pytest.mark.parametrize("door", [None, "main", "gate-2/*"])
def test_a_rule_with_a_second_credential_is_read_back_and_denies_at_an_older_gate(store, live, door) -> None:
    ann = live("a")
    rule = AccessRule(door, "nights", needs_second=True)
    store.set_access_rules(ann, [rule])
    assert store.access_rules_of(ann) == [rule] == list(store.holders()[ann].rules)
    with store.reading() as connection:
        assert [row[0] for row in connection.execute("SELECT door FROM rights")] == [f"+{door or '*'}"]


def test_access_rules_are_read_back_unchanged_and_replaced_each_time(store, live) -> None:
    ann = live("a")
    store.set_access_rules(ann, [OFFICE, AccessRule("second")])
    assert store.access_rules_of(ann) == [OFFICE, AccessRule("second")] == list(store.holders()[ann].rules)
    store.set_access_rules(ann, [AccessRule(schedule="nights")])
    assert store.access_rules_of(ann) == [AccessRule(schedule="nights")]
    store.set_access_rules(ann, [])
    assert store.holders()[ann] == Holder()


def test_everybody_is_a_resident_by_default(store, live) -> None:
    ann, bob = live("a"), live("b")
    assert store.role_of(ann) == "resident"
    assert store.set_role(ann, "staff") == "staff"
    assert (store.role_of(ann), store.role_of(bob)) == ("staff", "resident")
    assert store.holders() == {ann: Holder(), bob: Holder()}


@pytest.mark.parametrize("typed", [" staff ", "Staff", "STAFF", "\uff53\uff54\uff41\uff46\uff46"])
def test_a_role_is_recognised_in_every_spelling(store, live, typed: str) -> None:
    assert store.set_role(live("a"), typed) == "staff"


@pytest.mark.parametrize("name", ["guardian", "night-shift", "\u95e8\u536b", "r" * 20])
def test_a_role_has_a_plain_name_in_any_script(store, live, name: str) -> None:
    assert store.set_role(live("a"), name) == name


@pytest.mark.parametrize("name", ["", " ", "r" * 21, "two words", "a;b", "' OR 1=1 --", "a\nb", "\x00", "\udc80"])
def test_an_invalid_role_name_is_refused_and_changes_nothing(store, live, name: str) -> None:
    ann = live("a")
    with pytest.raises(CredentialError, match="role") as refused:
        store.set_role(ann, name)
    assert store.role_of(ann) == "resident"
    assert not name.strip() or name not in str(refused.value)


def test_preferences_are_read_back_and_can_be_cleared(store, live) -> None:
    ann = live("a")
    wish = Preferences(release_s=15.0, search_s=6.0, first="speech")
    store.set_preferences(ann, Preferences(first="light"))
    store.set_preferences(ann, wish)
    assert store.holders()[ann].preferences == wish
    store.set_preferences(ann, NO_PREFERENCES)
    assert store.holders()[ann].preferences == NO_PREFERENCES
    assert store._connection.execute("SELECT count(*) FROM preferences").fetchone()[0] == 0


def test_nothing_is_stored_for_an_unknown_person(store) -> None:
    for ask in (
        lambda: store.set_access_rules(NOBODY, [OFFICE]),
        lambda: store.set_access_rules(NOBODY, [OFFICE], "household"),
        lambda: store.set_access_rules(NOBODY, [OFFICE], "role"),
        lambda: store.access_rules_of(NOBODY),
        lambda: store.role_of(NOBODY),
        lambda: store.set_role(NOBODY, "staff"),
        lambda: store.set_preferences(NOBODY, Preferences(release_s=15)),
    ):
        with pytest.raises(SubjectNotFoundError):
            ask()


def test_an_erased_person_leaves_no_card_pin_rule_or_preference(store, register, live) -> None:
    ann, bob = live("a"), live("b", "1-101")
    for subject, number, pin in ((ann, "12345678", "492716"), (bob, "87654321", "318205")):
        issue_card(store, number, subject)
        set_pin(store, pin, subject, least=6)
        store.set_access_rules(subject, [OFFICE])
        store.set_access_rules(subject, [OFFICE], "household")
        store.set_preferences(subject, Preferences(release_s=15))
    register.remove(ann)
    assert store.of(ann) == []
    assert set(store.holders()) == {bob}
    for table, rows in (("credentials", 2), ("rights", 2), ("preferences", 1)):
        assert store._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == rows


def test_a_failed_change_stores_nothing(store, live) -> None:
    ann = live("a")
    store.set_access_rules(ann, [OFFICE])
    with pytest.raises(StateError):
        store.set_access_rules(ann, [AccessRule("main"), AccessRule(("no", "door"))])  # type: ignore[arg-type]
    assert store.access_rules_of(ann) == [OFFICE]


def test_a_read_only_disk_raises_a_state_error_and_reading_works(store) -> None:
    card = issue_card(store, "12345678", None, uses=2)
    store._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StateError, match="disk"):
        store.use(card.id, NOON)
    assert store.all() == [card]


def test_a_long_writer_raises_a_busy_error(state, store) -> None:
    card = issue_card(store, "12345678", None)
    store._connection.execute("PRAGMA busy_timeout = 20")
    other = sqlite3.connect(state / "people.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(BusyError):
        store.use(card.id, NOON)
    other.execute("ROLLBACK")
    other.close()
    assert store.use(card.id, NOON)
