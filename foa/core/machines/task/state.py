"""The states of a task machine, and the snapshot that lets an heir go on from each."""

from typing import Literal, NamedTuple

import msgspec

from foa.core import effects as fx
from foa.core.effects import Effect
from foa.core.machines.task.pending import JOINING, PLANNING, Pool, Session, is_pseudo
from foa.core.routing.score import Weights
from foa.wire import door
from foa.wire.deliberation import Deliberation, Edit
from foa.wire.envelope import Envelope
from foa.wire.ids import Epoch
from foa.wire.messages import (
    Accepted,
    Asking,
    Cancel,
    Declined,
    Done,
    Events,
    Failed,
    Progress,
    Rejected,
    Required,
    Result,
    State,
    Taken,
)
from foa.wire.records import Candidate, Decision, Hit, Note, Phase, Plan, Strategy, Subtask, Task, Work
from foa.wire.topics import Topics

AnswerMessage = Taken | Declined | Progress | Asking | Done | Failed
Stage = Literal["finding", "planning", "running"]

MAX_SHADOW_ANSWERS = 1024
MAX_DECISIONS = 4096


class Rules(msgspec.Struct, frozen=True):
    """The knobs of coordination; times in seconds.

    ``accept_s``: how long an agent may stay silent after an award; ``grace_s``: how much longer than the
    agent an owner counts; ``patience_s``: how long it looks for somebody to come; ``remember_s``: how long
    an ended task is known here; ``event_s``: what happens within it is told to watchers in one frame;
    ``learning``: candidates are put in order by ``Key("match")``, which hears how awards end. ``depth``: how often a
    subtask may be planned again; ``strategy``, ``team``, ``escalate``: how clusters come to an answer, how large they
    form by themselves, and whether they begin small.
    """

    accept_s: float = 1.5
    lease_s: float = 10.0
    grace_s: float = 0.5
    planners: int = 4
    plan_s: float = 2.0
    patience_s: float = 10.0
    relook_s: float = 0.25
    remember_s: float = 300.0
    candidates: int = 16
    rounds: int = 3
    round_s: float = 5.0
    inline_bytes: int = 4096
    event_s: float = 0.1
    learning: bool = False
    depth: int = 2
    strategy: Strategy = ""
    team: int = 4
    escalate: bool = True
    weights: Weights = Weights()


class Context(msgspec.Struct, frozen=True):
    """What is the same for all tasks of a node; ``wall`` added to its clock gives seconds since 1970."""

    topics: Topics
    rules: Rules = Rules()
    wall: float = 0.0


class Shadow(msgspec.Struct, frozen=True):
    """A task that somebody else works on, or nobody yet: what an heir would go on from.

    ``epoch`` is ours if we own its partition and only lack the task itself; ``since`` is when, by our clock, the
    snapshot was made or the submission came.
    """

    partition: int
    epoch: Epoch | None = None
    since: float = 0.0
    submit: fx.Received | None = None
    snapshot: State | None = None
    answers: tuple[AnswerMessage, ...] = ()
    cancel: Cancel | None = None


class Part(NamedTuple):
    """What a lookup found for one subtask."""

    ident: str
    hits: tuple[Hit, ...]
    refused: tuple[Candidate, ...]
    covered: int
    vector: bytes = b""


class Live(msgspec.Struct, frozen=True):
    """A task that this node owns. Instants are of the node's own clock, in seconds.

    ``asked`` maps the token of a lookup in flight to the subtasks it is for, ``weighing`` that of a question to the
    matchmaker to what was found for each; ``unplaced`` says since when a
    subtask finds nobody; ``busy`` are agents that declined for want of a slot, until the next look; ``unsent`` are
    awards that wait until the broker has the snapshot, of this ``seq``, that names them.
    """

    partition: int
    epoch: Epoch
    task: Task
    began: float
    ends: float
    stage: Stage = "finding"
    seq: int = 0
    spent: float = 0.0
    plan: Plan | None = None
    works: dict[str, Work] = {}
    decisions: tuple[Decision, ...] = ()
    asked: dict[str, tuple[str, ...]] = {}
    weighing: dict[str, tuple[Part, ...]] = {}
    unplaced: dict[str, float] = {}
    busy: tuple[str, ...] = ()
    unsent: dict[str, int] = {}
    started: dict[str, float] = {}
    took: dict[str, float] = {}
    disagreed: tuple[str, ...] = ()
    lookups: int = 0
    sessions: dict[str, Session] = {}
    atomic: frozenset[str] = frozenset()
    pools: dict[str, Pool] = {}
    deliberations: tuple[Deliberation, ...] = ()
    edits: tuple[Edit, ...] = ()
    accepted: bool = False
    reply_to: str = ""
    correlation: bytes = b""
    trace: str = ""
    untold: Events | None = None

    def subtask(self, ident: str) -> Subtask:
        """Return the subtask `ident` of the plan, or the one that stands for planning."""
        if ident.startswith(PLANNING):
            session = self.sessions.get(ident.partition("/")[2])
            text = session.text if session is not None else self.task.text
            return Subtask(PLANNING, text, skills=("plan",), produces=("plan",))
        if ident == JOINING:
            return Subtask(JOINING, self.task.text, skills=("synthesise",))
        assert self.plan is not None
        return next(subtask for subtask in self.plan.subtasks if subtask.id == ident)

    def phases(self) -> dict[str, Phase]:
        """Return the phase of every subtask."""
        return {ident: work.phase for ident, work in self.works.items()}


