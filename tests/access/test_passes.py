"""A visitor pass signed by the office opens one door, within its period, as often as it allows. Nothing else does."""

import base64
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from gated.access.pass_keys import read_pass_key
from gated.access.pass_ledger import REMEMBERED_FOR, PassLedger
from gated.access.passes import SIGNING_LABEL, VisitorPass, issue_pass, read_pass
from gated.access.permissions import Refusal
from gated.errors import ConfigError, StateError

ORDER = 2**252 + 27742317777372353535851937790883648493  # the order of Ed25519's group (RFC 8032, section 5.1)


def test_a_pass_signed_by_the_site_is_read(office):
    read = office.read(office.issue(uses=3))
    assert isinstance(read, VisitorPass)
    assert (read.site, read.gate, read.door, read.uses) == ("courtyard-2", "front", "main", 3)
    assert (read.not_after - read.not_before, len(read.id)) == (7200, 16)
    assert read.credential == read.id.hex()


def test_no_two_passes_are_alike(office):
    assert len({office.read(office.issue()).credential for _ in range(20)}) == 20


def test_a_pass_opens_one_door_of_one_gate_of_one_site(office):
    assert office.read(office.issue(door="second")) is Refusal.DOOR
    assert office.read(office.issue(), door="second") is Refusal.DOOR
    assert office.read(office.issue(gate="back")) is Refusal.DOOR
    assert office.read(office.issue(site="courtyard-3")) is Refusal.DOOR


def test_a_pass_is_valid_from_its_first_second_until_before_its_last(office):
    text, hour, second = office.issue(), timedelta(hours=1), timedelta(seconds=1)
    assert office.read(text, at=office.now - hour - second) is Refusal.NOT_YET
    assert isinstance(office.read(text, at=office.now - hour), VisitorPass)
    assert isinstance(office.read(text, at=office.now + hour - second), VisitorPass)
    assert office.read(text, at=office.now + hour) is Refusal.EXPIRED


def test_without_a_trusted_clock_no_pass_opens(office):
    assert office.read(office.issue(), at=None) is Refusal.CLOCK


def test_another_key_opens_nothing(office):
    stranger = type(office)()
    assert office.read(stranger.issue()) is Refusal.FORGED


@given(st.text(max_size=320))
def test_every_invalid_text_is_refused_without_an_exception(office, text):
    assert office.read(text) is Refusal.FORGED
    assert office.read("G1." + text) is Refusal.FORGED


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_a_pass_with_one_changed_letter_is_forged(office, place, which):
    """Each issued pass differs, so Hypothesis draws a position and an index instead of letters."""
    text = office.issue()
    at = place % len(text)
    others = [letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567=. a0" if letter != text[at]]
    other = others[which % len(others)]
    assert office.read(text[:at] + other + text[at + 1 :]) is Refusal.FORGED


def test_a_pass_has_only_one_valid_spelling(office):
    text = office.issue()
    for other in (text.lower(), text + "=", text + "\n", " " + text, text + "A", text[:-1], "G2" + text[2:], text * 2):
        assert office.read(other) is Refusal.FORGED


def test_a_second_signature_of_the_same_content_is_the_same_pass(office):
    """A careless verifier accepts S + L wherever it accepts S (RFC 8032, section 8.4)."""
    text = office.issue()
    signed = base64.b32decode(text[3:] + "=" * (-len(text[3:]) % 8))
    s = int.from_bytes(signed[-32:], "little") + ORDER
    assert office.read(spelt(signed[:-32] + s.to_bytes(32, "little"))) is Refusal.FORGED


def test_a_text_over_300_characters_is_refused_without_parsing(office):
    class Unread(str):
        def startswith(self, *args):
            raise AssertionError("it was read")

    assert office.read(Unread("G1." + "A" * 298)) is Refusal.FORGED


def spelt(signed):
    return "G1." + base64.b32encode(signed).decode().rstrip("=")


BODY = [bytes(16), "courtyard-2", "front", "main", 0, 2**39, 1]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (0, bytes(15)), (0, bytes(17)), (0, "x" * 16), (0, None), (1, 7), (1, None), (3, None), (4, -1), (4, 2**70),
        (4, 0.5), (5, 2**40), (5, float("nan")), (5, True), (6, 0), (6, -1), (6, 1001), (6, True), (6, "1"), (6, None),
    ],
)  # fmt: skip
def test_signed_text_that_is_not_a_pass_opens_nothing(office, field, value):
    def read(body):
        return office.read(spelt(body + office.sign(SIGNING_LABEL + body)))

    assert isinstance(read(msgspec.msgpack.encode(BODY)), VisitorPass)
    try:
        wrong = msgspec.msgpack.encode([*BODY[:field], value, *BODY[field + 1 :]])
    except OverflowError:
        wrong = msgspec.msgpack.encode([*BODY[:field], 2**64 - 1, *BODY[field + 1 :]])
    assert read(wrong) is Refusal.FORGED


