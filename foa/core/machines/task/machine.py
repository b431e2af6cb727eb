"""The door of the task machine: which event means what in which state. Everything else is said elsewhere."""

from random import Random

import msgspec

from foa.core import effects as fx
from foa.core.effects import Effect, Event, Key
from foa.core.machines.task.answers import answered, settle, silent
from foa.core.machines.task.events import gathered, show
from foa.core.machines.task.finish import fail
from foa.core.machines.task.intake import durable, remember, resubmitted, submitted, take_over
from foa.core.machines.task.place import look
from foa.core.machines.task.planning import late, looked_up
from foa.core.machines.task.state import AnswerMessage, Context, Ended, Live, Shadow, TaskState, snapshot
from foa.core.routing.exchange import Answer
from foa.core.routing.ownership import Forget, Holds, Lost, Opened, Over
from foa.wire.ids import Epoch
from foa.wire.messages import Cancel, Done, Failed, Result, Settled, State, Submit
from foa.wire.topics import Topic

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
            return _opened(context, msgspec.structs.replace(state, partition=partition), received, epoch, now)
        case fx.Told(_, Holds(partition, epoch)) if partition == state.partition:
            return take_over(state, epoch, context, now)
        case fx.Received():
            return _remembered(context, state, event, now)
        case fx.Restored(State() as kept):
            return _remembered(context, state, fx.Received(Topic("state", state.partition), kept), now)
        case fx.Restored(Result() as kept):
            return Ended(state.partition, kept, confirmed=True), _remind(context)
        case fx.Elapsed("forget"):
            return state, [fx.Persist(None), fx.Retire()]
        case _:
            return state, []


def _remembered(context: Context, state: Shadow, received: fx.Received, now: float) -> Stepped:
    """Keep what an heir needs, until the task is over and a while longer."""
    after = remember(state, received)
    if isinstance(after, Ended):
        return after, [fx.Sleep("forget"), *_remind(context)]
    pause = context.rules.remember_s
    if isinstance(after, Shadow):
        if after.snapshot is not None:
            pause += after.snapshot.left_ms / 1000
        elif after.submit is not None and isinstance(after.submit.message, Submit):
            pause += after.submit.message.task.deadline_ms / 1000
    return after, [fx.Wake("forget", now + pause)]


def _remind(context: Context) -> list[Effect]:
    """Have the memory tell when an ended task is to be forgotten."""
    return [fx.Tell(Key("memory"), Over(context.rules.remember_s))]


def _opened(context: Context, state: Shadow, received: fx.Received, epoch: Epoch | None, now: float) -> Stepped:
    """Take the first frame of a task: as its owner work on it, as its heir only remember."""
    message = received.message
    if epoch is None:
        return _remembered(context, state, received, now)
    if isinstance(message, Submit):
        return submitted(state.partition, received, epoch, context, now)
    if isinstance(message, Done | Failed):
        reply = Settled(message.award, message.task, epoch, used=False)
        return state, [fx.Publish(context.topics.request(message.agent), reply, expiry_s=60), fx.Retire()]
    after, effects = _remembered(context, state, received, now)
    if isinstance(after, Shadow) and after.snapshot is not None:
        return take_over(after, epoch, context, now)
    return after, effects if isinstance(after, Ended) else [fx.Retire()]


def _live(context: Context, state: Live, event: Event, now: float) -> Stepped:
    match event:
        case fx.Received(_, message) if isinstance(message, AnswerMessage):
            return answered(state, message, context, now)
        case fx.Told(_, Answer(token, found)):
            return looked_up(state, token, found, context, now)
        case fx.Delivered("accept", code):
            return durable(state, code, context, now)
        case fx.Elapsed(timer):
            return _elapsed(context, state, timer, now)
        case fx.Received(_, Submit()):
            return resubmitted(state, event, context)
        case fx.Received(_, Cancel() as cancel):
            return fail(state, context, now, "cancelled", cancel.reason or "cancelled by its submitter", "cancelled")
        case fx.Received(_, Result() as result):
            return _overtaken(context, state, result, now)
        case fx.Told(_, Lost() | Holds() as change) if change.partition == state.partition:
            return _step_back(state, now) if isinstance(change, Lost) else (_under(state, change.epoch), [])
        case _:
            return state, []


def _under(state: Live, epoch: Epoch) -> Live:
    return msgspec.structs.replace(state, epoch=epoch)


def _elapsed(context: Context, state: Live, timer: str, now: float) -> Stepped:
    if timer == "deadline":
        return fail(state, context, now, "deadline", "the deadline came before the result", "expired")
    if timer == "plan":
        return late(state, context, now)
    if timer == "relook":
        state = msgspec.structs.replace(state, busy=())
        idents = tuple(sorted(state.unplaced))[:64]
        return look(state, idents, context) if idents else (state, [])
    if timer.startswith("lease:"):
        return silent(state, timer.removeprefix("lease:"), context, now)
    return state, []


def _overtaken(context: Context, state: Live, result: Result, now: float) -> Stepped:
    """Somebody else's result came first: it is final; what we still run is for nothing."""
    _, effects = fail(state, context, now, "overtaken", "another owner's result came first")
    kept = [effect for effect in effects if not _says_result(effect)]
    return Ended(state.partition, result, confirmed=True), [*kept, fx.Persist(result)]


def _says_result(effect: Effect) -> bool:
    return isinstance(effect, fx.Persist) or (isinstance(effect, fx.Publish) and isinstance(effect.message, Result))


def _step_back(state: Live, now: float) -> Stepped:
    """Another owner claimed above us: go on as its heir, with all timers called off."""
    timers = ["deadline", "relook", "plan", "events"]
    timers += [f"lease:{seat.award}" for work in state.works.values() for seat in work.seats if seat.phase == "running"]
    return Shadow(state.partition, snapshot=snapshot(state, now)), [fx.Sleep(timer) for timer in timers]


def _ended(context: Context, state: Ended, event: Event) -> Stepped:
    match event:
        case fx.Received(_, Done() | Failed() as late_answer):
            return state, settle(late_answer, state, context, used=False)
        case fx.Received(_, Submit()) | fx.Told(_, Opened(_, _, fx.Received(_, Submit()))):
            received = event if isinstance(event, fx.Received) else event.message.received
            return resubmitted(state, received, context)
        case fx.Received(_, Result() as result):
            return _first_wins(context, state, result)
        case fx.Elapsed("forget") | fx.Told(_, Forget()):
            return state, [fx.Persist(None), fx.Retire()]
        case _:
            return state, []


def _first_wins(context: Context, state: Ended, result: Result) -> Stepped:
    """Settle which of two owners in a split view was first: whose result is read back first, in broker order.

    Our own read back confirms it. Another's after that was later, and is overwritten by ours; another's
    before that was first: it is adopted, and restored if ours has overwritten it.
    """
    if result == state.result:
        return msgspec.structs.replace(state, confirmed=True), []
    first = state if state.confirmed else Ended(state.partition, result, confirmed=True)
    topic = context.topics.task(state.partition, result.task, "result")
    restore = fx.Publish(topic, first.result, retain=True, expiry_s=3600)
    return first, [restore, fx.Measure("foa_results_restored_total"), fx.Log("result_restored", {"task": result.task})]
