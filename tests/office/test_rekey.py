"""New keys for an office. The recovery key alone suffices, the change is atomic, and every gate follows, even a late
one.
"""

import asyncio
import base64
import contextlib
import http.client
import io
import os
import shutil
import ssl
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gated.config import SyncSettings
from gated.errors import OfficeError, StateError, WireError
from gated.office.authority import Authority
from gated.office.mosquitto import Place
from gated.office.office_creation import create_office
from gated.office.pairing_endpoint import MOST_TRIES_OF_ALL, serve_pairing
from gated.office.registrar import Registrar
from gated.office.rekey import rekey
from gated.office.store import Store
from gated.protocol.broker import tls_context
from gated.protocol.command_messages import SwitchLockdown
from gated.protocol.envelope import Peer
from gated.protocol.jose import Identity, Party, SigningKey
from gated.protocol.key_messages import CertificateRequest, RecoveryNotice
from gated.protocol.recovery_key import Handover, HandoverQuestion, KnownRecoveryKey, RecoveryKey, followed
from gated.protocol.sealed_files import Lock
from gated.protocol.wire_records import HouseholdRecord
from gated.simulator.network import free_port, join
from gated.storage import vault
from gated.storage.process_lock import FileLock
from gated.sync import handover
from gated.sync.handover import Successor, finish_handover, load_known, store_recovery_key

SITE, GATE = "market-south", "gate-1"
NOW = datetime.now(UTC)
FIRST = int(NOW.timestamp())
"""The number of a key change made at `NOW`, in Unix seconds."""
KEY = RecoveryKey(bytes(range(32)))


@pytest.fixture(scope="module")
def founded(tmp_path_factory):
    """Create an office with a recovery key, a paired gate and a household record. Made once for the module."""
    root = tmp_path_factory.mktemp("site")
    place = Place("localhost", free_port(), free_port())
    create_office(root / "office", SITE, place, NOW, recovery=KEY)
    vault_of(root / "gate")
    join(root / "office", root / "gate", GATE)
    with closing(Store.open(root / "office")) as store:
        store.book.put(HouseholdRecord(n=0, household="2-401", rights=[]))
        store.commands.place(GATE, SwitchLockdown(True), "li", "a delivery", NOW)
    return root


def vault_of(state):
    vault.site_key(state, may_create=True)


@pytest.fixture
def root(founded, tmp_path):
    shutil.copytree(founded, tmp_path / "site")
    return tmp_path / "site"


def kid(folder):
    with closing(Store.open(folder)) as store:
        assert [record.household for record in store.book.live(HouseholdRecord)] == ["2-401"]
        assert [placed.content.operator for placed in store.commands.open()] == ["li"]
        return store.identity.party.kid


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".pem", ".key", ".keys")}


# -- the recovery key


def test_the_recovery_key_is_read_from_paper_in_every_typing_style():
    text = KEY.text()
    for typed in (
        text,
        text.lower(),
        text.replace("-", " "),
        f"a line before\n  {text}\nand after",
        text.replace("0", "O"),
    ):
        assert RecoveryKey.parse(typed).public == KEY.public


@pytest.mark.parametrize("wrong", ["", "x", "0" * 55, "Z" * 55, KEY.text()[:-1], "\n".join([KEY.text()[:30]] * 3)])
def test_an_invalid_recovery_key_is_reported(wrong):
    with pytest.raises(OfficeError, match="recovery key"):
        RecoveryKey.parse(wrong)


def test_one_wrong_letter_is_always_detected():
    text = KEY.text()
    for place, letter in enumerate(text):
        if letter != "-":
            with pytest.raises(OfficeError, match="is wrong"):
                RecoveryKey.parse(text[:place] + ("7" if letter != "7" else "8") + text[place + 1 :])


# -- the office


