"""Shows the agent (card, capability vector), takes awards in at the gate, and shares out its slots."""

from math import inf
from random import Random
from typing import Final

import msgspec

from foa.core import effects as fx
from foa.core.effects import Effect, Event, Key
from foa.core.machines.agent.reply import say, send
from foa.core.machines.agent.showing import departure, read_back, shown, vector
from foa.core.machines.agent.state import (
    Agent,
    Begin,
    Context,
    Crashed,
    Freed,
    GiveUp,
    HandBack,
    Linked,
    Start,
    Taking,
    Withdraw,
)
from foa.core.routing.exchange import Answer, Asked
from foa.core.turns import turn
from foa.core.vcv.build import build_vcv, texts_of
from foa.wire.codec import SPEAKS
from foa.wire.ids import NO_EPOCH, Version, digest_of, partition_of
from foa.wire.messages import Asking, Award, Blob, Control, Declined, Done, Draft, Embed, Failed, Vectors, Withdrawn

KEY: Final = Key("agent")
MAX_BEGUN: Final = 10_000
MAX_PAST: Final = 256
"""Awards that are over and are known again, with what was answered; the oldest is forgotten first."""

TICK_S: Final = 1.0
LATE_S: Final = 1.0
"""A tick that is later tells of a process that stood still. An award is given to another after twice that."""

MAX_CRASHES: Final = 256
"""Awards that this process ended over and still remembers; the oldest is forgotten first."""

Stepped = tuple[Agent, list[Effect]]


def step(context: Context, state: Agent, event: Event, now: float, rng: Random) -> Stepped:
    """Take one event. Bind `context` with functools.partial to get the shape every machine has."""
    del rng
    match event:
        case fx.Online(resumed):
            return _online(context, state, now, resumed=resumed)
        case fx.Told(_, Answer("embed", Vectors() as vectors, _)):
            return _embedded(context, state, vectors)
        case fx.Told(_, Answer("embed", _, _)):
            return state, [fx.Wake("embed", now + context.rules.embed_retry_s)]
        case fx.Elapsed(timer):
            return _elapsed(context, state, timer, now)
        case fx.Received():
            return _received(context, state, event, now)
        case fx.Offline():
            return msgspec.structs.replace(state, online=False), [fx.TellAll("award", Linked(up=False))]
        case fx.Told(_, Freed() | Crashed() | Taking() as told):
            return _own(context, state, told, now)
        case fx.Restored(Award() as award, age_s):
            crashes = {**state.crashes, award.award: _counted(award, now - age_s)}
            return msgspec.structs.replace(state, crashes=crashes), []
        case fx.Told(_, "leave"):
            return _leave(context, state)
        case _:
            return state, []


def _own(context: Context, state: Agent, told: Freed | Crashed | Taking, now: float) -> Stepped:
    """Hear one of our awards."""
    match told:
        case Freed():
            return _freed(context, state, told)
        case Crashed(award):
            return _crashed(state, award, now)
        case Taking(key, award_id, ends):
            return msgspec.structs.replace(state, begun={**state.begun, key: (award_id, ends)}), []


def _elapsed(context: Context, state: Agent, timer: str, now: float) -> Stepped:
    if timer == "tick":
        return _ticked(context, state, now)
    if timer == "card" and not state.draining:
        return state, [shown(context, state), fx.Wake("card", now + context.rules.refresh_s)]
    return state, [_embed(context)] if timer == "embed" and state.vcv is None else []


def _ticked(context: Context, state: Agent, now: float) -> Stepped:
    """Note that time goes on; begin what waited for that alone."""
    stood = _stood_still(state, now)
    state = msgspec.structs.replace(state, tick=now + TICK_S)
    state, effects = _started(context, state) if stood else (state, [])
    return state, [fx.Wake("tick", state.tick), *effects]


def _stood_still(state: Agent, now: float) -> bool:
    """Tell whether this process was stopped until now: what it hears first was said to it long ago."""
    return now - state.tick > LATE_S


