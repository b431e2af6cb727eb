"""A task that is over, as long as it is remembered: late words, the same submission again, whose result was first."""

from typing import Final

import msgspec

from foa.core import effects as fx
from foa.core.effects import Effect, Event, Key
from foa.core.machines.task.live import Context, Ended, Reply
from foa.core.machines.task.over.letters import sent
from foa.core.machines.task.over.telling import TIMER, acknowledged, refused, repeated, told, waits
from foa.core.machines.task.replies import dialogue
from foa.core.machines.task.replies.answers import settle, stale
from foa.core.machines.task.state import answer_to
from foa.core.routing.ownership import Anew, Forget, Holds, Lost, Opened, Over
from foa.wire.messages import Accepted, Acknowledged, Asking, Done, Failed, Input, Result, State, Submit, Taken
from foa.wire.records import Task

MAX_RESTORED: Final = 8
LIFE_S: Final = 3600
"""How long a result is kept that is said again, where nobody knows any more how long it was to be kept."""

Stepped = tuple[Ended, list[Effect]]


def ended_step(context: Context, state: Ended, event: Event, now: float) -> Stepped:
    """Take one event of a task that is over."""
    match event:
        case fx.Told(_, Opened(_, _, received)):
            return _heard(context, state, received, now)
        case fx.Received():
            return _heard(context, state, event, now)
        case fx.Told(_, Holds(partition)) if partition == state.partition:
            return _held(context, state, now)
        case fx.Told(_, Lost(partition)) if partition == state.partition:
            return msgspec.structs.replace(state, heir=True), [fx.Sleep(TIMER)]
        case fx.Told(_, Anew(lost=True)):
            return state, _restore(context, state, now)
        case fx.Elapsed(timer) if timer == TIMER:
            return repeated(state, context, now)
        case fx.Told(_, Forget(full)) if not full and waits(state, now):
            return state, [fx.Tell(Key("memory"), Over(context.rules.remember_s))]
        case fx.Elapsed("forget") | fx.Told(_, Forget()):
            return state, [fx.Persist(None), fx.Retire()]
        case _:
            return state, []


def _heard(context: Context, state: Ended, received: fx.Received, now: float) -> Stepped:
    match received.message:
        case Done() | Failed() | Asking() as late_answer:
            return state, settle(late_answer, state.result.epoch, context, used=False)
        case Taken() as late_start:
            return state, stale(late_start, state.result.epoch, context)
        case Submit(task):
            return _submitted_again(context, state, task, received, now)
        case Acknowledged(_, epoch):
            return acknowledged(state, epoch)
        case Input():
            return state, dialogue.refused(received, None, f"the task has ended: {state.result.status}", context)
        case State() as seen:
            return _gone_on(context, state, seen, now, retained=received.retained)
        case Result() as result if state.doubtful:
            first = msgspec.structs.replace(state, result=result, confirmed=True, doubtful=False)
            return (first, [fx.Persist(result)]) if received.retained else (state, [])
        case Result() as result:
            return _first_wins(context, state, result, now)
        case _:
            return state, []


def _gone_on(context: Context, state: Ended, seen: State, now: float, *, retained: bool) -> Stepped:
    """Clear a snapshot of a task that is over; whoever goes on with it, or remembers it so, is told how it ended.

    The broker may have forgotten the result and remembered the snapshot, so that they never knew. A result of which
    our journal alone knows is told to whoever says a snapshot now: they know of none. What is shown as retained proves
    nothing, since the result that stands may be shown after it; and it may be all that an owner's heir would have.
    """
    if state.doubtful:
        if retained or seen.group or state.restored >= MAX_RESTORED:
            return state, []
        return msgspec.structs.replace(state, restored=state.restored + 1), _restore(context, state, now)
    cleared = _clear(context, state, seen.group)
    if not state.confirmed or seen.group or state.restored >= MAX_RESTORED:
        return state, [cleared]
    state = msgspec.structs.replace(state, restored=state.restored + 1)
    return state, [cleared, *_restore(context, state, now), fx.Measure("foa_results_restored_total")]


def _submitted_again(context: Context, state: Ended, task: Task, received: fx.Received, now: float) -> Stepped:
    """Answer a submission that came again with the result that stands; one that asks for something else with no."""
    if not received.reply_to:
        return state, []
    to = Reply(received.reply_to, received.correlation, task)
    taken = refused(task, state.result.request)
    if taken is not None:
        return state, list(answer_to(to, taken, context))
    result = state.result
    said = [*answer_to(to, Accepted(result.task, result.epoch), context), *answer_to(to, result, context)]
    state, again = told(msgspec.structs.replace(state, to=to, told=0, heir=False), context, now)
    return state, [*said, *again]


def _held(context: Context, state: Ended, now: float) -> Stepped:
    """Our partition is ours now: tell the submitter, who may not have heard; and say what was never read back.

    The node that decided may have died between deciding and saying.
    """
    state, again = told(msgspec.structs.replace(state, heir=False), context, now)
    if state.confirmed:
        return state, again
    state = msgspec.structs.replace(state, doubtful=False)
    return state, [*again, *_restore(context, state, now), _clear(context, state)]


def _clear(context: Context, state: Ended, group: int = 0) -> fx.Publish:
    topic = context.topics.task(state.partition, state.result.task, f"state/{group}")
    return fx.Publish(topic, None, retain=True)


def _restore(context: Context, state: Ended, now: float) -> list[Effect]:
    """Return what has the broker keep what was said at the end: the result, what a stranger reads of it, the letter."""
    topic = context.topics.task(state.partition, state.result.task, "result")
    life = max(1, int(state.until - now)) if state.until else LIFE_S
    said: list[Effect] = [fx.Publish(topic, state.result, retain=True, expiry_s=life)]
    if state.to is not None and state.to.task.format == "json":
        said += [each for each in answer_to(state.to, state.result, context) if each.retain]
    if state.letter is not None:
        said.append(sent(state.letter, state.partition, context))
    return said


def _first_wins(context: Context, state: Ended, result: Result, now: float) -> Stepped:
    """Settle which of two owners in a split view was first: whose result is read back first, in broker order.

    Our own read back confirms it. Another's after that was later, and is overwritten by ours; another's
    before that was first: it is adopted, and restored if ours has overwritten it. Only so often, since where a
    broker's order was torn apart both may believe to be first.
    """
    if result == state.result:
        return msgspec.structs.replace(state, confirmed=True), []
    if state.restored >= MAX_RESTORED:
        return state, []
    adopted: list[Effect] = [] if state.confirmed else [fx.Persist(result)]
    first = state if state.confirmed else msgspec.structs.replace(state, result=result, confirmed=True, letter=None)
    first = msgspec.structs.replace(first, restored=state.restored + 1)
    log = fx.Log("result_restored", {"task": result.task})
    return first, [*adopted, *_restore(context, first, now), fx.Measure("foa_results_restored_total"), log]
