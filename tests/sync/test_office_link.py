"""Tests of the link with a real broker: delivery, messages that must never arrive, and recovery from failures."""

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

from gated.errors import StateError, WithdrawnError
from gated.events import CallPressed, Commanded, Stopped
from gated.protocol.command_messages import Command, ReleaseDoor, Reply, Share, Suspend
from gated.protocol.event_messages import Ack
from gated.protocol.record_messages import Delta
from gated.protocol.wire_records import Tombstone
from gated.storage.valid_rows import MOST_INTEGER
from gated.sync.command_desk import CommandOutcome
from gated.sync.office_link import JUNK, JUNK_PER_S

# -- status ----------------------------------------------------------------------------------------------------------


async def test_the_first_status_is_online_and_retained(broker, gate, receiver, until, topics):
    gate.happen(3)
    gate.start()
    await until(lambda: receiver.statuses, "a status")
    birth = receiver.statuses[0]
    assert (birth.state, birth.version, birth.door, birth.people) == ("online", "0.1.0", "secured", 72)
    assert (birth.templates, birth.models, birth.records.version) == (216, "site", 0)
    assert birth.journal.head == 3
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", birth.at)
    async with broker.client("office") as late:
        await late.subscribe(topics.status)
        assert (await anext(aiter(late.messages))).retain


async def test_a_state_change_waits_for_the_next_status_and_a_call_does_not(broker, gate, receiver, until):
    gate.settings = broker.settings(status_s=60.0)
    gate.start()
    await until(lambda: receiver.statuses, "a status")
    gate.degraded = ["vision"]
    gate.happen(5)
    gate.wake.set()
    await asyncio.sleep(1.5)
    assert (len(receiver.statuses), receiver.batches) == (1, 0)
    gate.journal.append(CallPressed(), datetime.now(UTC))
    gate.wake.set()
    await until(lambda: receiver.batches, "the call, and all that was before it")
    assert len(receiver.statuses) == 1


async def test_the_loss_and_return_of_the_link_are_each_reported_once(broker, gate, until):
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


async def test_a_dead_gate_is_shown_offline_by_its_last_will(broker, gate, receiver, until):
    gate.start()
    await until(lambda: receiver.states == ["online"], "the birth")
    impostor = broker.client("gate-2", identifier="gated-market-south-gate-2")
    gate.settings = broker.settings(backoff_max_s=60)
    async with impostor:  # the broker disconnects the first client of that name without a goodbye
        await until(lambda: "offline" in receiver.states, "the last will")


async def test_a_stopped_gate_sends_offline_and_stays_offline(gate, receiver, until):
    gate.start()
    await until(lambda: receiver.states == ["online"], "the birth")
    await gate.stop()
    await until(lambda: receiver.states == ["online", "offline"], "the goodbye")
    assert gate.task.cancelled()


async def test_stopping_does_not_wait_for_a_hanging_broker(broker, gate, receiver, until):
    gate.start()
    await until(lambda: receiver.states == ["online"], "the birth")
    broker.process.send_signal(signal.SIGSTOP)
    try:
        await asyncio.wait_for(gate.stop(), 9)  # the client's own timeout is 10 s
    finally:
        broker.process.send_signal(signal.SIGCONT)


@pytest.mark.slow
async def test_the_link_can_be_stopped_at_any_moment(broker, gate, receiver):
    dice = random.Random(20261123)
    for turn in range(60):
        gate.happen(dice.randint(0, 3))
        gate.start()
        await asyncio.sleep(dice.random() * 0.06)
        if turn % 10 == 9:
            broker.kill()
        await asyncio.wait_for(gate.stop(), 9)  # the client's own timeout is 10 s
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


async def test_events_of_another_process_are_sent_too(gate, receiver, delivered):
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
    gate.happen(10_000)
    began = time.monotonic()
    gate.start()
    await delivered(gate, receiver)
    rate = 10_000 / (time.monotonic() - began)
    print(f"\ndrained 10,000 events in {receiver.batches} batches at {rate:,.0f} events/s")
    assert receiver.batches < 10_000 / 50  # a message holds many events; else a slow network would take very long


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


