"""What agents say about their awards. The owner settles every final answer, also those that come twice or late."""

import msgspec

from foa.core import effects as fx
from foa.core.dag.blobs import outsource
from foa.core.dag.plan import ancestors
from foa.core.effects import Effect
from foa.core.machines.task.awarding import again
from foa.core.machines.task.changing import taken_back, unrepeatable
from foa.core.machines.task.finish import fail, withdrawals
from foa.core.machines.task.live import MAX_PAID
from foa.core.machines.task.pending import JOINING, PLANNING, is_pseudo
from foa.core.machines.task.place import advance
from foa.core.machines.task.planning.sessions import planned
from foa.core.machines.task.replies.dialogue import ask
from foa.core.machines.task.replies.joining import joined
from foa.core.machines.task.replies.recovery import recover
from foa.core.machines.task.replies.teams import decided, with_seat
from foa.core.machines.task.state import (
    AnswerMessage,
    Context,
    Live,
    TaskState,
    active,
    note,
    put,
    save,
    tell,
)
from foa.core.machines.task.verdict import LEASE_LOST, NEVER_SENT, concluded, dropped
from foa.wire.ids import Epoch, idempotency_key
from foa.wire.messages import Asking, Declined, Done, Failed, Progress, Required, Settled, Taken, Withdrawn
from foa.wire.records import Given, Seat, Work

PASSING = frozenset({"busy", "draining", "over"})  # reasons to decline that do not last
UNBEGUN = frozenset({"inputs"})  # codes of failures before the handler began
PIECE = 500  # characters of a partial answer that one note carries


def answered(live: Live, message: AnswerMessage, context: Context, now: float) -> tuple[TaskState, list[Effect]]:
    """Take an answer; a final one is settled whatever it is worth, or the agent would repeat it for ever."""
    found = _find(live, message)
    if found is None:
        return live, [*_settle(live, message, context, used=False), *stale(message, live.epoch, context)]
    work, seat = found
    state: TaskState
    match message:
        case Taken() | Progress():
            return _alive(live, work, seat, message, context, now)
        case Declined():
            return _declined(live, work, seat, message, context, now)
        case Asking():
            state, effects = _asking(live, work, seat, message, context, now)
            return state, effects + _settle(live, message, context, used=True)
        case Failed():
            state, effects = _failed(live, work, seat, message, context, now)
            return state, effects + _settle(live, message, context, used=True)
        case Done():
            state, effects = _done(live, work, seat, message, context, now)
            return state, effects + _settle(live, message, context, used=True)


def _find(live: Live, message: AnswerMessage) -> tuple[Work, Seat] | None:
    """Return the running seat a message is about.

    A `Done` whose award is not among them (its owner died before it told anyone, or took the agent for dead)
    counts by its key, unless a team works on it meanwhile.
    """
    for work in active(live):
        for seat in work.seats:
            if seat.award == message.award:
                return (work, seat) if seat.phase == "running" and seat.agent == message.agent else None
    if isinstance(message, Done) and message.award not in live.paid:
        for work in live.works.values():
            is_open = work.phase in {"waiting", "ready", "running"} and len(work.seats) <= 1
            if is_open and idempotency_key(live.task.id, work.id) == message.key and not _is_outdated(live, work.id):
                return work, Seat(message.agent, message.award, max(1, work.attempt))
    return None


def _is_outdated(live: Live, ident: str) -> bool:
    """Tell whether an earlier award of subtask `ident` may have been built on something withdrawn since."""
    withdrawn = {edit.subtask for edit in live.edits if edit.kind == "withdraw"}
    if live.plan is None or not withdrawn or ident.startswith(PLANNING):
        return False
    return ident == JOINING or not withdrawn.isdisjoint((ident, *ancestors(live.plan, ident)))


def settle(message: AnswerMessage, epoch: Epoch, context: Context, *, used: bool) -> list[Effect]:
    """Tell the agent that its final answer is durable here; nothing for answers that are not final."""
    if not isinstance(message, Done | Failed | Asking):
        return []
    reply = Settled(message.award, message.task, epoch, used)
    return [fx.Publish(context.topics.request(message.agent), reply, qos=0)]


