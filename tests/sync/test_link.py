"""The link against a real broker: what arrives, what never may, and what happens when everything breaks."""

import asyncio
import contextlib
import logging
import random
import re
import signal
import sqlite3
import time
from datetime import UTC, datetime

import pytest
import trustme

from gated.errors import StateError
from gated.events import Stopped
from gated.sync.messages import Ack, encode

# -- status ----------------------------------------------------------------------------------------------------------


async def test_the_birth_says_online_and_is_retained(broker, gate, receiver, until, topics):
    gate.happen(3)
    gate.start()
    await until(lambda: receiver.statuses, "a status")
    birth = receiver.statuses[0]
    assert (birth.state, birth.version, birth.door, birth.people) == ("online", "0.1.0", "secured", 72)
    assert birth.journal.head == 3
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", birth.at)
    async with broker.client("office") as late:
        await late.subscribe(topics.status)
        assert (await anext(aiter(late.messages))).retain


async def test_a_change_of_state_is_told_at_once_and_no_change_is_not(gate, receiver, until):
    gate.start()
    await until(lambda: receiver.statuses, "a status")
    gate.happen(5)
    await until(lambda: gate.acked == 5, "the ack")
    assert len(receiver.statuses) == 1
    gate.degraded = ["vision"]
    gate.wake.set()
    await until(lambda: len(receiver.statuses) == 2, "the change")
    assert receiver.statuses[-1].degraded == ["vision"]


async def test_the_gate_is_told_once_that_there_is_no_link_and_that_there_is_one_again(broker, gate, until):
    broker.kill()
    gate.start()
    await until(lambda: gate.links, "the loss")
    await asyncio.sleep(1.0)
    assert len(gate.links) == 1
    assert gate.links[0]
    broker.start()
    await until(lambda: gate.links[-1] is None, "the link")
    assert len(gate.links) == 2


async def test_the_status_is_repeated_every_status_s(broker, gate, receiver, until):
    gate.settings = broker.settings(status_s=1.0)
    gate.start()
    await until(lambda: len(receiver.statuses) >= 3, "repetitions")
    assert set(receiver.states) == {"online"}


async def test_a_gate_that_dies_is_said_to_be_offline_by_its_last_will(broker, gate, receiver, until):
    gate.start()
    await until(lambda: receiver.states == ["online"], "the birth")
    impostor = broker.client("gate-2", identifier="gated-market-south-gate-2")
    gate.settings = broker.settings(backoff_max_s=60)
    async with impostor:  # the broker throws the first client of that name out, without a goodbye
        await until(lambda: "offline" in receiver.states, "the last will")


async def test_a_gate_that_is_stopped_says_goodbye_and_stays_offline(gate, receiver, until):
    gate.start()
    await until(lambda: receiver.states == ["online"], "the birth")
    await gate.stop()
    await until(lambda: receiver.states == ["online", "offline"], "the goodbye")
    assert gate.task.cancelled()


async def test_stopping_does_not_wait_for_a_broker_that_hangs(broker, gate, receiver, until):
    gate.start()
    await until(lambda: receiver.states == ["online"], "the birth")
    broker.process.send_signal(signal.SIGSTOP)
    try:
        await asyncio.wait_for(gate.stop(), 9)  # the client's own patience is 10 s
    finally:
        broker.process.send_signal(signal.SIGCONT)


@pytest.mark.slow
async def test_a_stop_at_any_moment_is_a_stop(broker, gate, receiver):
    dice = random.Random(20261123)
    for turn in range(60):
        gate.happen(dice.randint(0, 3))
        gate.start()
        await asyncio.sleep(dice.random() * 0.06)
        if turn % 10 == 9:
            broker.kill()
        await asyncio.wait_for(gate.stop(), 9)  # the client's own patience is 10 s
        assert gate.task.cancelled()
        if turn % 10 == 9:
            broker.start()


# -- events ----------------------------------------------------------------------------------------------------------


async def test_events_arrive_once_and_in_order(gate, receiver, delivered):
    gate.happen(30)
    gate.start()
    await delivered(gate, receiver)
    for _ in range(5):
        gate.happen(7)
        await asyncio.sleep(0.01)
    await delivered(gate, receiver)


async def test_what_another_process_appends_is_sent_too(gate, receiver, delivered):
    gate.start()
    gate.happen(2)
    await delivered(gate, receiver)
    gate.happen(1)
    gate.wake.clear()
    await delivered(gate, receiver)


async def test_long_events_are_cut_into_messages_that_the_broker_takes(gate, receiver, delivered):
    gate.journal.extend([(Stopped(why='"\\x' * 2600), datetime.now(UTC)) for _ in range(60)])
    gate.count = 60
    gate.start()
    await delivered(gate, receiver)
    assert receiver.batches > 10


