"""The door of the task machine: which event means what in which state. Everything else is said elsewhere."""

from random import Random

import msgspec

from foa.core import effects as fx
from foa.core.dag.blobs import Fetched
from foa.core.dag.cases import Recalled
from foa.core.effects import Effect, Event, Key
from foa.core.machines.task.awarding import recorded
from foa.core.machines.task.events import gathered, show
from foa.core.machines.task.finish import fail, overtaken
from foa.core.machines.task.intake import durable, fetched, is_empty, remember, resubmitted, take_over
from foa.core.machines.task.pending import JOINING, Consent, Join, Split, Stuck, is_pseudo
from foa.core.machines.task.place import SENT, placed, relook, weighed
from foa.core.machines.task.planning.sessions import invite, late, looked_up, split
from foa.core.machines.task.replies import dialogue, joining
from foa.core.machines.task.replies.answers import answered, settle, silent
from foa.core.machines.task.replies.recovery import detoured, recover
from foa.core.machines.task.state import (
    AnswerMessage,
    Context,
    Ended,
    Live,
    Shadow,
    TaskState,
    again,
    anew,
    save,
    snapshot,
    unkept,
)
from foa.core.machines.task.verdict import dropped
from foa.core.routing.exchange import Answer, Weighed
from foa.core.routing.ownership import Anew, Forget, Holds, Lost, Opened, Over
from foa.wire.messages import Asking, Blob, Cancel, Done, Failed, Found, Input, Result, State, Submit
from foa.wire.topics import Topic

MAX_RESTORED = 8

Stepped = tuple[TaskState, list[Effect]]


def step(context: Context, state: TaskState, event: Event, now: float, rng: Random) -> Stepped:
    """Take one event. Bind `context` with functools.partial to get the shape every machine has."""
    del rng  # nothing here is left to chance
    match state:
        case Shadow():
            return gathered(context, None, *_shadow(context, state, event, now), now)
        case Live() if isinstance(event, fx.Elapsed) and event.timer == "events":
            return show(context, state)
        case Live():
            return gathered(context, state, *_live(context, state, event, now), now)
        case Ended():
            return _ended(context, state, event)


def _shadow(context: Context, state: Shadow, event: Event, now: float) -> Stepped:
    match event:
        case fx.Told(_, Opened(partition, epoch, received)):
            return _heard(context, msgspec.structs.replace(state, partition=partition, epoch=epoch), received, now)
        case fx.Told(_, Holds(partition, epoch)) if partition == state.partition:
            return take_over(msgspec.structs.replace(state, epoch=epoch), epoch, context, now)
        case fx.Told(_, Lost(partition)) if partition == state.partition:
            return msgspec.structs.replace(state, epoch=None), []
        case fx.Received():
            return _heard(context, state, event, now)
        case fx.Restored(State() as kept):
            return _remembered(context, state, fx.Received(Topic("state", state.partition), kept), now)
        case fx.Restored(Blob() as kept):
            return remember(state, fx.Received(Topic("blob"), kept), now), []
        case fx.Told(_, Fetched() as told):
            return fetched(state, told, context, now)
        case fx.Restored(Result() as kept):
            return Ended(state.partition, kept, doubtful=True), _remind(context)
        case fx.Elapsed("forget"):
            return state, [*unkept(state), fx.Retire()]
        case _:
            return state, [fx.Retire()] if is_empty(state) else []


def _heard(context: Context, state: Shadow, received: fx.Received, now: float) -> Stepped:
    """Take a frame of a task not worked on here: as its heir remember it, as its owner begin once that can be."""
    message = received.message
    if isinstance(message, Input):
        known = state.epoch is None or not is_empty(state)
        gone = dialogue.refused(received, None, "no such task is running here", context)
        return state, [] if known else [*gone, fx.Retire()]
    if state.epoch is not None and state.snapshot is None and isinstance(message, AnswerMessage):
        settled = settle(message, state.epoch, context, used=False)
        return state, [*settled, fx.Retire()] if is_empty(state) else settled
    after, effects = _remembered(context, state, received, now)
    if isinstance(after, Ended) or after.epoch is None:
        return after, effects
    taken, more = take_over(after, after.epoch, context, now)
    return taken, [*(effects if isinstance(taken, Shadow) else [fx.Sleep("forget")]), *more]


