"""A gate joins its office with one code, over real TLS, wholly or not at all.

An impostor of the office gets nowhere.
"""

import contextlib
import http.server
import os
import shutil
import ssl
import sys
import threading
import tomllib
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import pytest
from cryptography import x509
from msgspec.structs import replace

from gated.config import SyncSettings, parse
from gated.errors import PairingError, StateError
from gated.office.authority import Authority
from gated.protocol.broker import tls_context
from gated.protocol.jose import Party
from gated.protocol.pairing_code import MAX_PAIRING_BYTES, PairingCode
from gated.protocol.sealed_files import Lock
from gated.simulator.network import free_port
from gated.sync import pairing_client
from gated.sync.pairing import Pairing, PairingDraft, pair

sys.path.append(str(Path(__file__).parents[1]))
from contracts.office import GATE, SITE, Office

OTHERS_CODE = PairingCode.make("localhost", 1, GATE, bytes(16))


@pytest.fixture
def office(tmp_path):
    with closing(Office(tmp_path / "office").open()) as office:
        yield office


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


def test_one_code_gives_the_gate_everything_for_its_link(office, state):
    pairing, is_new = pair(PairingCode.parse(office.invite().text()), state, SITE)
    assert is_new
    assert pairing.url == office.registrar.place.url
    settings = SyncSettings(**pairing.settings())
    tls_context(settings, Lock.of(state))
    assert Party.load(Path(settings.office_keys)).kid == office.store.identity.party.kid
    ours = Lock.of(state).identity(Path(settings.gate_keys)).party
    assert ours.dump().decode() == office.store.gate(GATE).keys


def test_the_settings_that_it_prints_are_settings(office, state):
    pairing, _ = pair(office.invite(), state, SITE)
    tables = tomllib.loads(pairing.toml())
    read = parse({"site": {"id": SITE}, "gate": {"id": GATE}, **tables}, Path("/"))
    assert read.sync == SyncSettings(**pairing.settings())


def test_everything_is_its_owners_alone_and_no_secret_of_the_code_is_kept(office, state):
    code = office.invite()
    pairing, _ = pair(code, state, SITE)
    files = list(pairing.folder.iterdir())
    assert {file.name for file in files} == {
        "ca.pem", "gate.pem", "gate.key", "gate.keys", "office.keys", "pairing.json"
    }  # fmt: skip
    assert {path.stat().st_mode & 0o077 for path in (pairing.folder, *files)} == {0}
    assert not any(code.secret.hex().encode() in file.read_bytes() for file in files)
    assert {path.name for path in state.iterdir()} == {"keys", "pairing"}


def test_a_repeated_code_causes_no_request(office, state):
    code = office.invite()
    pairing, _ = pair(code, state, SITE)
    before = {file: file.read_bytes() for file in pairing.folder.iterdir()}
    office.shut()
    assert pair(code, state, SITE) == (pairing, False)
    assert {file: file.read_bytes() for file in pairing.folder.iterdir()} == before


def test_a_pairing_interrupted_before_the_answer_continues_with_the_same_code(office, state):
    code = office.invite()
    office.registrar.answer(PairingDraft(state).application(code, SITE), datetime.now(UTC))
    assert Pairing.find(state) is None
    pairing, _ = pair(code, state, SITE)
    assert Lock.of(state).identity(pairing.folder / "gate.keys").party.dump().decode() == office.store.gate(GATE).keys


def test_keys_that_were_half_written_when_the_power_went_are_made_anew(office, state):
    for name, left in product(("gate.key", "gate.keys"), (b"", b"-----BEGIN PRIV", None)):
        path = state / "pairing.new" / name
        PairingDraft(state)
        path.unlink()
        if left is not None:
            path.touch(0o600)
            path.write_bytes(left)
        pairing, _ = pair(office.invite(), state, SITE)
        is_whole(office, pairing)
        shutil.rmtree(pairing.folder)


