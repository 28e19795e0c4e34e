"""Where the gate speaks and listens."""

from gated.sync.topics import Topics


def test_the_topics_are_these_and_no_others():
    topics = Topics("market-south", "gate-2")
    spoken = {name: getattr(topics, name) for name, kind in vars(Topics).items() if isinstance(kind, property)}
    assert spoken == {
        "status": "gated/1/market-south/gate-2/up/status",
        "event": "gated/1/market-south/gate-2/up/event",
        "ack": "gated/1/market-south/gate-2/down/ack",
    }


def test_no_topic_has_more_levels_than_the_strictest_broker_allows():
    assert all(
        topic.count("/") <= 7 for topic in [Topics("s", "g").status, Topics("s", "g").event, Topics("s", "g").ack]
    )
