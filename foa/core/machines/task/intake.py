"""How a task comes to a coordinator: submitted, taken over from a dead owner, or remembered as heir."""

from typing import Final

import msgspec

from foa.core import effects as fx
from foa.core.dag.blobs import Fetch, Fetched, assemble
from foa.core.dag.plan import validated
from foa.core.dag.replay import request_of
from foa.core.effects import Effect, Key
from foa.core.machines.task.awarding import repeated
from foa.core.machines.task.finish import fail
from foa.core.machines.task.over.telling import refused
from foa.core.machines.task.place import advance
from foa.core.machines.task.planning.sessions import find
from foa.core.machines.task.replies.answers import answered
from foa.core.machines.task.replies.dialogue import again_asked, said
from foa.core.machines.task.state import (
    MAX_SHADOW_ANSWERS,
    MAX_SHADOW_WORDS,
    AnswerMessage,
    Context,
    Ended,
    Live,
    Reply,
    Shadow,
    TaskState,
    answer_to,
    made_at,
    note,
    reply,
    resumed,
    save,
    tell,
)
from foa.core.machines.task.verdict import followed, inherited
from foa.errors import ProposalError
from foa.wire.ids import Epoch, digest_of, partition_of
from foa.wire.messages import (
    Accepted,
    Blob,
    Cancel,
    Declined,
    Done,
    Failed,
    Input,
    Rejected,
    Result,
    State,
    Submit,
    Taken,
)
from foa.wire.records import Plan, Ref, Task

READ_S: Final = 0.25
"""How long a task whose deadline passed before it was taken over waits for the result that the broker may keep."""


def remember(shadow: Shadow, received: fx.Received, now: float) -> Shadow | Ended:
    """Keep what an heir would go on from; a result seen ends the task here too."""
    replace = msgspec.structs.replace
    match received.message:
        case Submit() if shadow.submit is None:
            return replace(shadow, submit=received, since=shadow.since or now)
        case State() as seen if seen.group:
            return _with_group(shadow, seen)
        case State() as seen if shadow.snapshot is None or _order(seen) > _order(shadow.snapshot):
            kept = shadow.answers if seen.groups else _still(shadow, _running(seen))
            plan = shadow.plan if _has_plan(shadow, seen.plan_ref) else None
            since = made_at(seen, received.expiry_s, now)
            words = tuple(one for one in shadow.said if one.correlation not in seen.heard)
            return replace(shadow, snapshot=seen, answers=kept, since=since, plan=plan, said=words)
        case State() as seen if seen == shadow.snapshot and received.expiry_s is not None:
            return replace(shadow, since=made_at(seen, received.expiry_s, now))  # the broker counted, not our clock
        case Input() if received.correlation:
            return replace(shadow, said=(*shadow.said, received)[-MAX_SHADOW_WORDS:])
        case Blob() as blob:
            return replace(shadow, blobs={**shadow.blobs, digest_of(blob.body) if blob.body else "": blob})
        case Done() | Failed() | Declined() | Taken() as answer:
            return replace(shadow, answers=(*shadow.answers, answer)[-MAX_SHADOW_ANSWERS:])
        case Cancel() as cancel:
            return replace(shadow, cancel=cancel)
        case Result() as result:
            return _over(shadow, result, received, now)
        case _:
            return shadow


def _over(shadow: Shadow, result: Result, received: fx.Received, now: float) -> Ended:
    """Return the end of a task as its heir knows it: whom to tell, should its owner die before it could."""
    until = now + received.expiry_s if received.expiry_s is not None else 0.0
    seen = shadow.snapshot
    to = Reply(seen.reply_to, seen.correlation, seen.task) if seen is not None and seen.reply_to else None
    return Ended(shadow.partition, result, confirmed=True, until=until, to=to, heir=True)


