"""The office's pairing service: it admits a gate with the right code, refuses all others, and limits its load."""

import asyncio
import contextlib
import socket
import ssl
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from gated.errors import OfficeError, StateError
from gated.office.pairing_endpoint import (
    MOST_CONNECTIONS,
    MOST_OF_ONE,
    MOST_TRIES,
    MOST_TRIES_OF_ALL,
    TRIES_S,
    FailedTries,
    serve_pairing,
)
from gated.office.registrar import Registrar
from gated.office.store import Store
from gated.protocol.jose import Party
from gated.protocol.pairing_code import MAX_PAIRING_BYTES, Admission, Application, CodeQuestion, PairingRefusal
from gated.sync.pairing import PairingDraft

sys.path.append(str(Path(__file__).parents[1]))
from contracts.office import GATE, SITE, new_office

NOW = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)
PATIENCE_S = 30.0


@pytest.fixture
def registrar(tmp_path):
    folder = tmp_path / "office"
    new_office(folder)
    with closing(Store.open(folder)) as store, closing(Registrar(folder, store)) as registrar:
        registrar.store = store
        yield registrar


@pytest.fixture
def code(registrar):
    return registrar.invite(GATE, NOW)


@pytest.fixture
def draft(tmp_path):
    """Return the draft from which a gate builds its application."""
    return PairingDraft(tmp_path / "state")


def changed(application, **fields):
    return msgspec.structs.replace(application, **fields)


def test_an_invited_gate_gets_certificate_broker_and_office_keys(registrar, code, draft):
    answer = registrar.answer(draft.application(code, SITE), NOW)
    assert isinstance(answer, Admission)
    certificate = x509.load_pem_x509_certificate(answer.certificate.encode())
    assert certificate.subject.rfc4514_string() == f"CN={GATE}"
    assert answer.url == registrar.place.url
    assert Party.parse(answer.keys).kid == registrar.store.identity.party.kid


def test_a_paired_gate_belongs_to_the_site(registrar, code, draft):
    application = draft.application(code, SITE)
    answer = registrar.answer(application, NOW)
    gate = registrar.store.gate(GATE)
    serial = x509.load_pem_x509_certificate(answer.certificate.encode()).serial_number
    assert (Party.parse(gate.keys).kid, gate.serial) == (Party.parse(application.keys).kid, f"{serial:x}")
    assert f"user {GATE}\n" in (registrar.folder / "acl").read_text()


def test_a_refused_gate_does_not_belong_to_the_site(registrar, code, draft):
    application = draft.application(code, SITE)
    for wrong in (changed(application, secret="00" * 10), changed(application, site="elsewhere"),
                  changed(application, gate="gate-3"), changed(application, csr="x"),
                  changed(application, keys="{}")):  # fmt: skip
        assert isinstance(registrar.answer(wrong, NOW), PairingRefusal)
    assert registrar.store.gates() == []
    assert GATE not in (registrar.folder / "acl").read_text()


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"secret": "00" * 10}, "wrong"),
        ({"gate": "gate-3"}, "wrong"),
        ({"gate": "OFFICE"}, "wrong"),
        ({"site": "elsewhere"}, "site"),
        ({"csr": "x"}, "request"),
        ({"keys": "{}"}, "request"),
    ],
)
def test_a_refusal_has_a_reason(registrar, code, draft, fields, why):
    assert registrar.answer(changed(draft.application(code, SITE), **fields), NOW) == PairingRefusal(why=why)


def test_an_application_with_private_keys_is_refused(registrar, code, draft, tmp_path):
    private = (tmp_path / "state" / "pairing.new" / "gate.keys").read_text()
    answer = registrar.answer(changed(draft.application(code, SITE), keys=private), NOW)
    assert answer == PairingRefusal(why="request")


def test_a_request_for_another_gates_name_is_refused(registrar, code, draft):
    other = msgspec.structs.replace(draft.application(code, SITE))
    stolen = registrar.invite("gate-1", NOW)
    assert registrar.answer(changed(other, gate="gate-1", secret=stolen.secret.hex()), NOW) == PairingRefusal(
        why="request"
    )


