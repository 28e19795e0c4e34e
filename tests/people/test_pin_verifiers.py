"""Stored PIN data does not reveal the PIN, nor which of two PINs is the duress PIN. Each guess has the same cost."""

import sqlite3
from collections import Counter
from contextlib import closing

import pytest
from argon2 import PasswordHasher
from argon2.low_level import Type, hash_secret_raw
from hypothesis import given
from hypothesis import strategies as st

from gated.errors import CredentialError
from gated.people import pin_verifiers
from gated.people import store as people
from gated.people.credential import Credential
from gated.people.credential_store import Credentials
from gated.people.issuing import remove_duress_pin, set_pin
from gated.people.keyring import KeyRing
from gated.people.known_pins import MOST_SALTS, KnownPins
from gated.storage import migrations
from gated.storage.vault import PIN, Vault
from gated.types import SubjectId

VAULT, OTHER = Vault(bytes(range(32)), "site"), Vault(bytes(32), "site")
ANN, BOB = SubjectId("a" * 16), SubjectId("b" * 16)
SALT = bytes(range(16))
BEFORE = PasswordHasher(time_cost=3, memory_cost=12288, parallelism=1, hash_len=32, salt_len=16)


def pin(digits: str, subject: SubjectId = ANN, salt: bytes = SALT, *, is_duress: bool = False) -> Credential:
    return Credential(digits, "pin", subject, *pin_verifiers.stored(VAULT, digits, salt, is_duress=is_duress))