async def test_a_slow_office_gets_only_one_batch_at_a_time(gate, receiver, delivered, until):
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


async def test_an_altered_journal_still_arrives_and_is_detected(gate, receiver, until, tmp_path):
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


# -- a hostile broker or office --------------------------------------------------------------------------------------


async def test_a_confirmation_of_a_broker_that_delivers_nothing_does_not_count(
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


def acks(seq, row_hash="0" * 64, journal="x"):
    return Ack(site="market-south", gate="gate-2", journal=journal, seq=seq, hash=row_hash)


async def test_forged_and_garbage_acks_change_nothing_and_are_logged_once(
    gate, receiver, delivered, topics, caplog, stranger, office_peer
):
    receiver.is_acking = False
    gate.happen(10)
    gate.start()
    await receiver.until(lambda: receiver.batches, "a batch")
    position = gate.journal.position()
    right = acks(10, position.head_hash, position.journal)
    wrong = [
        acks(5, journal=position.journal),
        acks(MOST_INTEGER, journal=position.journal),
        acks(10, position.head_hash),
    ]
    for payload in [
        *(b"", b"null", b"\xff\xfe", b"[" * 50_000, b"a.b.c", b".." * 9000, b" " * 105_000),
        *(office_peer.write(ack) for ack in wrong),
        stranger.write(right),
        office_peer.write(right)[:-3] + b"AAA",
    ]:
        await receiver.client.publish(topics.ack, payload, qos=1)
    await receiver.client.publish(topics.record, office_peer.write(right), qos=1)
    await receiver.client.publish(topics.ack + "x", office_peer.write(right), qos=1)
    await receiver.until(lambda: receiver.batches > 3, "repetitions")
    assert gate.acked == 0
    assert len([r for r in caplog.records if "ignored" in r.message]) == 1
    receiver.is_acking = True
    await delivered(gate, receiver)


async def test_a_retained_ack_is_from_the_past_and_means_nothing(gate, receiver, until, topics, office_peer):
    gate.happen(10)
    receiver.is_acking = False
    position = gate.journal.position()
    right = office_peer.write(acks(10, position.head_hash, position.journal))
    await receiver.client.publish(topics.ack, right, qos=1, retain=True)
    gate.start()
    await until(lambda: receiver.batches >= 2, "repetitions")
    assert gate.acked == 0


async def test_a_flood_of_forged_acks_is_survived(gate, receiver, delivered, topics, until, stranger):
    gate.start()
    gate.happen(50)
    await delivered(gate, receiver)
    forged = [stranger.write(acks(n)) for n in range(130)]
    await asyncio.gather(*(receiver.client.publish(topics.ack, payload) for payload in forged))
    gate.happen(50)
    await delivered(gate, receiver)


async def test_an_unexpected_message_error_affects_only_that_message(gate, receiver, delivered, caplog):
    gate.start()
    await receiver.until(lambda: receiver.statuses, "the birth")
    gate.records.trouble = KeyError("Zhang Wei")
    await receiver.publish(
        Delta(site="market-south", gate="gate-2", after=0, upto=1, records=[Tombstone(n=1, key="person/1")])
    )
    await receiver.until(lambda: "KeyError" in caplog.text, "the trouble")
    assert "Zhang" not in caplog.text
    gate.happen(5)
    await delivered(gate, receiver)


# -- commands --------------------------------------------------------------------------------------------------------


def order(number, action=Suspend("a" * 16, 7), **other):  # noqa: B008 - frozen
    values = {"at": datetime.now(UTC).isoformat(), "operator": "li", "reason": "called"} | other
    return Command(site="market-south", gate="gate-2", id=f"{number:032x}", number=number, action=action, **values)


async def test_a_command_is_executed_once_answered_and_recorded(gate, receiver, until):
    gate.start()
    await until(lambda: receiver.statuses, "the birth")
    first = order(1)
    for command in (first, first, order(2, Share("a" * 16, "west"), at="2020-01-01T00:00:00Z")):
        await receiver.publish(command)
    await until(lambda: len(receiver.replies) >= 2, "the answers")
    outcomes = {reply.command: reply.outcome for reply in receiver.replies if isinstance(reply, Reply)}
    assert outcomes == {first.id: "done", order(2).id: "refused"}
    assert gate.orders == [first]
    await until(lambda: len(gate.facts) == 2, "both facts")
    written = {(f.action, f.operator, f.reason, f.outcome) for f in gate.facts if isinstance(f, Commanded)}
    assert written == {("suspend", "li", "called", "done"), ("share", "li", "called", "refused")}


async def test_a_command_with_a_waiting_operator_is_requested_and_confirmed(gate, receiver, until):
    outcomes = []

    async def carefully(command, talk):
        gate.orders.append(command)
        talk.show_progress("begins")
        try:
            await talk.confirm("all but done")
        except WithdrawnError as error:
            return CommandOutcome("refused", str(error))
        outcomes.append(command.id)
        return CommandOutcome("done")

    gate.perform = carefully
    gate.start()
    await until(lambda: receiver.statuses, "the birth")
    await receiver.order(1, ReleaseDoor())
    await until(lambda: len(receiver.replies) == 1, "the answer")
    assert (receiver.replies[0].outcome, outcomes) == ("done", [gate.orders[0].id])
    assert [ask.step for ask in receiver.asked] == ["begin", "commit"]
    assert [told.says for told in receiver.told] == ["begins"]
    receiver.gives_up_at = "commit"
    await receiver.order(2, ReleaseDoor())
    await until(lambda: len(receiver.replies) == 2, "the second answer")
    assert (receiver.replies[1].outcome, len(outcomes)) == ("refused", 1), "nobody waited when it was asked last"


async def test_a_long_command_delays_nothing_and_its_answer_survives_a_reconnection(
    broker, gate, receiver, delivered, until
):
    may_end = asyncio.Event()

    async def slowly(command, talk):
        gate.orders.append(command)
        await may_end.wait()
        return CommandOutcome("done", "at last")

    gate.perform = slowly
    gate.start()
    await until(lambda: receiver.statuses, "the birth")
    await receiver.publish(order(1))
    await until(lambda: gate.orders, "the order")
    gate.happen(20)
    await delivered(gate, receiver)
    broker.kill()
    await until(lambda: gate.links[-1] is not None and not receiver.is_up.is_set(), "the loss on both sides")
    broker.start()
    await until(receiver.is_up.is_set, "somebody who hears the answer")
    may_end.set()
    await until(lambda: receiver.replies, "the answer")
    assert receiver.replies[0].why == "at last"


async def test_a_retained_command_is_not_executed(gate, receiver, until, topics, office_peer):
    await receiver.client.publish(topics.command, office_peer.write(order(1)), qos=1, retain=True)
    gate.start()
    await until(lambda: receiver.statuses, "the birth")
    await receiver.publish(order(2))
    await until(lambda: receiver.replies, "the answer to the other")
    assert [command.number for command in gate.orders] == [2]


async def test_a_command_of_a_stranger_or_for_another_gate_is_not_executed(
    gate, receiver, until, topics, stranger, office_peer
):
    gate.start()
    await until(lambda: receiver.statuses, "the birth")
    for payload in (stranger.write(order(1)), office_peer.write(order(2)).replace(b".", b"..")):
        await receiver.client.publish(topics.command, payload, qos=1)
    await receiver.publish(order(3))
    await until(lambda: receiver.replies, "the answer to the last")
    assert [command.number for command in gate.orders] == [3]


# -- new rows while older rows wait ----------------------------------------------------------------------------------


async def test_new_events_are_sent_before_a_backlog_and_again_in_order(gate, receiver, delivered, until):
    receiver.is_acking = False
    gate.happen(2000)
    gate.start()
    await until(lambda: receiver.batches, "the first of the backlog")
    gate.happen(1)
    await until(lambda: 2001 in receiver.server.news, "the news")
    assert receiver.server.last < 2000
    receiver.is_acking = True
    await delivered(gate, receiver)


# -- MQTT versions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("protocol", "spoken"), [("auto", "p5"), ("5", "p5"), ("3.1.1", "p2")])
async def test_mqtt_5_is_spoken_where_both_may(broker, gate, receiver, until, protocol, spoken):
    gate.settings = broker.settings(protocol=protocol)
    gate.start()
    await until(lambda: receiver.statuses, "the birth")
    said = re.findall(r"as gate-2 \((p\d)", (broker.folder / "log").read_text())
    assert said == [spoken]


# -- no link ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def no_link(broker, gate, receiver, until, caplog):
    """Check that with these settings no message reaches the office, one log line gives the reason, and the journal
    continues.
    """

    async def no_link(why, **settings):
        gate.settings = broker.settings(**settings)
        gate.start()
        await until(lambda: [r for r in caplog.records if "cannot connect" in r.message], "the reason")
        gate.happen(5)
        await asyncio.sleep(0.4)
        logged = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
        assert len(logged) == 1
        assert re.search(why, logged[0]), logged
        assert (receiver.statuses, receiver.batches, gate.acked, gate.journal.position().head) == ([], 0, 0, 5)
        assert not gate.task.done()

    return no_link


async def test_a_server_of_another_authority_is_not_spoken_to(broker, no_link):
    trustme.CA().cert_pem.write_to_path(broker.folder / "other.pem")
    await no_link("CERTIFICATE_VERIFY_FAILED", ca=f"{broker.folder}/other.pem")


async def test_a_server_of_another_name_is_not_spoken_to(broker, no_link):
    await no_link("IP address mismatch", url=f"mqtts://127.0.0.1:{broker.port}")


async def test_a_gate_with_a_strangers_certificate_gets_no_link(broker, no_link):
    broker.certificate("gate-2", ca=trustme.CA())
    await no_link("UNKNOWN_CA")


async def test_a_gate_with_another_gates_certificate_names_that_gate(broker, no_link):
    broker.certificate("gate-9")
    f = broker.folder
    await no_link("is gate-9's, and this gate is gate-2", cert=f"{f}/gate-9.pem", key=f"{f}/gate-9.key")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"ca": "/nowhere/ca.pem"}, r"sync\.ca: /nowhere/ca\.pem"),
        ({"key": "/nowhere/key.pem"}, r"sync\.cert, sync\.key: .*/nowhere/key\.pem"),
        ({"url": "mqtts://localhost:99999"}, r"sync\.url: 'mqtts://localhost:99999'"),
        ({"url": "mqtt://localhost:1883"}, r"sync\.url: .*mqtts"),
    ],
)
async def test_settings_that_cannot_work_are_logged_once_and_the_gate_works_on(no_link, change, why):
    await no_link(why, **change)