def test_rekeying_replaces_every_key_and_loses_nothing(root):
    office, before = root / "office", files_of(root / "office")
    old = kid(office)
    assert rekey(office, KEY, None, NOW) == FIRST
    assert kid(office) != old
    after = files_of(office)
    assert {name for name in before if before[name] == after[name]} == set()
    assert not (office / "rekey.new").exists()
    assert rekey(office, KEY, None, NOW) == FIRST + 1


def test_without_the_recovery_key_nothing_changes(root):
    office, before = root / "office", files_of(root / "office")
    with pytest.raises(OfficeError, match="not the recovery key of this office"):
        rekey(office, RecoveryKey.make(), None, NOW)
    with closing(Store.open(office)) as store, pytest.raises(OfficeError, match="recovery key already"):
        store.handovers.store_first_key(RecoveryKey.make().public)
    assert files_of(office) == before


def test_an_office_without_a_recovery_key_names_the_command_to_make_one(tmp_path):
    create_office(tmp_path / "office", SITE, Place("localhost", 1, 2), NOW)
    with pytest.raises(OfficeError, match="gated office recovery"):
        rekey(tmp_path / "office", KEY, None, NOW)


def test_a_running_office_must_be_stopped_before_rekeying(root):
    for name in ("serve-1-1.lock", "serve-2-4.lock"):
        with (
            closing(FileLock(root / "office" / name, "this office")),
            pytest.raises(OfficeError, match="stop it first"),
        ):
            rekey(root / "office", KEY, None, NOW)


def test_a_process_with_the_old_keys_can_write_nothing(root):
    with closing(Store.open(root / "office")) as elsewhere:
        rekey(root / "office", KEY, None, NOW)
        with pytest.raises(StateError, match="new keys"):
            elsewhere.book.put(HouseholdRecord(n=0, household="2-402", rights=[]))
    kid(root / "office")


@pytest.mark.parametrize("name", ["rename", "replace", "fsync", "rmtree"])
def test_after_a_power_cut_the_office_has_the_old_or_the_new_keys(founded, tmp_path, power_goes, name):
    """From the chosen call on, every call of that function fails.
    The test tries each call as the first failure, of fsync every third.
    """
    outcomes = set()
    for step in range(1, 60, 3 if name == "fsync" else 1):
        folder = tmp_path / f"{step}"
        shutil.copytree(founded / "office", folder)
        old = kid(folder)
        home = {"rename": Path, "replace": Path, "fsync": os, "rmtree": shutil}[name]
        with power_goes(home, name, step) as is_gone, contextlib.suppress(OSError, OfficeError, StateError):
            rekey(folder, KEY, None, NOW)
        with closing(Store.open(folder)) as store:
            number = store.handovers.number
        assert (kid(folder) == old) == (number == 0)
        Authority.load(folder)
        assert not (folder / "rekey.new").exists()
        outcomes.add(number)
        if not is_gone():
            break
    assert FIRST in outcomes


def test_everything_sealed_to_the_old_keys_is_sealed_to_the_new_ones(root):
    office = root / "office"
    old = Identity.load(office / "office.keys")
    rekey(office, KEY, None, NOW)
    with closing(Store.open(office)) as store, store.file.reading() as connection:
        tables = [
            row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        ]
        found_ = 0
        for table in tables:
            for row in connection.execute(f"SELECT * FROM {table}").fetchall():
                for value in row:
                    data = value.encode() if isinstance(value, str) else value
                    if isinstance(data, bytes) and data.startswith(b"eyJ") and data.count(b".") == 4:
                        header = data.split(b".")[0]
                        header = base64.urlsafe_b64decode(header + b"=" * (-len(header) % 4))
                        assert old.party.seal_kid.encode() not in header, table
                        found_ += 1
    assert found_ >= 3


# -- the gate


def statement(number, key=KEY, following=None, site=SITE, **other):
    said = {"keys": Identity.make().party.dump().decode(), "authority": Authority.make(site, NOW).pem.decode()} | other
    return key.sign(
        Handover(site=site, number=number, recovery=(following or key).public, at="2027-01-01T00:00:00Z", **said)
    )


