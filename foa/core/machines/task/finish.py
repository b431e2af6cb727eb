"""How a task ends: exactly one result, every award that still runs withdrawn, the snapshot cleared."""

from typing import Any, Final

import msgspec

from foa.core import effects as fx
from foa.core.dag.blobs import outsource
from foa.core.dag.cases import Worked
from foa.core.dag.merge import Form, forms
from foa.core.dag.replay import remainder
from foa.core.dag.synthesis import synthesize
from foa.core.effects import Effect, Key
from foa.core.machines.task.over.letters import letter, sent
from foa.core.machines.task.over.telling import refused, told
from foa.core.machines.task.pending import JOINING
from foa.core.machines.task.state import (
    Context,
    Ended,
    Live,
    Reply,
    active,
    answer_to,
    cleared,
    expiry_s,
    headers,
    note,
    reply,
    tell,
)
from foa.core.machines.task.verdict import dropped, witnessed
from foa.core.routing.ownership import Over
from foa.wire.codec import MAX_PAYLOAD, encode
from foa.wire.messages import Rejected, Result, Withdrawn
from foa.wire.records import Status, Work

Ending = tuple[Ended, list[Effect]]
CASES: Final = Key("cases")
SMALL: Final = 15  # subtasks, decisions or outputs whose result fits a frame in any case


def finish(live: Live, context: Context, now: float) -> Ending:
    """End the task with what its subtasks yielded."""
    assert live.plan is not None
    took = {ident: int(ms) for ident, ms in live.took.items()}
    done = [work for work in live.works.values() if work.strategy]
    outputs, parts = synthesize(
        live.plan,
        live.works,
        joining=live.task.joining,
        disagreed=live.disagreed,
        ms=took,
        credit={work.id: work.credit for work in done},
        strategies={work.id: work.strategy for work in done},
    )
    if JOINING in live.works and live.works[JOINING].outputs:
        outputs = live.works[JOINING].outputs
    result = Result(
        live.task.id,
        "done",
        live.epoch,
        outputs,
        cost=live.spent,
        ms=int((now - live.began) * 1000),
        parts=parts,
        decisions=live.decisions,
        plan=live.plan,
        text=live.task.text[:500],
        deliberations=live.deliberations,
        edits=live.edits,
        request=live.request,
    )
    ended, effects = end(live, context, now, result)
    return ended, [*effects, *_remembered(live, context, now)]


def _remembered(live: Live, context: Context, now: float) -> list[Effect]:
    """Tell the memory of plans one that worked; the less had to be mended on the way, the better it was."""
    several = live.plan is not None and len(live.plan.subtasks) > 1
    if live.plan is None or not several or live.task.private or not live.vector:
        return []
    mended = sum(edit.kind in {"reroute", "replan", "withdraw", "escalate"} for edit in live.edits)
    score = 1.0 / (1.0 + mended)
    voices, seen = _voices(live, score)
    return [fx.Tell(CASES, Worked(live.task.text, live.vector, live.plan, score, now + context.wall, voices, seen))]


def _voices(live: Live, score: float) -> tuple[dict[str, float], dict[str, Form]]:
    """Return how much of the plan that worked each planner had proposed (of both plans' subtasks the part in common).

    And what each proposal looked like.

    Nothing where one planner spoke alone: that its plan is like itself says nothing against the others.
    """
    told = next((one for one in live.deliberations if not one.subtask), None)
    if told is None or not told.kept:
        return {}, {}
    plans = {voice.planner: voice.plan for voice in told.voices if voice.plan is not None}
    if len(plans) < 2:  # noqa: PLR2004 - two voices can differ
        return {}, {}
    kept = {voice.planner: voice.kept for voice in told.voices}
    sizes = {name: len(plan.subtasks) + len(told.kept) for name, plan in plans.items()}
    return {name: min(1.0, score * 2 * kept[name] / sizes[name]) for name in plans}, forms(plans)


def fail(
    live: Live, context: Context, now: float, code: str, reason: str, status: Status = "failed", *, subtask: str = ""
) -> Ending:
    """End the task without a result, and say why: for the sake of `subtask`, if one ended it.

    What is left to do goes with the result. Of a task that failed a letter stays behind as well: nobody wanted its end.
    """
    left = remainder(live.task, live.plan, live.works)
    result = Result(
        live.task.id,
        status,
        live.epoch,
        code=code,
        reason=reason[:500],
        cost=live.spent,
        ms=int((now - live.began) * 1000),
        decisions=live.decisions,
        plan=live.plan,
        text=live.task.text[:500],
        deliberations=live.deliberations,
        edits=live.edits,
        request=live.request,
        again=left,
    )
    ended, effects = end(live, context, now, result)
    if status != "failed":
        return ended, effects
    kept = letter(live, result, left, subtask, context, expiry_s(live, now))
    count = fx.Measure("foa_letters_total", label=code)
    return msgspec.structs.replace(ended, letter=kept), [*effects, sent(kept, live.partition, context), count]