async def test_certificates_put_right_later_are_taken_without_a_restart(broker, gate, receiver, delivered, caplog):
    caplog.set_level(logging.INFO)
    hidden = (broker.folder / "ca.pem").rename(broker.folder / "hidden.pem")
    gate.happen(3)
    gate.start()
    await receiver.until(lambda: [r for r in caplog.records if "cannot connect" in r.message], "the reason")
    hidden.rename(broker.folder / "ca.pem")
    await delivered(gate, receiver)
    assert [r.levelname for r in caplog.records if r.name.startswith("gated.sync")] == ["WARNING", "INFO"]


async def test_a_journal_that_fails_rests_and_the_link_stays(gate, receiver, delivered, until, caplog):
    good, failures = gate.opener, iter([StateError("the card is gone")])

    def opener():
        for error in failures:
            raise error
        return good()

    gate.opener = opener
    gate.happen(3)
    gate.start()
    await delivered(gate, receiver)
    assert gate.links == [None]
    assert len([r for r in caplog.records if "the card is gone" in r.message]) == 1


async def test_a_programming_error_is_not_reported_as_a_network_fault(gate):
    gate.vitals = lambda: 1 / 0
    gate.start()
    with pytest.raises((ZeroDivisionError, ExceptionGroup)):
        await asyncio.wait_for(gate.task, 60)
    gate.task = None


