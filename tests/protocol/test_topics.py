"""Tests of the topics on which a gate and its office publish and subscribe."""

from gated.protocol.topics import Topics


def test_the_topics_are_these_and_no_others():
    topics = Topics("market-south", "gate-2")
    spoken = {n: getattr(topics, n) for n, kind in vars(Topics).items() if isinstance(kind, property)}
    assert spoken.pop("up") == tuple(
        f"gated/1/market-south/gate-2/up/{w}" for w in ("status", "event", "reply", "request")
    )
    assert spoken.pop("down") == tuple(f"gated/1/market-south/gate-2/down/{w}" for w in ("ack", "record", "command"))
    assert set(spoken.values()) == {*topics.up, *topics.down}
    assert all(topic.endswith(f"/{name}") for name, topic in spoken.items())


def test_no_two_gates_share_a_topic():
    gates = [Topics("s", "a"), Topics("s", "b"), Topics("t", "a")]
    assert len({topic for gate in gates for topic in (*gate.up, *gate.down)}) == 21


def test_no_topic_has_a_wildcard_or_too_many_levels_for_any_broker():
    topics = Topics("s", "g")
    for topic in (*topics.up, *topics.down):
        assert topic.count("/") <= 7
        assert not set(topic) & set("#+$")
