"""Follows the cards of agents that have awards of this coordinator, to hear of a death before a lease ends.

An agent's will (`a2a-status-source` ``lwt``) says that its connection broke; it may be back in a moment, so its tasks
hear `Gone` only after a grace; longer where our own link broke as well, since then the broker may have been away, and
agents come back each after a back-off of its own. A broker that is asked to end publishes everybody's will first: while
our link is away nobody is held dead. Who leaves in good order says so itself and finishes first: that is
no death. Agents are followed one by one, since a coordinator has nothing to do with most cards.
"""

from collections.abc import Mapping
from random import Random
from typing import Final

import msgspec

from foa.core import effects as fx
from foa.core.effects import Effect, Event, Key
from foa.core.routing.ownership import Follow, Gone
from foa.wire.ids import AgentId
from foa.wire.topics import Topics

KEY: Final = Key("vigil")
MAX_FOLLOWED: Final = 4096
"""Agents followed; the one that has been for longest goes first, and is followed again at its next award."""

WILL: Final = "lwt"
_GONE: Final = "gone:"


class State(msgspec.Struct, frozen=True):
    """Whom we follow, in the order in which that began: whether a will stands for them.

    ``return_s`` is how long agents may take to come back after a broker did; until ``term`` a will means nothing yet.
    """

    topics: Topics
    grace_s: float = 1.0
    return_s: float = 2.0
    followed: Mapping[AgentId, bool] = {}
    away: bool = False
    term: float = 0.0


Stepped = tuple[State, list[Effect]]


def step(state: State, event: Event, now: float, rng: Random) -> Stepped:
    """Take one event."""
    del rng
    match event:
        case fx.Told(_, Follow(agent)):
            return _follow(state, agent, now)
        case fx.Received(topic) if topic.kind == "discovery" and topic.agent in state.followed:
            return _heard(state, event, now)
        case fx.Offline():
            return msgspec.structs.replace(state, away=True), []
        case fx.Online() if state.away:
            state = msgspec.structs.replace(state, away=False, term=now + state.return_s)
            return state, [_missed(state, agent, now) for agent, dead in state.followed.items() if dead]
        case fx.Elapsed(timer) if timer.startswith(_GONE):
            agent = timer.removeprefix(_GONE)
            if state.away or not state.followed.get(agent, False):
                return state, []
            return state, [fx.TellAll("task", Gone(agent)), fx.Measure("foa_agents_gone_total")]
        case _:
            return state, []


def _follow(state: State, agent: AgentId, now: float) -> Stepped:
    dead = state.followed.get(agent)
    if dead is not None:
        return state, [_missed(state, agent, now)] if dead else []
    followed = dict(state.followed)
    effects: list[Effect] = [fx.Subscribe((state.topics.discovery(agent),))]
    if len(followed) >= MAX_FOLLOWED:
        oldest = next(iter(followed))
        del followed[oldest]
        effects.append(fx.Unsubscribe((state.topics.discovery(oldest),)))
    return msgspec.structs.replace(state, followed={**followed, agent: False}), effects


def _heard(state: State, event: fx.Received, now: float) -> Stepped:
    agent, said = event.topic.agent, event.envelope
    dead = said.status == "offline" and said.source == WILL
    state = msgspec.structs.replace(state, followed={**state.followed, agent: dead})
    return state, [_missed(state, agent, now) if dead else fx.Sleep(_GONE + agent)]


def _missed(state: State, agent: AgentId, now: float) -> fx.Wake:
    return fx.Wake(_GONE + agent, max(now, state.term) + state.grace_s)