def test_a_hand_over_is_applied_once_and_never_reversed():
    known = KnownRecoveryKey(key=KEY.public)
    first, second = statement(1), statement(2)
    after, said = followed(known, SITE, [first, second])
    assert (after.number, said.number) == (2, 2)
    assert followed(after, SITE, [first]) is None, "replayed"
    assert followed(after, SITE, [second]) is None
    assert followed(after, SITE, [second, first]) is None, "rolled back"


def test_a_new_recovery_key_is_valid_once_the_old_one_has_named_it():
    other = RecoveryKey.make()
    chain = [statement(1, following=other), statement(2, other)]
    after, _ = followed(KnownRecoveryKey(key=KEY.public), SITE, chain)
    assert after.key == other.public
    with pytest.raises(WireError):
        followed(KnownRecoveryKey(key=KEY.public), SITE, [statement(2, other)])
    with pytest.raises(WireError):
        followed(after, SITE, [statement(3, KEY)])


def test_no_other_key_can_name_a_successor():
    known, thief = KnownRecoveryKey(key=KEY.public), RecoveryKey.make()
    office = Identity.make()
    payload = msgspec.json.encode({"v": 1, "site": SITE, "number": 9})
    seed = Ed25519PrivateKey.generate().private_bytes_raw()
    good = statement(1)
    head, body, tail = good.split(".")
    wrong = [
        statement(1, thief), statement(1, site="elsewhere"), office.sign("handover", payload).decode(),
        SigningKey(bytes(32), seed).sign("handover", payload).decode(),
        f"{head}.{body}.", f"{head}.{body[:-4]}AAAA.{tail}",
        "", "..", good.replace(head, base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")),
        KEY._lone.sign("command", payload).decode(), KEY._lone.sign("handover", b"{}").decode(),
        statement(1, keys="x" * 5000),
    ]  # fmt: skip
    for token in wrong:
        with pytest.raises(WireError):
            followed(known, SITE, [token])


class Gate:
    """A gate just after pairing."""

    def __init__(self, root):
        self.state = root / "gate"
        names = handover.FILES
        files = {key: str(self.state / "pairing" / name) for key, name in names.items()}
        self.settings = SyncSettings(url="mqtts://localhost:1", **files)

    def successor(self):
        lock = Lock.of(self.state)
        peer = Peer(
            lock.identity(Path(self.settings.gate_keys)), Party.load(Path(self.settings.office_keys)), SITE, GATE
        )
        return Successor(self.state, self.settings, peer, lock)

    def office_kid(self):
        tls_context(self.settings, Lock.of(self.state))
        return Party.load(Path(self.settings.office_keys)).kid


@contextlib.contextmanager
def at_work(office):
    """Serve the office's pairing in a thread."""
    with closing(Store.open(office)) as store, closing(Registrar(office, store)) as registrar:
        loop = asyncio.new_event_loop()
        task = loop.create_task(serve_pairing(registrar))

        def serve():
            with contextlib.suppress(asyncio.CancelledError):
                loop.run_until_complete(task)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield registrar
        finally:
            loop.call_soon_threadsafe(task.cancel)
            thread.join()
            loop.close()


def until(work):
    """Retry `work` until it succeeds, because the server may still be starting. Return whether it succeeded."""
    for _ in range(200):
        if work():
            return True
        threading.Event().wait(0.05)
    return False


def test_a_gate_that_missed_two_hand_overs_follows_once(root):
    gate, office, other = Gate(root), root / "office", RecoveryKey.make()
    before = gate.office_kid()
    rekey(office, KEY, other, NOW)
    rekey(office, other, None, NOW)
    with at_work(office):
        assert until(lambda: gate.successor().follow())
        assert not gate.successor().follow()
    assert gate.office_kid() == kid(office) != before
    assert (load_known(gate.state).number, load_known(gate.state).key) == (FIRST + 1, other.public)
    assert (gate.state / "pairing" / "ca.pem").read_bytes() == (office / "ca.pem").read_bytes()


@pytest.mark.parametrize("clock", [timedelta(days=1), timedelta()])
def test_a_gate_follows_also_an_office_restored_from_an_old_backup(root, tmp_path, clock):
    gate, office = Gate(root), root / "office"
    shutil.copytree(office, tmp_path / "backup")
    rekey(office, KEY, None, NOW)
    with at_work(office):
        assert until(lambda: gate.successor().follow())
    shutil.rmtree(office)
    shutil.copytree(tmp_path / "backup", office)
    rekey(office, KEY, None, NOW + timedelta(seconds=1) + clock)
    with at_work(office):
        assert until(lambda: gate.successor().follow())
    assert gate.office_kid() == kid(office)


@pytest.fixture
def restored(root, tmp_path):
    """Restore an office's backup from before its new recovery key. The gate knows the newest key."""
    office, newest = root / "office", RecoveryKey.make()
    shutil.copytree(office, tmp_path / "backup")
    rekey(office, KEY, newest, NOW)
    with at_work(office):
        assert until(lambda: Gate(root).successor().follow())
    shutil.rmtree(office)
    shutil.copytree(tmp_path / "backup", office)
    return office, newest


def test_a_backup_older_than_a_recovery_key_works_with_the_newest_key(root, restored):
    office, newest = restored
    gate = Gate(root)
    with pytest.raises(OfficeError, match="--restored"):
        rekey(office, newest, None, NOW)
    rekey(office, newest, None, NOW + timedelta(minutes=1), is_restored=True)
    with at_work(office):
        assert until(lambda: gate.successor().follow())
    assert gate.office_kid() == kid(office)
    with closing(Store.open(office)) as store:
        assert store.handovers.key == newest.public


def test_with_the_former_recovery_key_a_gate_that_was_away_follows_too(founded, root, restored, tmp_path):
    office, newest = restored
    shutil.copytree(founded / "gate", tmp_path / "away" / "gate")
    with pytest.raises(OfficeError, match="--former"):
        rekey(office, newest, None, NOW, RecoveryKey.make())
    rekey(office, newest, None, NOW + timedelta(minutes=1), KEY)
    with at_work(office):
        assert until(lambda: Gate(tmp_path / "away").successor().follow())
        assert until(lambda: Gate(root).successor().follow())
    for gate in (Gate(root), Gate(tmp_path / "away")):
        assert gate.office_kid() == kid(office)
        assert load_known(gate.state).key == newest.public


def test_a_stolen_old_backup_moves_gates_only_with_the_newest_key(root, restored):
    office, _ = restored
    gate = Gate(root)
    before = gate.office_kid()
    thief = RecoveryKey.make()
    for number, (key, former) in enumerate([(KEY, None), (thief, None), (thief, KEY)]):
        rekey(office, key, None, NOW + timedelta(hours=1 + number), former, is_restored=True)
        with at_work(office):
            assert not any(gate.successor().follow() for _ in range(2))
        with closing(Store.open(office)) as store, store.file.writing() as connection:  # as in the backup
            connection.execute("UPDATE recovery SET key = ?", (KEY.public,))
    assert gate.office_kid() == before


def test_the_office_learns_that_it_is_an_old_backup_if_a_gate_knows_newer_keys(root, restored):
    office, _ = restored
    gate = Gate(root)
    with at_work(office):
        assert until(lambda: not gate.successor().follow() and rekey_alarms(office))
    assert rekey_alarms(office) == [(GATE, "rekeyed_since")]


def rekey_alarms(office):
    with closing(Store.open(office)) as store:
        return [(each.gate, each.kind) for each in store.alarms.all() if each.kind == "rekeyed_since"]


def test_no_other_sender_raises_that_alarm(root):
    office = root / "office"
    with closing(Store.open(office)) as store, closing(Registrar(office, store)) as registrar:
        other = Identity.make().sign("renew", b"{}").decode()
        assert registrar.hand_over(HandoverQuestion(gate=GATE, number=2**52, renew=other), NOW) is None
    assert rekey_alarms(office) == []


def test_a_recorded_request_with_an_invented_number_raises_no_alarm(root, monkeypatch):
    """Anybody between a gate and its office reads the signed request: the gate trusts no certificate there."""
    office, gate, posted = root / "office", Gate(root), []
    monkeypatch.setattr(http.client.HTTPSConnection, "request", lambda *words: posted.append(words[3]))
    monkeypatch.setattr(http.client.HTTPSConnection, "getresponse", lambda _: io.BytesIO(b"{}"))
    gate.successor().follow()
    asked = msgspec.json.decode(posted[0], type=HandoverQuestion)
    bare = gate.successor()._signed(CertificateRequest(site=SITE, gate=GATE, csr="x"))
    with closing(Store.open(office)) as store, closing(Registrar(office, store)) as registrar:
        for renew in (asked.renew, bare):
            assert registrar.hand_over(HandoverQuestion(gate=GATE, number=2**52, renew=renew), NOW) is None
    assert rekey_alarms(office) == []


def test_a_returned_gate_ends_that_alarm(court, gate):
    court.store.alarms.open("gate-1", "rekeyed_since", "", "2027-01-01T00:00:00Z")
    gate.status()
    gate.status(heard=gate.heard)
    assert ("gate-1", "rekeyed_since") not in court.alarms()


def test_a_gate_requests_the_hand_over_at_the_offices_new_address(root):
    office, gate = root / "office", Gate(root)
    known = load_known(gate.state)
    path = gate.state / "pairing" / "recovery.json"
    port = known.place.rpartition(":")[2]
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(known, place=f"255.255.255.255:{port}")))
    rekey(office, KEY, None, NOW)
    with at_work(office):
        assert until(lambda: gate.successor().follow())
    assert load_known(gate.state).place == f"localhost:{port}"


