from collections import Counter

import pytest
from argon2 import Parameters, Type, extract_parameters
from hypothesis import given
from hypothesis import strategies as st

from gated.gallery import pins
from gated.gallery.entitlement import Credential
from gated.gallery.vault import Vault
from gated.types import SubjectId

VAULT, OTHER = Vault(bytes(range(32)), "site"), Vault(bytes(32), "site")
ANN, BOB = SubjectId("a" * 16), SubjectId("b" * 16)


def pin(digits: str, subject: SubjectId = ANN) -> Credential:
    return Credential(digits, "pin", subject, pins.bucket(VAULT, digits), pins.hashed(VAULT, digits))


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every hash that argon2 was asked about."""
    asked: list[str] = []
    verify = pins.verify

    def counted(pin_hash: str, peppered: bytes) -> bool:
        asked.append(pin_hash)
        return verify(pin_hash, peppered)

    monkeypatch.setattr(pins, "verify", counted)
    return asked


@pytest.mark.parametrize(
    "digits",
    ["", "1", "49271", "000000", "777777", "123456", "654321", "456789012", "210987", "90123456", "4927160385271",
     "49271a", "49271 ", "-49271", "\uff14\uff19\uff12\uff17\uff11\uff16", "٤٩٢٧١٦", "49\x00271", "' OR 1=1 --"],
)  # fmt: skip
def test_a_pin_that_is_easily_guessed_or_no_pin_is_weak(digits: str) -> None:
    assert pins.is_weak(digits, 6)


@pytest.mark.parametrize("digits", ["492716", "112233", "135790", "492716038527", "123457", "000001"])
def test_another_is_not(digits: str) -> None:
    assert not pins.is_weak(digits, 6)


def test_how_many_digits_are_enough_is_the_sites_to_say() -> None:
    assert not pins.is_weak("4927", 4)
    assert pins.is_weak("4927", 5)


@given(st.integers(0, 9), st.sampled_from([-1, 0, 1]), st.integers(4, 12))
def test_every_run_and_every_repetition_is_weak(first: int, step: int, length: int) -> None:
    assert pins.is_weak("".join(str((first + step * n) % 10) for n in range(length)), 4)


@given(st.text(st.characters(exclude_categories=()), max_size=40))
def test_whatever_is_typed_has_a_bucket_and_is_nobodys(typed: str) -> None:
    assert int.from_bytes(pins.bucket(VAULT, typed), "big") < 2**pins.BUCKET_BITS
    assert pins.find(VAULT, typed, [], tries=0) is None


def test_a_bucket_needs_the_site_key_and_names_no_pin() -> None:
    buckets = Counter(pins.bucket(VAULT, f"{number:06}") for number in range(0, 1_000_000, 10))
    assert len(buckets) == 2**pins.BUCKET_BITS
    assert min(buckets.values()) >= 5  # of every tenth PIN, so some fifty of all
    assert sum(pins.bucket(VAULT, f"{n:06}") == pins.bucket(OTHER, f"{n:06}") for n in range(1000)) < 10


def test_the_hash_is_argon2id_as_owasp_asks_for_and_salted() -> None:
    one, other = pins.hashed(VAULT, "492716"), pins.hashed(VAULT, "492716")
    assert one != other
    asked = Parameters(Type.ID, 19, 16, 32, time_cost=3, memory_cost=12288, parallelism=1)
    assert extract_parameters(one) == extract_parameters(pins.NOBODY) == asked


def test_nobodys_hash_fits_nothing_and_costs_as_much() -> None:
    assert not pins.verify(pins.NOBODY, VAULT.digest("pin", "492716"))
    assert not pins.verify(pins.NOBODY, bytes(32))


def test_a_pin_is_found_and_another_is_not() -> None:
    ann, bob = pin("492716"), pin("318205", BOB)
    assert pins.find(VAULT, "318205", [ann, bob], tries=1) == bob
    assert pins.find(VAULT, "318206", [ann, bob], tries=1) is None


def test_without_the_site_key_the_right_pin_fits_no_hash() -> None:
    assert pins.find(OTHER, "492716", [pin("492716")], tries=1) is None


@pytest.mark.parametrize("broken", ["", "plain", "$argon2id$v=19$", "$argon2id$v=19$m=1,t=1,p=1$AA$AA", "\udc80"])
def test_a_hash_that_is_none_fits_nothing(broken: str) -> None:
    odd = Credential("1", "pin", ANN, b"", broken)
    assert pins.find(VAULT, "492716", [odd], tries=1) is None


@pytest.mark.parametrize("typed", ["492716", "318205", "999999", "", "' OR 1=1 --"])
@pytest.mark.parametrize("tries", [1, 2, 4])
def test_a_hit_a_near_miss_and_a_miss_cost_the_same_number_of_verifications(
    typed: str, tries: int, verified: list[str]
) -> None:
    ann = pin("492716")
    for candidates in ([], [ann]):
        verified.clear()
        pins.find(VAULT, typed, candidates, tries)
        assert len(verified) == tries


def test_whoever_comes_first_in_a_bucket_does_not_end_the_search(verified: list[str]) -> None:
    three = [pin("492716"), pin("318205"), pin("771903")]
    for typed in ("492716", "318205", "771903", "000000"):
        verified.clear()
        pins.find(VAULT, typed, three, tries=3)
        assert verified == [each.pin_hash for each in three]