async def test_the_end_closes_every_file(gate, receiver, until):
    gate.start()
    await until(lambda: receiver.statuses, "the birth")
    await gate.stop()
    await until(lambda: gate.records.is_closed, "the files")


# -- a hostile broker ------------------------------------------------------------------------------------------------


async def test_where_mqtt_5_is_refused_3_1_1_is_spoken_at_once_and_from_then_on(fake, fooled, until):
    fake.connack[5] = b"\x20\x02\x00\x01"
    fooled.start()
    await until(lambda: fooled.links == [None], "the link")
    fake.writer.transport.abort()
    await until(lambda: len(fooled.links) == 3, "the next")
    assert (fake.levels, fooled.links[2]) == ([5, 4, 4], None)


async def test_a_broker_that_never_answers_is_one_line_and_a_long_row_of_attempts(
    fake, fooled, until, caplog, monkeypatch
):
    monkeypatch.setattr("gated.protocol.mqtt.CONNECT_S", 0.1)
    fake.connack = {4: b"", 5: b""}
    fooled.start()
    await until(lambda: len(fake.levels) >= 4, "attempts")
    assert set(fake.levels) == {4, 5}
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == [
        "cannot connect to the office, trying again until it works: the broker does not answer"
    ]


async def test_a_certificate_that_has_expired_is_named(fake, fooled, until, authority):
    old = authority.issue_cert("localhost", not_after=datetime(2020, 1, 1, tzinfo=UTC))
    old.configure_cert(fake.context)
    fooled.start()
    await until(lambda: fooled.links, "the reason")
    assert "certificate has expired" in fooled.links[0]
    assert fake.levels == []


