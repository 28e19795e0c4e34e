"""Every PIN of the office passes one function: by default it generates the PIN, and it refuses PINs that are easy to
guess.
"""

from contextlib import closing

import pytest

from gated.cli.office.pins import weak_lines
from gated.errors import CredentialError, OfficeError
from gated.office.guess_budgets import site_budget
from gated.office.office_person import OfficePerson
from gated.office.pin_issuing import give_pin, remove_pin, weak
from gated.office.store import Store
from gated.pin.rule import is_weak

ANN, BOB, AT = "a" * 16, "b" * 16, "2026-11-20T09:00:00Z"


@pytest.fixture
def site(tmp_path):
    with closing(Store.create(tmp_path / "office", "market-south")) as store:
        for subject, household in ((ANN, "2-401"), (BOB, "3-502")):
            store.book.put(OfficePerson(n=0, subject=subject, name="Somebody", household=household, added_at=AT))
        yield store


def test_a_made_pin_is_strong(site):
    assert not is_weak(give_pin(site, ANN), 6, "2401")
    assert give_pin(site, ANN) != give_pin(site, ANN, is_duress=True)


@pytest.mark.parametrize(
    "digits",
    [
        "",
        "0",
        "12345",
        "123123",
        "112233",
        "520520",
        "147258",
        "900512",
        "19900512",
        "240187",
        "002401",
        "３１８２０５",
    ],
)
def test_an_obvious_pin_is_refused(site, digits):
    with pytest.raises(CredentialError, match="this PIN will not do"):
        give_pin(site, ANN, digits)
    assert site_budget(site.book.live(OfficePerson), ()).pins == 0


def test_a_neighbours_pin_gets_the_refusal_of_a_weak_one(site):
    give_pin(site, ANN, "860274")
    said = set()
    for digits in ("860274", "123456"):
        with pytest.raises(CredentialError) as refused:
            give_pin(site, BOB, digits)
        said.add(str(refused.value))
    assert len(said) == 1


def test_a_duress_pin_needs_a_first_pin(site):
    with pytest.raises(CredentialError, match="needs a PIN beside it"):
        give_pin(site, ANN, is_duress=True)
    with pytest.raises(OfficeError):
        give_pin(site, "nobody")


def test_the_budget_counts_duress_pins_and_falls_after_a_removal(site):
    give_pin(site, ANN)
    give_pin(site, ANN, is_duress=True)
    give_pin(site, BOB)
    assert site_budget(site.book.live(OfficePerson), ()).pins == 3
    remove_pin(site, ANN, only_duress=True)
    assert site_budget(site.book.live(OfficePerson), ()).pins == 2
    remove_pin(site, BOB)
    remove_pin(site, BOB)
    found = site_budget(site.book.live(OfficePerson), ())
    assert (found.pins, found.is_short, found.by_household is None) == (1, False, False)


def test_people_with_weak_pins_are_listed_until_they_get_another(site):
    give_pin(site, ANN)
    for gate in ("gate-1", "gate-2"):
        site.alarms.open(gate, "weak_pin", ANN, AT)
    site.alarms.open("gate-1", "weak_pin", BOB, AT)
    assert weak(site) == [ANN, BOB]
    assert any(ANN in line and "new ones" in line for line in weak_lines(weak(site)))
    give_pin(site, ANN)
    remove_pin(site, BOB)
    assert (weak(site), weak_lines([])) == ([], [])


def test_a_new_duress_pin_does_not_end_the_report_of_a_weak_pin(site):
    give_pin(site, ANN)
    give_pin(site, ANN, is_duress=True)
    site.alarms.open("gate-1", "weak_pin", ANN, AT)
    give_pin(site, ANN)
    give_pin(site, ANN, is_duress=True)
    assert weak(site) == [ANN], "nobody knows which of the two it was"
    remove_pin(site, ANN)
    assert weak(site) == []