def before(digits: str, subject: SubjectId = ANN, vault: Vault = VAULT, *, is_duress: bool = False) -> Credential:
    """Return a PIN as versions before verifiers stored it."""
    hashed = BEFORE.hash(vault.digest("pin", digits))
    return Credential(digits, "pin", subject, pin_verifiers.bucket(vault, digits), hashed, is_duress=is_duress)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Record the salt of every argon2 run."""
    asked: list[bytes] = []
    result = pin_verifiers.Recipe.result

    def counted(self: pin_verifiers.Recipe, secret: bytes) -> bytes:
        asked.append(self.salt)
        return result(self, secret)

    monkeypatch.setattr(pin_verifiers.Recipe, "result", counted)
    return asked


def test_a_verifier_is_a_keyed_digest_of_argon2id_with_owasp_parameters() -> None:
    digest, how = pin_verifiers.stored(VAULT, "492716", SALT, is_duress=False)
    assert how == "$argon2id$v=19$m=12288,t=3,p=1$AAECAwQFBgcICQoLDA0ODw"
    result = hash_secret_raw(b"492716", SALT, 3, 12288, 1, 32, Type.ID)
    assert digest == pin_verifiers.verifier(VAULT.key_for(PIN), result, is_duress=False)
    assert pin_verifiers.recipe_of(how) == pin_verifiers.Recipe(SALT)


def test_plain_and_duress_verifiers_look_alike_before_the_result() -> None:
    plain, duress = pin("492716"), pin("492716", is_duress=True)
    assert plain.digest != duress.digest
    assert len(plain.digest) == len(duress.digest) == pin_verifiers.VERIFIER_BYTES
    assert (plain.pin_hash, plain.is_duress) == (duress.pin_hash, duress.is_duress)


def test_a_pin_is_found_with_its_kind_and_a_wrong_one_is_not() -> None:
    known = KnownPins(VAULT, [pin("492716"), pin("771903", is_duress=True), pin("318205", BOB)])
    told = {digits: known.find(digits) for digits in ("492716", "771903", "318205", "318206", "")}
    assert {digits: found and (found.subject, found.is_duress) for digits, found in told.items()} == {
        "492716": (ANN, False), "771903": (ANN, True), "318205": (BOB, False), "318206": None, "": None,
    }  # fmt: skip
    assert {found.id for found in told.values() if found is not None and found.subject == ANN} == {ANN}


def test_without_the_site_key_the_correct_pin_does_not_match() -> None:
    assert KnownPins(OTHER, [pin("492716"), before("771903")]).find("492716") is None
    assert KnownPins(OTHER, [pin("492716"), before("771903")]).find("771903") is None


def test_a_pin_of_two_people_finds_the_accepted_person() -> None:
    known = KnownPins(VAULT, [pin("492716"), pin("492716", BOB)])
    for who in (ANN, BOB):
        found = known.find("492716", lambda subject, who=who: subject == who)  # type: ignore[misc]
        assert found is not None
        assert found.subject == who


@pytest.mark.parametrize("typed", ["492716", "318205", "771903", "605271", "999999", "", "' OR 1=1 --", "\udc80"])
def test_correct_and_wrong_pins_cost_the_same_argon2_time(typed: str, asked: list[bytes]) -> None:
    rows = [pin("492716"), pin("318205", BOB, is_duress=True)]
    asked.clear()
    KnownPins(VAULT, rows).find(typed)
    assert asked == [SALT]
    asked.clear()
    mixed = KnownPins(VAULT, [*rows, before("771903"), before("605271", BOB)])
    assert mixed.cost == 2
    asked.clear()
    mixed.find(typed)
    assert len(asked) == 2


def test_a_gate_without_pins_costs_as_much_as_one_with_many(asked: list[bytes]) -> None:
    assert KnownPins(VAULT).find("492716") is None
    assert len(asked) == 1


def test_many_salts_of_an_office_do_not_make_a_guess_slower(asked: list[bytes]) -> None:
    rows = [pin(f"49271{number}", salt=bytes([number]) * 16) for number in range(8)]
    asked.clear()
    KnownPins(VAULT, rows).find("492716")
    assert len(asked) == MOST_SALTS


@pytest.mark.parametrize(
    "broken",
    ["", "plain", "$argon2id$v=19$", "$argon2id$v=19$m=1,t=1,p=1$AA$AA", "\udc80",
     "$argon2id$v=19$m=9999999,t=3,p=1$AAECAwQFBgcICQoLDA0ODw",
     "$argon2id$v=19$m=12288,t=999,p=1$AAECAwQFBgcICQoLDA0ODw",
     "$argon2id$v=19$m=12288,t=0,p=1$AAECAwQFBgcICQoLDA0ODw", "$argon2i$v=19$m=12288,t=3,p=1$AAECAwQFBgcICQoLDA0ODw"],
)  # fmt: skip
@pytest.mark.parametrize("digest", [b"", b"\x00", bytes(2), bytes(32), bytes(34), bytes(64)])
def test_an_invalid_row_matches_nothing_and_raises_nothing(broken: str, digest: bytes) -> None:
    odd = Credential("1", "pin", BOB, digest, broken)
    known = KnownPins(VAULT, [odd, pin("492716")])
    assert known.find("318205") is None
    found = known.find("492716")
    assert found is not None
    assert found.subject == ANN


@given(st.text(st.characters(exclude_categories=()), max_size=40))
def test_every_typed_text_has_a_bucket(typed: str) -> None:
    assert int.from_bytes(pin_verifiers.bucket(VAULT, typed), "big") < 2**pin_verifiers.BUCKET_BITS


def test_a_bucket_depends_on_the_site_key_and_reveals_no_pin() -> None:
    buckets = Counter(pin_verifiers.bucket(VAULT, f"{number:06}") for number in range(0, 1_000_000, 10))
    assert len(buckets) == 2**pin_verifiers.BUCKET_BITS
    assert min(buckets.values()) >= 5  # 5 of every tenth PIN, so about fifty of all PINs
    assert (
        sum(pin_verifiers.bucket(VAULT, f"{n:06}") == pin_verifiers.bucket(OTHER, f"{n:06}") for n in range(1000)) < 10
    )


# -- old PINs without verifiers -------------------------------------------------------------------------------------


def put_before(state, rows: list[Credential]) -> None:
    """Store the rows of a gate from before verifiers, then apply the current schema."""
    with closing(sqlite3.connect(state / people.NAME)) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        with connection:
            connection.execute("DELETE FROM credentials")
            for row in rows:
                connection.execute(
                    "INSERT INTO credentials (id, way, subject, digest, pin_hash, label, is_duress, readings)"
                    " VALUES (?, 'pin', ?, ?, ?, '', ?, x'')",
                    (row.id, row.subject, row.digest, row.pin_hash, row.is_duress),
                )


def test_pins_of_an_older_version_open_at_once_with_their_kind(state, store, live) -> None:
    ann = live("a")
    put_before(state, [before("492716", ann, store.vault), before("771903", ann, store.vault, is_duress=True)])
    ring = KeyRing.of(store)
    told = [ring.pin(digits) for digits in ("492716", "771903", "318205")]
    assert [found and (found.subject, found.is_duress) for found in told] == [(ann, False), (ann, True), None]


def test_pins_of_an_older_version_are_converted_after_a_day_without_a_duress_trace(state, store, live) -> None:
    ann, bob = live("a"), live("b")
    rows = [
        before("492716", ann, store.vault), before("771903", ann, store.vault, is_duress=True),
        before("318205", bob, store.vault),
    ]  # fmt: skip
    put_before(state, rows)
    Credentials.open(state, "site").close()
    with closing(sqlite3.connect(state / people.NAME)) as connection:
        assert connection.execute("SELECT sum(is_duress) FROM credentials").fetchone() == (1,), "it may be on trial"
        connection.execute("UPDATE veil SET since = datetime('now', '-2 days')")
        connection.commit()
    with closing(Credentials.open(state, "site")) as later:
        stored = later.all()
        ring = KeyRing.of(later)
        told = [ring.pin(digits) for digits in ("492716", "771903", "318205", "492717")]
    assert [found and (found.subject, found.is_duress) for found in told] == [
        (ann, False),
        (ann, True),
        (bob, False),
        None,
    ]
    assert {row.is_duress for row in stored} == {False}
    assert {len(row.digest) for row in stored} == {34}
    hashes = [str(row.pin_hash).rpartition("$")[2].encode() for row in rows]
    files = [file.read_bytes() for file in state.rglob("*") if file.is_file()]
    assert not [hash_ for hash_ in hashes if any(hash_ in file for file in files)]


def test_the_previous_version_finds_its_pins_after_a_rollback(state, store, live) -> None:
    ann, bob = live("a"), live("b")
    put_before(state, [before("492716", ann, store.vault), before("771903", ann, store.vault, is_duress=True)])
    set_pin(store, "318205", bob, least=6)
    store.close()
    known = people.MIGRATIONS.index(next(each for each in people.MIGRATIONS if "CREATE TABLE veil" in each))
    migrations.go_back(state / people.NAME, known)
    with closing(sqlite3.connect(state / people.NAME)) as connection:
        rows = connection.execute("SELECT id, is_duress FROM credentials ORDER BY id").fetchall()
        assert rows == [("492716", 0), ("771903", 1)]
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute("UPDATE credentials SET is_duress = 1")


# -- issuing ----------------------------------------------------------------------------------------------------------


def rows_of(state) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(state / people.NAME)) as connection:
        return connection.execute(
            "SELECT digest, pin_hash, is_duress, first_used_at, last_used_at FROM credentials ORDER BY rowid"
        ).fetchall()


@pytest.mark.parametrize("number", range(6))
def test_nothing_in_the_database_distinguishes_a_duress_pin(state, store, live, number: int) -> None:
    ann = live("a")
    set_pin(store, f"49271{number}", ann, least=6)
    plain = rows_of(state)[0][0]
    assert store.use(ann, None)
    set_pin(store, f"31820{number}", ann, least=6, is_duress=True)
    rows = rows_of(state)
    assert len({row[1:] for row in rows}) == 1, "one salt, no kind, the same uses"
    assert [row[0] for row in rows] == sorted(row[0] for row in rows), "the order is that of the verifiers"
    assert plain in {row[0] for row in rows}
    found = KeyRing.of(store).pin(f"49271{number}")
    assert found is not None
    assert not found.is_duress


def test_a_duress_pin_beside_an_older_pin_looks_like_it(state, store, live) -> None:
    ann = live("a")
    put_before(state, [before("492716", ann, store.vault)])
    set_pin(store, "318205", ann, least=6, is_duress=True)
    rows = rows_of(state)
    assert {len(row[0]) for row in rows} == {34}
    ring = KeyRing.of(store)
    assert [found and found.is_duress for found in (ring.pin("492716"), ring.pin("318205"))] == [False, True]


def test_the_pins_of_a_gate_have_one_salt(state, store, live) -> None:
    for letter, digits in (("a", "492716"), ("b", "318205"), ("c", "771903")):
        set_pin(store, digits, live(letter), least=6)
    assert len({row[1] for row in rows_of(state)}) == 1
    assert KnownPins(store.vault, store.all()).cost == 1


def test_a_new_pin_deletes_the_duress_pin_because_the_two_are_indistinguishable(store, live) -> None:
    ann = live("a")
    set_pin(store, "492716", ann, least=6)
    set_pin(store, "318205", ann, least=6, is_duress=True)
    with pytest.raises(CredentialError, match="does not know which"):
        set_pin(store, "771903", ann, least=6, is_duress=True)
    assert set_pin(store, "605271", ann, least=6)[1] == 2
    ring = KeyRing.of(store)
    assert [ring.pin(digits) is not None for digits in ("605271", "492716", "318205")] == [True, False, False]


def test_removing_only_the_duress_pin_needs_its_digits(store, live) -> None:
    ann = live("a")
    set_pin(store, "492716", ann, least=6)
    set_pin(store, "318205", ann, least=6, is_duress=True)
    for wrong in ("492716", "771903", ""):
        with pytest.raises(CredentialError, match="no duress PIN"):
            remove_duress_pin(store, wrong, ann)
    remove_duress_pin(store, "318205", ann)
    ring = KeyRing.of(store)
    assert [ring.pin(digits) is not None for digits in ("492716", "318205")] == [True, False]