def _received(context: Context, state: Agent, event: fx.Received, now: float) -> Stepped:
    match event.message:
        case Award() as award:
            return _offered(context, state, award, now)
        case Withdrawn() as message:
            return _withdrawn(context, state, message)
        case Draft() as draft if draft.agent == event.topic.agent:  # nobody speaks for another
            channel = (draft.task, draft.cluster)
            return state, [
                fx.Tell(Key("award", one), draft) for one, heard in state.clusters.items() if heard == channel
            ]
        case Control("rebirth", node) if node in {"", context.profile.agent, context.node}:
            return _online(context, state, now)
        case Control("drain", node) if node in {context.profile.agent, context.node} and not event.retained:
            return _leave(context, msgspec.structs.replace(state, watcher=event.reply_to))
        case Blob() if event.topic.kind == "discovery" and event.topic.agent == context.profile.agent:
            return read_back(context, state, event)
        case _:
            return state, []


def _online(context: Context, state: Agent, now: float, *, resumed: bool = False) -> Stepped:
    """Listen first, then show up: whoever finds us may award at once. What is said of us is read along.

    Awards that an earlier life left at the broker were given long ago: they wait for the first tick.
    """
    agent, topics = context.profile.agent, context.topics
    first = state.tick == inf
    effects: list[Effect] = [
        fx.Subscribe((topics.request(agent), topics.discovery(agent), topics("control/+"))),
        shown(context, state),
        fx.Wake("card", now + context.rules.refresh_s),
        *([fx.Wake("tick", now + TICK_S)] if first else []),
        _embed(context) if state.vcv is None else vector(context, state),
        fx.TellAll("award", Linked(up=True)),
    ]
    if first:
        state = msgspec.structs.replace(state, tick=now - 2 * LATE_S if resumed else now + TICK_S)
    return msgspec.structs.replace(state, online=True), effects


def _embed(context: Context) -> Effect:
    return fx.Tell(Key("lookup"), Asked("embed", Embed(tuple(texts_of(context.profile).values()))))


def _embedded(context: Context, state: Agent, vectors: Vectors) -> Stepped:
    named = dict(zip(texts_of(context.profile), vectors.vectors, strict=False))
    version = Version(max(context.birth, state.birth), state.counter)
    try:
        vcv = build_vcv(context.profile, version, vectors.model, named, digest_of(context.card))
    except (KeyError, ValueError) as error:
        return state, [fx.Log("vectors_refused", {"error": str(error)}, "warning")]
    state = msgspec.structs.replace(state, vcv=msgspec.structs.replace(vcv, speaks=SPEAKS))
    return state, [vector(context, state), fx.Log("announced", {"agent": context.profile.agent})]


def _offered(context: Context, state: Agent, award: Award, now: float) -> Stepped:
    """Take an award in, or decline it with the reason; a lower epoch than seen is a ghost's and ignored."""
    if award.epoch < state.epochs.get(award.partition, NO_EPOCH):
        return state, [fx.Measure("foa_ghost_awards_total")]
    state = msgspec.structs.replace(state, epochs={**state.epochs, award.partition: award.epoch})
    if award.award in state.past:  # sent twice: an award's id is never used again
        return state, [_said(context, state, award), fx.Measure("foa_late_awards_total")]
    if award.award in state.running or award.award in state.waiting:
        return state, [fx.Tell(Key("award", award.award), Begin(award, start=False))]
    if context.profile.effects == "once":
        known, _ = state.begun.get(award.key, ("", 0.0))
        if known and (known == award.award or not award.subtask.consent):
            return state, [fx.Tell(Key("award", award.award), Begin(award, start=False, again=True))]
    refusal = _refusal(context, state, award, now)
    if refusal is not None:
        code, reason = refusal
        state = msgspec.structs.replace(state, past=_past(state, award.award))
        return state, [_declined(context, award, code, reason), fx.Measure("foa_awards_declined_total", label=code)]
    if context.profile.effects == "once":
        kept = [(key, held) for key, held in state.begun.items() if held[1] > now][-MAX_BEGUN:]
        state = msgspec.structs.replace(
            state, begun={**dict(kept), award.key: (award.award, now + award.left_ms / 1000)}
        )
    state = _suspected(state, award, now)
    still = _stood_still(state, now)  # then it begins with the next tick, if it was not taken back meanwhile
    start = not still and not state.waiting and _may_start(context, state, state.running, award.award)
    if start:
        state = msgspec.structs.replace(state, running=(*state.running, award.award))
    else:
        state = _queued(state, award, now)
    effects: list[Effect] = [fx.Tell(Key("award", award.award), Begin(award, start))]
    if award.team is not None:
        channel = (award.task, award.team.id)
        state = msgspec.structs.replace(state, clusters={**state.clusters, award.award: channel})
        effects.append(fx.Subscribe((context.topics.channel(*channel, "+/+/+"),), no_local=True))
    return state, effects


