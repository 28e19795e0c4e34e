"""A record that no gate would accept, or that no message could hold, is refused before it is stored."""

import pytest
from msgspec.structs import replace

from gated.errors import OfficeError
from gated.office.office_person import OfficeCard, OfficePerson
from gated.office.record_check import MAX_RECORD_BYTES, check_record

ANN = OfficePerson(
    n=0, subject="a" * 16, name="Ann", household="2401", added_at="2026-01-01T00:00:00+00:00", consents=[], cards=[],
    pins=[],
)  # fmt: skip


def test_a_plain_person_is_accepted():
    check_record(f"person/{ANN.subject}", ANN)


@pytest.mark.parametrize("number", [0, 7, 2**53 - 1])
def test_the_number_of_a_record_changes_nothing(number):
    check_record(f"person/{ANN.subject}", replace(ANN, n=number))


def test_an_invalid_value_is_refused_and_the_message_names_no_person():
    with pytest.raises(OfficeError, match="^person: ") as refused:
        check_record(f"person/{ANN.subject}", replace(ANN, subject="not an id"))
    assert "Ann" not in str(refused.value)


def test_a_record_that_no_message_could_hold_is_refused_with_its_length():
    cards = [OfficeCard(f"{number:016x}", f"{number:014X}") for number in range(MAX_RECORD_BYTES // 20)]
    with pytest.raises(OfficeError):
        check_record(f"person/{ANN.subject}", replace(ANN, cards=cards))