async def test_a_flood_of_invalid_messages_is_read_at_a_limited_rate(fake, fooled, until, topics, published, stranger):
    heard, side = [0], fooled.side

    def counting():
        it = side()
        handle_message = it.handle_message

        def counted(*what):
            heard[0] += 1
            return handle_message(*what)

        it.handle_message = counted
        return it

    fooled.side = counting
    fooled.start()
    await until(lambda: fooled.links == [None], "the link")
    properties = b"\x00"
    junk = published(topics.ack, properties + stranger.write(acks(1))) * 5000
    began, used = time.monotonic(), time.process_time()
    flood = asyncio.create_task(fake.send(junk * 4))
    await asyncio.sleep(3.0)
    elapsed = time.monotonic() - began
    print(
        f"\n{heard[0]} heard in {elapsed:.1f} s; {(time.process_time() - used) / elapsed:.1%} of one, the flood's too"
    )
    assert JUNK <= heard[0] <= JUNK + JUNK_PER_S * (elapsed + 2)
    flood.cancel()


async def test_genuine_messages_are_read_without_a_limit(fake, fooled, until, topics, published, office_peer):
    fooled.start()
    await until(lambda: fooled.links == [None], "the link")
    deltas = [Delta(site="market-south", gate="gate-2", after=n, upto=n + 1, records=[]) for n in range(3 * JUNK)]
    await fake.send(b"".join(published(topics.record, b"\x00" + office_peer.write(delta)) for delta in deltas))
    await until(lambda: len(fooled.records.heard) == len(deltas), "all of them")
    assert fooled.records.heard == deltas