def stale(message: AnswerMessage, epoch: Epoch, context: Context) -> list[Effect]:
    """Take back an award that waits at an agent and stands no more: it may have been on its way for long."""
    if not isinstance(message, Taken) or message.started:
        return []
    word = Withdrawn(message.award, message.task, epoch, "it was given to another meanwhile, or the task is over")
    return [fx.Publish(context.topics.request(message.agent), word, qos=0)]


def _settle(live: Live, message: AnswerMessage, context: Context, *, used: bool) -> list[Effect]:
    return settle(message, live.epoch, context, used=used)


def _alive(
    live: Live, work: Work, seat: Seat, message: Taken | Progress, context: Context, now: float
) -> tuple[Live, list[Effect]]:
    """Renew the lease. Only the first sign of work changes what an heir must know."""
    rules = context.rules
    effects: list[Effect] = [fx.Wake(f"lease:{seat.award}", now + rules.lease_s + rules.grace_s)]
    if isinstance(message, Progress):
        kind, text = (
            ("round", f"round {message.round}: {message.text}") if message.round else ("progress", message.text)
        )
        notes = [note(live, now, kind, work.id, seat.agent, text)] if message.text else []
        notes += [
            note(live, now, "partial", work.id, seat.agent, message.partial[at : at + PIECE])
            for at in range(0, len(message.partial), PIECE)
        ]
        if notes:
            effects.append(tell(live, context, *notes))
        return live, effects
    if seat.started or not message.started:
        return live, effects
    live = put(live, with_seat(work, msgspec.structs.replace(seat, started=True)))
    if seat.effects == "once":
        live, saved = save(live, context, now)
        effects = saved + effects
    return live, [*effects, tell(live, context, note(live, now, "started", work.id, seat.agent))]


def _declined(
    live: Live, work: Work, seat: Seat, message: Declined, context: Context, now: float
) -> tuple[TaskState, list[Effect]]:
    """Look for somebody else; declining is no failure and costs no attempt."""
    said = note(live, now, "declined", work.id, seat.agent, f"{message.code}: {message.reason}")
    if message.code in PASSING:
        live = msgspec.structs.replace(live, busy=(*live.busy, seat.agent))
    closed = msgspec.structs.replace(seat, phase="failed", reason=f"declined: {message.code}: {message.reason}"[:500])
    closed, told = concluded(live, work, closed, None, context, now)
    work = with_seat(work, closed)
    state, effects = _closed(put(live, work), work, context, now, blame=message.code not in PASSING, attempt_lost=False)
    return state, [fx.Sleep(f"lease:{seat.award}"), tell(live, context, said), *told, *effects]


def _failed(
    live: Live, work: Work, seat: Seat, message: Failed, context: Context, now: float
) -> tuple[TaskState, list[Effect]]:
    paid = payable(live, seat, message.usage.cost)
    said = note(live, now, "failed", work.id, seat.agent, f"{message.code}: {message.reason}")
    live = _counted(live, seat.award, paid)
    why = f"{message.code}: {message.reason}"[:500]
    begun = seat.started or message.code not in UNBEGUN  # its word that it started may be lost
    closed = msgspec.structs.replace(seat, phase="failed", started=begun, reason=why)
    closed, judged = concluded(live, work, closed, None if message.code == "retry" else 0.0, context, now)
    work = with_seat(work, closed)
    before: list[Effect] = [fx.Sleep(f"lease:{seat.award}"), tell(live, context, said), *judged]
    state: TaskState
    if message.refutes and _may_refute(live, work, message.refutes):
        state, effects = _refuted(put(live, work), seat, message, context, now)
        return state, [*before, *effects]
    if not message.retryable and len(work.seats) == 1 and not is_pseudo(work.id) and not _others_may_try(message):
        reason = f"subtask {work.id}: {seat.agent}: {message.reason}"
        stuck = _must_not_repeat(live, work)  # no other way round either
        state, effects = (
            fail(put(live, work), context, now, "agent-failed", f"subtask {work.id}: {stuck}", subtask=work.id)
            if stuck
            else recover(put(live, work), work.id, "agent-failed", reason, context, now)
        )
        return state, [*before, *effects]
    pause: list[Effect] = []
    if message.after_ms and len(work.seats) == 1:  # nobody is looked for before then
        due = now + message.after_ms / 1000
        live = msgspec.structs.replace(live, unplaced={**live.unplaced, work.id: due})
        pause.append(fx.Wake("relook", due))
    state, effects = _closed(put(live, work), work, context, now, blame=message.code != "retry")
    return state, [*before, *effects, *(pause if isinstance(state, Live) else [])]