def is_whole(office, pairing):
    """Return whether the link could start with these files and the office has the same keys."""
    tls_context(SyncSettings(**pairing.settings()), Lock.of(pairing.folder.parent))
    assert (
        Lock.of(pairing.folder.parent).identity(pairing.folder / "gate.keys").party.dump().decode()
        == office.store.gate(GATE).keys
    )


def test_an_interrupted_pairing_is_completed_by_the_same_code(office, tmp_path, monkeypatch):
    """One rename after another fails, as at a power cut. The pairing folder is then complete or absent."""
    monkeypatch.setattr("gated.office.pairing_endpoint.MOST_TRIES", 100)
    rename, failures = os.rename, 0
    for step in range(1, 12):
        code, state, left = office.invite(), tmp_path / f"state-{step}", [step]

        def failing(*paths, left=left):
            left[0] -= 1
            if left[0] == 0:
                raise OSError(28, "No space left on device")
            rename(*paths)

        with monkeypatch.context() as patch:
            for name in ("replace", "rename"):
                patch.setattr(os, name, failing)
            with contextlib.suppress(PairingError, StateError):
                pair(code, state, SITE)
        if left[0] <= 0:
            failures += 1
            assert Pairing.find(state) is None
        pairing, _ = pair(code, state, SITE)
        is_whole(office, pairing)
    assert failures == 10, "three files of keys, the office's list and rules, four files, and the folder itself"


def test_a_gate_that_joins_anew_keeps_its_keys_and_gets_another_certificate(office, state):
    first, _ = pair(office.invite(), state, SITE)
    keys, certificate = (first.folder / "gate.keys").read_bytes(), (first.folder / "gate.pem").read_bytes()
    second, is_new = pair(office.invite(), state, SITE)
    assert is_new
    assert (second.folder / "gate.keys").read_bytes() == keys
    assert (second.folder / "gate.pem").read_bytes() != certificate
    serial = x509.load_pem_x509_certificate((second.folder / "gate.pem").read_bytes()).serial_number
    assert office.store.gate(GATE).serial == f"{serial:x}"
    assert {path.name for path in state.iterdir()} == {"keys", "pairing"}


# -- impostors


def refused(code, state, words, site=SITE):
    with pytest.raises(PairingError, match=words):
        pair(code, state, site)
    assert Pairing.find(state) is None


def test_a_code_of_another_office_is_refused_and_reveals_nothing(office, state):
    code = office.invite()
    refused(replace(code, fingerprint=bytes(16)), state, "is not the one in the code")
    pair(code, state, SITE)


@pytest.mark.parametrize("ca", ["its own", "the true one", "both", "both, its own first"])
def test_a_man_in_the_middle_learns_and_gains_nothing(office, state, tmp_path, ca):
    """The impostor answers at the office's address with its own certificate, and sends any authority it likes."""
    code, false = office.invite(), Authority.make(SITE, datetime.now(UTC))
    folder = tmp_path / "between"
    folder.mkdir()
    false.write_server(folder, "localhost", wall=datetime.now(UTC))
    true = office.registrar.authority.pem
    given = {"its own": false.pem, "the true one": true, "both": true + false.pem}.get(ca, false.pem + true)
    told = []

    class Between(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(given)

        def do_POST(self):
            told.append(self.rfile.read(int(self.headers["Content-Length"])))

        def log_message(self, *_):
            pass

    with answering(Between, folder) as port:
        refused(replace(code, port=port), state, "not the one in the code|does not trust|no certificate")
    assert told == []
    pair(code, state, SITE)


@contextlib.contextmanager
def answering(handler, folder=None):
    """Run another party's server; with `folder` it uses TLS."""
    server = http.server.HTTPServer(("127.0.0.1", 0), handler)
    if folder is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem", folder / "server.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("off", "words"),
    [(timedelta(days=2), "not yet valid, and this gate's clock"), (timedelta(days=-8000), "no longer valid")],
)
def test_a_clock_that_is_wrong_is_named(tmp_path, state, off, words):
    """The gate's clock is behind or ahead of the office's by `off`."""
    with closing(Office(tmp_path / "office", datetime.now(UTC) + off).open()) as office:
        refused(office.invite(), state, words)


