"""One submission, until its result: what a client keeps, sends, hears and acknowledges.

::

    Sending --Accepted--> Pending --Result--> Fetching --bodies--> (gone)
       |'--Rejected--> (gone)    '--several owners--> Checking --what the broker keeps--> Fetching

What is not accepted yet is in the outbox (`Persist`): a client that ended sends it again in its next life, under the
same id. What is large is said again whenever the bus is back (`Back`), until the result: a broker that died may have
lost it, and nobody else has it. While it is pending the owner may ask a person (`Required`): that is reported, and
changes nothing here.
"""

from random import Random
from typing import Final

import msgspec

from foa.core import effects as fx
from foa.core.dag.blobs import Fetch, Fetched, filled, outsource, references
from foa.core.effects import Effect, Event, Key
from foa.core.machines.client.records import (
    Abandon,
    Back,
    Checking,
    Context,
    Fetching,
    Follow,
    Idle,
    Pending,
    Report,
    ReportKind,
    Sending,
    Submission,
    TaskState,
)
from foa.wire.envelope import Envelope
from foa.wire.ids import digest_of, partition_of
from foa.wire.messages import Accepted, Acknowledged, Blob, Cancel, Events, Rejected, Required, Result, Submit
from foa.wire.records import Task

RETRY_S: Final = 2.0
MAX_PAUSE_S: Final = 60.0
MAX_DOUBLED: Final = 16
"""How long at most, and how often twice as long as before, who is told to come back waits."""

LOOK_S: Final = 3.0
CHECK_S: Final = 0.5
"""How long two owners may take to settle which result stands, before what the broker keeps then is taken."""

MAX_AGAIN: Final = 4 * 1024 * 1024
"""Bodies of a submission that are larger together are not kept here to be said again."""

MAX_CHECKS: Final = 6
"""Where the broker keeps none after so many looks, the one that was heard is taken."""

Stepped = tuple[TaskState, list[Effect]]


def task_step(context: Context, state: TaskState, event: Event, now: float, rng: Random) -> Stepped:
    """Take one event of one submission. Bind `context` to get the shape every machine has."""
    match event:
        case fx.Told(_, Submission() as submission):
            return _submit(context, submission, now, rng)
        case fx.Told(_, Follow(watch)) if isinstance(state, Idle):
            return Pending(state.id, watch, listening=True), [_listen(context, state.id, watch=watch)]
        case fx.Told(_, Abandon(cancel, reason)):
            return _abandon(context, state, cancel=cancel, reason=reason)
        case fx.Received(topic, message):
            return _received(context, state, message, now, retained=topic.kind == "result")
        case fx.Elapsed(timer):
            return _elapsed(context, state, timer, now)
        case fx.Restored(Submit(task)) if isinstance(state, Idle):
            again = Sending(state.id, Submission(task, watch=False))
            return again, [_send(context, again), fx.Wake("retry", now + RETRY_S)]
        case fx.Told(_, Back()) if isinstance(state, Sending | Pending):
            return state, list(state.large)
        case fx.Restored(Blob() as body) if isinstance(state, Sending):
            return _body(context, state, body)
        case fx.Told(_, Fetched(_, bodies, error)) if isinstance(state, Fetching):
            outputs = filled(state.result.outputs, bodies)
            reason = state.result.reason or error
            return state, _over(state.id, msgspec.structs.replace(state.result, outputs=outputs, reason=reason))
        case _:
            return state, []


# --- until it is accepted -----------------------------------------------------------------------------------


def _submit(context: Context, submission: Submission, now: float, rng: Random) -> Stepped:
    """Keep it, send what is large first, then the task; ask again until somebody says that it is kept there."""
    task = submission.task
    inputs, blobs = outsource(task.inputs, context.topics, _life(task), context.inline_bytes, context.chunk_bytes)
    submission = submission._replace(task=msgspec.structs.replace(task, inputs=inputs))
    state = Sending(task.id, submission, parts=len(blobs), large=_affordable(tuple(blobs)))
    effects: list[Effect] = [fx.Persist(Submit(submission.task))]
    for at, blob in enumerate(blobs):
        assert isinstance(blob.message, Blob)
        effects += [fx.Persist(blob.message, _part(at)), blob]
    if submission.watch:
        effects.append(fx.Subscribe((leaf(context, task.id, "event"),)))
    return state, [*effects, _send(context, state), fx.Wake("retry", now + RETRY_S * (0.9 + 0.2 * rng.random()))]


def _part(at: int) -> str:
    return f"{at:06}"


