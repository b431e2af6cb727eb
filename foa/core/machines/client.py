"""The submitter's side: `task_step` keeps one submission until its result, `desk_step` reads what is retained.

Under ``Key("client", task)`` and ``Key("desk")`` of every client (command line, library, gateway). Both speak
to the program that runs them through the service ``report``, whose argument is a `Report`.

::

    Sending --Accepted--> Pending --Result--> Fetching --bodies--> (gone)
        |--Rejected, come back--> Sending
        '--Rejected--> (gone)

While it is pending the owner may ask a person (`Required`): that is reported, and changes nothing here. What the
person says goes through the desk, since anybody may say it, not the submitter alone.
"""

from math import inf
from random import Random
from typing import Any, Final, Literal, NamedTuple

import msgspec

from foa.core import effects as fx
from foa.core.dag.blobs import Fetch, Fetched, filled, outsource, references
from foa.core.effects import Effect, Event, Key
from foa.core.routing.exchange import Answer, Asked
from foa.wire.envelope import Envelope
from foa.wire.ids import partition_of
from foa.wire.messages import Accepted, Cancel, Events, Feedback, Input, Rejected, Required, Result, Submit
from foa.wire.records import Task
from foa.wire.topics import Topics

DESK: Final = Key("desk")
RETRY_S: Final = 2.0
LOOK_S: Final = 3.0
MAX_PAUSE_S: Final = 60.0
MAX_DOUBLED: Final = 16
"""How long, and how often twice as long, who is told to come back waits before it does."""

BODY_S: Final = 86_400
"""How long what is large in a person's answer is kept for those who need it."""

ReportKind = Literal["accepted", "rejected", "required", "events", "result", "answer", "retained", "rated", "heard"]


class Report(NamedTuple):
    """What the program hears: for a task, or for a question under its ``token``."""

    kind: ReportKind
    id: str
    value: Any


class Submission(NamedTuple):
    """The program to the machine of a new task: see it through. ``trace`` is a W3C traceparent or ""."""

    task: Task
    watch: bool
    trace: str = ""


class Follow(NamedTuple):
    """The program to the machine of a task somebody submitted: tell me its events and result."""

    watch: bool


class Abandon(NamedTuple):
    """The program to the machine of a task: end it (``cancel``), or only stop listening."""

    cancel: bool
    reason: str = ""


class Question(NamedTuple):
    """The program to the desk: ask the index."""

    asked: Asked


class Collect(NamedTuple):
    """The program to the desk: report whatever comes on these filters until `Enough`."""

    token: str
    patterns: tuple[str, ...]


class Enough(NamedTuple):
    """The program to the desk: that was all I wanted."""

    token: str


class Rate(NamedTuple):
    """The program to the desk: tell the owner of a finished task how good it was; `Report` "rated" has the answer."""

    feedback: Feedback


class Say(NamedTuple):
    """The program to the desk: tell a task's owner what a person said; `Report` "heard" of ``token`` has its word."""

    said: Input
    token: str


class Context(msgspec.Struct, frozen=True):
    """What is the same for all submissions of a node."""

    topics: Topics
    node: str
    inline_bytes: int = 4096
    chunk_bytes: int = 128 * 1024


class Idle(msgspec.Struct, frozen=True):
    """Nothing asked yet."""

    id: str


class Sending(msgspec.Struct, frozen=True):
    """Not accepted yet: sent again until it is. ``refused``: told to come back so often; ``ends``: its deadline."""

    id: str
    submission: Submission
    tries: int = 0
    listening: bool = False
    refused: int = 0
    ends: float = inf


class Pending(msgspec.Struct, frozen=True):
    """Accepted, or somebody else's: the result will come."""

    id: str
    watch: bool
    listening: bool


class Fetching(msgspec.Struct, frozen=True):
    """The result is here, its bodies are not all."""

    id: str
    result: Result


TaskState = Idle | Sending | Pending | Fetching
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
        case fx.Received(_, Rejected() as word) if word.after_ms and isinstance(state, Sending):
            return _put_off(context, state, word, now, rng)
        case fx.Received(_, message):
            return _received(context, state, message, now)
        case fx.Elapsed(timer):
            return _elapsed(context, state, timer, now)
        case fx.Told(_, Fetched(_, bodies, error)) if isinstance(state, Fetching):
            outputs = filled(state.result.outputs, bodies)
            reason = state.result.reason or error
            result = msgspec.structs.replace(state.result, outputs=outputs, reason=reason)
            return _over(context, state, result)
        case _:
            return state, []


