"""Whom a coordinator follows, and when its tasks hear that an agent died."""

from random import Random

from foa.core import effects as fx
from foa.core.effects import Effect, Event, Key
from foa.core.machines import vigil
from foa.core.machines.vigil import MAX_FOLLOWED, State, step
from foa.core.routing.ownership import Follow, Gone
from foa.wire.envelope import Envelope
from foa.wire.messages import Blob
from foa.wire.topics import Topic, Topics

TOPICS = Topics("foa/v1", 8)
AGENT = "acme/tools/a1"
TASK = Key("task", "t1")


class Bench:
    def __init__(self) -> None:
        self.state = State(TOPICS, 1.0)
        self.feed(fx.Told(TASK, Follow(AGENT)))

    def feed(self, event: Event, now: float = 0.0) -> list[Effect]:
        self.state, effects = step(self.state, event, now, Random(0))
        return effects

    def card(self, status: str, source: str, now: float = 0.0) -> list[Effect]:
        topic = Topic("discovery", agent=AGENT)
        return self.feed(fx.Received(topic, Blob(b"{}"), Envelope(status=status, source=source)), now)


def told(effects: list[Effect]) -> list[str]:
    return [each.message.agent for each in effects if isinstance(each, fx.TellAll) and isinstance(each.message, Gone)]


def test_a_will_is_told_after_the_grace() -> None:
    bench = Bench()
    assert bench.card("offline", "lwt", 5.0) == [fx.Wake(f"gone:{AGENT}", 6.0)]
    assert told(bench.feed(fx.Elapsed(f"gone:{AGENT}"), 6.0)) == [AGENT]


def test_one_that_is_back_in_time_did_not_die() -> None:
    bench = Bench()
    bench.card("offline", "lwt")
    assert bench.card("online", "agent") == [fx.Sleep(f"gone:{AGENT}")]
    assert told(bench.feed(fx.Elapsed(f"gone:{AGENT}"))) == []


def test_who_leaves_in_good_order_is_left_to_finish() -> None:
    bench = Bench()
    bench.card("offline", "agent")
    assert told(bench.feed(fx.Elapsed(f"gone:{AGENT}"))) == []


def test_an_award_to_one_known_to_be_dead_is_told_as_well() -> None:
    bench = Bench()
    bench.card("offline", "lwt")
    bench.feed(fx.Elapsed(f"gone:{AGENT}"), 1.0)
    assert bench.feed(fx.Told(TASK, Follow(AGENT)), 9.0) == [fx.Wake(f"gone:{AGENT}", 10.0)]


def test_strangers_are_not_listened_to_and_the_oldest_makes_room() -> None:
    bench = Bench()
    topic = Topic("discovery", agent="acme/tools/other")
    assert bench.feed(fx.Received(topic, Blob(b"{}"), Envelope(status="offline", source="lwt"))) == []
    for number in range(MAX_FOLLOWED):
        effects = bench.feed(fx.Told(TASK, Follow(f"acme/crowd/a{number}")))
    assert fx.Unsubscribe((TOPICS.discovery(AGENT),)) in effects
    assert len(bench.state.followed) == MAX_FOLLOWED
    assert AGENT not in bench.state.followed


def test_one_is_followed_once() -> None:
    bench = Bench()
    assert bench.feed(fx.Told(TASK, Follow(AGENT))) == []
    assert Key("vigil") == vigil.KEY


def test_a_broker_that_ends_publishes_every_will_first_and_nobody_died_of_that() -> None:
    bench = Bench()
    bench.card("offline", "lwt", 5.0)
    bench.feed(fx.Offline(), 5.01)
    assert told(bench.feed(fx.Elapsed(f"gone:{AGENT}"), 6.0)) == [], "our link is away: theirs may be as well"
    (wake,) = bench.feed(fx.Online(resumed=True), 6.3)
    assert isinstance(wake, fx.Wake)
    bench.card("online", "agent", 7.0)
    assert told(bench.feed(fx.Elapsed(wake.timer), wake.at)) == []


def test_who_does_not_come_back_after_the_broker_is_told_of() -> None:
    bench = Bench()
    bench.card("offline", "lwt", 5.0)
    bench.feed(fx.Offline(), 5.01)
    bench.feed(fx.Elapsed(f"gone:{AGENT}"), 6.0)
    (wake,) = bench.feed(fx.Online(resumed=True), 6.3)
    assert isinstance(wake, fx.Wake)
    assert told(bench.feed(fx.Elapsed(wake.timer), wake.at)) == [AGENT]