def test_a_correctable_error_does_not_use_the_code(registrar, code, draft):
    application = draft.application(code, SITE)
    for wrong in (changed(application, site="elsewhere"), changed(application, csr="x")) * 4:
        registrar.answer(wrong, NOW)
    assert isinstance(registrar.answer(application, NOW), Admission)


def test_a_lost_answer_is_given_again_for_ten_minutes(registrar, code, draft):
    application = draft.application(code, SITE)
    first = registrar.answer(application, NOW)
    again = registrar.answer(application, NOW + timedelta(minutes=9))
    assert first.keys == again.keys
    assert len(registrar.store.gates()) == 1
    assert registrar.answer(application, NOW + timedelta(minutes=11)) == PairingRefusal(why="spent")


def test_a_second_gate_with_other_keys_gets_nothing(registrar, code, draft, tmp_path):
    assert isinstance(registrar.answer(draft.application(code, SITE), NOW), Admission)
    before = registrar.store.gate(GATE)
    thief = PairingDraft(tmp_path / "elsewhere")
    assert registrar.answer(thief.application(code, SITE), NOW) == PairingRefusal(why="spent")
    assert registrar.store.gate(GATE) == before


def test_a_code_expires_after_an_hour(registrar, code, draft):
    assert registrar.answer(draft.application(code, SITE), NOW + timedelta(hours=1, seconds=1)) == PairingRefusal(
        why="old"
    )


def test_wrong_codes_do_not_invalidate_a_code(registrar, code, draft):
    application = draft.application(code, SITE)
    whys = [registrar.answer(changed(application, secret=f"{n:020x}"), NOW).why for n in range(30)]
    assert whys == ["wrong"] * 30
    assert isinstance(registrar.answer(application, NOW), Admission)


def test_a_gate_paired_again_has_its_new_keys(registrar, code, draft, tmp_path):
    registrar.answer(draft.application(code, SITE), NOW)
    old = registrar.store.gate(GATE)
    anew = PairingDraft(tmp_path / "anew")
    application = anew.application(registrar.invite(GATE, NOW), SITE)
    assert isinstance(registrar.answer(application, NOW), Admission)
    new = registrar.store.gate(GATE)
    assert (new.keys != old.keys, new.serial != old.serial) == (True, True)
    assert len(registrar.store.gates()) == 1


def test_no_secret_is_kept(registrar, code):
    raw = b"".join(path.read_bytes() for path in registrar.folder.iterdir())
    assert code.secret not in raw
    assert code.secret.hex().encode() not in raw
    assert code.digest.encode() in raw


# -- over the network


@contextlib.asynccontextmanager
async def serving(registrar):
    """Run the pairing service. Return a function that sends a raw HTTP request and returns the response."""
    task = asyncio.create_task(serve_pairing(registrar))
    context = ssl.create_default_context(cafile=str(registrar.folder / "ca.pem"))
    port = registrar.place.pairing_port

    async def request(raw):
        reader, writer = await asyncio.open_connection("localhost", port, ssl=context, family=socket.AF_INET)
        writer.write(raw)
        answer = await asyncio.wait_for(reader.read(), PATIENCE_S)
        writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body

    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and not task.done():
        with contextlib.suppress(OSError):
            await request(head("GET", "/ca.pem"))
            break
        await asyncio.sleep(0.02)
    yield request
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def head(method, path, length=0, more=""):
    return (
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{more}\r\n".encode()
    )


def post(body, path="/pair"):
    return head("POST", path, len(body)) + body


async def test_the_endpoint_gives_its_authority_to_everybody_and_admits_invited_gates(registrar, draft):
    code = registrar.invite(GATE, datetime.now(UTC))
    async with serving(registrar) as request:
        assert await request(head("GET", "/ca.pem")) == (200, registrar.authority.pem)
        status, body = await request(post(msgspec.json.encode(draft.application(code, SITE))))
        assert (status, type(msgspec.json.decode(body, type=Admission | PairingRefusal))) == (200, Admission)
        assert (await request(head("GET", "/pair")))[0] == 405
        assert (await request(head("GET", "/ca.key")))[0] == 404