@pytest.mark.slow
async def test_a_month_of_events_drains_in_order(gate, receiver, delivered):
    gate.happen(20_000)
    began = time.monotonic()
    gate.start()
    await delivered(gate, receiver)
    rate = 20_000 / (time.monotonic() - began)
    print(f"\ndrained 20,000 events in {receiver.batches} batches at {rate:,.0f} events/s")
    assert receiver.batches < 20_000 / 50  # many events a message, or a slow network would take for ever


@pytest.mark.slow
async def test_a_broker_killed_and_started_empty_costs_nothing(broker, gate, receiver, delivered, until):
    gate.start()
    gate.happen(100)
    await delivered(gate, receiver)
    for _ in range(3):
        gate.happen(400)
        broker.kill()
        gate.happen(300)
        await asyncio.sleep(0.3)
        broker.start()
        gate.happen(50)
    await delivered(gate, receiver)
    assert gate.count == 2350


async def test_a_server_that_restores_an_old_backup_gets_the_rest_again(gate, receiver, delivered, until):
    gate.start()
    gate.happen(900)
    await delivered(gate, receiver)
    receiver.server.forget(held=250)
    gate.happen(1)
    await delivered(gate, receiver)
    receiver.server.forget()
    gate.happen(1)
    await delivered(gate, receiver)


async def test_a_server_that_lost_everything_is_healed_by_the_next_status_alone(gate, receiver, delivered, until):
    gate.start()
    gate.happen(20)
    await delivered(gate, receiver)
    receiver.server.forget()
    gate.degraded = ["camera"]
    gate.wake.set()
    await until(lambda: receiver.server.last == 20, "everything again")
    await delivered(gate, receiver)


async def test_a_slow_server_gets_no_more_than_it_answers(gate, receiver, delivered, until):
    receiver.is_acking = False
    gate.happen(2000)
    gate.start()
    await until(lambda: receiver.batches >= 3, "repetitions")
    assert receiver.server.last <= 500
    assert gate.acked == 0
    receiver.is_acking = True
    await delivered(gate, receiver)


async def test_events_that_retention_dropped_are_a_known_gap_and_the_rest_arrives(gate, receiver, until):
    gate.start()
    gate.happen(10)
    await until(lambda: gate.acked == 10, "the first ten")
    await gate.stop()
    gate.happen(90)
    gate.journal.prune(datetime.now(UTC), keep_rows=40)
    gate.start()
    await until(lambda: gate.acked == 100, "the rest")
    assert receiver.server.lost == set(range(11, 61))
    assert list(receiver.server.events) == [*range(1, 11), *range(61, 101)]
    assert receiver.server.altered == []
    assert receiver.statuses[-1].journal.dropped == 50


async def test_a_journal_that_was_tampered_with_arrives_all_the_same_and_is_seen_to_be(gate, receiver, until, tmp_path):
    gate.happen(30)
    with contextlib.closing(sqlite3.connect(tmp_path / "state" / "journal.db")) as hand:
        hand.execute("UPDATE event SET body = '{}' WHERE seq = 7")
        hand.execute("UPDATE event SET hash = ? WHERE seq = 9", ("z" * 10**6,))
        hand.execute("DELETE FROM event WHERE seq = 20")
        hand.commit()
    gate.start()
    await until(lambda: gate.acked == 30, "the rest")
    assert receiver.server.lost == {20}
    assert receiver.server.altered[0] == 7


async def test_a_new_journal_after_a_new_card_is_a_new_stream(gate, receiver, delivered, tmp_path, until):
    gate.start()
    gate.happen(50)
    await delivered(gate, receiver)
    await gate.stop()
    gate.journal.close()
    for file in (tmp_path / "state").iterdir():
        file.unlink()
    gate.journal, gate.count = gate.opener(), 0
    gate.happen(5)
    gate.start()
    await delivered(gate, receiver)


# -- a broker or a server that lies ----------------------------------------------------------------------------------


async def test_a_broker_that_denies_and_says_success_delivers_nothing_and_counts_for_nothing(
    broker, gate, receiver, delivered, until
):
    broker.deny_events()
    await asyncio.sleep(0.5)
    gate.happen(20)
    gate.start()
    await until(lambda: (broker.folder / "log").read_text().count("Denied PUBLISH") >= 2, "two denials")
    assert (gate.acked, receiver.batches) == (0, 0)
    broker.allow_events()
    await delivered(gate, receiver)


GARBAGE = [
    b"",
    b"null",
    b"\xff\xfe",
    b"[" * 50_000,
    b"{}",
    b'{"v":2,"seq":5,"hash":"00"}',
    b'{"v":1,"seq":-1,"hash":"00"}',
    b'{"v":1,"seq":1e99,"hash":"00"}',
    b'{"v":1,"seq":99999999999999999999999,"hash":"00"}',
    b'{"v":1,"seq":5}',
    b" " * 105_000,
    encode(Ack(seq=5, hash="0" * 64)),
    encode(Ack(seq=0, hash="0" * 64)),
    encode(Ack(seq=2**63 - 1, hash="0" * 64)),
]


