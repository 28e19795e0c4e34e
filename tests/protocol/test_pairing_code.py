"""The pairing code survives a telephone call, a typing error and a QR code. No other text is accepted as a code."""

import contextlib
import ssl
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gated.errors import PairingError
from gated.office.authority import Authority
from gated.protocol.pairing_code import (
    LETTERS,
    REFUSALS,
    Admission,
    PairingCode,
    PairingRefusal,
    der_of,
    digest_of,
    fingerprint_of,
    refusal_text,
)

NAMES = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True)
HOSTS = st.one_of(
    st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,40}[a-z0-9])?", fullmatch=True),
    st.sampled_from(["192.168.1.4", "[fd00::7]", "localhost"]),
)
CODES = st.builds(
    PairingCode, HOSTS, st.integers(1, 65535), NAMES, st.binary(min_size=16, max_size=16),
    st.binary(min_size=10, max_size=10),
)  # fmt: skip
ONE = PairingCode("office.lan", 8884, "gate-2", bytes(range(16)), bytes(range(10)))


@given(CODES)
def test_a_shown_code_is_read_back(code):
    assert PairingCode.parse(code.text()) == code


@given(CODES, st.randoms())
def test_spaces_hyphens_capitals_and_lookalike_letters_do_not_matter(code, dice):
    where, symbols = code.text().rsplit("/", 1)
    symbols = symbols.replace("-", "").replace("1", dice.choice("1IiLl")).replace("0", dice.choice("0Oo"))
    typed = "".join(c.lower() if dice.random() < 0.5 else c for c in symbols)
    typed = "".join(c + dice.choice(["", " ", "-", "\n"]) for c in typed)
    assert PairingCode.parse(f" {where.upper()}/{typed}") == code


@given(CODES, st.integers(0, 44), st.sampled_from(LETTERS))
def test_one_wrong_letter_is_detected_without_a_network(code, place, letter):
    where, symbols = code.text().rsplit("/", 1)
    plain = symbols.replace("-", "")
    wrong = plain[:place] + letter + plain[place + 1 :]
    assume(wrong != plain)
    with pytest.raises(PairingError, match="wrong"):
        PairingCode.parse(f"{where}/{wrong}")


def wide(text):
    return "".join(chr(ord(sign) + 0xFEE0) for sign in text)


@pytest.mark.parametrize(
    "pasted",
    [wide(ONE.text()), ONE.text().replace("-", "\u2013"), ONE.text().replace(":", "\uff1a"), f'"{ONE.text()}"',
     f"\u201c{ONE.text()}\u201d", "\ufeff" + ONE.text(), ONE.text()[:40] + "\u200b" + ONE.text()[40:],
     ONE.text()[:40] + "\r\n" + ONE.text()[40:] + "\n"],
)  # fmt: skip
def test_a_code_works_after_a_chinese_keyboard_and_a_chat_program(pasted):
    assert PairingCode.parse(pasted) == ONE


@pytest.mark.parametrize("where", ["office.lam:8884/gate-2", "office.lan:8883/gate-2", "office.lan:8884/gate-3"])
def test_a_typing_error_in_the_readable_part_is_detected(where):
    with pytest.raises(PairingError, match="letter or more"):
        PairingCode.parse(f"{where}/{ONE.text().rsplit('/', 1)[1]}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gate-2",
        ONE.text()[:-1],
        ONE.text() + "0",
        ONE.text().replace("/gate-2/", "/Gate 2!/"),
        ONE.text().replace(":8884", ""),
        ONE.text().replace("office.lan", "office/lan"),
        ONE.text()[:-1] + "U",
        ONE.text()[:-1] + "é",
        "x" * 10_000,
    ],
)
def test_an_invalid_code_is_reported(text):
    with pytest.raises(PairingError, match="no pairing code"):
        PairingCode.parse(text)


@given(st.text(max_size=200))
def test_every_text_is_a_code_or_refused(text):
    with pytest.raises(PairingError):
        PairingCode.parse(text)


def test_no_port_is_above_65535():
    with pytest.raises(PairingError):
        PairingCode.parse(PairingCode("office.lan", 70_000, "gate-2", ONE.fingerprint, ONE.secret).text())
    with pytest.raises(PairingError):
        PairingCode.parse(PairingCode("office.lan", 0, "gate-2", ONE.fingerprint, ONE.secret).text())


def test_a_code_can_be_typed():
    groups = ONE.text().rsplit("/", 1)[1].split("-")
    assert [len(group) for group in groups] == [5] * 9
    assert ONE.text().startswith("office.lan:8884/gate-2/")


def test_no_two_codes_have_one_secret():
    codes = {PairingCode.make("office.lan", 8884, "gate-2", ONE.fingerprint).secret for _ in range(50)}
    assert len(codes) == 50
    assert {len(secret) for secret in codes} == {10}


def test_a_digest_depends_on_gate_and_secret():
    assert ONE.digest == digest_of("gate-2", ONE.secret)
    assert len({ONE.digest, digest_of("gate-3", ONE.secret), digest_of("gate-2", bytes(10))}) == 3
    assert ONE.secret.hex() not in ONE.digest


def test_a_second_certificate_in_the_text_is_not_trusted():
    """A reader that computes the fingerprint may stop at the first END line, while TLS trusts both certificates.

    So the gate compares bytes.
    """
    for _ in range(20):
        ours, another = (Authority.make("market-south", datetime.now(UTC)).pem.decode() for _ in range(2))
        with contextlib.suppress(PairingError):
            if fingerprint_of(der_of(ours + another)) == fingerprint_of(der_of(ours)):
                break
    else:
        pytest.fail("no reader stops at the first end any more, and this test shows nothing")
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.load_verify_locations(cadata=der_of(ours + another))
    assert trusting.get_ca_certs(binary_form=True) == [der_of(ours)]


def test_an_invalid_certificate_is_refused():
    for text in ("", "-----BEGIN CERTIFICATE-----", "garbage"):
        with pytest.raises(PairingError, match="new code"):
            der_of(text)


def test_every_refusal_names_the_next_step():
    for why in REFUSALS:
        assert any(
            word in refusal_text(PairingRefusal(why=why))
            for word in ("ask", "compare", "correct", "install", "wait", "see", "move")
        )
    assert "ask the office" in refusal_text(PairingRefusal(why="something-newer"))


@pytest.mark.parametrize("url", ["mqtt://office", "mqtts://", "mqtts://a b", "mqtts://office/x", "https://office"])
def test_an_answer_with_another_kind_of_broker_is_refused(url):
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(Admission(url=url, certificate="", keys="")), type=Admission)