def _life(task: Task) -> int:
    return task.deadline_ms // 1000 + task.retention_s + 1


def _affordable(large: tuple[fx.Publish, ...]) -> tuple[fx.Publish, ...]:
    """Return the frames to be said again; none of them where they are too many bytes: a part alone is of no use."""
    size = sum(len(frame.message.body) for frame in large if isinstance(frame.message, Blob))
    return large if size <= MAX_AGAIN else ()


def _body(context: Context, state: Sending, body: Blob) -> Stepped:
    """Send a body of an earlier life again; a manifest comes after all that it names, and is named by the whole."""
    whole = b"".join(state.bodies[chunk].body for chunk in body.chunks if chunk in state.bodies)
    digest = digest_of(whole if body.chunks else body.body)
    bodies = {} if body.chunks else {**state.bodies, digest: body}
    said = fx.Publish(context.topics.blob(digest), body, retain=True, expiry_s=_life(state.submission.task))
    large = _affordable((*state.large, said)) if state.parts == len(state.large) else ()
    return msgspec.structs.replace(state, parts=state.parts + 1, bodies=bodies, large=large), [said]


def _kept(state: TaskState) -> list[Effect]:
    """Take the task out of the outbox: an owner has it, or nobody will."""
    if not isinstance(state, Sending):
        return []
    return [fx.Sleep("retry"), fx.Persist(None), *(fx.Persist(None, _part(at)) for at in range(state.parts))]


def leaf(context: Context, task: str, name: str) -> str:
    """Return one of a task's topics."""
    return context.topics.task(partition_of(task, context.topics.partitions), task, name)


def letter_topic(context: Context, task: str) -> str:
    """Return where the letter of a task lies, should it be given up."""
    return context.topics.letter(partition_of(task, context.topics.partitions), task)


