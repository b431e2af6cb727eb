"""What is done with the states of a task machine: changed, saved so that an heir can go on from each, and told of."""

from collections.abc import Mapping
from typing import Final

import msgspec

from foa.core import effects as fx
from foa.core.dag.blobs import store
from foa.core.dag.graph import Graph
from foa.core.dag.replay import restored
from foa.core.dag.works import Works
from foa.core.effects import Effect
from foa.core.machines.task.live import (
    MAX_DECISIONS,
    MAX_PAID,
    MAX_SHADOW_ANSWERS,
    MAX_SHADOW_WORDS,
    MAX_TAIL,
    AnswerMessage,
    Context,
    Ended,
    Live,
    Part,
    Reply,
    Rules,
    Shadow,
    Stage,
    TaskState,
)
from foa.core.machines.task.pending import JOINING, PLANNING, Pool, Session, is_pseudo
from foa.wire import door
from foa.wire.codec import MAX_PAYLOAD, encode
from foa.wire.envelope import Envelope
from foa.wire.ids import Epoch
from foa.wire.messages import Accepted, Blob, Events, Rejected, Required, Result, State
from foa.wire.records import Note, Plan, Task, Work

MAX_SNAPSHOT: Final = MAX_PAYLOAD * 3 // 4
"""Bytes of a snapshot beyond which it leaves records out: what it grows by until the next is room enough."""

__all__ = [
    "JOINING",
    "MAX_DECISIONS",
    "MAX_SHADOW_ANSWERS",
    "MAX_SHADOW_WORDS",
    "MAX_TAIL",
    "PLANNING",
    "AnswerMessage",
    "Context",
    "Ended",
    "Live",
    "Part",
    "Pool",
    "Reply",
    "Rules",
    "Session",
    "Shadow",
    "Stage",
    "TaskState",
    "active",
    "adopted",
    "again",
    "anew",
    "answer_to",
    "changed",
    "cleared",
    "expiry_s",
    "headers",
    "is_pseudo",
    "left_ms",
    "made_at",
    "note",
    "put",
    "reply",
    "resumed",
    "save",
    "snapshot",
    "tell",
    "tracked",
    "unkept",
    "works_of",
]


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


def tracked(live: Live) -> Live:
    """Return `live` with its works as `Works` of its plan: what is asked of them at every step is kept along.

    Whoever replaces the plan or the works need not call this: everybody who counts on it does. Without a plan there
    is nothing to keep.
    """
    plan = live.plan
    if plan is None:
        return live
    graph = live.graph
    if graph is not None and graph.plan is plan and isinstance(live.works, Works) and live.works.graph is graph:
        return live
    if graph is None or graph.plan is not plan:
        graph = Graph(plan)
        live = msgspec.structs.replace(live, waits=0, queues={})
    return msgspec.structs.replace(live, graph=graph, works=Works(graph, live.works), saved=())


def adopted(live: Live, plan: Plan) -> Live:
    """Return `live` with `plan`, of which nothing has begun but what its task brings along as finished."""
    extra = {ident: work for ident, work in live.works.items() if is_pseudo(ident)}
    task = msgspec.structs.replace(live.task, finished=()) if live.task.finished else live.task
    return tracked(msgspec.structs.replace(live, task=task, plan=plan, works=extra | restored(live.task, plan)))


def changed(live: Live, plan: Plan) -> Live:
    """Return `live` with the edited `plan`: works of subtasks that are still there go on, the others are gone."""
    return tracked(msgspec.structs.replace(live, plan=plan))


def works_of(live: Live) -> Works:
    """Return the works of a tracked task."""
    assert isinstance(live.works, Works)
    return live.works


def put(live: Live, work: Work) -> Live:
    """Return `live` with `work` in place of the one of the same id."""
    live = tracked(live)
    works = live.works.put(work) if isinstance(live.works, Works) else {**live.works, work.id: work}
    return msgspec.structs.replace(live, works=works)


def active(live: Live) -> list[Work]:
    """Return the works of which a seat runs, without looking at all others."""
    if live.graph is not None and isinstance(live.works, Works) and live.works.graph.plan is live.plan:
        return live.works.active()
    return [work for work in live.works.values() if any(seat.phase == "running" for seat in work.seats)]