@pytest.mark.parametrize("body", [b"", b"\xc0", b"\x90", b"\xdd\xff\xff\xff\xff", b"\x91" * 100, b"\x80", b"\xc1"])
def test_signed_bytes_that_are_not_a_pass_body_open_nothing(office, body):
    assert office.read(spelt(body + office.sign(SIGNING_LABEL + body))) is Refusal.FORGED


def test_a_pass_of_a_newer_format_with_unknown_fields_is_refused(office):
    body = msgspec.msgpack.encode([*BODY, "only on Mondays"])
    assert office.read(spelt(body + office.sign(SIGNING_LABEL + body))) is Refusal.FORGED


def test_a_signature_for_another_purpose_is_not_a_pass(office):
    body = msgspec.msgpack.encode(BODY)
    assert office.read(spelt(body + office.sign(body))) is Refusal.FORGED


def test_a_usual_pass_is_short_enough_for_a_phone_held_up(office):
    from gated.access.qr import squares

    assert len(squares(office.issue())) <= 45  # QR version 7


def test_a_pass_may_have_many_visits_and_long_usual_names(office):
    text = issue_pass(office.pem, "s" * 40, "g" * 40, office.now, office.now + timedelta(days=365), uses=1000)
    assert len(text) <= 300
    assert read_pass(text, office.public, "s" * 40, "g" * 40, "main", at=office.now).uses == 1000


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"ends_h": -1.0}, "end before it begins"),
        ({"uses": 0}, "0 is not a valid number"),
        ({"uses": 1001}, "1001 is not a valid number"),
        ({"site": "s" * 63, "gate": "g" * 63}, "names too long"),
    ],
)
def test_a_pass_that_every_gate_would_refuse_is_not_issued(office, change, says):
    with pytest.raises(ConfigError, match=says):
        office.issue(**change)


def test_an_invalid_key_is_named(office, tmp_path):
    other = generate_private_key(SECP256R1())
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for wrong in (b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", office.public_pem, pem):
        with pytest.raises(ConfigError, match="Ed25519"):
            issue_pass(wrong, "s", "g", office.now, office.now + timedelta(hours=1))
    public = tmp_path / "site.pem"
    with pytest.raises(ConfigError, match="cannot be read"):
        read_pass_key(public)
    for wrong in (b"", office.pem, other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)):
        public.write_bytes(wrong)
        with pytest.raises(ConfigError, match="readers.pass_key"):
            read_pass_key(public)
    public.write_bytes(office.public_pem)
    assert read_pass_key(public) == office.public


@pytest.fixture
def ledger(tmp_path):
    ledger = PassLedger(tmp_path)
    yield ledger
    ledger.close()


def test_a_pass_is_usable_exactly_as_often_as_it_states(office, ledger):
    one, three = office.read(office.issue()), office.read(office.issue(uses=3))
    assert [ledger.spend(one, office.now) for _ in range(3)] == [True, False, False]
    assert [ledger.spend(three, office.now) for _ in range(5)] == [True, True, True, False, False]


def test_a_used_pass_stays_used_after_a_restart(office, tmp_path):
    visitor_pass = office.read(office.issue())
    for first in (True, False, False):
        ledger = PassLedger(tmp_path)
        assert ledger.spend(visitor_pass, office.now) is first
        ledger.close()


def test_a_use_is_on_disk_before_it_is_reported(office, tmp_path):
    """The process is killed right after the answer."""
    program = (
        "import os, sys; from datetime import datetime, UTC; from pathlib import Path\n"
        "from gated.access.pass_keys import *; from gated.access.pass_ledger import *\n"
        "from gated.access.passes import *\n"
        "key = read_pass_key(Path(sys.argv[1]) / 'site.pem'); at = datetime.fromisoformat(sys.argv[3])\n"
        "read = read_pass(sys.argv[2], key, 'courtyard-2', 'front', 'main', at=at)\n"
        "spent = PassLedger(Path(sys.argv[1])).spend(read, at)\n"
        "os.write(1, b'yes' if spent else b'no'); os.kill(os.getpid(), 9)\n"
    )
    (tmp_path / "site.pem").write_bytes(office.public_pem)
    command = [sys.executable, "-c", program, str(tmp_path), office.issue(), office.now.isoformat()]
    answers = [subprocess.run(command, capture_output=True, check=False).stdout for _ in range(2)]
    assert answers == [b"yes", b"no"]


def test_the_file_is_synced_with_every_use(ledger):
    assert ledger._connection.execute("PRAGMA synchronous").fetchone()[0] == 2


