from datetime import UTC, datetime

import pytest

from gated.people.access_rule import AccessRule
from gated.people.credential_store import Credentials
from gated.people.issuing import issue_card, revoke_credential, set_pin
from gated.people.keyring import KeyRing
from gated.people.preferences import NO_PREFERENCES, Preferences

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


@pytest.fixture
def ring(store: Credentials) -> KeyRing:
    return KeyRing.of(store)


def test_without_credentials_nothing_opens(ring: KeyRing) -> None:
    assert ring.card("12345678") is None
    assert ring.pin("492716") is None
    assert not ring.reload_if_changed()


def test_changes_of_another_process_are_followed(state, ring: KeyRing, live) -> None:
    ann, office = live("a"), Credentials.open(state, "site")
    card = issue_card(office, "0012345678", ann)
    pin, _ = set_pin(office, "492716", ann, least=6)
    assert ring.card("12345678") is None
    assert ring.reload_if_changed()
    assert ring.card("12345678") == card
    assert ring.pin("492716") == pin
    revoke_credential(office, card.id)
    assert ring.reload_if_changed()
    assert ring.card("12345678") is None
    assert ring.pin("492716") == pin
    office.close()


def test_suspensions_access_rules_and_preferences_are_followed(ring: KeyRing, store, register, live) -> None:
    ann, wish = live("a"), Preferences(release_s=15)
    assert ring.holder(ann) is None
    register.suspend(ann)
    store.set_access_rules(ann, [AccessRule("second")])
    store.set_preferences(ann, wish)
    ring.reload_if_changed()
    holder = ring.holder(ann)
    assert holder is not None
    assert (holder.is_suspended, holder.rules) == (True, (AccessRule("second"),))
    assert ring.preferences(ann) == wish
    assert ring.preferences(None) == NO_PREFERENCES


def test_a_new_role_is_followed(state, ring: KeyRing, live) -> None:
    ann, office = live("a"), Credentials.open(state, "site")
    office.set_role(ann, "staff")
    office.set_access_rules(ann, [AccessRule("second")], "role")
    assert ring.reload_if_changed()
    holder = ring.holder(ann)
    assert holder is not None
    assert holder.rules == (AccessRule("second"),)
    office.set_role(ann, "resident")
    assert ring.reload_if_changed()
    holder = ring.holder(ann)
    assert holder is not None
    assert holder.rules == ()
    office.close()


def test_our_own_use_causes_no_full_reload(ring: KeyRing, store) -> None:
    card = issue_card(store, "12345678", None)
    assert ring.reload_if_changed()
    store.use(card.id, NOON)
    assert not ring.reload_if_changed()


def test_an_unreadable_store_keeps_known_people_opening(ring: KeyRing, store, live) -> None:
    ann = live("a")
    card, (pin, _) = issue_card(store, "12345678", ann), set_pin(store, "492716", ann, least=6)
    ring.reload_if_changed()
    store.close()
    assert ring.card("12345678") == card
    assert ring.pin("492716") == pin
    assert ring.holder(ann) is not None


@pytest.mark.parametrize("odd", ["", "\x00", "' OR 1=1 --", "9" * 10_000, "\udc80"])
def test_random_input_of_a_reader_or_keypad_matches_nobody(ring: KeyRing, store, odd: str) -> None:
    issue_card(store, "12345678", None)
    ring.reload_if_changed()
    assert ring.card(odd) is None
    assert ring.pin(odd) is None