def test_a_flood_of_wrong_requests_does_not_keep_a_gate_from_following(root):
    office, gate = root / "office", Gate(root)
    rekey(office, KEY, None, NOW)
    with at_work(office) as registrar:
        port, context = registrar.place.pairing_port, ssl._create_unverified_context()

        def is_refused():
            line = http.client.HTTPSConnection("127.0.0.1", port, context=context)
            with contextlib.closing(line), contextlib.suppress(ConnectionRefusedError):
                line.request("POST", "/handover", b"no question")
                return line.getresponse().status in (400, 429)

        assert until(is_refused)
        assert all(is_refused() for _ in range(MOST_TRIES_OF_ALL))
        assert gate.successor().follow()
    assert gate.office_kid() == kid(office)


def test_the_office_key_alone_moves_no_gate(root, tmp_path):
    """The attacker has every file of the office's folder, its network address, and another recovery key."""
    gate, stolen = Gate(root), tmp_path / "stolen"
    before = gate.office_kid()
    shutil.copytree(root / "office", stolen)
    thief = RecoveryKey.make()
    with closing(Store.open(stolen)) as store, store.file.writing() as connection:
        connection.execute("UPDATE recovery SET key = ?", (thief.public,))
    rekey(stolen, thief, None, NOW)
    with at_work(stolen):
        assert not any(gate.successor().follow() for _ in range(3))
    assert gate.office_kid() == before