def _with_group(shadow: Shadow, seen: State) -> Shadow:
    """Keep one group of a large plan's works; groups come in any order, and some may never come."""
    before = shadow.groups.get(seen.group)
    if before is not None and _order(seen) <= _order(before):
        return shadow
    over = (_running(before) if before is not None else set()) - _running(seen)
    kept = tuple(answer for answer in shadow.answers if answer.award not in over)
    return msgspec.structs.replace(shadow, groups={**shadow.groups, seen.group: seen}, answers=kept)


def _running(seen: State) -> set[str]:
    return {seat.award for work in seen.work for seat in work.seats if seat.phase == "running"}


def _still(shadow: Shadow, running: set[str]) -> tuple[AnswerMessage, ...]:
    return tuple(answer for answer in shadow.answers if answer.award in running)


def _has_plan(shadow: Shadow, digest: str) -> bool:
    """Tell whether the plan we have is the one of that digest; it is not packed again at every snapshot."""
    if shadow.plan is None or shadow.snapshot is None or not digest:
        return False
    if shadow.snapshot.plan_ref:
        return shadow.snapshot.plan_ref == digest
    return digest_of(msgspec.msgpack.encode(shadow.plan)) == digest


def is_empty(shadow: Shadow) -> bool:
    """Tell whether nothing is known of a task: it need not be kept."""
    known = shadow.submit, shadow.snapshot, shadow.cancel
    return all(one is None for one in known) and not (shadow.answers or shadow.groups or shadow.blobs)


def whole(shadow: Shadow) -> State:
    """Return the snapshot with what the groups say: of every subtask the latest word, what nobody speaks of waits."""
    assert shadow.snapshot is not None
    records = sorted((shadow.snapshot, *shadow.groups.values()), key=_order)
    plan = shadow.snapshot.plan or shadow.plan
    named = {subtask.id for subtask in plan.subtasks} if plan is not None else set()
    works = {work.id: work for record in records for work in record.work if work.id in named}
    groups = max(shadow.snapshot.groups, max(shadow.groups, default=0))
    seq = max(record.seq for record in records)
    return msgspec.structs.replace(shadow.snapshot, plan=plan, work=tuple(works.values()), groups=groups, seq=seq)


def read_plan(shadow: Shadow, body: bytes | None) -> Plan | None:
    """Return the plan in the `body` of its blob; None if it is none, or not the snapshot's."""
    if body is None or shadow.snapshot is None or digest_of(body) != shadow.snapshot.plan_ref:
        return None
    try:
        return validated(_PLANS.decode(body))
    except (msgspec.DecodeError, ProposalError):
        return None


_PLANS: Final = msgspec.msgpack.Decoder(Plan)


def _own_plan(shadow: Shadow) -> Plan | None:
    """Return the plan as our journal has it; its manifest is kept under "", since it does not say its own digest."""
    seen = shadow.snapshot
    if seen is None or not seen.plan_ref:
        return None
    held = dict(shadow.blobs)
    held.setdefault(seen.plan_ref, held.get("", Blob()))
    return read_plan(shadow, assemble(Ref(seen.plan_ref, seen.plan_size), held))


def fetched(shadow: Shadow, told: Fetched, context: Context, now: float) -> tuple[TaskState, list[Effect]]:
    """Go on with the plan of a large task, now that its blob was read; without it the task is planned anew."""
    seen, epoch = shadow.snapshot, shadow.epoch
    if seen is None or told.token != shadow.fetching:
        return shadow, []
    plan = read_plan(shadow, told.bodies.get(seen.plan_ref))
    shadow = msgspec.structs.replace(shadow, plan=plan, fetching="")
    if epoch is None:
        return shadow, []
    if plan is not None:
        return take_over(shadow, epoch, context, now)
    log = fx.Log("plan_lost", {"task": seen.task.id, "error": told.error[:200]}, "warning")
    bare = _without_plan(shadow, seen)
    if bare.task.plan is None and not bare.task.text.strip():
        live = resumed(shadow.partition, bare, epoch, shadow.since)
        reason = "its plan is neither at the broker nor in the journal of its new owner; submit it again"
        state, effects = fail(live, context, now, "plan", reason)
        return state, [log, *effects]
    lost = msgspec.structs.replace(shadow, snapshot=bare, groups={})
    taken, effects = take_over(lost, epoch, context, now)
    return taken, [log, *effects]


