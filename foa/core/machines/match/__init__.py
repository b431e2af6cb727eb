"""The matchmaker of a coordinator: orders candidates by what was learned, and learns from how awards ended.

Tasks ask it by `Weigh` and tell it `Awarded` and `Concluded`; what it counted it publishes on ``learn/{node}/{bucket}``
and hears the same of its peers, so that all coordinators go by the sum (`foa.core.learn.ledger`). What contexts are
made of needs a few texts embedded once; until the index has done that, candidates stand in the order of alpha.
"""

from random import Random
from typing import Final

from foa.core.effects import (
    Effect,
    Elapsed,
    Event,
    Key,
    Online,
    Received,
    Restored,
    Subscribe,
    Tell,
    Told,
    Wake,
)
from foa.core.learn import kinds
from foa.core.learn.ledger import bucket_of
from foa.core.machines.match import backoff, count, memory, room, trust
from foa.core.machines.match.state import MAX_KEPT, Match, Rules, Setup, Stepped, begin, derive
from foa.core.machines.match.weigh import Around, weigh
from foa.core.routing.exchange import Answer, Asked, Awarded, Concluded, Left, Spoke, Weigh, Weighed, Weighted
from foa.core.routing.ownership import Holds, Lost
from foa.core.vcv.vector import unpack_all
from foa.wire.messages import Blob, Embed, Learned, Vectors

__all__ = ["KEY", "Match", "Rules", "Setup", "new", "step"]

KEY: Final = Key("match")
LOOKUP: Final = Key("lookup")
KINDS: Final = "kinds"
AGAIN_S: Final = 5.0


def new(setup: Setup) -> Match:
    """Return a matchmaker that knows nothing."""
    return Match(setup)


def step(state: Match, event: Event, now: float, _rng: Random) -> Stepped:
    """Take one event; the state is changed in place."""
    match event:
        case Told(sender, message):
            return state, _told(state, sender, message, now)
        case Received():
            return state, _received(state, event, now)
        case Elapsed(timer):
            return state, _elapsed(state, timer, now)
        case Online(resumed):
            return state, _online(state, now, resumed=resumed)
        case Restored(Blob(body)):
            trust.restore(state, body)
            return state, []
        case Restored(Learned() as learned) if len(state.kept) < MAX_KEPT:
            bucket = bucket_of(learned.lessons[0].agent) if learned.lessons else ""
            state.kept.append((bucket, learned))
            return state, []
        case _:
            return state, []


def _told(state: Match, sender: Key, message: object, now: float) -> list[Effect]:
    match message:
        case Weigh():
            return _weighed(state, sender, message, now)
        case Awarded():
            backoff.awarded(state, message.agent, now)
            count.awarded(state, message)
            return room.awarded(state, sender, message, now)
        case Concluded():
            backoff.concluded(state, message, now)
            return [*count.concluded(state, message, now), *room.next_turns(state, message.agent, now)]
        case Left():
            return room.left(state, sender, message, now)
        case Spoke() if state.setup.rules.on:
            return trust.spoke(state, message, now)
        case Answer(token, found):
            return _answered(state, token, found, now)
        case Holds(partition, _):
            state.owned.add(partition)
            return []
        case Lost(partition):
            state.owned.discard(partition)
            return []
        case _:
            return []


def _weighed(state: Match, sender: Key, told: Weigh, now: float) -> list[Effect]:
    """Put the candidates for every subtask in order; who finds nobody free waits for its turn."""
    found: list[Weighted] = []
    effects: list[Effect] = []
    for item in told.items:
        around = Around(room.loads(state, item, sender.id), now, spare=told.spare)
        one = weigh(state, item, told.weights, told.prefer, around)
        found.append(one)
        effects += room.seen(state, sender, told, item, one, now)
    return [Tell(sender, Weighed(told.token, tuple(found))), *effects]


def _online(state: Match, now: float, *, resumed: bool) -> list[Effect]:
    """Listen to our peers, and say again what the broker may have forgotten."""
    if not state.setup.rules.on:
        return []
    effects: list[Effect] = [Subscribe((state.setup.topics("learn/#"),))]
    if state.basis is None:
        effects.append(_ask())
    effects += count.doubt(state, now)
    return [*effects, *memory.online(state, now, resumed=resumed)]


def _ask() -> Tell:
    return Tell(LOOKUP, Asked(KINDS, Embed(kinds.TEXTS)))


def _answered(state: Match, token: str, found: object, now: float) -> list[Effect]:
    if token != KINDS:
        return memory.answered(state, token, found, now)
    if isinstance(found, Vectors) and state.basis is None and len(found.vectors) == len(kinds.TEXTS):
        begin(state, found.model, kinds.basis(unpack_all(found.vectors)), now)
        return [*count.doubt(state, now), *count.soon(state, now)]
    return [Wake(KINDS, now + AGAIN_S)] if state.basis is None else []


def _received(state: Match, event: Received, now: float) -> list[Effect]:
    match event.topic.kind:
        case "learn":
            return count.heard(state, event, now)
        case "feedback":
            return count.feedback(state, event, now)
        case "evidence":
            return memory.heard(state, event, now)
        case _:
            return []


def _elapsed(state: Match, timer: str, now: float) -> list[Effect]:
    if timer == room.TURNS:
        return room.elapsed(state, now)
    if timer == KINDS:
        return [_ask()] if state.basis is None else []
    if timer == trust.REPUTATION:
        return trust.keep(state)
    if timer == count.PUBLISH:
        return count.publish(state, now)
    if timer in {count.MEND, count.MEND_PEERS}:
        return count.mend(state, ours=timer == count.MEND)
    if timer == count.DERIVE:
        state.deriving = False
        derive(state, now)
        return []
    return memory.elapsed(state, timer, now)