def _declined(context: Context, award: Award, code: str, reason: str) -> fx.Publish:
    return send(context, award, Declined(award.award, award.task, context.profile.agent, code, reason[:500]))


def _said(context: Context, state: Agent, award: Award) -> fx.Publish:
    """Say what came of an award that is over here: whoever took over its task may not have heard."""
    answer = state.past[award.award]
    if answer is not None:
        return say(context, answer, again=True)
    return _declined(context, award, "over", "this agent had it, and does not have it any more")


def _past(
    state: Agent, award: str, answer: Done | Failed | Asking | None = None
) -> dict[str, Done | Failed | Asking | None]:
    past = {**state.past, award: answer}
    if len(past) > MAX_PAST:
        del past[next(iter(past))]
    return past


def _suspected(state: Agent, award: Award, now: float) -> Agent:
    """Mark an award whose like was at work when this process ended: it may or may not have been the cause."""
    if not any(key == award.key and ends > now for key, ends in state.crashes.values()):
        return state
    return msgspec.structs.replace(state, suspects=(*state.suspects, award.award))


def _may_start(context: Context, state: Agent, running: tuple[str, ...], award: str) -> bool:
    """Tell whether an award may start beside those that run: a suspect works alone, so that none is blamed for it."""
    if state.suspects and running and (award in state.suspects or running[0] in state.suspects):
        return False
    return len(running) < context.profile.resources.concurrency


def _queued(state: Agent, award: Award, now: float) -> Agent:
    """Have an award wait in its turn: by priority, and an older one as if of a higher (`foa.core.turns`)."""
    turns = {**state.turns, award.award: turn(award.priority, now)}
    waiting = tuple(sorted((*state.waiting, award.award), key=turns.__getitem__))
    return msgspec.structs.replace(state, waiting=waiting, turns=turns)


def _counted(award: Award, now: float) -> tuple[str, float]:
    return award.key, now + award.left_ms / 1000


def _crashed(state: Agent, award: Award, now: float) -> Stepped:
    """Remember over further restarts what this process ended over: the same must not end it for ever."""
    effects: list[Effect] = [fx.Persist(award, part=award.award), fx.Measure("foa_crashes_total")]
    kept = {**state.crashes, award.award: _counted(award, now)}
    gone = [one for one, (_, ends) in kept.items() if ends <= now]
    gone += [one for one in kept if one not in gone][: max(0, len(kept) - len(gone) - MAX_CRASHES)]
    effects += [fx.Persist(None, part=one) for one in gone]
    return msgspec.structs.replace(state, crashes={one: at for one, at in kept.items() if one not in gone}), effects


