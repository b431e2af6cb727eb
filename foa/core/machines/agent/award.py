"""One award, from acceptance to a settled answer: fetch inputs, work, refine with the team, answer, repeat."""

from random import Random
from typing import Final

import msgspec

from foa.core import effects as fx
from foa.core.dag.blobs import Fetch, Fetched, filled, references
from foa.core.effects import Effect, Event, Key
from foa.core.machines.agent import member
from foa.core.machines.agent.reply import (
    Made,
    Stepped,
    Working,
    answer,
    beat,
    charged,
    freed,
    progressed,
    say,
    send,
    stumble,
    taken,
    watch,
)
from foa.core.machines.agent.state import (
    Answered,
    AwardState,
    Begin,
    Charged,
    Context,
    Crashed,
    Freed,
    Fresh,
    GiveUp,
    HandBack,
    Job,
    Joined,
    Linked,
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
from foa.wire.ids import Digest
from foa.wire.messages import Asking, Award, Done, Draft, Failed, Progress, Settled

REFUSED: Final = 0x80
"""MQTT's reason codes from here on are refusals."""

MAX_DOUBLED: Final = 16
"""So often the pause between two repetitions of an answer may double at most."""


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
            return member.joined(context, state, event, now) or _either(context, state, event, now)
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
            answered, effects = stumble(context, award, begun, now)
            return answered, [taken(context, award), *effects]
        case fx.Told(_, Begin(award, start)):
            ends = now + award.left_ms / 1000
            if start:
                return _start(context, Waiting(award, ends, member.cluster_of(award)), now)
            waiting = Waiting(award, ends, member.cluster_of(award))
            return waiting, [taken(context, award, started=False), beat(award, now)]
        case fx.Restored(Done() | Failed() | Asking() as kept, age_s):
            remembered: list[Effect] = []
            if isinstance(kept, Done) and context.profile.effects == "once":
                remembered.append(_begun(kept.key, kept.award, now + context.rules.blob_expiry_s))
            return Answered(kept), [
                *remembered,
                fx.Wake("repeat", now + context.rules.repeat_s),
                fx.Wake("expire", now + context.rules.keep_s - age_s),
                fx.Tell(Key("agent"), Freed(kept.award, answered=True)),
                say(context, kept, again=True),
            ]
        case fx.Restored(Award() as award) if context.profile.effects != "once":
            died = Stumbled("failed", "crashed", "the agent's process ended while it worked on this")
            answered, effects = stumble(context, award, died, now)
            return answered, [fx.Tell(Key("agent"), Crashed(award)), *effects]
        case fx.Restored(Award() as award):
            ended = Stumbled("failed", "interrupted", "the agent was restarted while it worked", retryable=False)
            answered, effects = stumble(context, award, ended, now)
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
                return stumble(context, state.award, late, now)
            return _start(context, state, now)
        case fx.Told(_, Draft() as draft):
            heard = member.overheard(state.refining, context, draft)
            return msgspec.structs.replace(state, refining=heard), []
        case fx.Told(_, Withdraw()):
            return state, [freed(state.award, untouched=True), fx.Retire()]
        case fx.Told(_, HandBack()):
            return stumble(context, state.award, Stumbled("declined", "draining", "this agent is leaving"), now)
        case fx.Told(_, Begin(again, _)):
            return state, [taken(context, again, started=False)]
        case fx.Elapsed("beat"):
            return state, [taken(context, state.award, started=False), beat(state.award, now)]
        case _:
            return state, []


def _start(context: Context, waiting: Waiting, now: float) -> Stepped:
    """Start work. ``effects = once`` begins only when its start is on record, here and at the broker."""
    award = waiting.award
    timers = [beat(award, now), fx.Wake("deadline", waiting.ends)]
    state = Running(award, now, waiting.ends, award.inputs, refining=waiting.refining)
    if context.profile.effects == "once":
        said = taken(context, award)._replace(token="begin", promise=True)  # noqa: S106 - names the receipt
        return msgspec.structs.replace(state, announced=True), [fx.Persist(award), said, *timers]
    effects = _begin(context, state, now)
    return state, [fx.Wake("silent", now + context.rules.silent_s), *timers, *effects]


def _begin(context: Context, state: Running, now: float) -> list[Effect]:
    """Fetch what came by reference, else begin at once."""
    refs = references(state.award.inputs)
    return [fx.Tell(Key("blobs"), Fetch("inputs", refs))] if refs else _work(context, state, now)


def _work(context: Context, state: Running, now: float) -> list[Effect]:
    """Hand it to the author's code; that it was begun is on record before, should that code end the process."""
    award = state.award
    begun: list[Effect] = []
    if context.profile.effects != "once":  # else it is on record already
        bare = msgspec.structs.replace(award.subtask, text="")
        begun.append(fx.Persist(msgspec.structs.replace(award, inputs=(), subtask=bare, team=None)))
    left = max(1, int((state.ends - now) * 1000))
    return [*begun, *watch(context, now), fx.Request("handler", "draft", Job(award, state.inputs, left))]


def _running(context: Context, state: Running, event: Event, now: float) -> Stepped:
    match event:
        case fx.Told(_, Fetched("inputs", bodies, error) as told):
            if error:
                lost = Stumbled("failed", "inputs", error, refutes=_source(state, told.lacking))
                return stumble(context, state.award, lost, now)
            state = msgspec.structs.replace(state, inputs=filled(state.inputs, bodies))
            return state, _work(context, state, now)
        case fx.Returned("draft", Yielded() as made, _):
            return _drafted(context, state, made, now)
        case fx.Told(_, Draft() as draft):
            heard = member.overheard(state.refining, context, draft)
            return msgspec.structs.replace(state, refining=heard), []
        case fx.Delivered("begin", code) if state.announced and code < REFUSED:
            state = msgspec.structs.replace(state, announced=False)
            return state, _begin(context, state, now)
        case fx.Told(_, Withdraw()) if state.announced:
            return state, [fx.Persist(None), freed(state.award, untouched=True), fx.Retire()]
        case fx.Elapsed("silent"):
            return state, [taken(context, state.award)]
        case _:
            return _either(context, state, event, now)


def _source(state: Running, lacking: tuple[Digest, ...]) -> str:
    """Return the subtask whose output is nowhere any more: it is to be done again. "" where a person gave it.

    The first who does not find it may have had a bad link; the second is believed.
    """
    if state.award.attempt < 2:  # noqa: PLR2004 - the second
        return ""
    lost = (one.source for one in state.inputs if one.value.ref is not None and one.value.ref.digest in lacking)
    return next((source for source in lost if source), "")


def _drafted(context: Context, state: Running, made: Yielded, now: float) -> Stepped:
    """Answer, or show the draft to the cluster."""
    if made.cost:
        state = msgspec.structs.replace(state, bill=charged(state.bill, Charged(made.cost)))
    if state.refining is None:
        return answer(context, state, Made(made.outputs or (), confidence=made.confidence), now)
    return member.join(context, state, state.refining, made, now)


def _either(context: Context, state: Working, event: Event, now: float) -> Stepped:
    """Events that mean the same while working and while refining."""
    award = state.award
    match event:
        case fx.Returned(_, Stumbled() as stumbled, _):
            return stumble(context, award, stumbled, now, working=state)
        case fx.Returned(_, _, error) if error:
            return stumble(context, award, Stumbled("failed", "handler", error), now, working=state)
        case fx.Elapsed("beat"):
            return state, [
                send(context, award, Progress(award.award, award.task, context.profile.agent)),
                beat(award, now),
            ]
        case fx.Told(_, Progressed() as told):
            return progressed(context, state, told, now)
        case fx.Told(_, Charged() as told):
            at_work = isinstance(state, Running) or state.busy
            term = watch(context, now) if at_work else []
            return msgspec.structs.replace(state, bill=charged(state.bill, told)), term
        case fx.Elapsed("deadline" | "hung" as timer):
            after, effects = _overdue(context, state, now, hung=timer == "hung")
            return after, [fx.Request("cancel", "", award.award), *effects]
        case fx.Told(_, Withdraw()):
            cancel = fx.Request("cancel", "", award.award)
            if context.profile.effects == "once":
                timers = [fx.Sleep(timer) for timer in ("beat", "deadline", "hung", "silent", "round")]
                return Spent(), [cancel, freed(award), *timers, _forgetting(state, now)]
            return state, [cancel, fx.Persist(None), freed(award), fx.Retire()]
        case fx.Told(_, Begin(again, _)):
            return state, [taken(context, again)]
        case _:
            return state, []


def _overdue(context: Context, state: Working, now: float, *, hung: bool) -> Stepped:
    """End at the deadline, or a ``hung`` handler before: with the best draft there is, marked as such, or with none."""
    if isinstance(state, Joined) and state.tried:
        return member.give_best(context, state, now, agreed=False)
    late = Stumbled("failed", "deadline", "not done before the deadline")
    if hung:
        late = Stumbled("failed", "hung", f"gave no sign for {context.rules.hung_s:g} s and was given up")
    return stumble(context, state.award, late, now, working=state)


def _answered(context: Context, state: Answered, event: Event, now: float) -> Stepped:
    match event:
        case fx.Received(_, Settled()):
            return _settled(state, now)
        case fx.Elapsed("expire") | fx.Told(_, GiveUp()):
            after, effects = _settled(state, now)
            return after, [fx.Measure("foa_answers_given_up_total"), *effects]
        case fx.Told(_, Linked(up)):
            if not up:
                return state, [fx.Sleep("repeat")]
            again = msgspec.structs.replace(state, tries=0)  # the broker may have forgotten what it had
            repeat = fx.Wake("repeat", now + context.rules.repeat_s)
            return again, [*state.large, say(context, state.message, again=True), repeat]
        case fx.Elapsed("repeat"):
            tries = state.tries + 1
            pause = min(context.rules.repeat_max_s, context.rules.repeat_s * 2 ** min(tries, MAX_DOUBLED))
            again = msgspec.structs.replace(state, tries=tries)
            return again, [say(context, state.message, again=True), fx.Wake("repeat", now + pause)]
        case fx.Told(_, Begin(award, _)):
            return state, [say(context, state.message, again=True), freed(award, answered=True)]
        case fx.Told(_, Withdraw()):
            return _settled(state, now)
        case _:
            return state, []


def _settled(state: Answered, now: float) -> Stepped:
    """Forget the answer; that work with ``effects = once`` was begun stays known until its deadline."""
    over = fx.Tell(Key("agent"), Freed(state.message.award, said=state.message))
    if state.once is None:
        return state, [fx.Persist(None), over, fx.Retire()]
    forget = fx.Wake("forget", now + state.once.left_ms / 1000)
    return Spent(), [fx.Persist(state.once), over, fx.Sleep("repeat"), fx.Sleep("expire"), forget]


def _forgetting(state: Working, now: float) -> fx.Wake:
    return fx.Wake("forget", max(now, state.ends))
