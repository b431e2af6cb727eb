"""The subscription tree and the retained store against a naive matcher."""

import mqtt5
from hypothesis import given
from hypothesis import strategies as st

from foa.bus.mqtt.broker.records import Limits, Message
from foa.bus.mqtt.broker.routing.retained import RetainedStore
from foa.bus.mqtt.broker.topics import FilterTree, shared, valid_filter, valid_topic

LEVELS = st.sampled_from(["", "a", "b", "$x"])
TOPICS = st.lists(LEVELS, min_size=1, max_size=4).map("/".join).filter(bool)
FILTERS = st.builds(
    lambda levels, rest: "/".join([*levels, *rest]),
    st.lists(st.one_of(LEVELS, st.just("+")), min_size=1, max_size=4),
    st.sampled_from([[], ["#"]]),
).filter(bool) | st.just("#")


def matches(pattern: str, topic: str) -> bool:
    """The standard's words (MQTT 5, 4.7), level by level."""
    if topic.startswith("$") and pattern[0] in "+#":
        return False
    wanted, given_levels = pattern.split("/"), topic.split("/")
    for index, level in enumerate(wanted):
        if level == "#":
            return True
        if index >= len(given_levels) or level not in {"+", given_levels[index]}:
            return False
    return len(wanted) == len(given_levels) or (wanted[-1] == "#" and len(wanted) - 1 == len(given_levels))


@given(st.lists(FILTERS, max_size=12), st.lists(FILTERS, max_size=6), TOPICS)
def test_the_tree_matches_what_the_standard_says(put: list[str], popped: list[str], topic: str) -> None:
    tree: FilterTree[str] = FilterTree()
    for pattern in put:
        tree.put(pattern, "me", pattern)
    for pattern in popped:
        assert tree.pop(pattern, "me") == (pattern if pattern in put else None)
        put = [one for one in put if one != pattern]
    assert sorted(tree.match(topic)) == sorted(one for one in set(put) if matches(one, topic))
    for pattern in put:
        tree.pop(pattern, "me")
    assert not tree._root.children


def stored(topic: str, payload: bytes = b"x", expiry_s: int | None = None, at: float = 0.0) -> Message:
    packet = mqtt5.PublishPacket(topic, payload, retain=True, message_expiry_interval=expiry_s)
    return Message(packet, at, "me")


@given(st.lists(TOPICS, max_size=12), st.lists(TOPICS, max_size=6), FILTERS)
def test_the_retained_store_finds_what_the_standard_says(put: list[str], deleted: list[str], pattern: str) -> None:
    store = RetainedStore(Limits())
    for topic in put:
        assert store.put(stored(topic))
    for topic in deleted:
        assert store.put(stored(topic, b""))
    left = set(put) - set(deleted)
    assert sorted(one.packet.topic for one in store.matching(pattern, 0.0)) == sorted(
        topic for topic in left if matches(pattern, topic)
    )
    assert (store.count, store.size) == (len(left), len(left))
    for topic in left:
        store.put(stored(topic, b""))
    assert not store._root.children


def test_the_retained_store_refuses_above_its_caps() -> None:
    store = RetainedStore(Limits(max_retained=2, max_retained_bytes=10))
    assert store.put(stored("a", b"12345"))
    assert not store.put(stored("b/c", b"123456"))
    assert store.put(stored("b/c", b"12345"))
    assert not store.put(stored("d", b"1"))
    assert store.put(stored("a", b"1234"))  # a topic that is stored may change
    assert sorted(one.packet.topic for one in store.matching("#", 0)) == ["a", "b/c"]
    assert list(store._root.children) == ["a", "b"]


def test_expired_messages_leave_the_store_and_replaced_ones_do_not_fill_the_heap() -> None:
    store = RetainedStore(Limits())
    for round_ in range(5000):
        store.put(stored("presence/a", b"x", 60, at=float(round_)))
    assert len(store._expiries) <= 1003
    store.put(stored("b", b"x", 1, at=5000.0))
    assert store.deadline() == 5001.0 or store.deadline() < 5001.0  # type: ignore[operator]
    store.expire(5001.0)
    assert [one.packet.topic for one in store.matching("#", 5001.0)] == ["presence/a"]
    store.expire(6000.0)
    assert store.count == 0
    assert store.deadline() is None


def test_names_that_are_refused() -> None:
    for topic in ("", "a/+", "#", "a\0", "$share/g/t", "$SYS/x", "x" * 1025, "/" * 32):
        assert not valid_topic(topic, 1024, 32), topic
    for topic in ("/", "a//b", "$a2a/v1/x", "ä" * 512, "/" * 31):
        assert valid_topic(topic, 1024, 32), topic
    for pattern in ("", "a#", "#/a", "a+/b", "a\0", "+a", "/" * 32):
        assert not valid_filter(pattern, 1024, 32), pattern
    assert valid_filter("+/a/#", 1024, 32)
    assert shared("$share/g/a/#") == ("g", "a/#")
    for pattern in ("$share/", "$share/g", "$share/g/", "$share//t", "$share/+/t"):
        assert shared(pattern) is None, pattern
