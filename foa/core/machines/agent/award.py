"""One award, from acceptance to a settled answer: fetch inputs, work, refine with the team, answer, repeat."""

from random import Random
from typing import Final

import msgspec

from foa.core import effects as fx
from foa.core.cluster.rounds import Refining, add, advance, peers, status
from foa.core.dag.blobs import Fetch, Fetched, filled, outsource, references
from foa.core.effects import Effect, Event, Key
from foa.core.machines.agent.state import (
    Answered,
    AwardState,
    Begin,
    Context,
    Freed,
    Fresh,
    Job,
    Joined,
    Progressed,
    Running,
    Spent,
    Start,
    Stumbled,
    Taking,
    Waiting,
    Withdraw,
    Yielded,
)
from foa.wire.envelope import Envelope
from foa.wire.ids import partition_of
from foa.wire.messages import Award, Declined, Done, Draft, Failed, Progress, Settled, Taken
from foa.wire.records import Given, Usage

REFUSED: Final = 0x80
"""MQTT's reason codes from here on are refusals."""

MAX_DOUBLED: Final = 16
"""So often the pause between two repetitions of an answer may double at most."""

Stepped = tuple[AwardState, list[Effect]]
Working = Running | Joined


def step(context: Context, state: AwardState, event: Event, now: float, rng: Random) -> Stepped:
    """Take one event. Bind `context` with functools.partial to get the shape every machine has."""
    del rng
    match state:
        case Fresh():
            return _fresh(context, state, event, now)
        case Waiting():
            return _waiting(context, state, event, now)
        case Running():
            return _running(context, state, event, now)
        case Joined():
            return _joined(context, state, event, now)
        case Answered():
            return _answered(context, state, event, now)
        case Spent():
            return state, [fx.Persist(None), fx.Retire()] if event == fx.Elapsed("forget") else []


def _fresh(context: Context, state: Fresh, event: Event, now: float) -> Stepped:
    match event:
        case fx.Told(_, Begin(award, _, again=True)):
            begun = Stumbled(
                "failed", "begun", "this work was begun before, and its effects happen once", retryable=False
            )
            answered, effects = _stumble(context, award, begun, now)
            return answered, [_taken(context, award), *effects]
        case fx.Told(_, Begin(award, start)):
            ends = now + award.left_ms / 1000
            if start:
                return _start(context, award, ends, now)
            return Waiting(award, ends), [_taken(context, award, started=False), _beat(award, now)]
        case fx.Restored(Done() | Failed() as kept):
            remembered: list[Effect] = []
            if isinstance(kept, Done) and context.profile.effects == "once":
                remembered.append(_begun(kept.key, kept.award, now + context.rules.blob_expiry_s))
            return Answered(kept), [
                *remembered,
                _say(context, kept, again=True),
                fx.Wake("repeat", now + context.rules.repeat_s),
            ]
        case fx.Restored(Award() as award):
            ended = Stumbled("failed", "interrupted", "the agent was restarted while it worked", retryable=False)
            answered, effects = _stumble(context, award, ended, now)
            return answered, [_begun(award.key, award.award, now + award.left_ms / 1000), *effects]
        case _:
            return state, [fx.Retire()]


def _begun(key: str, award: str, ends: float) -> fx.Tell:
    return fx.Tell(Key("agent"), Taking(key, award, ends))


def _waiting(context: Context, state: Waiting, event: Event, now: float) -> Stepped:
    match event:
        case fx.Told(_, Start()):
            if now >= state.ends:
                late = Stumbled("failed", "deadline", "the deadline passed while waiting")
                return _stumble(context, state.award, late, now)
            return _start(context, state.award, state.ends, now)
        case fx.Told(_, Withdraw()):
            return state, [_freed(state.award, untouched=True), *_leave(context, state.award), fx.Retire()]
        case fx.Told(_, Begin(again, _)):
            return state, [_taken(context, again, started=False)]
        case fx.Elapsed("beat"):
            return state, [_taken(context, state.award, started=False), _beat(state.award, now)]
        case _:
            return state, []