def _refusal(context: Context, state: Agent, award: Award, now: float) -> tuple[str, str] | None:
    """Check what the owner should have checked: permission is never traded."""
    profile = context.profile
    if state.draining:
        return "draining", "this agent is leaving"
    lacking = sorted(set(award.policies + award.subtask.policies) - set(profile.holds))
    if lacking:
        return "policy", f"the task needs policy {lacking[0]!r}, which this agent does not hold"
    unnamed = sorted(set(profile.requires) - set(award.policies + award.subtask.policies))
    if unnamed:
        return "policy", f"this agent works only under policy {unnamed[0]!r}, which the task does not name"
    if profile.agent in award.hops:
        return "loop", f"the task came through {profile.agent} already"
    if award.budget is not None and profile.resources.price_call > award.budget:
        return "budget", f"one call costs {profile.resources.price_call} USD, {award.budget} are left"
    ended = sum(key == award.key and ends > now for key, ends in state.crashes.values())
    if ended >= context.rules.crashes:
        return "poison", f"this process ended {ended} times while it worked on this"
    slots = profile.resources.concurrency
    room = slots + int(slots * context.rules.backlog)
    if len(state.running) + len(state.waiting) >= room:
        return "busy", f"all {slots} slots and the queue are full"
    return None


def _withdrawn(context: Context, state: Agent, message: Withdrawn) -> Stepped:
    """Give an award back, unless a ghost says so: another has the task now, and may count on it."""
    if message.epoch < state.epochs.get(partition_of(message.task, context.topics.partitions), NO_EPOCH):
        return state, [fx.Measure("foa_ghost_withdrawals_total")]
    return state, [fx.Tell(Key("award", message.award), Withdraw(message.reason))]


def _freed(context: Context, state: Agent, told: Freed) -> Stepped:
    """Give the slot to the award whose turn it is; of answers that nobody settles keep a bounded number."""
    award = told.award
    if told.untouched and state.begun:
        begun = {key: held for key, held in state.begun.items() if held[0] != award}
        state = msgspec.structs.replace(state, begun=begun)
    state = msgspec.structs.replace(
        state,
        running=tuple(one for one in state.running if one != award),
        waiting=tuple(one for one in state.waiting if one != award),
    )
    left = {one: channel for one, channel in state.clusters.items() if one != award}
    channel = state.clusters.get(award)
    state, effects = _kept(context, state, told)
    if channel is not None and channel not in left.values():
        effects.append(fx.Unsubscribe((context.topics.channel(*channel, "+/+/+"),)))
    state, started = _started(context, msgspec.structs.replace(state, clusters=left))
    effects += started
    if award in state.suspects:
        state = msgspec.structs.replace(state, suspects=tuple(one for one in state.suspects if one != award))
    return state, [*effects, *departure(context, state)]


def _started(context: Context, state: Agent) -> Stepped:
    """Begin the awards whose turn it is, as far as there are slots."""
    running, waiting, effects = state.running, state.waiting, list[Effect]()
    while waiting and _may_start(context, state, running, waiting[0]):
        running, waiting = (*running, waiting[0]), waiting[1:]
        effects.append(fx.Tell(Key("award", running[-1]), Start()))
    turns = {one: state.turns[one] for one in waiting} if state.turns else state.turns
    return msgspec.structs.replace(state, running=running, waiting=waiting, turns=turns), effects


def _kept(context: Context, state: Agent, told: Freed) -> Stepped:
    """Keep along which answers wait to be settled; while the bus is away none of them is said."""
    if not told.answered:
        answers = {one: None for one in state.answers if one != told.award} if state.answers else state.answers
        return msgspec.structs.replace(state, answers=answers, past=_past(state, told.award, told.said)), []
    answers = {**state.answers, told.award: None}
    effects: list[Effect] = [] if state.online else [fx.Tell(Key("award", told.award), Linked(up=False))]
    if len(answers) > context.rules.kept:
        oldest = next(iter(answers))
        effects.append(fx.Tell(Key("award", oldest), GiveUp()))
    return msgspec.structs.replace(state, answers=answers), effects


def _leave(context: Context, state: Agent) -> Stepped:
    """Say goodbye: take nothing new, hand back what was not begun, finish what runs, then end."""
    if state.draining:
        return state, departure(context, state)
    state = msgspec.structs.replace(state, draining=True)
    back: list[Effect] = [fx.Tell(Key("award", one), HandBack()) for one in state.waiting]
    return state, [shown(context, state), *back, *departure(context, state)]
