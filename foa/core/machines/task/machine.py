"""The door of the task machine: which event means what in which state. Everything else is said elsewhere."""

from random import Random

import msgspec

from foa.core import effects as fx
from foa.core.dag.blobs import Fetched
from foa.core.dag.cases import Recalled
from foa.core.effects import Effect, Event, Key
from foa.core.machines.task.awarding import recorded
from foa.core.machines.task.entry import unshown
from foa.core.machines.task.events import gathered, show
from foa.core.machines.task.finish import fail, overtaken
from foa.core.machines.task.intake import durable, fetched, is_empty, remember, resubmitted, take_over
from foa.core.machines.task.pending import JOINING, Consent, Join, Split, Stuck, is_pseudo
from foa.core.machines.task.place import SENT, placed, relook, turn, weighed
from foa.core.machines.task.planning.sessions import invite, late, looked_up, split
from foa.core.machines.task.replies import dialogue, joining
from foa.core.machines.task.replies.answers import answered, settle, silent
from foa.core.machines.task.replies.ended import ended_step
from foa.core.machines.task.replies.recovery import detoured, recover
from foa.core.machines.task.state import (
    AnswerMessage,
    Context,
    Ended,
    Live,
    Shadow,
    TaskState,
    active,
    again,
    anew,
    save,
    snapshot,
    unkept,
)
from foa.core.machines.task.verdict import dropped
from foa.core.routing.exchange import Answer, Turn, Weighed
from foa.core.routing.ownership import Anew, Gone, Holds, Left, Lost, Opened, Over, Unshown
from foa.wire.messages import Blob, Cancel, Found, Input, Result, State, Submit
from foa.wire.topics import Topic

OFFERED_S = 60.0
"""How long a submission is remembered of which no snapshot was heard: an owner that lives has one in milliseconds."""

LEFT_S = 30.0
"""How long a task is remembered by who stands by for it no more."""

HANDED_S = 0.25
"""How long a new owner waits for the last word of one that lives."""

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
            return ended_step(context, state, event, now)


def _shadow(context: Context, state: Shadow, event: Event, now: float) -> Stepped:
    match event:
        case fx.Told(_, Opened(partition, epoch, received)):
            return _heard(context, msgspec.structs.replace(state, partition=partition, epoch=epoch), received, now)
        case fx.Told(_, Holds() | Lost() | Anew() | Unshown()) | fx.Elapsed("handed"):
            return _moved(context, state, event, now)
        case fx.Received():
            return _heard(context, unshown.shown(state, event), event, now)
        case fx.Restored(State()):
            return _restored(context, state, event, now)
        case fx.Restored(Blob() as kept):
            return remember(state, fx.Received(Topic("blob"), kept), now), []
        case fx.Told(_, Fetched() as told):
            return fetched(state, told, context, now)
        case fx.Restored(Result() as kept):
            ended = Ended(state.partition, kept, doubtful=True)
            return ended, _remind(context, ended, now)
        case fx.Elapsed("forget"):
            return state, [*unkept(state), fx.Retire()]
        case fx.Told(_, Left(partition)) if partition == state.partition and not state.unshown:
            return state, _left(state, now)
        case _:
            return state, [fx.Retire()] if is_empty(state) else []


def _moved(context: Context, state: Shadow, event: Event, now: float) -> Stepped:
    """Hear that the partition has become ours, or is not any more, or that the bus was away.

    Of an owner that lives its last word is waited for: what it decided after the claim would be decided again.
    """
    match event:
        case fx.Told(_, Holds(partition, epoch, handed)) if partition == state.partition:
            state = msgspec.structs.replace(state, epoch=epoch)
            if handed and not is_empty(state) and not _is_last(state):
                return msgspec.structs.replace(state, handed=True), [fx.Wake("handed", now + HANDED_S)]
            return take_over(state, epoch, context, now)
        case fx.Elapsed("handed") if state.handed and state.epoch is not None:
            return take_over(msgspec.structs.replace(state, handed=False), state.epoch, context, now)
        case fx.Told(_, Lost(partition)) if partition == state.partition:
            return msgspec.structs.replace(state, epoch=None, handed=False), [fx.Sleep("handed")]
        case fx.Told(_, Anew()):
            return unshown.doubted(context, state)
        case fx.Told(_, Unshown(ours)):
            after, effects = unshown.said(context, state, now)
            return after, effects if state.partition in ours else [*effects, *_left(after, now)]
        case _:
            return state, []


def _left(state: Shadow, now: float) -> list[Effect]:
    """Forget soon what we stand by for no more: its next owner may not be there yet, and the broker go back in time.

    Never later than its result would be: it would go on one day with what has ended unheard.
    """
    kept = state.snapshot
    life = min(LEFT_S, kept.left_ms / 1000 + kept.task.retention_s - (now - state.since)) if kept is not None else 0.0
    return [fx.Wake("forget", now + life)] if life > 0.0 else [*unkept(state), fx.Retire()]


def _is_last(state: Shadow) -> bool:
    return state.snapshot is not None and state.snapshot.last


def _restored(context: Context, state: Shadow, event: fx.Restored, now: float) -> Stepped:
    """Remember a snapshot of our journal; the time since it was made counts, as far as our wall clock tells."""
    assert isinstance(event.message, State)
    after, effects = _remembered(context, state, fx.Received(Topic("state", state.partition), event.message), now)
    if isinstance(after, Shadow) and after.snapshot is event.message:
        after = msgspec.structs.replace(after, since=now - event.age_s, unshown=True)
    return after, effects