async def test_forged_and_garbage_acks_change_nothing_and_are_logged_once(gate, receiver, delivered, topics, caplog):
    receiver.is_acking = False
    gate.happen(10)
    gate.start()
    await receiver.until(lambda: receiver.batches, "a batch")
    for payload in GARBAGE:
        await receiver.client.publish(topics.ack, payload, qos=1)
    stale = encode(Ack(seq=10, hash=gate.journal.position().head_hash))
    await receiver.client.publish(topics.ack + "x", stale, qos=1)
    await receiver.until(lambda: receiver.batches > 3, "repetitions")
    assert gate.acked == 0
    assert len([r for r in caplog.records if "ignored" in r.message]) == 1
    receiver.is_acking = True
    await delivered(gate, receiver)


async def test_a_retained_ack_is_from_the_past_and_means_nothing(gate, receiver, until, topics):
    gate.happen(10)
    receiver.is_acking = False
    right = encode(Ack(seq=10, hash=gate.journal.position().head_hash))
    await receiver.client.publish(topics.ack, right, qos=1, retain=True)
    gate.start()
    await until(lambda: receiver.batches >= 2, "repetitions")
    assert gate.acked == 0


async def test_a_flood_of_acks_is_survived(gate, receiver, delivered, topics, until):
    gate.start()
    gate.happen(50)
    await delivered(gate, receiver)
    forged = encode(Ack(seq=3, hash="0" * 64))
    await asyncio.gather(*(receiver.client.publish(topics.ack, forged) for _ in range(3000)))
    gate.happen(50)
    await delivered(gate, receiver)


# -- no link ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def no_link(broker, gate, receiver, until, caplog):
    """With these settings nothing ever reaches the server, one line says why, and the journal goes on."""

    async def no_link(why, **settings):
        gate.settings = broker.settings(**settings)
        gate.start()
        await until(lambda: [r for r in caplog.records if "no link" in r.message], "the reason")
        gate.happen(5)
        await asyncio.sleep(1.0)
        said = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
        assert len(said) == 1 + ("ALERT" in said[0])  # the client's own words, once, where there are any
        assert re.search(why, said[0]), said
        assert (receiver.statuses, receiver.batches, gate.acked, gate.journal.position().head) == ([], 0, 0, 5)
        assert not gate.task.done()

    return no_link


async def test_a_server_of_another_authority_is_not_spoken_to(broker, no_link):
    trustme.CA().cert_pem.write_to_path(broker.folder / "other.pem")
    await no_link("CERTIFICATE_VERIFY_FAILED", ca=f"{broker.folder}/other.pem")


async def test_a_server_of_another_name_is_not_spoken_to(broker, no_link):
    await no_link("IP address mismatch", url=f"mqtts://127.0.0.1:{broker.port}")


async def test_a_gate_with_a_strangers_certificate_gets_no_link(broker, no_link):
    broker.certificate("stranger", ca=trustme.CA())
    f = broker.folder
    await no_link("UNKNOWN_CA", cert=f"{f}/stranger.pem", key=f"{f}/stranger.key")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"ca": "/nowhere/ca.pem"}, r"sync\.ca: /nowhere/ca\.pem"),
        ({"key": "/nowhere/key.pem"}, r"sync\.cert, sync\.key: .*/nowhere/key\.pem"),
        ({"url": "mqtts://localhost:99999"}, r"sync\.url: 'mqtts://localhost:99999'"),
        ({"url": "mqtt://localhost:1883"}, r"sync\.url: .*mqtts"),
    ],
)
async def test_settings_that_cannot_work_are_said_once_and_the_gate_goes_on(no_link, change, why):
    await no_link(why, **change)


async def test_certificates_put_right_later_are_taken_without_a_restart(broker, gate, receiver, delivered, caplog):
    caplog.set_level(logging.INFO)
    hidden = (broker.folder / "ca.pem").rename(broker.folder / "hidden.pem")
    gate.happen(3)
    gate.start()
    await receiver.until(lambda: [r for r in caplog.records if "no link" in r.message], "the reason")
    hidden.rename(broker.folder / "ca.pem")
    await delivered(gate, receiver)
    assert [r.levelname for r in caplog.records if r.name.startswith("gated.sync")] == ["WARNING", "INFO"]


async def test_a_journal_that_fails_ends_the_connection_and_not_the_link(gate, receiver, delivered, until):
    good, failures = gate.opener, iter([StateError("the card is gone")] * 2)

    def opener():
        for error in failures:
            raise error
        return good()

    gate.opener = opener
    gate.happen(3)
    gate.start()
    await delivered(gate, receiver)


async def test_a_fault_of_ours_is_not_taken_for_a_bad_network(gate):
    gate.status = lambda: 1 / 0
    gate.start()
    with pytest.raises((ZeroDivisionError, ExceptionGroup)):
        await asyncio.wait_for(gate.task, 60)
    gate.task = None