def snapshot(live: Live, now: float) -> State:
    """Return what an heir needs, whole; see `resumed` for the way back."""
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
        heard=live.heard,
        request=live.request,
        paid=_gone(live) if live.paid else (),
    )


def _gone(live: Live) -> tuple[str, ...]:
    """Return the awards that were paid and whose seats do not tell it, since they stand no more."""
    told = {seat.award for work in live.works.values() for seat in work.seats if seat.phase == "done"}
    return tuple(award for award in live.paid if award not in told)


def _paid(seen: State) -> tuple[str, ...]:
    """Return the awards that a snapshot tells to be paid: what was done, and what `_gone` said."""
    done = (seat.award for work in seen.work for seat in work.seats if seat.phase == "done")
    return tuple(dict.fromkeys((*seen.paid, *done)))[-MAX_PAID:]


def _head(live: Live, graph: Graph, now: float) -> State:
    """Return group 0 of a large plan: all but works and plan."""
    bare = msgspec.structs.replace(live, works={}, decisions=live.decisions[-MAX_TAIL:])
    return msgspec.structs.replace(
        snapshot(bare, now),
        task=msgspec.structs.replace(live.task, plan=None),
        plan=None,
        plan_ref=graph.digest,
        plan_size=len(graph.packed),
        groups=graph.groups,
    )


def _group(live: Live, number: int, works: Mapping[str, Work], now: float) -> State:
    """Return group `number`, from 1: the works of some subtasks."""
    named = Task(live.task.id, "", deadline_ms=live.task.deadline_ms, retention_s=live.task.retention_s)
    return State(named, live.epoch, live.seq, left_ms(live, now), work=tuple(works.values()), group=number)


def resumed(partition: int, seen: State, epoch: Epoch, since: float) -> Live:
    """Return the task as an heir goes on with it under `epoch`; a task without a plan is planned anew.

    `since` is when the snapshot was made: deadlines do not move because an owner died.
    """
    return tracked(
        Live(
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
            records=seen.groups,
            decisions=seen.decisions,
            accepted=True,
            reply_to=seen.reply_to,
            correlation=seen.correlation,
            trace=seen.trace,
            deliberations=seen.deliberations,
            edits=seen.edits,
            request=seen.request,
            heard=seen.heard,
            paid=_paid(seen),
        )
    )


def save(live: Live, context: Context, now: float, token: str = "") -> tuple[Live, list[Effect]]:
    """Make the task durable here (journal) and for an heir (retained at the broker).

    A plan of one group is one record. Of a larger one only the groups that changed since the last time are written,
    and group 0, which comes last: whoever has it has what came before.
    """
    live = tracked(msgspec.structs.replace(live, seq=live.seq + 1))
    graph = live.graph
    if live.plan is None or graph is None or graph.groups <= 1:
        effects = cleared(live, context, 0)
        live = msgspec.structs.replace(live, records=0, saved=(), stored="", blobs=0)
        return live, [*effects, *_kept(live, _fitted(snapshot(live, now)), context, now, token)]
    live, effects = _stored(live, graph, context, now)
    chunks = works_of(live).chunks
    if live.records > graph.groups:
        effects += cleared(live, context, graph.groups, plan=False)
    for at, chunk in enumerate(chunks):
        if at >= len(live.saved) or live.saved[at] is not chunk:
            effects += _kept(live, _group(live, at + 1, chunk, now), context, now)
    effects += _kept(live, _head(live, graph, now), context, now, token)
    return msgspec.structs.replace(live, saved=chunks, records=graph.groups), effects