def _remembered(
    context: Context, state: Shadow, received: fx.Received, now: float
) -> tuple[Shadow | Ended, list[Effect]]:
    """Keep what an heir needs, until the task is over and a while longer."""
    after = remember(state, received, now)
    if isinstance(after, Ended):
        return after, [fx.Sleep("forget"), *_remind(context)]
    return after, [_forgetting(context, after, now)]


def _forgetting(context: Context, shadow: Shadow, now: float) -> fx.Wake:
    """Return the timer at which a task is forgotten whose end nobody told us."""
    pause = context.rules.remember_s
    if shadow.snapshot is not None:
        pause += shadow.snapshot.left_ms / 1000
    elif shadow.submit is not None and isinstance(shadow.submit.message, Submit):
        pause += shadow.submit.message.task.deadline_ms / 1000
    return fx.Wake("forget", now + pause)


def _remind(context: Context) -> list[Effect]:
    """Have the memory tell when an ended task is to be forgotten."""
    return [fx.Tell(Key("memory"), Over(context.rules.remember_s))]


def _live(context: Context, state: Live, event: Event, now: float) -> Stepped:
    match event:
        case fx.Received():
            return _live_heard(context, state, event, now)
        case fx.Told(_, Answer() as answer):
            return _found(state, answer, context, now)
        case fx.Told(_, Weighed() as told):
            return weighed(state, told, context, now)
        case fx.Told(_, Recalled() as told):
            return invite(state, told, context)
        case fx.Told(_, Split() | Consent() | Stuck() | Join() as word):
            return _own(context, state, word, now)
        case fx.Delivered("accept", code):
            return durable(state, code, context, now)
        case fx.Delivered(token, code) if token.startswith(SENT):
            return recorded(state, int(token.removeprefix(SENT)), code, context, now)
        case fx.Elapsed(timer):
            return _elapsed(context, state, timer, now)
        case fx.Told(_, Lost() | Holds() | Anew() as change):
            return _changed(context, state, change, now)
        case _:
            return state, []


def _found(state: Live, answer: Answer, context: Context, now: float) -> Stepped:
    """Take the answer to any of a task's lookups; None where the index could not be asked."""
    token, found = answer.token, answer.found
    if token.startswith("detour:"):
        found = found if isinstance(found, Found) else Found(())
        return detoured(state, token.removeprefix("detour:"), found, context, now)
    if token == joining.TOKEN:
        return joining.found(state, found if isinstance(found, Found) else Found(()), context, now)
    planned = looked_up(state, token, found, context, now)
    if planned is not None:
        return planned
    return placed(state, token, found if isinstance(found, Found) else Found(()), context, now)


def _own(context: Context, state: Live, word: Split | Consent | Stuck | Join, now: float) -> Stepped:
    """Take what the task told itself, if it is still so."""
    work = state.works.get(word.ident)
    if work is None or work.phase not in {"waiting", "ready"} or work.question or word.ident in state.sessions:
        return state, []
    if is_pseudo(word.ident) and not isinstance(word, Join):
        return state, []
    match word:
        case Split():
            return split(state, word, context, now)
        case Join():
            return joining.join(state, context)
        case Consent(ident):
            return dialogue.consent(state, ident, context, now)
        case Stuck(ident, code, reason):
            return recover(state, ident, code, reason, context, now)


def _live_heard(context: Context, state: Live, received: fx.Received, now: float) -> Stepped:
    match received.message:
        case message if isinstance(message, AnswerMessage):
            return answered(state, message, context, now)
        case Submit():
            return resubmitted(state, received, context)
        case Input():
            return dialogue.said(state, received, context, now)
        case Cancel() as cancel:
            return fail(state, context, now, "cancelled", cancel.reason or "cancelled by its submitter", "cancelled")
        case Result() as result:
            return overtaken(state, context, now, result)
        case State() as seen if seen.epoch < state.epoch:
            return again(state, seen.group, context, now)  # a former owner's word stands at the broker now
        case _:
            return state, []


def _changed(context: Context, state: Live, change: Lost | Holds | Anew, now: float) -> Stepped:
    """Hear of our partition: a new epoch, another owner, or a broker that forgot what it kept for us."""
    if isinstance(change, Anew):
        return anew(state, context, now)
    if change.partition != state.partition:
        return state, []
    if isinstance(change, Lost):
        return _step_back(context, state, now)
    return msgspec.structs.replace(state, epoch=change.epoch), []


