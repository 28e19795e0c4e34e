"""Tests of the outbox by example, and with a network that loses, doubles and reorders and an office that forgets."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gated.errors import WireError
from gated.events import Stopped
from gated.journal.chain import Position, genesis, row_digest
from gated.journal.entry import MAX_BODY_BYTES, Entry, event_body, stamp
from gated.protocol.event_messages import Ack, EventBatch, WireEvent, first_altered
from gated.protocol.limits import MAX_EVENTS, MAX_PLAIN_BYTES
from gated.storage.valid_rows import MOST_INTEGER
from gated.sync.outbox import AHEAD_ROWS, AHEAD_S, Outbox, next_batch

SITE, GATE, JOURNAL = "market-south", "gate-2", "00112233aabbccdd"
TIMEOUT_S = 5.0


def position(head, acked=0, base=0):
    return Position(SITE, GATE, JOURNAL, base, "b" * 64, head, "h" * 64, acked, 0)


def entries(count, first=1, body="{}"):
    return [
        Entry(seq, "2026-01-01T00:00:00.000000Z", "door_closed", body, "a" * 64) for seq in range(first, first + count)
    ]


def ack(seq, row_hash="a" * 64, journal=JOURNAL):
    return Ack(site=SITE, gate=GATE, journal=journal, seq=seq, hash=row_hash)


def read(payload, kind):
    return msgspec.json.decode(payload, type=kind)


def sent(outbox, last, head, now=0.0):
    """Tell the outbox that a batch in order, with row `last` as its only row, was sent."""
    outbox.note_sent(next_batch(position(head), 0, "", entries(1, first=last)), position(head), now)


# -- when ------------------------------------------------------------------------------------------------------------


def test_nothing_is_due_while_the_server_holds_everything():
    assert not Outbox(TIMEOUT_S).is_due(position(head=0), now=0.0)
    assert not Outbox(TIMEOUT_S).is_due(position(head=9, acked=9), now=0.0)
    assert not Outbox(TIMEOUT_S).is_due(position(head=9, acked=3, base=9), now=0.0)


def test_one_batch_is_on_its_way_until_the_ack_or_the_timeout():
    outbox = Outbox(TIMEOUT_S)
    assert outbox.is_due(position(head=9), now=0.0)
    sent(outbox, 9, 9, now=1.0)
    assert not outbox.is_due(position(head=10), now=5.999)
    assert outbox.is_due(position(head=10), now=6.0)


def test_each_row_of_a_batch_is_encoded_once_to_measure_it(monkeypatch):
    encoded, encode = [], msgspec.json.encode
    monkeypatch.setattr(msgspec.json, "encode", lambda value: encoded.append(value) or encode(value))
    batch = next_batch(position(30), 0, "", entries(30))
    rows = [value.seq for value in encoded if not isinstance(value, EventBatch)]
    assert rows == [event.seq for event in batch.events]
    assert len(rows) == 30


def test_an_ack_makes_the_next_batch_due_at_once():
    outbox = Outbox(TIMEOUT_S)
    sent(outbox, 5, 9, now=1.0)
    assert outbox.apply_ack(ack(5), position(head=9), "a" * 64, 1.0) == 5
    assert outbox.is_due(position(head=9, acked=5), now=1.0)


def test_a_new_connection_sends_again_at_once():
    outbox = Outbox(TIMEOUT_S)
    sent(outbox, 5, 9, now=1.0)
    outbox.restart()
    assert outbox.is_due(position(head=9), now=1.0)


# -- ahead -----------------------------------------------------------------------------------------------------------


def test_nothing_goes_ahead_where_one_batch_holds_all_that_waits():
    outbox = Outbox(TIMEOUT_S)
    assert outbox.ahead_after(position(head=3), 0.0) is None
    sent(outbox, 3, 3)
    assert outbox.ahead_after(position(head=5), 0.0) is None


def test_the_newest_rows_of_a_backlog_go_ahead_and_each_once():
    outbox = Outbox(TIMEOUT_S)
    sent(outbox, 100, 1000)
    assert outbox.ahead_after(position(head=1000), 0.0) == 1000 - AHEAD_ROWS
    ahead = next_batch(position(1000), 949, "", entries(50, first=951), is_ahead=True)
    outbox.note_sent_ahead(ahead, 0.0)
    assert ahead.is_ahead
    assert outbox.ahead_after(position(head=1000), 10.0) is None
    assert outbox.ahead_after(position(head=1003), 10.0) == 1000
    outbox.restart()
    sent(outbox, 100, 1003, 11.0)
    assert outbox.ahead_after(position(head=1003), 12.0) == 1000


def test_a_flood_of_news_goes_ahead_only_so_often():
    outbox = Outbox(TIMEOUT_S)
    sent(outbox, 100, 1000)
    outbox.note_sent_ahead(next_batch(position(1000), 949, "", entries(50, first=951), is_ahead=True), 5.0)
    assert outbox.ahead_after(position(head=2000), 5.0 + AHEAD_S * 0.9) is None
    assert outbox.ahead_after(position(head=2000), 5.0 + AHEAD_S) == 2000 - AHEAD_ROWS


def test_an_event_on_its_way_in_order_is_not_sent_ahead_too():
    outbox = Outbox(TIMEOUT_S)
    sent(outbox, 990, 1000)
    assert outbox.ahead_after(position(head=1000), 0.0) == 990


def test_once_the_rest_fits_into_one_batch_nothing_more_goes_ahead():
    outbox = Outbox(TIMEOUT_S)
    sent(outbox, 100, 1000)
    sent(outbox, 1000, 1000, 1.0)
    assert outbox.ahead_after(position(head=1001, acked=100), 9.0) is None


def test_a_new_journal_begins_anew():
    outbox = Outbox(TIMEOUT_S)
    sent(outbox, 100, 1000)
    outbox.note_sent_ahead(next_batch(position(1000), 949, "", entries(50, first=951), is_ahead=True), 0.0)
    sent(outbox, 5, 20, 1.0)
    assert outbox.ahead_after(position(head=20), 2.0) is None  # these rows come soon, in their order


# -- what an ack means -----------------------------------------------------------------------------------------------


def test_an_ack_counts_only_with_the_hash_of_that_row():
    outbox = Outbox(TIMEOUT_S)
    sent(outbox, 9, 9)
    for known in ("c" * 64, None):
        with pytest.raises(WireError, match="row 5 with a hash"):
            outbox.apply_ack(ack(5), position(head=9), known, 0.1)
    assert not outbox.is_due(position(head=9), now=0.1)


def test_an_ack_of_another_journal_is_refused():
    with pytest.raises(WireError, match="another journal"):
        Outbox(TIMEOUT_S).apply_ack(ack(5, journal="x"), position(head=9), "a" * 64, 0.0)


def test_an_ack_beyond_the_head_is_refused_even_with_a_hash_that_fits():
    with pytest.raises(WireError, match="ends at 9"):
        Outbox(TIMEOUT_S).apply_ack(ack(10), position(head=9), "a" * 64, 0.0)


def test_an_ack_of_less_than_before_has_the_rest_sent_again():
    outbox = Outbox(TIMEOUT_S)
    sent(outbox, 9, 9)
    assert outbox.apply_ack(ack(2), position(head=9, acked=7), "a" * 64, 0.0) == 2
    assert outbox.is_due(position(head=9, acked=2), now=0.0)


def test_replayed_old_acknowledgements_cause_few_disk_writes():
    outbox = Outbox(TIMEOUT_S)
    assert outbox.apply_ack(ack(2), position(head=9, acked=7), "a" * 64, 0.0) == 2
    assert outbox.apply_ack(ack(7), position(head=9, acked=2), "a" * 64, 0.1) == 7
    for now in (0.2, TIMEOUT_S - 0.1):
        assert outbox.apply_ack(ack(2), position(head=9, acked=7), "a" * 64, now) is None
    assert outbox.apply_ack(ack(2), position(head=9, acked=7), "a" * 64, TIMEOUT_S) == 2


def test_an_ack_of_what_is_already_acknowledged_repeats_nothing():
    outbox = Outbox(TIMEOUT_S)
    sent(outbox, 9, 9)
    assert outbox.apply_ack(ack(7), position(head=9, acked=7), "a" * 64, 0.0) is None
    assert not outbox.is_due(position(head=9, acked=7), now=0.1)


def test_an_ack_from_before_the_anchor_asks_for_all_that_is_left():
    assert Outbox(TIMEOUT_S).apply_ack(ack(3, "?"), position(head=9, acked=7, base=5), None, 0.0) == 3
    with pytest.raises(WireError):
        Outbox(TIMEOUT_S).apply_ack(ack(5, "?"), position(head=9, acked=7, base=5), "b" * 64, 0.0)


# -- batches ---------------------------------------------------------------------------------------------------------


def test_a_batch_names_its_gate_its_journal_its_rows_and_what_they_stand_on():
    batch = next_batch(position(head=9), 3, "p" * 64, entries(3, first=4))
    assert (batch.site, batch.gate, batch.journal) == (SITE, GATE, JOURNAL)
    assert (batch.after, batch.first, batch.last, batch.prev) == (3, 4, 6, "p" * 64)
    assert [event.seq for event in batch.events] == [4, 5, 6]
    assert read(msgspec.json.encode(batch), EventBatch) == batch


def test_a_batch_ends_at_a_gap_at_500_events_and_before_it_is_too_long():
    gap = entries(3) + entries(3, first=5)
    assert next_batch(position(head=9), 0, "", gap).last == 3
    small = [Entry(seq, "", "", "", "") for seq in range(1, 502)]
    assert next_batch(position(head=999), 0, "", small).last == MAX_EVENTS
    long = next_batch(position(head=999), 0, "", entries(400, body="x" * 1000))
    assert MAX_PLAIN_BYTES - 1300 < len(msgspec.json.encode(long)) <= MAX_PLAIN_BYTES


@given(
    st.lists(
        st.tuples(st.text(max_size=64), st.text(max_size=64), st.integers(0, MAX_BODY_BYTES), st.characters()),
        min_size=1,
        max_size=12,
    ),
    st.integers(1, 2**62),
)
@settings(deadline=None)
def test_every_stored_row_fits_on_the_wire(rows, first):
    raw = [
        (
            first + n,
            b"\x1f" * 40,
            kind.encode(errors="replace"),
            (c * length).encode(errors="replace"),
            h.encode(errors="replace"),
        )
        for n, (kind, h, length, c) in enumerate(rows)
    ]
    on_disk = [Entry.read(row) for row in raw]
    batch = next_batch(position(head=first + len(rows)), first - 1, None, on_disk)
    assert read(msgspec.json.encode(batch), EventBatch) == batch
    assert on_disk[0].body.startswith(batch.events[0].body)
    assert len(msgspec.json.encode(batch)) <= MAX_PLAIN_BYTES


@given(st.lists(st.text(max_size=200), max_size=3))
def test_a_row_is_never_shorter_on_the_wire_than_its_lower_bound(texts):
    at, kind, body = [*texts, "", "", ""][:3]
    entry = Entry(1, at, kind, body, "a" * 64)
    assert len(msgspec.json.encode(WireEvent(1, at, kind, body, entry.hash))) >= entry.least_bytes


def test_the_worst_row_of_all_still_fits():
    for worst in ("\x1f", "\U0001f6aa", '"'):
        long = (worst * 99_999).encode()
        row = Entry.read((MOST_INTEGER, b"\x1f" * 99, b"\x1f" * 99, long, b"\x1f" * 99))
        plain = msgspec.json.encode(next_batch(position(head=MOST_INTEGER), 0, None, [row]))
        assert len(plain) <= MAX_PLAIN_BYTES


def test_a_row_that_we_wrote_ourselves_is_never_cut():
    at, body = datetime(2027, 1, 15, tzinfo=UTC), event_body(Stopped('"\\' * (MAX_BODY_BYTES // 4 - 20)))
    assert len(body) > MAX_BODY_BYTES * 0.9
    row = Entry(1, stamp(at), "stopped", body, "a" * 64)
    assert next_batch(position(head=1), 0, None, [row]).events[0].body == body


# -- the whole, with a bad network -----------------------------------------------------------------------------------


class World:
    """A gate's journal in memory, its outbox, an unreliable network, and an office."""

    def __init__(self, server, batch_rows):
        self.server, self.batch_rows = server, batch_rows
        self.rows, self.acked, self.now, self.ahead = [], 0, 0.0, set()
        self.outbox, self.up, self.down = Outbox(TIMEOUT_S), [], []

    def position(self):
        head_hash = self.known(len(self.rows))
        return Position(SITE, GATE, JOURNAL, 0, self.known(0), len(self.rows), head_hash, self.acked, 0)

    def known(self, seq):
        if seq == 0:
            return genesis(SITE, GATE, JOURNAL)
        return self.rows[seq - 1].hash if seq <= len(self.rows) else None

    def append(self, count):
        for _ in range(count):
            seq, at, kind, body = len(self.rows) + 1, "2026-01-01T00:00:00.000000Z", "door_closed", "{}"
            row_hash = row_digest(self.known(seq - 1), seq, at.encode(), kind.encode(), body.encode())
            self.rows.append(Entry(seq, at, kind, body, row_hash))

    def gate_looks(self):
        if self.outbox.is_due(self.position(), self.now):
            waiting = self.rows[self.acked : self.acked + self.batch_rows]
            batch = next_batch(self.position(), self.acked, self.known(self.acked), waiting)
            self.outbox.note_sent(batch, self.position(), self.now)
            self.up.append(msgspec.json.encode(batch))
        after = self.outbox.ahead_after(self.position(), self.now)
        if after is not None:
            batch = next_batch(self.position(), after, self.known(after), self.rows[after:], is_ahead=True)
            self.outbox.note_sent_ahead(batch, self.now)
            assert self.ahead.isdisjoint(range(batch.first, batch.last + 1))
            self.ahead |= set(range(batch.first, batch.last + 1))
            self.up.append(msgspec.json.encode(batch))

    def server_gets(self, index):
        if self.up:
            answer = self.server.take(read(self.up.pop(index % len(self.up)), EventBatch))
            if answer is not None:
                self.down.append(msgspec.json.encode(answer))

    def gate_gets(self, index):
        if self.down:
            ack = read(self.down.pop(index % len(self.down)), Ack)
            try:
                held = self.outbox.apply_ack(ack, self.position(), self.known(ack.seq), self.now)
            except WireError:
                raise AssertionError("an honest server was taken for a liar") from None
            self.acked = self.acked if held is None else held

    def lose(self, index):
        for queue in (self.up, self.down):
            if queue:
                queue.pop(index % len(queue))

    def double(self, index):
        for queue in (self.up, self.down):
            if queue:
                queue.insert(index % (len(queue) + 1), queue[index % len(queue)])

    def reconnect(self, _):
        self.outbox.restart()
        self.up, self.down = [], []

    def wait(self, quarter_seconds):
        self.now += quarter_seconds / 4

    def server_forgets(self, held):
        self.server.forget(held)

    def calm_down(self):
        """Make the network reliable, let a status reach the office, and return the number of batches until all is
        quiet.
        """
        answer = self.server.ack()
        self.down += [msgspec.json.encode(answer)] if answer and self.server.last < self.acked else []
        sent = 0
        while self.up or self.down or self.acked < len(self.rows):
            self.now += TIMEOUT_S
            self.gate_looks()
            sent += len(self.up)
            while self.up:
                self.server_gets(0)
            while self.down:
                self.gate_gets(0)
            assert sent < 500, "it never comes to rest"