def _without_plan(shadow: Shadow, seen: State) -> State:
    """Return the snapshot of a task whose plan is lost: planned anew, from the submission if that is known."""
    submit = shadow.submit.message if shadow.submit is not None else None
    task = submit.task if isinstance(submit, Submit) else seen.task
    groups = max(seen.groups, max(shadow.groups, default=0))
    return msgspec.structs.replace(seen, task=task, plan_ref="", plan_size=0, groups=groups)


def _order(seen: State) -> tuple[Epoch, int]:
    return seen.epoch, seen.seq


def submitted(
    shadow: Shadow, received: fx.Received, epoch: Epoch, context: Context, now: float
) -> tuple[TaskState, list[Effect]]:
    """Take a new task: make it durable, tell the submitter once it is, and look for agents meanwhile."""
    message = received.message
    assert isinstance(message, Submit)
    task = message.task
    refusal = _refusal(task, shadow.partition, received, context)
    if refusal:
        code, reason = refusal
        rejected = Rejected(task.id, code, reason[:500])
        to = Reply(received.reply_to, received.correlation, task)
        told = answer_to(to, rejected, context) if received.reply_to else []
        return Shadow(shadow.partition), [*told, fx.Retire(), fx.Measure("foa_tasks_rejected_total", label=code)]
    live = Live(
        shadow.partition,
        epoch,
        task,
        shadow.since,
        shadow.since + task.deadline_ms / 1000,
        reply_to=received.reply_to,
        correlation=received.correlation,
        trace=received.envelope.trace_parent or "",
        request=request_of(task),
    )
    live, saved = save(live, context, now, token="accept")  # noqa: S106 - names the receipt, no secret
    state, effects = find(live, context, now)
    return state, [*saved, fx.Wake("deadline", live.ends), fx.Measure("foa_tasks_accepted_total"), *effects]


def _refusal(task: Task, partition: int, received: fx.Received, context: Context) -> tuple[str, str] | None:
    if received.topic.task != task.id:
        return "id", f"task.id is {task.id!r} but the topic says {received.topic.task!r}; make them the same"
    wanted = partition_of(task.id, context.topics.partitions)
    if wanted != partition:
        return "partition", f"task {task.id} belongs to partition {wanted}, not {partition}; publish it there"
    if not task.text.strip() and task.plan is None:
        return "text", "task.text is empty and there is no plan; say what is to be done"
    if len(task.hops) != len(set(task.hops)):
        return "loop", f"task.hops {','.join(task.hops)} comes by the same agent twice"
    return None


def durable(live: Live, code: int, context: Context, now: float) -> tuple[TaskState, list[Effect]]:
    """Accept the task, now that the broker holds its first snapshot; or fail it, since the broker does not."""
    if code >= 0x80:  # noqa: PLR2004 - MQTT 5: 0x80 and above are failures
        reason = f"the broker did not keep the task (reason code {code:#x}); send its inputs by reference"
        return fail(live, context, now, "refused", reason)
    live = msgspec.structs.replace(live, accepted=True)
    told = tell(live, context, note(live, now, "accepted", text=live.epoch.node))
    return live, [*accept(live, context), told]


def accept(live: Live, context: Context) -> list[Effect]:
    """Tell the submitter that the task is kept; a repeated submission is told again."""
    return [said._replace(promise=True, qos=0) for said in reply(live, context, Accepted(live.task.id, live.epoch))]