def test_parallel_presentations_use_a_pass_once(office, tmp_path):
    visitor_pass, spent = office.read(office.issue(uses=5)), []

    def spend():
        ledger = PassLedger(tmp_path)
        spent.extend(ledger.spend(visitor_pass, office.now) for _ in range(5))
        ledger.close()

    threads = [threading.Thread(target=spend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(spent), sum(spent)) == (20, 5)


def test_only_an_unreleased_use_is_returned(office, ledger):
    one, three = office.read(office.issue()), office.read(office.issue(uses=3))
    assert ledger.spend(one, office.now)
    ledger.give_back(one)
    assert [ledger.spend(one, office.now) for _ in range(2)] == [True, False]
    assert [ledger.spend(three, office.now) for _ in range(4)] == [True, True, True, False]
    ledger.give_back(three)
    assert [ledger.spend(three, office.now) for _ in range(2)] == [True, False]


def test_repeated_returns_never_give_a_pass_more_uses_than_it_states(office, ledger):
    unused, used = office.read(office.issue()), office.read(office.issue(uses=2))
    ledger.give_back(unused)
    assert ledger.spend(used, office.now)
    for _ in range(5):
        ledger.give_back(used)
    assert [ledger.spend(unused, office.now) for _ in range(2)] == [True, False]
    assert [ledger.spend(used, office.now) for _ in range(3)] == [True, True, False]


@given(uses=st.integers(1, 4), steps=st.lists(st.sampled_from(["open", "fail", "restart"]), max_size=30))
@settings(max_examples=20, deadline=None)
def test_a_pass_keeps_its_number_of_openings_when_the_latch_does_not_answer(office, uses, steps):
    visitor_pass, opened = office.read(office.issue(uses=uses)), 0
    with tempfile.TemporaryDirectory() as state:
        ledger = PassLedger(Path(state))
        for step in [*steps, *["open"] * (uses + 1)]:
            if step == "restart":
                ledger.close()
                ledger = PassLedger(Path(state))
            elif ledger.spend(visitor_pass, office.now):
                opened += step == "open"
                if step == "fail":
                    ledger.give_back(visitor_pass)
        ledger.close()
    assert opened == uses


def test_a_returned_use_survives_a_restart(office, tmp_path):
    visitor_pass = office.read(office.issue())
    for answers in ([True, False], [True, False], [True, False]):
        ledger = PassLedger(tmp_path)
        assert [ledger.spend(visitor_pass, office.now) for _ in range(2)] == answers
        ledger.give_back(visitor_pass)
        ledger.close()


def test_a_return_does_not_revive_a_forgotten_pass(office, ledger):
    old, later = office.read(office.issue()), office.now + REMEMBERED_FOR + timedelta(hours=2)
    assert ledger.spend(old, office.now)
    assert ledger.spend(office.read(office.issue(ends_h=2)), later)
    assert rows(ledger) == 1
    ledger.give_back(old)
    assert not ledger.spend(old, office.now)
    assert rows(ledger) == 1


def test_a_use_that_cannot_be_returned_stays_counted(office, ledger):
    visitor_pass = office.read(office.issue())
    assert ledger.spend(visitor_pass, office.now)
    ledger._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StateError, match=r"passes\.db"):
        ledger.give_back(visitor_pass)
    ledger._connection.execute("PRAGMA query_only = OFF")
    assert not ledger.spend(visitor_pass, office.now)


def rows(ledger):
    return ledger._connection.execute("SELECT count(*) FROM spent").fetchone()[0]


def test_long_expired_passes_are_deleted_and_stay_refused_at_any_clock(office, ledger):
    old = [office.read(office.issue(ends_h=hours)) for hours in (1, 2, 3)]
    assert [ledger.spend(visitor_pass, office.now) for visitor_pass in old] == [True] * 3
    later = office.now + REMEMBERED_FOR + timedelta(hours=2.5)
    fresh = VisitorPass(bytes(16), "courtyard-2", "front", "main", 0, round(later.timestamp()) + 60)
    assert ledger.spend(fresh, later)
    assert rows(ledger) == 2  # the third pass has not expired yet; the other row is the fresh pass
    assert [ledger.spend(visitor_pass, office.now) for visitor_pass in (*old, fresh)] == [False] * 4


def test_the_ledger_contains_only_passes_that_are_still_valid(office, ledger):
    at = office.now
    for number in range(200):
        at += timedelta(days=1)
        assert ledger.spend(
            VisitorPass(number.to_bytes(16, "big"), "s", "g", "main", 0, round(at.timestamp()) + 3600), at
        )
        assert rows(ledger) <= REMEMBERED_FOR.days + 2


def test_an_unwritable_ledger_uses_no_pass(office, ledger):
    ledger._connection.execute("PRAGMA query_only = ON")
    visitor_pass = office.read(office.issue())
    with pytest.raises(StateError, match="until then no pass opens"):
        ledger.spend(visitor_pass, office.now)
    ledger._connection.execute("PRAGMA query_only = OFF")
    assert ledger.spend(visitor_pass, office.now)


def test_the_ledger_contains_no_text_of_a_pass(office, tmp_path):
    text = office.issue()
    ledger = PassLedger(tmp_path)
    ledger.spend(office.read(text), office.now)
    ledger.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert text[3:40].encode() not in kept


def test_the_time_may_have_any_time_zone(office, ledger):
    visitor_pass = office.read(office.issue())
    assert ledger.spend(visitor_pass, datetime.fromtimestamp(office.now.timestamp(), UTC))
