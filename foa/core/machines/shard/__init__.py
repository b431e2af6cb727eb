"""An index node: holds the capability vectors of some partitions and answers queries from them.

Its services: "index" (`Upsert`, `Remove`, `Search`; answered before the next event), "keep" (`Keep`; what to have
again after a restart), "embed" (texts -> `Vectors`; slow), "card" (the bytes of an Agent Card -> `Profile`). Cards
arrive as `Received` on a discovery topic with the card's bytes in a `Blob` and A2A's status in the envelope.
"""

from collections.abc import Iterable
from dataclasses import replace
from random import Random

from foa.core.effects import Cleared, Elapsed, Event, Online, Received, Returned, Told
from foa.core.machines.shard import holding, intake, serving, spotting
from foa.core.machines.shard.state import Setup, Shard, Stepped
from foa.core.routing.exchange import Keep
from foa.core.routing.members import Members
from foa.wire.messages import Control, Presence

__all__ = ["Setup", "Shard", "new", "step"]


def new(setup: Setup, kept: Iterable[Keep] = ()) -> Shard:
    """Return an index node that has not begun, with what it kept of its last life; its index has that already."""
    state = Shard(setup, Members(setup.ttl_s))
    state.catalogue.restore(kept)
    return state


def step(state: Shard, event: Event, now: float, _rng: Random) -> Stepped:
    """Decide what follows from `event`."""
    match event:
        case Received():
            return _received(state, event, now)
        case Returned():
            return _returned(state, event, now)
        case Cleared():
            return _cleared(state, event, now)
        case Elapsed():
            return _elapsed(state, event.timer, now)
        case Told(_, "leave"):
            return holding.drain(state, now, urged=True)
        case Online(resumed):
            return holding.open_up(state, resumed=resumed, now=now)
        case _:
            return state, []


def _received(state: Shard, event: Received, now: float) -> Stepped:
    match event.topic.kind, event.message:
        case (("ask" | "embed"), _):
            return serving.on_ask(state, event, now)
        case "vcv", _:
            return intake.on_vcv(state, event, now)
        case "evidence", _:
            return intake.on_evidence(state, event, now)
        case "discovery", _:
            return intake.on_card(state, event, now)
        case "presence", Presence(role="index", node=event.topic.node) as word:
            return holding.on_presence(state, word, now)
        case "control", Control() as order:
            return _controlled(state, order, now)
        case _:
            return state, []


def _controlled(state: Shard, order: Control, now: float) -> Stepped:
    if order.verb == "rebirth" and order.node in {"", state.setup.node}:
        return state, [holding.presence(state)]
    if order.verb == "drain" and order.node == state.setup.node and not state.draining:
        return holding.drain(state, now)
    return state, []


def _returned(state: Shard, event: Returned, now: float) -> Stepped:
    if event.token.startswith(serving.SEARCH):
        return serving.on_near(state, event)
    if event.token.startswith(intake.CARD):
        return intake.on_profile(state, event, now)
    if event.token.startswith(spotting.SPOT):
        return spotting.on_profile(state, event, now)
    if not event.token.startswith(serving.EMBED):
        return state, []
    state, effects, strangers = serving.on_vectors(state, event)
    for job in strangers:
        if job.stranger is not None and job.stranger.version is not None:
            state, more = spotting.on_vectors(state, job, now)
        else:
            state, more = intake.on_derived(state, job)
        effects += more
    return state, effects


def _cleared(state: Shard, event: Cleared, now: float) -> Stepped:
    match event.topic.kind:
        case "vcv":
            return intake.on_vcv_cleared(state, event, now)
        case "evidence":
            return intake.on_evidence_cleared(state, event)
        case "discovery":
            return intake.on_card_cleared(state, event)
        case "presence" if event.topic.name == "index":
            if event.topic.node == state.setup.node:
                return state, [holding.presence(state)]
            return holding.rebalance(replace(state, members=state.members.cleared(event.topic.node)), now)
        case _:
            return state, []


def _elapsed(state: Shard, timer: str, now: float) -> Stepped:
    if timer == holding.SETTLE:
        return holding.settle(state, now)
    if timer == intake.STRANGERS:
        return intake.on_strangers(state, now)
    if timer == holding.ANNOUNCE:
        return replace(state, announcing=False), [holding.presence(state)]
    if timer == holding.REFRESH:
        serving.sweep(state, now)
        silent = intake.forget_silent(state, now)
        state, effects = holding.refresh(state, now)
        return state, [*silent, *effects]
    return state, []