def _heard(context: Context, state: Shadow, received: fx.Received, now: float) -> Stepped:
    """Take a frame of a task not worked on here: as its heir remember it, as its owner begin once that can be."""
    message = received.message
    if isinstance(message, Input) and is_empty(state):
        gone = dialogue.refused(received, None, "no such task is running here", context)
        return state, [fx.Retire(), *(gone if state.epoch is not None else [])]
    if state.epoch is not None and state.snapshot is None and isinstance(message, AnswerMessage) and not state.handed:
        settled = settle(message, state.epoch, context, used=False)
        return state, [*settled, fx.Retire()] if is_empty(state) else settled
    after, effects = _remembered(context, state, received, now)
    if isinstance(after, Ended) or after.epoch is None:
        return after, effects
    if after.handed and not _is_last(after):
        return after, effects
    epoch, after = after.epoch, msgspec.structs.replace(after, handed=False)
    taken, more = take_over(after, epoch, context, now)
    calm = [fx.Sleep("forget"), fx.Sleep("handed")]
    return taken, [*(effects if isinstance(taken, Shadow) else calm), *more]


def _remembered(
    context: Context, state: Shadow, received: fx.Received, now: float
) -> tuple[Shadow | Ended, list[Effect]]:
    """Keep what an heir needs, until the task is over and a while longer."""
    after = remember(state, received, now)
    if isinstance(after, Ended):
        return after, [fx.Sleep("forget"), *_remind(context, after, now)]
    return after, [_forgetting(context, after, now)]


def _forgetting(context: Context, shadow: Shadow, now: float) -> fx.Wake:
    """Return the timer at which a task is forgotten whose end nobody told us."""
    pause = context.rules.remember_s
    if shadow.snapshot is not None:
        pause += shadow.snapshot.left_ms / 1000
    elif shadow.submit is not None:  # nobody was promised anything: its owner refused it, or it is submitted again
        pause = min(pause, OFFERED_S)
    return fx.Wake("forget", now + pause)


def _remind(context: Context, state: Ended, now: float) -> list[Effect]:
    """Have the memory tell when an ended task is to be forgotten, and know it for as long as its result lives."""
    life = state.until - now if state.until else context.rules.remember_s
    return [fx.Tell(Key("memory"), Over(context.rules.remember_s, life))]


def _live(context: Context, state: Live, event: Event, now: float) -> Stepped:
    match event:
        case fx.Received():
            return _live_heard(context, state, event, now)
        case fx.Told(_, Answer() | Weighed() | Recalled() | Turn() as word):
            return _advised(context, state, word, now)
        case fx.Told(_, Split() | Consent() | Stuck() | Join() as word):
            return _own(context, state, word, now)
        case fx.Delivered("accept", code):
            return durable(state, code, context, now)
        case fx.Delivered(token, code) if token.startswith(SENT):
            return recorded(state, int(token.removeprefix(SENT)), code, context, now)
        case fx.Elapsed(timer):
            return _elapsed(context, state, timer, now)
        case fx.Told(_, Lost() | Holds() | Anew() | Gone() as change):
            return _changed(context, state, change, now)
        case _:
            return state, []


def _advised(context: Context, state: Live, word: Answer | Weighed | Recalled | Turn, now: float) -> Stepped:
    """Hear what the index, the matchmaker or the memory of plans was asked, or whose turn it is."""
    match word:
        case Answer():
            return _found(state, word, context, now)
        case Weighed():
            return weighed(state, word, context, now)
        case Recalled():
            return invite(state, word, context)
        case Turn(ident):
            return turn(state, ident, context)


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
        case State() as seen if _is_older(seen, state):  # that stands at the broker now
            return again(state, seen.group, context, now)
        case _:
            return state, []


def _is_older(seen: State, state: Live) -> bool:
    """Tell whether `seen` is a former owner's word, or an older one of ours; groups count only what changed in them."""
    return seen.epoch < state.epoch or (seen.epoch == state.epoch and seen.seq < state.seq and not seen.group)


def _gone(context: Context, state: Live, agent: str, now: float) -> Stepped:
    """Take back what an agent has that died: no lease of its will be renewed."""
    after: TaskState = state
    effects: list[Effect] = []
    for seat in [seat for work in active(state) for seat in work.seats if seat.agent == agent]:
        if isinstance(after, Live) and seat.phase == "running":
            after, more = silent(after, seat.award, context, now)
            effects += [fx.Sleep(f"lease:{seat.award}"), *more]
    return after, effects


def _changed(context: Context, state: Live, change: Lost | Holds | Anew | Gone, now: float) -> Stepped:
    """Hear of our partition (a new epoch, another owner), of a broker that forgot, or of an agent that died."""
    if isinstance(change, Gone):
        return _gone(context, state, change.agent, now)
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
    said = [_marked(each) for each in said]
    shadow = Shadow(state.partition, since=now, snapshot=snapshot(state, now), plan=state.plan, unshown=True)
    released = dropped(state, list(state.works.values()), None, context, now)
    return shadow, [*(fx.Sleep(timer) for timer in timers), *said, *released, _forgetting(context, shadow, now)]


def _marked(effect: Effect) -> Effect:
    """Mark a snapshot as its owner's last word; of a large plan that is the head, which is said last."""
    if isinstance(effect, fx.Publish) and isinstance(effect.message, State) and not effect.message.group:
        return effect._replace(message=msgspec.structs.replace(effect.message, last=True))
    return effect