def _elapsed(context: Context, state: Live, timer: str, now: float) -> Stepped:
    if timer == "deadline" and JOINING in state.works:  # all parts are there: nobody waits longer for their joining
        return joining.without(state, context, now)
    if timer == "deadline":
        return fail(state, context, now, "deadline", "the deadline came before the result", "expired")
    if timer.startswith("plan:"):
        return late(state, timer.removeprefix("plan:"), context, now)
    if timer == "relook":
        return relook(msgspec.structs.replace(state, busy=()), context, now)
    if timer.startswith("lease:"):
        return silent(state, timer.removeprefix("lease:"), context, now)
    return state, []


def _step_back(context: Context, state: Live, now: float) -> Stepped:
    """Another owner claimed above us: go on as its heir, with all timers called off.

    The snapshot is said once more, since the broker may have forgotten it and the new owner never seen it.
    """
    timers = ["deadline", "relook", "events", *(f"plan:{target}" for target in state.sessions)]
    timers += [f"lease:{seat.award}" for work in state.works.values() for seat in work.seats if seat.phase == "running"]
    state, said = save(state, context, now)
    shadow = Shadow(state.partition, since=now, snapshot=snapshot(state, now), plan=state.plan)
    released = dropped(state, list(state.works.values()), None, context, now)
    return shadow, [*(fx.Sleep(timer) for timer in timers), *said, *released, _forgetting(context, shadow, now)]


def _ended(context: Context, state: Ended, event: Event) -> Stepped:
    match event:
        case fx.Received(_, Done() | Failed() | Asking() as late_answer):
            return state, settle(late_answer, state.result.epoch, context, used=False)
        case fx.Received(_, Submit()) | fx.Told(_, Opened(_, _, fx.Received(_, Submit()))):
            received = event if isinstance(event, fx.Received) else event.message.received
            return resubmitted(state, received, context)
        case fx.Received(_, Input()) | fx.Told(_, Opened(_, _, fx.Received(_, Input()))):
            received = event if isinstance(event, fx.Received) else event.message.received
            return state, dialogue.refused(received, None, f"the task has ended: {state.result.status}", context)
        case fx.Received(_, State() as seen):
            return state, [_clear(context, state, seen.group)]
        case fx.Received(_, Result() as result, retained=retained) if state.doubtful:
            return (Ended(state.partition, result, confirmed=True), [fx.Persist(result)]) if retained else (state, [])
        case fx.Received(_, Result() as result):
            return _first_wins(context, state, result)
        case fx.Told(_, Holds(partition, _)) if partition == state.partition and not state.confirmed:
            return msgspec.structs.replace(state, doubtful=False), _say_again(context, state)
        case fx.Told(_, Anew(lost=True)):
            return state, [_restore(context, state)]
        case fx.Elapsed("forget") | fx.Told(_, Forget()):
            return state, [fx.Persist(None), fx.Retire()]
        case _:
            return state, []


def _say_again(context: Context, state: Ended) -> list[Effect]:
    """Publish a result that was never read back: this node may have died between deciding and saying."""
    return [_restore(context, state), _clear(context, state)]


def _clear(context: Context, state: Ended, group: int = 0) -> fx.Publish:
    topic = context.topics.task(state.partition, state.result.task, f"state/{group}")
    return fx.Publish(topic, None, retain=True)


def _restore(context: Context, state: Ended) -> fx.Publish:
    topic = context.topics.task(state.partition, state.result.task, "result")
    return fx.Publish(topic, state.result, retain=True, expiry_s=3600)


def _first_wins(context: Context, state: Ended, result: Result) -> Stepped:
    """Settle which of two owners in a split view was first: whose result is read back first, in broker order.

    Our own read back confirms it. Another's after that was later, and is overwritten by ours; another's
    before that was first: it is adopted, and restored if ours has overwritten it. Only so often, since where a
    broker's order was torn apart both may believe to be first.
    """
    if result == state.result:
        return msgspec.structs.replace(state, confirmed=True), []
    if state.restored >= MAX_RESTORED:
        return state, []
    adopted = [] if state.confirmed else [fx.Persist(result)]
    first = state if state.confirmed else Ended(state.partition, result, confirmed=True)
    first = msgspec.structs.replace(first, restored=state.restored + 1)
    log = fx.Log("result_restored", {"task": result.task})
    return first, [*adopted, _restore(context, first), fx.Measure("foa_results_restored_total"), log]