def _asking(
    live: Live, work: Work, seat: Seat, message: Asking, context: Context, now: float
) -> tuple[TaskState, list[Effect]]:
    """Have a person answer; the award is over, costs no attempt, and comes back to who asked, with the answer.

    A planner cannot be answered: it counts as one that declined.
    """
    closed = msgspec.structs.replace(seat, phase="failed", reason=f"asks: {message.question}"[:500])
    closed, judged = concluded(live, work, closed, None, context, now)
    before: list[Effect] = [fx.Sleep(f"lease:{seat.award}"), *judged]
    if is_pseudo(work.id) or len(work.seats) > 1:
        after = with_seat(work, closed)
        state, effects = _closed(put(live, after), after, context, now, attempt_lost=False)
        return state, [*before, *effects]
    live = put(live, msgspec.structs.replace(work, attempt=max(0, work.attempt - 1), seats=()))
    required = Required(live.task.id, work.id, message.question, live.epoch, message.options, message.agent)
    state, effects = ask(live, required, "input", context, now)
    return state, [*before, *effects]


def _may_refute(live: Live, work: Work, source: str) -> bool:
    """Tell whether `work` was given what subtask `source` yielded, and that may be done once more."""
    if live.plan is None or is_pseudo(work.id) or source not in ancestors(live.plan, work.id):
        return False
    given = live.works[source]
    return given.phase == "done" and given.attempt < live.task.attempts and not unrepeatable(live, source)


def _refuted(live: Live, seat: Seat, message: Failed, context: Context, now: float) -> tuple[TaskState, list[Effect]]:
    """Do again what an agent found wrong among its inputs, and then what was built on it, this subtask too."""
    said = note(live, now, "refuted", message.refutes, seat.agent, message.reason)
    live, effects = taken_back(live, message.refutes, message.reason, seat.agent, context, now)
    state, more = advance(live, context, now)
    return state, [tell(live, context, said), *effects, *more]


def _others_may_try(message: Failed) -> bool:
    """Tell a handler that lies or answers garbage, which discredits itself, from an impossible subtask."""
    return message.code in {"lies", "garbage"}


def _counted(live: Live, award: str, paid: float) -> Live:
    """Return `live` with what an answer cost; the same answer again, after its seat is gone, costs nothing."""
    return msgspec.structs.replace(live, spent=live.spent + paid, paid=(*live.paid, award)[-MAX_PAID:])


def silent(live: Live, award: str, context: Context, now: float) -> tuple[TaskState, list[Effect]]:
    """Take the agent of `award` for dead, since its lease ended."""
    for work in active(live):
        for seat in work.seats:
            if seat.award == award and seat.phase == "running":
                why = NEVER_SENT if award in live.unsent else LEASE_LOST
                closed = msgspec.structs.replace(seat, phase="failed", reason=why)
                closed, judged = concluded(live, work, closed, None if why == NEVER_SENT else 0.0, context, now)
                said = note(live, now, "silent", work.id, seat.agent, why)
                effects = withdrawals(live, context, [msgspec.structs.replace(work, seats=(seat,))], LEASE_LOST)
                after = with_seat(work, closed)
                state, more = _closed(put(live, after), after, context, now)
                return state, [*effects, tell(live, context, said), *judged, *more]
    return live, []