def test_a_host_name_outside_the_offices_certificate_is_reported(office, state):
    refused(replace(office.invite(), host="127.0.0.2"), state, "gated office host")


def test_an_unreachable_office_is_reported(state):
    refused(replace(OTHERS_CODE, port=free_port()), state, "nobody answers at localhost")


def test_a_server_that_is_not_an_office_is_reported(state):
    with answering(http.server.BaseHTTPRequestHandler) as port:
        refused(replace(OTHERS_CODE, port=port), state, "is no office")


def test_the_reason_of_the_office_is_shown(office, state):
    code = office.invite()
    refused(replace(code, secret=bytes(10)), state, "did not give this code")
    refused(code, state, r"correct \[site\] id", site="elsewhere")
    office.registrar.answer(PairingDraft(state.with_name("other")).application(code, SITE), datetime.now(UTC))
    refused(code, state, "already used")


def test_after_a_refusal_the_right_code_still_works(office, state):
    code = office.invite()
    refused(replace(code, secret=bytes(10)), state, "did not give")
    assert pair(code, state, SITE)[1]


@pytest.mark.parametrize("what", ["certificate", "keys", "another key"])
def test_an_answer_that_does_not_fit_changes_nothing(office, state, tmp_path, what):
    code, draft = office.invite(), PairingDraft(state)
    good = office.registrar.answer(draft.application(code, SITE), datetime.now(UTC))
    ca = ssl.PEM_cert_to_DER_cert(office.registrar.authority.pem.decode())
    if what == "another key":
        others = PairingDraft(tmp_path / "others")
        answer = office.registrar.answer(others.application(office.invite(), SITE), datetime.now(UTC))
    else:
        answer = type(good)(**{name: getattr(good, name) for name in ("certificate", "keys", "url")} | {what: "x"})
    with pytest.raises(PairingError):
        draft.finish(code, ca, answer)
    assert Pairing.find(state) is None
    assert draft.finish(code, ca, good).url == good.url


def test_an_endless_answer_is_not_read(state, tmp_path):
    Authority.make(SITE, datetime.now(UTC)).write_server(tmp_path, "localhost", wall=datetime.now(UTC))
    sent = []

    class Endless(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                while len(sent) < 10_000:
                    self.wfile.write(bytes(MAX_PAIRING_BYTES))
                    sent.append(1)

        def log_message(self, *_):
            pass

    with answering(Endless, tmp_path) as port:
        refused(replace(OTHERS_CODE, port=port), state, "longer than 20000 bytes")
    assert len(sent) < 10_000


@pytest.mark.parametrize("begin", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_an_answer_that_arrives_too_slowly_is_abandoned(state, tmp_path, monkeypatch, begin):
    """Each byte arrives in time, but 20,000 such bytes would keep an installer waiting for days."""
    Authority.make(SITE, datetime.now(UTC)).write_server(tmp_path, "localhost", wall=datetime.now(UTC))
    monkeypatch.setattr(pairing_client, "WHOLE_S", 1.0)
    over = threading.Event()

    class Dripping(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.wfile.write(begin)
            with contextlib.suppress(OSError):
                while not over.wait(0.02):
                    self.wfile.write(b"x")

        def log_message(self, *_):
            pass

    with answering(Dripping, tmp_path) as port:
        refused(replace(OTHERS_CODE, port=port), state, "too slow, not complete after 1 s")
        over.set()


def test_a_folder_that_cannot_be_made_is_reported(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="cannot be written"):
        pair(OTHERS_CODE, tmp_path / "file" / "state", SITE)


def test_a_folder_without_a_pairing_is_reported(state):
    (state / "pairing").mkdir(parents=True)
    with pytest.raises(StateError, match="is no pairing"):
        pair(OTHERS_CODE, state, SITE)