def end(live: Live, context: Context, now: float, result: Result) -> Ending:
    """Publish `result`, tell the submitter, withdraw what still runs, forget the rest."""
    result, blobs = fitting(live, context, now, result)
    topic = context.topics.task(live.partition, live.task.id, "result")
    said = fx.Publish(topic, result, headers(live), retain=True, expiry_s=expiry_s(live, now))
    effects = [fx.Persist(result), *blobs, said, *reply(live, context, result), *_closing(live, context, now, result)]
    ended, repeats = told(Ended(live.partition, result, until=now + expiry_s(live, now), to=_to(live)), context, now)
    return ended, [*effects, *repeats]


def _to(live: Live) -> Reply | None:
    return Reply(live.reply_to, live.correlation, live.task) if live.reply_to else None


def fitting(live: Live, context: Context, now: float, result: Result) -> tuple[Result, list[fx.Publish]]:
    """Return `result` as it can travel: a large one sends its outputs by reference, then goes without its records."""
    small = result.again is None and max(len(result.parts), len(result.decisions), len(result.outputs)) <= SMALL
    if small or _fits(result):
        return result, []
    outputs, blobs = outsource(result.outputs, context.topics, expiry_s(live, now), SMALL)
    replace = msgspec.structs.replace
    result = replace(result, outputs=outputs)
    thinner: tuple[dict[str, Any], ...] = (
        {},
        {"deliberations": ()},
        {"deliberations": (), "decisions": ()},
        {"deliberations": (), "decisions": (), "edits": (), "plan": None},
        {"deliberations": (), "decisions": (), "edits": (), "plan": None, "again": None},
    )
    for without in thinner:
        shorter = replace(result, **without)
        if _fits(shorter):
            return shorter, blobs
    return replace(result, deliberations=(), decisions=(), edits=(), plan=None, parts=(), again=None), blobs


def _fits(result: Result) -> bool:
    return len(encode(result)) <= MAX_PAYLOAD


def overtaken(live: Live, context: Context, now: float, result: Result) -> Ending:
    """End the task with another owner's `result`, which came first: what we still run is for nothing.

    A client of ours is told here too, who knows a result it has already: who wrote it may have died before it
    replied. A stranger is not told twice. Where the result is that of another request, of which this node knew nothing,
    the id was taken.
    """
    taken = refused(live.task, result.request)
    to = _to(live)
    word: Rejected | Result = result if taken is None else taken
    said = [] if to is None or (taken is None and live.task.format != "msgpack") else answer_to(to, word, context)
    ended = Ended(live.partition, result, confirmed=True, until=now + expiry_s(live, now), to=None if taken else to)
    ended, repeats = told(ended, context, now)
    return ended, [
        fx.Persist(result),
        *said,
        *repeats,
        *witnessed(live, result, context, now),
        *_closing(live, context, now, result),
    ]


def _closing(live: Live, context: Context, now: float, result: Result) -> list[Effect]:
    """Return what is to be done at the end of a task, whoever ended it."""
    snapshots = context.topics.task(live.partition, live.task.id, "state/0")
    return [
        fx.Publish(snapshots, None, retain=True),
        *cleared(live, context, 0),
        tell(live, context, note(live, now, result.status, text=result.reason)),
        *withdrawals(live, context, list(live.works.values()), result.status),
        *dropped(live, list(live.works.values()), 0.0 if result.status == "expired" else None, context, now),
        fx.Measure("foa_tasks_total", label=result.status),
        fx.Measure("foa_task_seconds", seconds=now - live.began),
        *_calm(live),
        fx.Tell(Key("memory"), Over(min(context.rules.remember_s, live.task.retention_s), expiry_s(live, now))),
        fx.Log("task_ended", {"task": live.task.id, "status": result.status, "reason": result.reason}),
    ]


def _calm(live: Live) -> list[Effect]:
    """Call off every timer of the task."""
    plannings = [f"plan:{target}" for target in live.sessions]
    leases = [f"lease:{seat.award}" for work in active(live) for seat in work.seats if seat.phase == "running"]
    return [fx.Sleep(timer) for timer in ("deadline", "relook", "events", *plannings, *leases)]


def withdrawals(live: Live, context: Context, works: list[Work], reason: str) -> list[Effect]:
    """Take back every award of `works` that still runs."""
    return [
        fx.Publish(
            context.topics.request(seat.agent),
            Withdrawn(seat.award, live.task.id, live.epoch, reason[:500]),
            headers(live),
        )
        for work in works
        for seat in work.seats
        if seat.phase == "running"
    ]