def _start(context: Context, award: Award, ends: float, now: float) -> Stepped:
    """Start work. ``effects = once`` begins only when its start is on record, here and at the broker."""
    timers = [_beat(award, now), fx.Wake("deadline", ends)]
    state = Running(award, now, ends, award.inputs)
    if context.profile.effects == "once":
        said = _taken(context, award)._replace(token="begin", promise=True)  # noqa: S106 - names the receipt
        return msgspec.structs.replace(state, announced=True), [fx.Persist(award), said, *timers]
    effects = _begin(state, now)
    return state, [fx.Wake("silent", now + context.rules.silent_s), *timers, *effects]


def _begin(state: Running, now: float) -> list[Effect]:
    """Fetch what came by reference, else begin at once."""
    refs = references(state.award.inputs)
    return [fx.Tell(Key("blobs"), Fetch("inputs", refs))] if refs else [_work(state, now)]


def _work(state: Running, now: float) -> fx.Request:
    left = max(1, int((state.ends - now) * 1000))
    return fx.Request("handler", "draft", Job(state.award, state.inputs, left))


def _beat(award: Award, now: float) -> fx.Wake:
    return fx.Wake("beat", now + award.lease_ms / 3000)


def _taken(context: Context, award: Award, *, started: bool = True) -> fx.Publish:
    return _send(context, award, Taken(award.award, award.task, context.profile.agent, started))


def _send(context: Context, award: Award, message: Taken | Declined | Progress) -> fx.Publish:
    topic = context.topics.answer(award.partition, award.task, context.profile.agent)
    return fx.Publish(topic, message, Envelope(epoch=award.epoch))


def _freed(award: Award, *, untouched: bool = False) -> fx.Tell:
    return fx.Tell(Key("agent"), Freed(award.award, untouched))


def _running(context: Context, state: Running, event: Event, now: float) -> Stepped:
    match event:
        case fx.Told(_, Fetched("inputs", bodies, error)):
            if error:
                return _stumble(context, state.award, Stumbled("failed", "inputs", error), now)
            state = msgspec.structs.replace(state, inputs=filled(state.inputs, bodies))
            return state, [_work(state, now)]
        case fx.Returned("draft", Yielded(outputs, cost), _):
            return _drafted(context, msgspec.structs.replace(state, cost=cost), outputs or (), now)
        case fx.Delivered("begin", code) if state.announced and code < REFUSED:
            state = msgspec.structs.replace(state, announced=False)
            return state, _begin(state, now)
        case fx.Told(_, Withdraw()) if state.announced:
            return state, [fx.Persist(None), _freed(state.award, untouched=True), fx.Retire()]
        case fx.Elapsed("silent"):
            return state, [_taken(context, state.award)]
        case _:
            return _either(context, state, event, now)


def _either(context: Context, state: Working, event: Event, now: float) -> Stepped:
    """Events that mean the same while working and while refining."""
    award = state.award
    match event:
        case fx.Returned(_, Stumbled() as stumbled, _):
            return _stumble(context, award, stumbled, now)
        case fx.Returned(_, _, error) if error:
            return _stumble(context, award, Stumbled("failed", "handler", error), now)
        case fx.Elapsed("beat"):
            return state, [
                _send(context, award, Progress(award.award, award.task, context.profile.agent)),
                _beat(award, now),
            ]
        case fx.Told(_, Progressed(fraction, text)):
            progress = Progress(award.award, award.task, context.profile.agent, fraction, text[:500])
            return state, [_send(context, award, progress), _beat(award, now)]
        case fx.Elapsed("deadline"):
            cancel = fx.Request("cancel", "", award.award)
            if isinstance(state, Joined):  # the best draft there is, marked as not agreed upon
                after, effects = _answer(context, state, state.mine, now, rounds=state.refining.round, agreed=False)
            else:
                late = Stumbled("failed", "deadline", "not done before the deadline")
                after, effects = _stumble(context, award, late, now)
            return after, [cancel, *effects]
        case fx.Told(_, Withdraw()):
            cancel = fx.Request("cancel", "", award.award)
            if context.profile.effects == "once":
                return Spent(), [cancel, _freed(award), fx.Sleep("beat"), fx.Sleep("deadline"), _forgetting(state, now)]
            return state, [cancel, _freed(award), *_leave(context, award), fx.Retire()]
        case fx.Told(_, Begin(again, _)):
            return state, [_taken(context, again)]
        case _:
            return state, []


