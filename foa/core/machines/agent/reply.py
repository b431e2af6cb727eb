"""What an award says to the owner of its task, and what ends it: shared by the lone worker and the cluster's member."""

from math import inf
from typing import Final

import msgspec

from foa.core import effects as fx
from foa.core.dag.blobs import outsource
from foa.core.effects import Effect, Key
from foa.core.machines.agent.state import (
    Answered,
    AwardState,
    Charged,
    Context,
    Freed,
    Fresh,
    Joined,
    Progressed,
    Running,
    Stumbled,
)
from foa.wire.envelope import Envelope
from foa.wire.ids import partition_of
from foa.wire.messages import Asking, Award, Declined, Done, Draft, Failed, Progress, Taken
from foa.wire.records import Given, Usage

MAX_OPTIONS: Final = 16
MAX_QUESTION: Final = 4096
MAX_PARTIAL: Final = 4096
MOST_USD: Final = 1e15
MAX_AGAIN: Final = 1024 * 1024
"""An answer whose bodies are larger together has them said once: as many as wait to be settled would be held."""

Stepped = tuple[AwardState, list[Effect]]
Working = Running | Joined


class Made(msgspec.Struct, frozen=True):
    """An answer: its outputs, the round they are of, and whether the cluster agreed."""

    outputs: tuple[Given, ...]
    round: int = 0
    agreed: bool = True
    confidence: float | None = None
    votes: dict[str, float] = {}

    @classmethod
    def of(cls, draft: Draft, *, agreed: bool, votes: dict[str, float]) -> "Made":
        """Return a member's draft as its answer."""
        return cls(draft.outputs, draft.round, agreed, draft.confidence, votes)


def send(context: Context, award: Award, message: Taken | Declined | Progress) -> fx.Publish:
    """Say something of an award that is not its end."""
    topic = context.topics.answer(award.partition, award.task, context.profile.agent)
    return fx.Publish(topic, message, Envelope(epoch=award.epoch))


def taken(context: Context, award: Award, *, started: bool = True) -> fx.Publish:
    """Say that the award is here."""
    return send(context, award, Taken(award.award, award.task, context.profile.agent, started))


def beat(award: Award, now: float) -> fx.Wake:
    """Renew the lease three times within it."""
    return fx.Wake("beat", now + award.lease_ms / 3000)


def freed(award: Award, *, untouched: bool = False, answered: bool = False) -> fx.Tell:
    """Give the slot back."""
    return fx.Tell(Key("agent"), Freed(award.award, untouched, answered))


def watch(context: Context, now: float) -> list[Effect]:
    """Give the handler a new term: within it a sign of its own must come, or it is held hung."""
    return [fx.Wake("hung", now + context.rules.hung_s)] if context.rules.hung_s < inf else []


def progressed(context: Context, state: Working, told: Progressed, now: float) -> Stepped:
    """Say how far the work is; a piece of the answer may be lost on the way."""
    award = state.award
    fraction = told.fraction if abs(told.fraction) <= MOST_USD else 0.0
    partial = told.partial[:MAX_PARTIAL]
    said = Progress(award.award, award.task, context.profile.agent, fraction, told.text[:500], partial=partial)
    at_work = isinstance(state, Running) or state.busy
    term = watch(context, now) if at_work else []
    return state, [send(context, award, said)._replace(qos=0 if partial else 1), beat(award, now), *term]


def charged(bill: Usage | None, told: Charged) -> Usage | None:
    """Return `bill` with what was charged added; what is no amount of money or tokens is left out."""
    held = bill or Usage()
    usd = told.usd if 0.0 <= told.usd <= MOST_USD else 0.0
    if not usd and told.usd != 0.0 and not (told.tokens_in > 0 or told.tokens_out > 0):
        return bill
    return Usage(
        cost=min(MOST_USD, held.cost + usd),
        tokens_in=held.tokens_in + max(0, told.tokens_in),
        tokens_out=held.tokens_out + max(0, told.tokens_out),
    )


