"""From proposals to a plan that runs: merged, its types satisfied, recorded, adopted or put in a subtask's place."""

from typing import Final

import msgspec

from foa.core import effects as fx
from foa.core.dag import typed
from foa.core.dag.edit import spliced
from foa.core.dag.merge import merge, recorded
from foa.core.dag.topology import measure
from foa.core.effects import Effect, Key
from foa.core.machines.task.changing import changed, logged
from foa.core.machines.task.pending import ATOMIC, Session, Stuck, planning
from foa.core.machines.task.place import advance
from foa.core.machines.task.planning.voices import proposals, texts
from foa.core.machines.task.state import Context, Live, TaskState, adopted, note, save, tell
from foa.core.vcv.vector import unpack
from foa.errors import ProposalError
from foa.wire.deliberation import Deliberation, EditKind
from foa.wire.messages import Events, Vectors
from foa.wire.records import Plan, Subtask

MAX_DELIBERATIONS: Final = 16
MAX_NOTES: Final = 16

Stepped = tuple[TaskState, list[Effect]]


def agree(live: Live, session: Session, context: Context, now: float, vectors: Vectors | None = None) -> Stepped:
    """Merge what was proposed into one plan and take it; without vectors words are compared."""
    read, refused = proposals(live, session)
    known = zip(texts(read), vectors.vectors, strict=False) if vectors is not None else ()
    plan, report = merge(read, {text: unpack(vector) for text, vector in known if vector and len(vector) % 2 == 0})
    deliberation = recorded(report, read, int((now - live.began) * 1000), session.target)
    deliberation = msgspec.structs.replace(deliberation, voices=(*deliberation.voices, *refused)[:16])
    live = _over(live, session)
    if plan is None or len(plan.subtasks) == 1:
        return unplanned(live, session, context, now)
    plan, lacking = _satisfied(live, session, plan)
    live, said = _recorded(live, _shaped(deliberation, plan), context, now)
    effects: list[Effect] = [said]
    for ident, kind in lacking[:MAX_NOTES]:
        effects.append(tell(live, context, note(live, now, "missing", ident, text=f"nobody is known to yield {kind}")))
    state, more = adopt(live, plan, context, now) if not session.target else _expand(live, session, plan, context, now)
    return state, [*effects, *more]


def _over(live: Live, session: Session) -> Live:
    """Return `live` without the session and the work that stood for asking planners."""
    sessions = {target: other for target, other in live.sessions.items() if target != session.target}
    works = {ident: work for ident, work in live.works.items() if ident != planning(session.target)}
    return msgspec.structs.replace(live, sessions=sessions, works=works)


def _satisfied(live: Live, session: Session, plan: Plan) -> tuple[Plan, tuple[tuple[str, str], ...]]:
    """Hold every subtask to the form its words demand, and give it the types it needs; say what nobody yields."""
    given = {one.value.type for one in live.task.inputs}
    offers = typed.offers(session.hits)
    bridge = typed.bridged(typed.demanded(plan, offers), given, offers)
    return bridge.plan, bridge.missing


def _shaped(deliberation: Deliberation, plan: Plan) -> Deliberation:
    shape = measure(plan)
    return msgspec.structs.replace(
        deliberation, shape=shape.topology, width=shape.width, depth=shape.depth, coupling=shape.coupling
    )


def _recorded(live: Live, deliberation: Deliberation, context: Context, now: float) -> tuple[Live, fx.Publish]:
    """Keep how the plan came about, and tell watchers."""
    kept = (*live.deliberations, deliberation)[-MAX_DELIBERATIONS:]
    live = msgspec.structs.replace(live, deliberations=kept)
    said = [
        note(live, now, "proposal", session_of(deliberation), voice.planner, _proposed(voice.plan, voice.refused))
        for voice in deliberation.voices
    ]
    said += [
        note(live, now, "proposal-dropped", text=f"{one.planner}: {one.what}: {one.reason}")
        for one in deliberation.dropped[:MAX_NOTES]
    ]
    frame = tell(live, context, *said)
    assert isinstance(frame.message, Events)
    return live, frame._replace(message=msgspec.structs.replace(frame.message, deliberations=(deliberation,)))


def session_of(deliberation: Deliberation) -> str:
    """Return the subtask a note about a planning is about."""
    return deliberation.subtask


def _proposed(plan: Plan | None, refused: str) -> str:
    if plan is None:
        return f"refused: {refused}" if refused else "a plan"
    return f"{len(plan.subtasks)} subtasks, {len(plan.edges)} edges"


def unplanned(live: Live, session: Session, context: Context, now: float) -> Stepped:
    """End a session that found nothing to split: the task, or the subtask, is one agent's job after all."""
    live = _over(live, session)
    if not session.target:
        return adopt(live, Plan((Subtask(ATOMIC, live.task.text),), origin=("atomic",)), context, now)
    live = msgspec.structs.replace(live, atomic=live.atomic | {session.target})
    if session.why == "replan":
        work = live.works[session.target]
        reason = work.reason or "no planner knows a way to split it"
        return live, [fx.Tell(Key("task", live.task.id), Stuck(session.target, session.code, reason))]
    return advance(live, context, now)


def _expand(live: Live, session: Session, plan: Plan, context: Context, now: float) -> Stepped:
    """Put `plan` in the place of the subtask it was made for, if that still waits."""
    assert live.plan is not None
    try:
        edited = spliced(live.plan, session.target, plan, live.phases())
    except ProposalError as error:
        live = msgspec.structs.replace(live, atomic=live.atomic | {session.target})
        refused = tell(live, context, note(live, now, "edit-refused", session.target, text=str(error)))
        state, effects = advance(live, context, now)
        return state, [refused, *effects]
    kind: EditKind = "expand" if session.why != "replan" else "replan"
    reason = (
        f"not one agent's job: {len(plan.subtasks)} subtasks" if kind == "expand" else live.works[session.target].reason
    )
    live, effects = changed(live, edited, logged(live, now, kind, session.target, reason, after=edited), context, now)
    state, more = advance(live, context, now)
    return state, effects + more


def adopt(live: Live, plan: Plan, context: Context, now: float) -> Stepped:
    """Take `plan` and start on what is ready."""
    live = adopted(msgspec.structs.replace(live, works={}, stage="running", asked={}, sessions={}), plan)
    told = tell(live, context, note(live, now, "planned", text=f"{len(plan.subtasks)} subtasks"), plan=plan)
    state, effects = advance(live, context, now)
    if isinstance(state, Live) and len(plan.subtasks) > 1:
        state, saved = save(state, context, now)
        return state, [*saved, told, *effects]
    return state, [told, *effects]