def _drafted(context: Context, state: Running, outputs: tuple[Given, ...], now: float) -> Stepped:
    if state.award.team is None:
        return _answer(context, state, outputs, now, rounds=0, agreed=True)
    joined = Joined(
        state.award, state.began, state.ends, Refining(state.award.team), outputs, state.inputs, cost=state.cost
    )
    return _speak(context, joined, now)


def _speak(context: Context, state: Joined, now: float) -> Stepped:
    """Say this member's draft of the current round, and see whether the round is over."""
    effects: list[Effect] = [_draft(context, state), fx.Wake("round", now + state.refining.team.round_ms / 1000)]
    refining, _ = add(state.refining, _own(context, state))
    state = msgspec.structs.replace(state, refining=refining, busy=False)
    if state.refining.round:
        award = state.award
        said = Progress(award.award, award.task, context.profile.agent, text="revised", round=state.refining.round)
        effects.append(_send(context, award, said))
    state_, more = _consider(context, state, now, late=False)
    return state_, effects + more


def _own(context: Context, state: Joined) -> Draft:
    award, team = state.award, state.refining.team
    return Draft(award.award, award.task, team.id, context.profile.agent, state.refining.round, state.mine)


def _draft(context: Context, state: Joined) -> fx.Publish:
    topic = context.topics.channel(state.award.task, state.refining.team.id, context.profile.agent)
    return fx.Publish(topic, _own(context, state), expiry_s=max(1, int(state.refining.team.round_ms / 250)))


def _consider(context: Context, state: Joined, now: float, *, late: bool) -> Stepped:
    """Ask the rounds what to do: wait, revise against the others, or answer."""
    if state.busy:
        return state, []
    outcome = status(state.refining, late=late)
    if outcome.verdict == "wait":
        return state, []
    if outcome.verdict == "stop":
        return _answer(context, state, state.mine, now, rounds=state.refining.round, agreed=outcome.agreed)
    others = tuple(draft.outputs for draft in peers(state.refining, context.profile.agent))
    state = msgspec.structs.replace(state, refining=advance(state.refining), busy=True)
    left = max(1, int((state.ends - now) * 1000))
    job = Job(state.award, state.inputs, left, state.refining.round, state.mine, others)
    return state, [fx.Sleep("round"), fx.Request("handler", "revised", job)]


def _joined(context: Context, state: Joined, event: Event, now: float) -> Stepped:
    match event:
        case fx.Told(_, Draft() as draft):
            return _heard(context, state, draft, now)
        case fx.Returned("revised", Yielded(outputs, cost), _):
            mine = state.mine if outputs is None else outputs
            return _speak(context, msgspec.structs.replace(state, mine=mine, cost=state.cost + cost), now)
        case fx.Elapsed("round"):
            return _consider(context, state, now, late=True)
        case _:
            return _either(context, state, event, now)


def _heard(context: Context, state: Joined, draft: Draft, now: float) -> Stepped:
    """Take a peer's draft. One we hear for the first time may have missed ours: it is said once more."""
    refining, refused = add(state.refining, draft)
    if refused:
        return state, [fx.Measure("foa_drafts_refused_total")]
    effects: list[Effect] = []
    if draft.agent not in state.heard and not state.busy:
        effects.append(_draft(context, state))
    state = msgspec.structs.replace(state, refining=refining, heard=state.heard | {draft.agent})
    state_, more = _consider(context, state, now, late=False)
    return state_, effects + more