async def test_garbage_is_refused_with_a_reason(registrar):
    async with serving(registrar) as request:
        for body in (b"", b"{", b"[]", b"\xff", b"[" * 10_000, b'{"v":2}', b" " * (MAX_PAIRING_BYTES + 1)):
            assert await request(post(body)) == (400, msgspec.json.encode(PairingRefusal(why="request"))), body[:10]


async def test_a_too_long_request_is_not_awaited(registrar):
    """The request announces more bytes than it sends. The service answers without waiting for them."""
    async with serving(registrar) as request:
        status, _ = await request(head("POST", "/pair", 10**9) + b" " * (MAX_PAIRING_BYTES + 100))
        assert status == 400


async def test_too_many_tries_must_wait(registrar, code, draft):
    wrong = msgspec.json.encode(changed(draft.application(code, SITE), secret="00" * 10))
    async with serving(registrar) as request:
        answers = [await request(post(wrong)) for _ in range(MOST_TRIES + 1)]
    assert [status for status, _ in answers] == [403] * MOST_TRIES + [429]
    assert msgspec.json.decode(answers[-1][1])["why"] == "busy"


@pytest.mark.parametrize("has_both", [True, False])
async def test_a_client_cannot_choose_its_own_address(registrar, code, draft, monkeypatch, has_both):
    """A header can name any address. Only the address of the connection counts, also without IPv6."""
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: has_both)
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    wrong = msgspec.json.encode(changed(draft.application(code, SITE), secret="00" * 10))
    async with serving(registrar) as request:
        named = [f"X-Forwarded-For: 192.0.2.{number}\r\n" for number in range(MOST_TRIES + 1)]
        answers = [await request(head("POST", "/pair", len(wrong), each) + wrong) for each in named]
    assert [status for status, _ in answers] == [403] * MOST_TRIES + [429]


async def test_a_right_code_works_beside_wrong_ones_from_the_same_address(registrar, draft):
    """The right code works even after the service throttles wrong tries, and after applications that name a wrong
    site.
    """
    application = draft.application(registrar.invite(GATE, datetime.now(UTC)), SITE)
    wrongs = [{"secret": f"{number:020x}"} for number in range(MOST_TRIES + 3)] + [{"gate": "gate-9"}]
    async with serving(registrar) as request:
        for fields in wrongs:
            await request(post(msgspec.json.encode(changed(application, **fields))))
        assert (await request(post(b"{")))[0] == 429
        elsewhere = msgspec.json.encode(changed(application, site="elsewhere"))
        assert [(await request(post(elsewhere)))[0] for _ in range(MOST_TRIES + 1)] == [409] * (MOST_TRIES + 1)
        question = CodeQuestion(site=SITE, gate=GATE, secret=application.secret)
        assert (await request(post(msgspec.json.encode(question), "/code")))[0] == 200
        assert (await request(post(msgspec.json.encode(application))))[0] == 200