def _send(context: Context, state: Sending) -> fx.Publish:
    return fx.Publish(
        leaf(context, state.id, "submit"),
        Submit(state.submission.task),
        Envelope(attempt=state.tries, trace_parent=state.submission.trace or None),
        expiry_s=max(1, state.submission.task.deadline_ms // 1000),
        reply_to=context.topics.reply(context.node, "task"),
        correlation=f"{state.id}#{state.tries}".encode()[-64:],
    )


def _listen(context: Context, task: str, *, watch: bool) -> fx.Subscribe:
    leaves = ("result", "event") if watch else ("result",)
    return fx.Subscribe(tuple(leaf(context, task, name) for name in leaves))


# --- what owners say ----------------------------------------------------------------------------------------


def _received(context: Context, state: TaskState, message: object, now: float, *, retained: bool) -> Stepped:
    match message:
        case Accepted(_, epoch):
            return _accepted(state, message, now) if isinstance(state, Sending) else (_spoken(state, epoch), [])
        case Rejected():
            return _rejected(context, state, message, now)
        case Required(epoch=epoch) if isinstance(state, Sending | Pending):
            after, kept = (
                _accepted(state, Accepted(state.id, epoch), now) if isinstance(state, Sending) else (state, [])
            )
            return _spoken(after, epoch), [*kept, _report("required", state.id, message)]
        case Events():
            return state, [_report("events", state.id, message)]
        case Result() as result if isinstance(state, Sending | Pending | Checking):
            return _ended(context, state, result, now, retained=retained)
        case _:
            return state, []


def _accepted(state: Sending, word: Accepted, now: float) -> Stepped:
    heard = frozenset((word.epoch,))
    after = Pending(state.id, state.submission.watch, state.listening, mine=True, heard=heard, large=state.large)
    return after, [*_kept(state), fx.Wake("look", now + LOOK_S), _report("accepted", state.id, word)]


def _spoken(state: TaskState, epoch: object) -> TaskState:
    """Remember that an owner spoke: where several did, the first result heard need not be the one that stands."""
    if not isinstance(state, Pending) or epoch in state.heard:
        return state
    return msgspec.structs.replace(state, heard=state.heard | {epoch})


def _rejected(context: Context, state: TaskState, word: Rejected, now: float) -> Stepped:
    """Give up; or, where only room is wanting, send it again after a while."""
    if not isinstance(state, Sending):
        return state, [] if not isinstance(state, Idle) else [fx.Retire()]
    if word.after_ms:
        pause = min(MAX_PAUSE_S, word.after_ms / 1000 * 2.0 ** min(state.tries, MAX_DOUBLED))
        return state, [fx.Wake("retry", now + pause), _report("deferred", state.id, word)]
    said = _report("rejected", state.id, word)
    return state, [*_kept(state), said, *_hush(context, state), fx.Retire()]


def _report(kind: ReportKind, ident: str, value: object) -> fx.Request:
    return fx.Request("report", "", Report(kind, ident, value))


# --- the result ---------------------------------------------------------------------------------------------


def _ended(
    context: Context, state: Sending | Pending | Checking, result: Result, now: float, *, retained: bool
) -> Stepped:
    """Take the result; where several owners spoke of the task, the one that the broker keeps, once that is settled."""
    if isinstance(state, Checking):
        return _settling(state, result, now) if retained else (state, [])
    before = _kept(state)
    if isinstance(state, Sending):
        state = Pending(state.id, state.submission.watch, state.listening, mine=True)
    if state.heard <= {result.epoch}:
        after, effects = _arrived(context, state, result)
        return after, [*before, *effects]
    listen = [] if state.listening else [_listen(context, state.id, watch=False)]
    checking = Checking(state.id, state.watch, True, state.mine, result, result if retained else None)
    return checking, [*before, *listen, fx.Sleep("look"), fx.Wake("check", now + CHECK_S)]


def _settling(state: Checking, result: Result, now: float) -> Stepped:
    """Hear what the broker keeps: where it changes, the owners have not settled it, and get their time again."""
    changed = state.kept is not None and state.kept != result and state.looks < MAX_CHECKS
    looks = state.looks + changed
    again: list[Effect] = [fx.Wake("check", now + CHECK_S)] if changed else []
    return msgspec.structs.replace(state, kept=result, looks=looks), again


def _checked(context: Context, state: Checking, now: float) -> Stepped:
    if state.kept is None and state.looks < MAX_CHECKS:
        return msgspec.structs.replace(state, looks=state.looks + 1), [fx.Wake("check", now + CHECK_S)]
    return _arrived(context, state, state.kept or state.result)


def _arrived(context: Context, state: Pending | Checking, result: Result) -> Stepped:
    """Acknowledge the result; read what came by reference before telling anybody."""
    effects: list[Effect] = [acknowledgement(context, result)] if state.mine else []
    effects += _hush(context, state)
    refs = references(result.outputs)
    if not refs:
        return state, [*effects, *_over(state.id, result)]
    return Fetching(state.id, result), [*effects, fx.Tell(Key("blobs"), Fetch("result", refs))]


def acknowledgement(context: Context, result: Result) -> fx.Publish:
    """Return what tells the owner to say a result no more. Should it be lost, the owner says it again, and we too."""
    return fx.Publish(leaf(context, result.task, "ack"), Acknowledged(result.task, result.epoch), qos=0)


def _over(ident: str, result: Result) -> list[Effect]:
    return [_report("result", ident, result), fx.Retire()]


def _hush(context: Context, state: TaskState) -> list[Effect]:
    """Give up the subscriptions that were made for this task."""
    match state:
        case Sending(submission=submission, listening=listening):
            watch = submission.watch
        case Pending(watch=watch, listening=listening) | Checking(watch=watch, listening=listening):
            pass
        case _:
            return []
    leaves = (("result",) if listening else ()) + (("event",) if watch else ())
    return [fx.Unsubscribe(tuple(leaf(context, state.id, name) for name in leaves))] if leaves else []


def _elapsed(context: Context, state: TaskState, timer: str, now: float) -> Stepped:
    """Send again what nobody accepted; look at the retained result where no reply came (owners die)."""
    match timer, state:
        case "retry", Sending():
            state = msgspec.structs.replace(state, tries=state.tries + 1, listening=True)
            listen = [_listen(context, state.id, watch=False)] if state.tries == 1 else []
            return state, [*listen, _send(context, state), fx.Wake("retry", now + RETRY_S)]
        case "look", Pending(listening=False):
            return msgspec.structs.replace(state, listening=True), [_listen(context, state.id, watch=False)]
        case "check", Checking():
            return _checked(context, state, now)
        case _:
            return state, []


def _abandon(context: Context, state: TaskState, *, cancel: bool, reason: str) -> Stepped:
    """Ask for the end of the task (its result still comes), or stop listening and sending."""
    if cancel:
        topic = leaf(context, state.id, "cancel")
        message = fx.Publish(topic, Cancel(state.id, reason[:500]), retain=True, expiry_s=3600)
        if isinstance(state, Idle):
            return Pending(state.id, watch=False, listening=True), [message, _listen(context, state.id, watch=False)]
        return state, [message]
    return state, [*_kept(state), *_hush(context, state), fx.Retire()]