def test_only_the_gate_itself_gets_a_certificate(root):
    office, gate = root / "office", Gate(root)
    rekey(office, KEY, None, NOW)
    renew = gate.successor()
    csr = handover.request_for(renew.lock.key(Path(renew.settings.key)), GATE)
    proof = renew._signed(CertificateRequest(site=SITE, gate=GATE, csr=csr))
    other = (
        Identity.make().sign("renew", msgspec.json.encode(CertificateRequest(site=SITE, gate=GATE, csr=csr))).decode()
    )
    with closing(Store.open(office)) as store, closing(Registrar(office, store)) as registrar:
        ask = registrar.hand_over
        assert ask(HandoverQuestion(gate=GATE, number=0, renew=proof), NOW).statements
        assert ask(HandoverQuestion(gate=GATE, number=FIRST, renew=proof), NOW) is None, "it knows already"
        assert ask(HandoverQuestion(gate="gate-9", number=0, renew=proof), NOW) is None
        assert ask(HandoverQuestion(gate=GATE, number=0, renew=other), NOW) is None
        assert ask(HandoverQuestion(gate=GATE, number=0, renew="x"), NOW) is None
        store.retire_gate(GATE, "2027-01-01T00:00:00Z")
        assert ask(HandoverQuestion(gate=GATE, number=0, renew=proof), NOW) is None, "retired"