def answer(context: Context, state: Working, made: Made, now: float) -> Stepped:
    """Answer the award; large bodies go by reference."""
    award, rules = state.award, context.rules
    outputs, blobs = outsource(
        made.outputs, context.topics, rules.blob_expiry_s + award.left_ms // 1000, rules.inline_bytes, rules.chunk_bytes
    )
    message = Done(
        award.award, award.task, context.profile.agent, award.key, outputs, _usage(context, state, now), made.round,
        made.agreed, made.confidence, made.votes,
    )  # fmt: skip
    large = tuple(blobs) if sum(len(each.value.body or b"") for each in made.outputs) <= MAX_AGAIN else ()
    answered, effects = _final(context, award, message, now, large)
    return answered, [*blobs, fx.Measure("foa_handler_seconds", seconds=now - state.began), *effects]


def _usage(context: Context, state: Working, now: float) -> Usage:
    bill = state.bill or Usage(cost=context.profile.resources.price_call)
    return msgspec.structs.replace(bill, ms=max(0, int((now - state.began) * 1000)))


def stumble(
    context: Context, award: Award, stumbled: Stumbled, now: float, *, working: Working | None = None
) -> Stepped:
    """End an award without an answer: declined, failed, or with a question to a person.

    What `working` charged is billed; the declared price of one call is for answers alone.
    """
    agent = context.profile.agent
    if stumbled.kind == "declined":
        declined = Declined(award.award, award.task, agent, stumbled.code, stumbled.reason[:500])
        said: list[Effect] = [send(context, award, declined), freed(award, untouched=True)]
        return Fresh(), [*said, fx.Persist(None), fx.Retire()]
    if stumbled.kind == "asking":
        question = stumbled.reason[:MAX_QUESTION].strip() or "(no question was given)"
        options = tuple(option[:500] for option in stumbled.options[:MAX_OPTIONS])
        state, effects = _final(context, award, Asking(award.award, award.task, agent, question, options), now)
        return state, [*effects, fx.Measure("foa_handler_questions_total")]
    usage = Usage()
    if working is not None and working.bill is not None:
        usage = _usage(context, working, now)
    failed = Failed(
        award.award, award.task, agent, stumbled.code, stumbled.reason[:500], stumbled.retryable, stumbled.after_ms,
        usage, stumbled.refutes[:64],
    )  # fmt: skip
    state, effects = _final(context, award, failed, now)
    log = fx.Log("handler_failed", {"task": award.task, "code": stumbled.code, "reason": stumbled.reason}, "warning")
    return state, [*effects, log, fx.Measure("foa_handler_failures_total", label=stumbled.code)]


def _final(
    context: Context, award: Award, message: Done | Failed | Asking, now: float, large: tuple[fx.Publish, ...] = ()
) -> Stepped:
    """Keep the answer until it is settled, over restarts too, and say it. Who asks has not begun yet."""
    asks = isinstance(message, Asking)
    timers = [fx.Sleep(timer) for timer in ("silent", "beat", "deadline", "round", "hung")]
    first = say(context, message, again=asks)  # nobody else tells the owner that it waits for a person
    ends = now + award.left_ms / 1000 + context.rules.keep_s
    effects: list[Effect] = [*timers, fx.Persist(message), fx.Wake("expire", ends)]
    once = award if context.profile.effects == "once" and not asks else None
    repeat = fx.Wake("repeat", now + context.rules.repeat_s)
    return Answered(message, once=once, large=large), [
        *effects,
        first,
        repeat,
        freed(award, untouched=asks, answered=True),
    ]


def say(context: Context, message: Done | Failed | Asking, *, again: bool = False) -> fx.Publish:
    """Say a final answer: first without the broker's receipt, since the owner's own word is waited for."""
    partition = partition_of(message.task, context.topics.partitions)
    topic = context.topics.answer(partition, message.task, context.profile.agent)
    return fx.Publish(topic, message, qos=1 if again else 0)