ACTIONS = ["append", "gate_looks", "server_gets", "gate_gets", "lose", "double", "reconnect", "wait", "server_forgets"]
acts = st.one_of(
    st.tuples(st.sampled_from(["gate_looks", "server_gets", "gate_gets"]), st.integers(0, 9)),
    st.tuples(st.sampled_from(ACTIONS), st.integers(0, 9)),
)


@given(st.lists(acts, max_size=80), st.integers(1, 4))
@settings(max_examples=300, deadline=None)
def test_after_any_faults_the_office_has_every_event_once_and_in_order(server_kind, actions, batch_rows):
    world = World(server_kind(), batch_rows)
    for name, number in actions:
        if name == "gate_looks":
            world.gate_looks()
        else:
            getattr(world, name)(number)
        assert world.acked <= len(world.rows)
    world.append(1)
    world.calm_down()
    held = world.server.events
    assert list(held) == list(range(1, len(world.rows) + 1))
    assert [event.hash for event in held.values()] == [row.hash for row in world.rows]
    assert world.acked == len(world.rows)
    assert (world.server.lost, world.server.altered) == (set(), [])
    assert all(event.hash == world.rows[seq - 1].hash for seq, event in world.server.news.items())


@given(st.integers(1, 40), st.integers(1, 4), st.integers(1, 5))
def test_doubled_acks_do_not_double_what_is_sent(server_kind, count, batch_rows, copies):
    world, sent = World(server_kind(), batch_rows), 0
    world.append(count)
    while world.acked < count:
        world.gate_looks()
        while world.up:
            sent += not read(world.up[0], EventBatch).is_ahead
            world.server_gets(0)
        world.down *= copies
        while world.down:
            world.gate_gets(0)
            world.gate_looks()
    assert sent + len(world.up) <= -(-count // batch_rows) + 2


def test_the_servers_misfit_finds_a_row_that_was_altered_on_the_way(server_kind):
    world = World(server_kind(), 4)
    world.append(4)
    world.gate_looks()
    batch = read(world.up[0], EventBatch)
    assert first_altered(batch, batch.prev) is None
    altered = msgspec.structs.replace(batch.events[2], body='{"x":1}')
    events = [*batch.events[:2], altered, batch.events[3]]
    assert first_altered(msgspec.structs.replace(batch, events=events), batch.prev) == 3