@pytest.mark.parametrize("name", ["replace", "fsync", "unlink"])
def test_after_a_power_cut_a_gate_has_followed_or_not(root, tmp_path, power_goes, name):
    office = root / "office"
    old = Gate(root).office_kid()
    rekey(office, KEY, None, NOW)
    new, home = kid(office), os if name == "fsync" else Path
    with at_work(office):
        assert until(lambda: Gate(shutil.copytree(root, tmp_path / "first")).successor().follow() or
                     shutil.rmtree(tmp_path / "first"))  # fmt: skip
        for step in range(1, 30):
            gate = Gate(shutil.copytree(root, tmp_path / f"{step}"))
            with power_goes(home, name, step) as is_gone:
                gate.successor().follow()
            finish_handover(gate.state)
            assert gate.office_kid() in (old, new)
            followed_ = load_known(gate.state).number == FIRST
            assert (gate.office_kid() == new) == followed_
            if not is_gone():
                break
    assert followed_


def test_an_older_gate_learns_the_recovery_key_once(root, caplog):
    gate = Gate(root)
    (gate.state / "pairing" / "recovery.json").unlink()
    said = RecoveryNotice(site=SITE, gate=GATE, key=KEY.public, number=0, port=8884)
    assert store_recovery_key(gate.state, said, "office.lan")
    assert load_known(gate.state) == KnownRecoveryKey(key=KEY.public, place="office.lan:8884")
    thief = msgspec.structs.replace(said, key=RecoveryKey.make().public)
    assert not store_recovery_key(gate.state, thief, "office.lan")
    assert load_known(gate.state).key == KEY.public
    assert "another recovery key" in caplog.text


def test_the_office_sends_the_recovery_key_to_gates_without_one_and_alarms_for_another(court, gate, only):
    court.store.handovers.store_first_key(KEY.public)
    court.side._port = 8884
    said = only(RecoveryNotice, gate.status(can=["handover"]))
    assert [(each.key, each.number, each.port) for each in said] == [(KEY.public, 0, 8884)]
    assert only(RecoveryNotice, gate.status(can=["live"])) == [], "an old gate would not understand it"
    assert only(RecoveryNotice, gate.status(can=["handover"], recovery=KEY.public)) == []
    assert ("gate-1", "recovery_differs") not in court.alarms()
    gate.status(can=["handover"], recovery=RecoveryKey.make().public)
    assert ("gate-1", "recovery_differs") in court.alarms()


def test_a_paired_gate_knows_the_recovery_key_and_ignores_old_hand_overs(root):
    office = root / "office"
    rekey(office, KEY, None, NOW)
    vault_of(root / "new")
    join(office, root / "new", "gate-2")
    known = load_known(root / "new")
    assert (known.key, known.number) == (KEY.public, FIRST)
    with closing(Store.open(office)) as store:
        assert followed(known, SITE, store.handovers.after(0)) is None


def test_a_certificate_of_a_former_authority_is_renewed_early(root):
    rekey(root / "office", KEY, None, NOW + timedelta(minutes=1))
    with closing(Store.open(root / "office")) as store:
        assert not Authority.load(root / "office").is_issuer_of(store.gate(GATE).certificate)
