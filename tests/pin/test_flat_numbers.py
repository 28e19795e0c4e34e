import pytest

from gated.pin.flat_numbers import all_typed, flat_of, typed_for


@pytest.mark.parametrize(
    ("household", "flat"),
    [("2-401", "2401"), ("flat 2-401", "2401"), ("２－４０１", "2401"), ("三号楼2单元501", "32501"), ("十二栋3", "123"),
     ("office", ""), ("", ""), ("2-0502", "20502"), ("1" * 13, ""), ("二十三号401", "23401")],
)  # fmt: skip
def test_a_flat_number_is_typed_as_printed_on_the_door(household, flat):
    assert flat_of(household) == flat


def test_leading_zeros_are_optional():
    assert typed_for("02-0502") == {"020502", "2502"}
    assert typed_for("office") == frozenset()
    assert all_typed(["2-401", "office", "02-3"]) == {"2401", "023", "23"}
