"""How a task comes to a coordinator: submitted, taken over from a dead owner, or remembered as heir."""

import msgspec

from foa.core import effects as fx
from foa.core.effects import Effect
from foa.core.machines.task.dialogue import again_asked
from foa.core.machines.task.finish import fail
from foa.core.machines.task.place import advance
from foa.core.machines.task.planning.sessions import find
from foa.core.machines.task.replies.answers import answered
from foa.core.machines.task.state import (
    MAX_SHADOW_ANSWERS,
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
from foa.core.machines.task.verdict import inherited
from foa.wire.ids import Epoch, partition_of
from foa.wire.messages import Accepted, Cancel, Declined, Done, Failed, Rejected, Result, State, Submit, Taken
from foa.wire.records import Task


def remember(shadow: Shadow, received: fx.Received, now: float) -> Shadow | Ended:
    """Keep what an heir would go on from; a result seen ends the task here too."""
    replace = msgspec.structs.replace
    match received.message:
        case Submit() if shadow.submit is None:
            return replace(shadow, submit=received, since=shadow.since or now)
        case State() as seen if shadow.snapshot is None or _order(seen) > _order(shadow.snapshot):
            running = {seat.award for work in seen.work for seat in work.seats if seat.phase == "running"}
            kept = tuple(answer for answer in shadow.answers if answer.award in running)
            return replace(shadow, snapshot=seen, answers=kept, since=made_at(seen, received.expiry_s, now))
        case Done() | Failed() | Declined() | Taken() as answer:
            return replace(shadow, answers=(*shadow.answers, answer)[-MAX_SHADOW_ANSWERS:])
        case Cancel() as cancel:
            return replace(shadow, cancel=cancel)
        case Result() as result:
            return Ended(shadow.partition, result, confirmed=True)
        case _:
            return shadow


def is_empty(shadow: Shadow) -> bool:
    """Tell whether nothing is known of a task: it need not be kept."""
    return shadow.submit is None and shadow.snapshot is None and shadow.cancel is None and not shadow.answers


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


def resubmitted(state: Live | Ended, received: fx.Received, context: Context) -> tuple[TaskState, list[Effect]]:
    """Answer a submission that came again: where we stand, to the new address."""
    if isinstance(state, Live):
        state = msgspec.structs.replace(state, reply_to=received.reply_to, correlation=received.correlation)
        return state, [*accept(state, context), *again_asked(state, context)] if state.accepted else []
    message = received.message
    if not received.reply_to or not isinstance(message, Submit):
        return state, []
    result = state.result
    to = Reply(received.reply_to, received.correlation, message.task)
    return state, [*answer_to(to, Accepted(result.task, result.epoch), context), *answer_to(to, result, context)]


def take_over(shadow: Shadow, epoch: Epoch, context: Context, now: float) -> tuple[TaskState, list[Effect]]:
    """Go on with a task whose owner is gone: from its snapshot, else from its submission; then hear the answers."""
    if shadow.snapshot is None:
        if shadow.submit is None:
            return shadow, []
        state, effects = submitted(shadow, shadow.submit, epoch, context, now)
    else:
        live = resumed(shadow.partition, shadow.snapshot, epoch, shadow.since)
        told = inherited(live, shadow.snapshot, context)
        state, effects = _resume(live, context, now)
        effects = told + effects
    if shadow.cancel is not None and isinstance(state, Live):
        state, more = fail(state, context, now, "cancelled", shadow.cancel.reason, "cancelled")
        effects = effects + more
    for answer in shadow.answers:
        if isinstance(state, Live):
            state, more = answered(state, answer, context, now)
            effects = effects + more
    return state, effects


def _resume(live: Live, context: Context, now: float) -> tuple[TaskState, list[Effect]]:
    live, effects = save(live, context, now)
    effects.append(fx.Wake("deadline", live.ends))
    effects.append(tell(live, context, note(live, now, "taken-over", text=live.epoch.node)))
    effects.append(fx.Measure("foa_takeovers_total"))
    effects += accept(live, context)
    lease = now + context.rules.lease_s + context.rules.grace_s
    for work in live.works.values():
        effects += [fx.Wake(f"lease:{seat.award}", lease) for seat in work.seats if seat.phase == "running"]
    state, more = find(live, context, now) if live.plan is None else advance(live, context, now)
    return state, effects + more
