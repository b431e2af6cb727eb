"""Whom a coordinator takes for dead: by a will that stands for a grace, and not for a broker's absence."""

from random import Random
from typing import Final

from foa.core import effects as fx
from foa.core.effects import Effect, Event, Key
from foa.core.machines import vigil
from foa.core.routing.ownership import Follow, Gone
from foa.wire.envelope import Envelope
from foa.wire.messages import Blob
from foa.wire.topics import Topic, Topics

A1: Final = "acme/tools/a1"
GRACE_S, RETURN_S = 1.0, 5.0
TASK: Final = Key("task", "t1")


def card(status: str, source: str = "lwt") -> fx.Received:
    return fx.Received(Topic("discovery", agent=A1), Blob(b"{}"), Envelope(status=status, source=source))


class Watch:
    """A vigil that follows one agent, and the only timer it has."""

    def __init__(self) -> None:
        self.state = vigil.State(Topics("foa/v1"), GRACE_S, RETURN_S)
        self.rings: float | None = None
        self.tell(0.0, fx.Told(TASK, Follow(A1)))

    def tell(self, now: float, event: Event) -> list[Effect]:
        self.state, effects = vigil.step(self.state, event, now, Random(0))
        for effect in effects:
            if isinstance(effect, fx.Wake | fx.Sleep):
                self.rings = effect.at if isinstance(effect, fx.Wake) else None
        return effects

    def gone(self, now: float) -> bool:
        """Let the timer ring if it is due by `now`; tell whether the agent's tasks heard that it is gone."""
        if self.rings is None or self.rings > now:
            return False
        at, self.rings = self.rings, None
        said = self.tell(at, fx.Elapsed(f"gone:{A1}"))
        return any(isinstance(one, fx.TellAll) and one.message == Gone(A1) for one in said)


def test_a_will_that_stands_for_a_grace_is_a_death() -> None:
    watch = Watch()
    watch.tell(3.0, card("offline"))
    assert not watch.gone(3.0 + GRACE_S / 2)
    assert watch.gone(3.0 + GRACE_S)


def test_who_is_back_within_the_grace_or_leaves_in_good_order_is_not_dead() -> None:
    watch = Watch()
    watch.tell(3.0, card("offline"))
    watch.tell(3.5, card("online", "agent"))
    assert not watch.gone(60.0)
    watch.tell(61.0, card("offline", "agent"))
    assert not watch.gone(120.0)


def test_after_a_brokers_absence_agents_have_time_to_come_back() -> None:
    """A broker that ends in good order publishes every will; agents come back each after a back-off of its own."""
    watch = Watch()
    watch.tell(3.0, fx.Offline())
    watch.tell(4.0, fx.Online(resumed=True))
    watch.tell(4.0, card("offline"))
    assert not watch.gone(4.0 + RETURN_S)
    watch.tell(8.0, card("online", "agent"))
    assert not watch.gone(60.0)


def test_who_does_not_come_back_with_the_broker_is_dead_in_the_end() -> None:
    watch = Watch()
    watch.tell(2.9, card("offline"))
    watch.tell(3.0, fx.Offline())
    watch.tell(4.0, fx.Online(resumed=True))
    assert not watch.gone(4.0 + RETURN_S)
    assert watch.gone(4.0 + RETURN_S + GRACE_S)


def test_at_its_own_start_a_will_means_what_it_says() -> None:
    watch = Watch()
    watch.tell(3.0, fx.Online(resumed=False))
    watch.tell(3.0, card("offline"))
    assert watch.gone(3.0 + GRACE_S)
