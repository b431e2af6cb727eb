"""Topics: parse∘build = id for every row of the table; a hostile topic is a WireError and nothing else."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foa.errors import WireError
from foa.wire.ids import PARTITIONS, is_segment
from foa.wire.topics import TABLE, Rule, Topic, Topics
from tests.wire.strategies import LAWS, agents, digests, segments

TOPICS = Topics()
_by_rule = pytest.mark.parametrize("rule", TABLE, ids=lambda rule: rule.kind)
_partitions = st.integers(0, PARTITIONS - 1)
_fields = {"partition": _partitions, "task": segments, "agent": agents, "node": segments, "name": segments}


def _topics_of(rule: Rule) -> st.SearchStrategy[Topic]:
    names = [level[1:-1] for level in rule.pattern.split("/") if level.startswith("{")]
    values: dict[str, st.SearchStrategy[Any]] = {name: _fields[name] for name in names}
    if rule.kind == "blob":
        values["name"] = digests
    return st.fixed_dictionaries(values).map(lambda given_fields: Topic(rule.kind, **given_fields))


@_by_rule
def test_what_is_built_parses_to_the_same(rule: Rule) -> None:
    @LAWS
    @given(_topics_of(rule), st.sampled_from(["foa/v1", "lab", "$a2a/v1", "a.b/c_d-e"]))
    def law(topic: Topic, root: str) -> None:
        topics = Topics(root)
        built = topics.build(topic)
        assert built.count("/") < 8
        assert topics.parse(built) == topic
        with pytest.raises(WireError):
            Topics("elsewhere").parse(built)

    law()


@_by_rule
def test_one_level_more_or_less_is_no_topic_of_that_kind(rule: Rule) -> None:
    @LAWS
    @given(_topics_of(rule), segments)
    def law(topic: Topic, extra: str) -> None:
        built = TOPICS.build(topic)
        for wrong in (f"{built}/{extra}", built.rpartition("/")[0], f"{built}/", f"/{built}", f"{built}\n"):
            assert _parsed(wrong) != topic

    law()


def _parsed(text: str) -> Topic | None:
    try:
        return TOPICS.parse(text)
    except WireError:
        return None


@LAWS
@given(st.text(max_size=200) | st.text("foa/v1+#$ .0129", max_size=60).map("foa/v1/".__add__))
def test_any_text_is_a_topic_or_a_wire_error(text: str) -> None:
    topic = _parsed(text)
    assert topic is None or TOPICS.build(topic) == text


@pytest.mark.parametrize(
    "path",
    [
        "", "own", "own/", "own/64", "own/-1", "own/+", "own/#", "own/01", "own/٣", "own/²", "own/1e1", "own/1\n",
        "own/" + "9" * 5000, "OWN/1", "discovery/a/b", "discovery/a/b/c/d", "discovery/a//c", "discovery/+/b/c",
        "discovery/a/b/#", "task/1/t", "task/1/t/other", "task/1/t/state", "task/1/t/state/0/1", "task/x/t/submit",
        "task/1//submit",
        "blob/abc", "blob/" + "A" * 64, "blob/" + "0" * 65, "index/n/other", "tasks/1", "vcv/1/a/b/c/d", "own/1/2",
        "task/1/" + "x" * 65 + "/submit", "presence/a b/c", "dead/\x00", "learn/n/ü", "$share/g/foa/v1/tasks",
    ],
)  # fmt: skip
def test_hostile_topics_are_refused(path: str) -> None:
    with pytest.raises(WireError) as caught:
        TOPICS.parse(TOPICS(path))
    assert caught.value.reason == "topic"
    assert len(caught.value.detail) < 400


@pytest.mark.parametrize("text", ["", "foa/v1", "foa/v2/own/1", "foa/v11/own/1", "/foa/v1/own/1", "$SYS/broker/uptime"])
def test_what_is_not_below_the_root_is_refused(text: str) -> None:
    assert _parsed(text) is None


@pytest.mark.parametrize("root", ["", "/", "a/", "/a", "a/b/c", "a b", "+", "#", "a/$", "foa/v1\n", "$"])
def test_bad_roots_are_refused(root: str) -> None:
    with pytest.raises(WireError) as caught:
        Topics(root)
    assert caught.value.reason == "topic"


def test_the_builders_by_name_say_what_build_says() -> None:
    task, agent, digest = "t-1", "acme/lab/a", "0" * 64
    said = [
        (TOPICS.discovery(agent), Topic("discovery", agent=agent)),
        (TOPICS.vcv(3, agent), Topic("vcv", 3, agent=agent)),
        (TOPICS.presence("index", "n1"), Topic("presence", node="n1", name="index")),
        (TOPICS.own(0), Topic("own", 0)),
        (TOPICS.task(3, task, "submit"), Topic("submit", 3, task)),
        (TOPICS.task(3, task, "state/0"), Topic("state", 3, task, name="0")),
        (TOPICS.request(agent), Topic("request", agent=agent)),
        (TOPICS.answer(3, task, agent), Topic("answer", 3, task, agent)),
        (TOPICS.reply("n1", "r"), Topic("reply", node="n1", name="r")),
        (TOPICS.index("n1", "ask"), Topic("ask", node="n1")),
        (TOPICS.index("n1", "embed"), Topic("embed", node="n1")),
        (TOPICS.channel(task, "c", agent), Topic("channel", -1, task, agent, name="c")),
        (TOPICS.blob(digest), Topic("blob", name=digest)),
        (TOPICS.dead("shape"), Topic("dead", name="shape")),
        (TOPICS("tasks"), Topic("door")),
    ]
    assert [text for text, _ in said] == [TOPICS.build(topic) for _, topic in said]


def test_fewer_partitions_bound_what_is_parsed() -> None:
    few = Topics(partitions=4)
    assert few.parse("foa/v1/own/3").partition == 3
    with pytest.raises(WireError):
        few.parse("foa/v1/own/4")


def test_the_table_fits_brokers() -> None:
    """At most 8 levels with a root of two; heads are plain; QoS 0 or 1; each kind once."""
    assert len({rule.kind for rule in TABLE}) == len(TABLE)
    for rule in TABLE:
        levels = rule.pattern.replace("{agent}", "{org}/{unit}/{agent}").split("/")
        assert len(levels) + 2 <= 8
        assert is_segment(levels[0])
        assert rule.qos in {0, 1}