def _answer(
    context: Context, state: Working, outputs: tuple[Given, ...], now: float, *, rounds: int, agreed: bool
) -> Stepped:
    award, rules = state.award, context.rules
    outputs, blobs = outsource(
        outputs, context.topics, rules.blob_expiry_s + award.left_ms // 1000, rules.inline_bytes, rules.chunk_bytes
    )
    cost = state.cost or context.profile.resources.price_call
    usage = Usage(int((now - state.began) * 1000), cost)
    message = Done(award.award, award.task, context.profile.agent, award.key, outputs, usage, rounds, agreed)
    answered, effects = _final(context, award, message, now)
    return answered, [*blobs, fx.Measure("foa_handler_seconds", seconds=now - state.began), *effects]


def _final(context: Context, award: Award, message: Done | Failed, now: float) -> Stepped:
    """Keep the answer until it is settled, over restarts too, and say it."""
    timers = [fx.Sleep(timer) for timer in ("silent", "beat", "deadline", "round")]
    effects: list[Effect] = [
        *timers,
        fx.Persist(message),
        _say(context, message),
        _freed(award),
        *_leave(context, award),
    ]
    once = award if context.profile.effects == "once" else None
    return Answered(message, once=once), [*effects, fx.Wake("repeat", now + context.rules.repeat_s)]


def _leave(context: Context, award: Award) -> list[Effect]:
    """Leave the channel of the cluster."""
    if award.team is None:
        return []
    return [fx.Unsubscribe((context.topics.channel(award.task, award.team.id, "+/+/+"),))]


def _say(context: Context, message: Done | Failed, *, again: bool = False) -> fx.Publish:
    """Say a final answer: first without the broker's receipt, since the owner's own word is waited for."""
    partition = partition_of(message.task, context.topics.partitions)
    topic = context.topics.answer(partition, message.task, context.profile.agent)
    return fx.Publish(topic, message, qos=1 if again else 0)


def _stumble(context: Context, award: Award, stumbled: Stumbled, now: float) -> Stepped:
    agent = context.profile.agent
    if stumbled.kind == "declined":
        declined = Declined(award.award, award.task, agent, stumbled.code, stumbled.reason[:500])
        said = [_send(context, award, declined), _freed(award, untouched=True), *_leave(context, award)]
        return Fresh(), [*said, fx.Persist(None), fx.Retire()]
    failed = Failed(
        award.award, award.task, agent, stumbled.code, stumbled.reason[:500], stumbled.retryable, stumbled.after_ms
    )  # fmt: skip
    state, effects = _final(context, award, failed, now)
    log = fx.Log("handler_failed", {"task": award.task, "code": stumbled.code, "reason": stumbled.reason}, "warning")
    return state, [*effects, log, fx.Measure("foa_handler_failures_total", label=stumbled.code)]


def _answered(context: Context, state: Answered, event: Event, now: float) -> Stepped:
    match event:
        case fx.Received(_, Settled()):
            return _settled(state, now)
        case fx.Elapsed("repeat"):
            tries = state.tries + 1
            pause = min(context.rules.repeat_max_s, context.rules.repeat_s * 2 ** min(tries, MAX_DOUBLED))
            again = msgspec.structs.replace(state, tries=tries)
            return again, [_say(context, state.message, again=True), fx.Wake("repeat", now + pause)]
        case fx.Told(_, Begin(award, _)):
            return state, [_say(context, state.message, again=True), _freed(award)]
        case fx.Told(_, Withdraw()):
            return _settled(state, now)
        case _:
            return state, []


def _settled(state: Answered, now: float) -> Stepped:
    """Forget the answer; that work with ``effects = once`` was begun stays known until its deadline."""
    if state.once is None:
        return state, [fx.Persist(None), fx.Retire()]
    return Spent(), [fx.Persist(state.once), fx.Sleep("repeat"), fx.Wake("forget", now + state.once.left_ms / 1000)]


def _forgetting(state: Working, now: float) -> fx.Wake:
    return fx.Wake("forget", max(now, state.ends))