def _done(
    live: Live, work: Work, seat: Seat, message: Done, context: Context, now: float
) -> tuple[TaskState, list[Effect]]:
    effects: list[Effect] = [fx.Sleep(f"lease:{seat.award}")]
    if all(other.award != seat.award for other in work.seats):  # by its key: whoever works on it now need not
        effects += withdrawals(live, context, [work], "the answer of an earlier award came")
        effects += [fx.Sleep(f"lease:{other.award}") for other in work.seats]
        effects += dropped(live, [work], None, context, now)
        work = msgspec.structs.replace(work, seats=(), question="", options=())
        pools = {ident: pool for ident, pool in live.pools.items() if ident != work.id}
        live = put(msgspec.structs.replace(live, pools=pools), work)
    paid = payable(live, seat, message.usage.cost)
    expiry = live.task.deadline_ms // 1000 + live.task.retention_s
    outputs, blobs = outsource(message.outputs, context.topics, expiry, context.rules.inline_bytes)
    outputs = tuple(Given(given.name, given.value, work.id, seat.agent) for given in outputs)
    done = msgspec.structs.replace(
        seat,
        phase="done",
        outputs=outputs,
        rounds=message.rounds,
        price=paid,
        started=True,
        confidence=message.confidence,
        votes=message.votes,
    )
    unplaced = {ident: since for ident, since in live.unplaced.items() if ident != work.id}
    live = msgspec.structs.replace(_counted(live, seat.award, paid), unplaced=unplaced)
    work = with_seat(work, done)
    said = note(live, now, "done", work.id, seat.agent)
    state, more = _closed(put(live, work), work, context, now)
    return state, [*effects, *blobs, tell(live, context, said), *more]


def payable(live: Live, seat: Seat, bill: float) -> float:
    """Return how much of an agent's bill is paid: never more than the budget has left beside other awards."""
    if live.task.budget is None:
        return bill
    others = sum(
        other.price
        for work in active(live)
        for other in work.seats
        if other.phase == "running" and other.award != seat.award
    )
    return max(0.0, min(bill, live.task.budget - live.spent - others))


def _closed(
    live: Live, work: Work, context: Context, now: float, *, blame: bool = True, attempt_lost: bool = True
) -> tuple[TaskState, list[Effect]]:
    """Go on once no seat of `work` runs any more: settle on an answer, or try again with others."""
    if any(seat.phase == "running" for seat in work.seats):
        return save(live, context, now)
    if work.id.startswith(PLANNING):
        return planned(live, work.id, context, now)
    if work.id == JOINING:
        return joined(live, work, context, now)
    finished = [seat for seat in work.seats if seat.phase == "done"]
    if finished:
        return decided(live, work, finished, context, now)
    stuck = _must_not_repeat(live, work)
    if stuck:
        return fail(live, context, now, "agent-failed", f"subtask {work.id}: {stuck}", subtask=work.id)
    if attempt_lost and work.attempt >= live.task.attempts:
        last = work.seats[-1]
        reason = f"{last.agent}: {last.reason} (attempt {work.attempt} of {live.task.attempts})"
        return recover(live, work.id, "agent-failed", f"subtask {work.id}: {reason}", context, now)
    retry = again(work) if blame else msgspec.structs.replace(work, phase="waiting", seats=())
    if not attempt_lost:
        retry = msgspec.structs.replace(retry, attempt=max(0, work.attempt - 1))
    live, effects = save(put(live, retry), context, now)
    state, more = advance(live, context, now)
    return state, effects + more


def _must_not_repeat(live: Live, work: Work) -> str:
    """Return why `work` may not be awarded again, or "": ``effects = once`` is not, once it may have started.

    An agent says that it started before it answers; from one that is silent even that word may be lost.
    """
    for seat in work.seats:
        begun = "had started" if seat.started else "may have started" if seat.reason == LEASE_LOST else ""
        if seat.effects == "once" and begun and not live.subtask(work.id).consent:
            return f"{seat.agent} {begun} and its effects happen once; give consent to repeat it ({seat.reason})"
    return ""