def _leaf(context: Context, task: str, leaf: str) -> str:
    return context.topics.task(partition_of(task, context.topics.partitions), task, leaf)


def _submit(context: Context, submission: Submission, now: float, rng: Random) -> Stepped:
    """Send what is large first, then the task; ask again until somebody says that it is kept."""
    task = submission.task
    expiry = task.deadline_ms // 1000 + task.retention_s + 1
    inputs, blobs = outsource(task.inputs, context.topics, expiry, context.inline_bytes, context.chunk_bytes)
    submission = submission._replace(task=msgspec.structs.replace(task, inputs=inputs))
    state = Sending(task.id, submission, ends=now + task.deadline_ms / 1000)
    effects: list[Effect] = [*blobs]
    if submission.watch:
        effects.append(fx.Subscribe((_leaf(context, task.id, "event"),)))
    return state, [*effects, _send(context, state), fx.Wake("retry", now + RETRY_S * (0.9 + 0.2 * rng.random()))]


def _send(context: Context, state: Sending) -> fx.Publish:
    return fx.Publish(
        _leaf(context, state.id, "submit"),
        Submit(state.submission.task),
        Envelope(attempt=state.tries, trace_parent=state.submission.trace or None),
        expiry_s=max(1, state.submission.task.deadline_ms // 1000),
        reply_to=context.topics.reply(context.node, "task"),
        correlation=f"{state.id}#{state.tries}".encode()[-64:],
    )


def _listen(context: Context, task: str, *, watch: bool) -> fx.Subscribe:
    leaves = ("result", "event") if watch else ("result",)
    return fx.Subscribe(tuple(_leaf(context, task, leaf) for leaf in leaves))


def _received(context: Context, state: TaskState, message: object, now: float) -> Stepped:
    match message:
        case Accepted() if isinstance(state, Sending):
            watch = state.submission.watch
            after = Pending(state.id, watch, state.listening)
            return after, [fx.Sleep("retry"), fx.Wake("look", now + LOOK_S), _report("accepted", state.id, message)]
        case Rejected():
            return state, [
                fx.Sleep("retry"),
                _report("rejected", state.id, message),
                *_hush(context, state),
                fx.Retire(),
            ]
        case Required() if isinstance(state, Sending | Pending):
            return _required(context, state, message, now)
        case Events():
            return state, [_report("events", state.id, message)]
        case Result() as result if isinstance(state, Sending | Pending):
            return _arrived(context, state, result)
        case _:
            return state, []


def _put_off(context: Context, state: Sending, word: Rejected, now: float, rng: Random) -> Stepped:
    """Come back later, each time after twice as long; who would come after the deadline is refused."""
    pause = min(MAX_PAUSE_S, word.after_ms / 1000 * 2.0 ** min(state.refused, MAX_DOUBLED)) * (0.5 + 0.5 * rng.random())
    if now + pause >= state.ends:
        return _received(context, state, word, now)
    return msgspec.structs.replace(state, refused=state.refused + 1), [fx.Wake("retry", now + pause)]


def _required(context: Context, state: Sending | Pending, asked: Required, now: float) -> Stepped:
    """Pass the question on; who asks about a task has kept it, also where its `Accepted` was lost."""
    kept: list[Effect] = []
    after: TaskState = state
    if isinstance(state, Sending):
        after, kept = _received(context, state, Accepted(state.id, asked.epoch), now)
    return after, [*kept, _report("required", state.id, asked)]


def _report(kind: ReportKind, ident: str, value: object) -> fx.Request:
    return fx.Request("report", "", Report(kind, ident, value))


def _arrived(context: Context, state: Sending | Pending, result: Result) -> Stepped:
    """Take the first result; read what came by reference before telling anybody."""
    refs = references(result.outputs)
    if not refs:
        return _over(context, state, result)
    return Fetching(state.id, result), [*_hush(context, state), fx.Tell(Key("blobs"), Fetch("result", refs))]


def _over(context: Context, state: TaskState, result: Result) -> Stepped:
    return state, [_report("result", state.id, result), *_hush(context, state), fx.Retire()]


def _hush(context: Context, state: TaskState) -> list[Effect]:
    """Give up the subscriptions that were made for this task."""
    match state:
        case Sending(submission=submission, listening=listening):
            watch = submission.watch
        case Pending(watch=watch, listening=listening):
            pass
        case _:
            return []
    leaves = (("result",) if listening else ()) + (("event",) if watch else ())
    return [fx.Unsubscribe(tuple(_leaf(context, state.id, leaf) for leaf in leaves))] if leaves else []


def _elapsed(context: Context, state: TaskState, timer: str, now: float) -> Stepped:
    """Send again what nobody accepted; look at the retained result where no reply came (owners die)."""
    if timer == "retry" and isinstance(state, Sending):
        state = msgspec.structs.replace(state, tries=state.tries + 1, listening=True)
        listen = [_listen(context, state.id, watch=False)] if state.tries == 1 else []
        return state, [*listen, _send(context, state), fx.Wake("retry", now + RETRY_S)]
    if timer == "look" and isinstance(state, Pending) and not state.listening:
        return msgspec.structs.replace(state, listening=True), [_listen(context, state.id, watch=False)]
    return state, []


def _abandon(context: Context, state: TaskState, *, cancel: bool, reason: str) -> Stepped:
    """Ask for the end of the task (its result still comes), or stop listening."""
    if cancel:
        topic = _leaf(context, state.id, "cancel")
        message = fx.Publish(topic, Cancel(state.id, reason[:500]), retain=True, expiry_s=3600)
        if isinstance(state, Idle):
            return Pending(state.id, watch=False, listening=True), [message, _listen(context, state.id, watch=False)]
        return state, [message]
    return state, [*_hush(context, state), fx.Retire()]


class Desk(msgspec.Struct, frozen=True):
    """What is being collected: filters by token. ``context`` says whose desk it is."""

    context: Context
    collecting: dict[str, tuple[str, ...]] = {}

    @property
    def replies(self) -> dict[str, str]:
        """The topics on which coordinators reply: to submissions, to feedback, to what people said."""
        return {name: self.context.topics.reply(self.context.node, name) for name in ("task", "feedback", "input")}


def desk_step(state: Desk, event: Event, now: float, rng: Random) -> tuple[Desk, list[Effect]]:
    """Take one event: pass questions to the index and what arrives to the program."""
    del now, rng
    match event:
        case fx.Online():
            return state, [fx.Subscribe(tuple(state.replies.values()))]
        case fx.Told(_, Rate() | Say() as said):
            return state, _said(state, said)
        case fx.Received(topic, Accepted() | Rejected() as word) if topic.kind == "reply":
            return state, [_word(event, word)]
        case fx.Told(_, Question(asked)):
            return state, [fx.Tell(Key("lookup"), asked)]
        case fx.Told(_, Answer() as answer):
            return state, [_report("answer", answer.token, answer)]
        case fx.Told(_, Collect(token, patterns)):
            return msgspec.structs.replace(state, collecting={**state.collecting, token: patterns}), [
                fx.Subscribe(patterns)
            ]
        case fx.Told(_, Enough(token)):
            patterns = state.collecting.get(token, ())
            rest = {other: kept for other, kept in state.collecting.items() if other != token}
            return msgspec.structs.replace(state, collecting=rest), [fx.Unsubscribe(patterns)] if patterns else []
        case fx.Received() if state.collecting:
            return state, [_report("retained", "", event)]
        case _:
            return state, []


def _said(state: Desk, word: Rate | Say) -> list[Effect]:
    """Send a person's words, first what is large of them; every try has the same correlation, to be known again by."""
    context = state.context
    if isinstance(word, Rate):
        topic = _leaf(context, word.feedback.task, "feedback")
        return [fx.Publish(topic, word.feedback, reply_to=state.replies["feedback"])]
    inputs, blobs = outsource(word.said.inputs, context.topics, BODY_S, context.inline_bytes, context.chunk_bytes)
    return [
        *blobs,
        fx.Publish(
            _leaf(context, word.said.task, "input"),
            msgspec.structs.replace(word.said, inputs=inputs),
            reply_to=state.replies["input"],
            correlation=word.token.encode()[:64],
        ),
    ]


def _word(event: fx.Received, word: Accepted | Rejected) -> Effect:
    """Pass an owner's word on: of feedback under its task, of an answer under the token it was sent with."""
    if event.topic.name == "input":
        return _report("heard", event.correlation.decode(errors="replace"), word)
    return _report("rated", word.task, word)