def _fitted(seen: State) -> State:
    """Return a snapshot as it can travel: of one too large the older half of its records is left out, repeatedly."""
    if len(seen.decisions) + len(seen.deliberations) + len(seen.edits) <= MAX_TAIL:
        return seen
    while (seen.decisions or seen.deliberations or seen.edits) and len(encode(seen)) > MAX_SNAPSHOT:
        seen = msgspec.structs.replace(
            seen,
            decisions=seen.decisions[(len(seen.decisions) + 1) // 2 :],
            deliberations=seen.deliberations[(len(seen.deliberations) + 1) // 2 :],
            edits=seen.edits[(len(seen.edits) + 1) // 2 :],
        )
    return seen


def anew(live: Live, context: Context, now: float) -> tuple[Live, list[Effect]]:
    """Save everything again: the broker forgot it, or has another's word."""
    return save(msgspec.structs.replace(live, saved=(), stored=""), context, now)


def again(live: Live, group: int, context: Context, now: float) -> tuple[Live, list[Effect]]:
    """Save one group again, over what another has written there; the others stand."""
    if not 0 < group <= len(live.saved):
        return save(live, context, now)
    held = tuple({} if at == group - 1 else chunk for at, chunk in enumerate(live.saved))
    return save(msgspec.structs.replace(live, saved=held), context, now)


def unkept(shadow: Shadow) -> list[Effect]:
    """Forget all that the journal has of a task that is not ours."""
    parts = ["", *map(str, sorted(shadow.groups)), *(f"plan{at}" for at in range(len(shadow.blobs)))]
    return [fx.Persist(None, part) for part in parts]


def _kept(live: Live, message: State, context: Context, now: float, token: str = "") -> list[Effect]:
    topic = context.topics.task(live.partition, live.task.id, f"state/{message.group}")
    expiry = expiry_s(live, now)
    publish = fx.Publish(topic, message, Envelope(epoch=live.epoch), retain=True, expiry_s=expiry, token=token)
    return [fx.Persist(message, str(message.group) if message.group else ""), publish]


def _stored(live: Live, graph: Graph, context: Context, now: float) -> tuple[Live, list[Effect]]:
    """Have the broker and the journal keep the plan, once: its blob at the broker, the same bodies here."""
    if live.stored == graph.digest:
        return live, []
    _, frames = store(graph.packed, context.topics, expiry_s(live, now))
    kept: list[Effect] = []
    for at, frame in enumerate(frames):
        assert isinstance(frame.message, Blob)
        kept.append(fx.Persist(frame.message, f"plan{at}"))
    kept += [fx.Persist(None, f"plan{at}") for at in range(len(frames), live.blobs)]
    return msgspec.structs.replace(live, stored=graph.digest, blobs=len(frames)), [*kept, *frames]


def cleared(live: Live, context: Context, left: int, *, plan: bool = True) -> list[Effect]:
    """Forget all group records beyond the first `left`, here and at the broker; with ``plan`` our copy of it too.

    The plan's blob stays until it expires: another task may have the same.
    """
    effects: list[Effect] = []
    for number in range(left + 1, live.records + 1):
        topic = context.topics.task(live.partition, live.task.id, f"state/{number}")
        effects += [fx.Persist(None, str(number)), fx.Publish(topic, None, retain=True)]
    return effects + [fx.Persist(None, f"plan{at}") for at in range(live.blobs if plan else 0)]


def tell(live: Live, context: Context, *notes: Note, plan: Plan | None = None) -> fx.Publish:
    """Return the frame that tells watchers what happened."""
    topic = context.topics.task(live.partition, live.task.id, "event")
    return fx.Publish(topic, Events(live.task.id, notes, plan), headers(live), qos=0)


def note(live: Live, now: float, kind: str, subtask: str = "", agent: str = "", text: str = "") -> Note:
    """Return a note stamped with the time since acceptance."""
    return Note(kind, max(0, int((now - live.began) * 1000)), subtask, agent, text[:500], live.spent)


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
    kept = kept and not (isinstance(message, Rejected) and message.code == "taken")  # over the other's result
    return [fx.Publish(to.topic, body, retain=kept, expiry_s=expiry, correlation=to.correlation)]


def reply(live: Live, context: Context, message: Accepted | Required | Result) -> list[fx.Publish]:
    """Return what the submitter is told, if it said where it listens."""
    if not live.reply_to:
        return []
    said = answer_to(Reply(live.reply_to, live.correlation, live.task), message, context)
    # The result is retained elsewhere and an acceptance asked for again: neither needs the broker's receipt, but a
    # question that is lost would wait for the deadline.
    qos = 0 if live.task.format == "msgpack" and not isinstance(message, Required) else 1
    return [each._replace(envelope=headers(live), qos=qos) for each in said]


def headers(live: Live) -> Envelope:
    """Return the envelope of whatever is sent on behalf of the task."""
    return Envelope(epoch=live.epoch, trace_parent=live.trace or None)