def resubmitted(state: Live, received: fx.Received, context: Context) -> tuple[Live, list[Effect]]:
    """Answer a submission that came again: where we stand, to the new address; no, if it asks for something else."""
    assert isinstance(received.message, Submit)
    taken = refused(received.message.task, state.request)
    if taken is not None:
        to = Reply(received.reply_to, received.correlation, received.message.task)
        return state, list(answer_to(to, taken, context)) if received.reply_to else []
    state = msgspec.structs.replace(state, reply_to=received.reply_to, correlation=received.correlation)
    return state, [*accept(state, context), *again_asked(state, context)] if state.accepted else []


def take_over(shadow: Shadow, epoch: Epoch, context: Context, now: float) -> tuple[TaskState, list[Effect]]:
    """Go on with a task whose owner is gone: from its snapshot, else from its submission; then hear the answers.

    What still runs after that is awarded once more: nobody knows which of the awards and answers arrived.
    """
    if shadow.snapshot is None:
        if shadow.submit is None:
            return shadow, []
        state, effects = submitted(shadow, shadow.submit, epoch, context, now)
    else:
        if shadow.snapshot.plan_ref and shadow.plan is None:
            plan = _own_plan(shadow)
            if plan is None:
                return _fetching(shadow, shadow.snapshot)
            shadow = msgspec.structs.replace(shadow, plan=plan)
        seen = whole(shadow)
        live = resumed(shadow.partition, seen, epoch, shadow.since)
        told = inherited(live, seen, context)
        state, effects = _resume(live, context, now)
        effects = told + effects
    if isinstance(state, Live):
        state, more = _caught_up(shadow, state, context, now)
        effects = effects + more
    if isinstance(state, Live) and shadow.snapshot is not None:
        effects = effects + repeated(state, context, now)
    return state, effects


def _caught_up(shadow: Shadow, live: Live, context: Context, now: float) -> tuple[TaskState, list[Effect]]:
    """Hear what was said to whom the task had before, in order, until it ends of that."""
    state: TaskState = live
    effects: list[Effect] = []
    if shadow.cancel is not None:
        state, effects = fail(live, context, now, "cancelled", shadow.cancel.reason, "cancelled")
    for answer in shadow.answers:
        if isinstance(state, Live):
            state, more = answered(state, answer, context, now)
            effects = effects + more
    for words in shadow.said:
        if isinstance(state, Live):
            state, more = said(state, words, context, now)
            effects = effects + more
    return state, effects


def _fetching(shadow: Shadow, seen: State) -> tuple[Shadow, list[Effect]]:
    """Have the plan's blob read, once; `fetched` goes on."""
    if shadow.fetching == seen.plan_ref:
        return shadow, []
    fetch = Fetch(seen.plan_ref, (Ref(seen.plan_ref, seen.plan_size),))
    return msgspec.structs.replace(shadow, fetching=seen.plan_ref), [fx.Tell(Key("blobs"), fetch)]


def _resume(live: Live, context: Context, now: float) -> tuple[TaskState, list[Effect]]:
    live, effects = save(live, context, now)
    result = context.topics.task(live.partition, live.task.id, "result")
    effects += [fx.Subscribe((result,)), fx.Unsubscribe((result,))]  # it may have ended while we were away: read that
    effects.append(fx.Wake("deadline", max(live.ends, now + READ_S)))
    effects.append(tell(live, context, note(live, now, "taken-over", text=live.epoch.node)))
    effects.append(fx.Measure("foa_takeovers_total"))
    # Who asked may have died before it was heard. That there is a new epoch must be heard before any result under it.
    effects += [*(said._replace(qos=1) for said in reply(live, context, Accepted(live.task.id, live.epoch)))]
    effects += again_asked(live, context)
    lease = now + context.rules.lease_s + context.rules.grace_s
    for work in live.works.values():
        for seat in work.seats:
            if seat.phase == "running":
                effects += [fx.Wake(f"lease:{seat.award}", lease), followed(seat.agent)]
    state, more = find(live, context, now) if live.plan is None else advance(live, context, now)
    return state, effects + more