async def test_silent_connections_block_nobody(registrar, draft):
    """They stop before TLS, after it, within the head, and within the body. Their number exceeds the
    connection limit.
    """
    body = post(msgspec.json.encode(draft.application(registrar.invite(GATE, datetime.now(UTC)), SITE)))
    context, port = ssl.create_default_context(cafile=str(registrar.folder / "ca.pem")), registrar.place.pairing_port

    async def hang(said):
        secure = {} if said is None else {"ssl": context}
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("localhost", port, family=socket.AF_INET, **secure)
            writer.write(said or b"")
            return writer

    async with serving(registrar) as request:
        silent = [await hang(said) for said in (None, b"", body[:20], body[:-9]) for _ in range(MOST_OF_ONE // 2)]
        silent += [await hang(None) for _ in range(MOST_CONNECTIONS)]
        assert (await request(body))[0] == 200
        for writer in silent:
            if writer is not None:
                writer.transport.abort()


async def test_many_gates_behind_one_router_pair_within_a_minute(registrar, tmp_path):
    """Thirty gates each test their code first, then join. Testing a right code counts as no guess, however often."""
    codes = [registrar.invite(f"gate-{number}", datetime.now(UTC)) for number in range(30)]
    asked = [CodeQuestion(site=SITE, gate=code.gate, secret=code.secret.hex()) for code in codes]
    joining = [PairingDraft(tmp_path / code.gate).application(code, SITE) for code in codes]
    async with serving(registrar) as request:
        dry = [post(msgspec.json.encode(question), "/code") for question in asked]
        real = [post(msgspec.json.encode(application)) for application in joining]
        for together in (dry, real):
            answers = await asyncio.gather(*map(request, together))
            assert {status for status, _ in answers} == {200}
    assert {gate.gate for gate in registrar.store.gates()} >= {code.gate for code in codes}


async def test_an_office_that_cannot_write_reports_it_and_continues(registrar, draft, monkeypatch, caplog):
    code = registrar.invite(GATE, datetime.now(UTC))

    def add_gate(*_):
        raise StateError("the disk is full")

    body = post(msgspec.json.encode(draft.application(code, SITE)))
    async with serving(registrar) as request:
        with monkeypatch.context() as patch:
            patch.setattr(registrar.store, "add_gate", add_gate)
            assert await request(body) == (503, msgspec.json.encode(PairingRefusal(why="trouble")))
        assert "the disk is full" in caplog.text
        assert (await request(body))[0] == 200


async def test_a_port_in_use_is_reported(registrar):
    with socket.create_server(("", registrar.place.pairing_port)), pytest.raises(OfficeError, match="not free"):
        await serve_pairing(registrar)


def test_addresses_of_one_network_count_as_one_client():
    others = ("2001:db8:0:1::2", "2001:db8:0:1:ffff::1", "2001:db8:0:1::%eth0")
    tries = FailedTries()
    for _ in range(MOST_TRIES):
        tries.count_failure("2001:db8:0:1::1", 0.0)
    assert not any(tries.may_try(address, 0.0) for address in others)
    assert tries.may_try("2001:db8:0:2::1", 0.0)
    for _ in range(MOST_TRIES):
        tries.count_failure("::ffff:192.0.2.1", 0.0)
    assert not tries.may_try("192.0.2.1", 0.0)
    assert tries.may_try("::ffff:192.0.2.2", 0.0)


@given(st.lists(st.tuples(st.floats(0, 5), st.sampled_from("abc")), max_size=200))
def test_the_limit_of_failed_tries_holds_in_every_minute(steps):
    tries, now, made = FailedTries(), 0.0, []
    for pause_s, address in steps:
        now += pause_s
        if tries.may_try(address, now):
            tries.count_failure(address, now)
            made.append((now, address))
    for at, address in made:
        lately = [who for when, who in made if at - TRIES_S < when <= at]
        assert lately.count(address) <= MOST_TRIES
        assert len(lately) <= MOST_TRIES_OF_ALL


def test_a_waiting_client_may_try_again_and_others_are_not_delayed():
    tries = FailedTries()
    for _ in range(MOST_TRIES):
        assert tries.may_try("a", 0.0)
        tries.count_failure("a", 0.0)
    assert not tries.may_try("a", 0.0)
    assert tries.may_try("b", 1.0)
    assert tries.may_try("a", TRIES_S)


@pytest.mark.parametrize("fields", [{}, {"secret": "zz"}, {"gate": "OFFICE"}, {"gate": "a\nb"}, {"site": ""}, {"v": 2}])
def test_an_application_is_parsed_strictly(fields):
    told = {"v": 1, "site": "s", "gate": "g", "secret": "0" * 20, "csr": "", "keys": ""} | fields
    if not fields:
        assert msgspec.json.decode(msgspec.json.encode(told), type=Application).gate == "g"
        return
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(told), type=Application)