class Ended(msgspec.Struct, frozen=True):
    """A task that is over; kept a while so that late and repeated messages get the same answer.

    ``confirmed``: the result was read back from the broker as the first; ``restored``: how often it had to be
    said again. ``doubtful``: it is from an earlier life, and only what the broker keeps can tell what became of it.
    """

    partition: int
    result: Result
    confirmed: bool = False
    restored: int = 0
    doubtful: bool = False


TaskState = Shadow | Live | Ended


def left_ms(live: Live, now: float) -> int:
    """Return what remains of the task's deadline, in milliseconds, never negative."""
    return max(0, int((live.ends - now) * 1000))


def expiry_s(live: Live, now: float) -> int:
    """Return for how long the broker should keep what belongs to this task."""
    return _kept_s(left_ms(live, now), live.task)


def _kept_s(left: int, task: Task) -> int:
    return left // 1000 + task.retention_s + 1


def made_at(seen: State, expiry: int | None, now: float) -> float:
    """Return when a snapshot was made, by our clock: the broker counts its expiry down, no clock is compared."""
    return now if expiry is None else now - max(0, _kept_s(seen.left_ms, seen.task) - expiry)


def put(live: Live, work: Work) -> Live:
    """Return `live` with `work` in place of the one of the same id."""
    return msgspec.structs.replace(live, works={**live.works, work.id: work})


def snapshot(live: Live, now: float) -> State:
    """Return what an heir needs; see `resumed` for the way back."""
    return State(
        live.task,
        live.epoch,
        live.seq,
        left_ms(live, now),
        live.spent,
        live.plan,
        work=tuple(work for ident, work in live.works.items() if not is_pseudo(ident)),
        decisions=live.decisions,
        phase="running" if live.plan is not None else "waiting",
        reply_to=live.reply_to,
        correlation=live.correlation,
        trace=live.trace,
        ms=int((now - live.began) * 1000),
        deliberations=live.deliberations,
        edits=live.edits,
    )


def resumed(partition: int, seen: State, epoch: Epoch, since: float) -> Live:
    """Return the task as an heir goes on with it under `epoch`; a task without a plan is planned anew.

    `since` is when the snapshot was made: deadlines do not move because an owner died.
    """
    return Live(
        partition,
        epoch,
        seen.task,
        since - seen.ms / 1000,
        since + seen.left_ms / 1000,
        "running" if seen.plan is not None else "finding",
        seen.seq,
        seen.spent,
        seen.plan,
        {work.id: work for work in seen.work},
        seen.decisions,
        accepted=True,
        reply_to=seen.reply_to,
        correlation=seen.correlation,
        trace=seen.trace,
        deliberations=seen.deliberations,
        edits=seen.edits,
    )


def save(live: Live, context: Context, now: float, token: str = "") -> tuple[Live, list[Effect]]:
    """Make the task durable here (journal) and for an heir (retained at the broker)."""
    live = msgspec.structs.replace(live, seq=live.seq + 1)
    message = snapshot(live, now)
    topic = context.topics.task(live.partition, live.task.id, "state/0")
    publish = fx.Publish(
        topic, message, Envelope(epoch=live.epoch), retain=True, expiry_s=expiry_s(live, now), token=token
    )
    return live, [fx.Persist(message), publish]


def tell(live: Live, context: Context, *notes: Note, plan: Plan | None = None) -> fx.Publish:
    """Return the frame that tells watchers what happened."""
    topic = context.topics.task(live.partition, live.task.id, "event")
    return fx.Publish(topic, Events(live.task.id, notes, plan), headers(live), qos=0)


def note(live: Live, now: float, kind: str, subtask: str = "", agent: str = "", text: str = "") -> Note:
    """Return a note stamped with the time since acceptance."""
    return Note(kind, max(0, int((now - live.began) * 1000)), subtask, agent, text[:500], live.spent)


class Reply(NamedTuple):
    """Where a submitter listens, and the task as it was submitted (which says how it reads)."""

    topic: str
    correlation: bytes
    task: Task


def answer_to(to: Reply, message: Accepted | Rejected | Required | Result, context: Context) -> list[fx.Publish]:
    """Return what tells the submitter. What strangers read at the door is JSON.

    On the door's result topic it is retained and stands alone: whoever reads one message from it has the result.
    """
    if to.task.format == "msgpack":
        return [fx.Publish(to.topic, message, correlation=to.correlation)]
    kept = to.topic == context.topics(f"tasks/{to.task.id}/result")
    if kept and isinstance(message, Accepted):
        return []
    body = door.write(message)
    expiry = to.task.deadline_ms // 1000 + to.task.retention_s
    return [fx.Publish(to.topic, body, retain=kept, expiry_s=expiry, correlation=to.correlation)]


def reply(live: Live, context: Context, message: Accepted | Required | Result) -> list[fx.Publish]:
    """Return what the submitter is told, if it said where it listens."""
    if not live.reply_to:
        return []
    said = answer_to(Reply(live.reply_to, live.correlation, live.task), message, context)
    # The result is retained elsewhere and an acceptance asked for again: neither needs the broker's receipt.
    qos = 0 if live.task.format == "msgpack" else 1
    return [each._replace(envelope=headers(live), qos=qos) for each in said]


def headers(live: Live) -> Envelope:
    """Return the envelope of whatever is sent on behalf of the task."""
    return Envelope(epoch=live.epoch, trace_parent=live.trace or None)
