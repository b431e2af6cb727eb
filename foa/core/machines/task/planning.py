"""From a request to a plan: is it one agent's job, what do planners propose, what do they agree on.

Planners are ordinary agents with the skill ``plan``; they are awarded a pseudo subtask and answer with a
value of type ``plan``. The coordinator's own *clauses* proposal always takes part, so that a federation
without planners plans all the same.
"""

from functools import lru_cache
from typing import Any, Final

import msgspec

from foa.core import effects as fx
from foa.core.dag import planfile
from foa.core.dag.atomic import cover
from foa.core.dag.clauses import clauses, propose
from foa.core.dag.merge import Proposal, merge
from foa.core.dag.plan import validated
from foa.core.effects import Effect, Key
from foa.core.machines.task.finish import fail, withdrawals
from foa.core.machines.task.place import advance, affordable, award, placed, query_for
from foa.core.machines.task.state import PLANNING, Context, Live, TaskState, note, put, save, tell
from foa.core.routing.choose import consider
from foa.core.routing.exchange import Asked
from foa.core.vcv.vector import unpack
from foa.errors import ConfigError, ProposalError
from foa.wire.messages import Ask, Embed, Found, Vectors
from foa.wire.records import Hit, Plan, Port, Subtask, Work

ATOMIC: Final = "main"
MAX_REMEMBERED: Final = 2048
"""Characters of a text whose clauses are remembered."""

MAX_CLAUSES: Final = 32
MAX_TEXTS: Final = 64


def find(live: Live, context: Context, now: float) -> tuple[TaskState, list[Effect]]:
    """Start: take a given plan, place a text of one clause at once, look up any other whole and in parts."""
    if live.task.plan is not None:
        return _given(live, live.task.plan, context, now)
    parts = _clauses(live.task.text)
    if len(parts) <= 1:
        return adopt(live, _atomic(live), context, now)
    base = query_for(live, Subtask(ATOMIC, live.task.text))
    texts = (live.task.text, *parts[:MAX_CLAUSES])
    ask = Ask(tuple(msgspec.structs.replace(base, text=text) for text in texts), context.rules.candidates)
    return live, [fx.Tell(Key("lookup"), Asked("find", ask))]


def _clauses(text: str) -> tuple[str, ...]:
    """Return the clauses of a text; short ones are remembered, since many tasks say the same."""
    return _remembered(text) if len(text) <= MAX_REMEMBERED else clauses(text)


_remembered = lru_cache(maxsize=1024)(clauses)


def _atomic(live: Live) -> Plan:
    return Plan((Subtask(ATOMIC, live.task.text),), origin=("atomic",))


def _given(live: Live, plan: Plan, context: Context, now: float) -> tuple[TaskState, list[Effect]]:
    try:
        return adopt(live, validated(plan), context, now)
    except ProposalError as error:
        return fail(live, context, now, "plan", str(error))


def compared(live: Live, found: Found, context: Context, now: float) -> tuple[TaskState, list[Effect]]:
    """Decide between one agent for all of it and a plan (`foa.core.dag.atomic` has the rule)."""
    query = query_for(live, Subtask(ATOMIC, live.task.text))
    scores = [
        {
            candidate.agent: candidate.score
            for candidate in consider(query, hits, context.rules.weights)
            if not candidate.refused
        }
        for hits in found.hits
    ]
    if scores and cover(scores[0], scores[1:]).atomic:
        return adopt(live, _atomic(live), context, now)
    ask = Ask((query_for(live, live.subtask(PLANNING)),), context.rules.planners)
    live = msgspec.structs.replace(live, stage="planning")
    return live, [fx.Tell(Key("lookup"), Asked("planners", ask))]


def invited(live: Live, hits: tuple[Hit, ...], context: Context, now: float) -> tuple[TaskState, list[Effect]]:
    """Award planning to the planners found; without any, go on with our own proposal."""
    able = [hit for hit in hits if "plan" in hit.skills][: context.rules.planners]
    able = affordable(able, query_for(live, live.subtask(PLANNING)))
    if not able:
        return agree(live, context, now)
    live = put(live, Work(PLANNING))
    live, effects, notes = award(live, PLANNING, able, context, now)
    effects.append(fx.Wake("plan", now + context.rules.plan_s))
    return live, [*effects, tell(live, context, *notes)]


def planned(live: Live, context: Context, now: float) -> tuple[TaskState, list[Effect]]:
    """Go on once every planner has answered."""
    state, effects = deliberate(live, context, now)
    return state, [fx.Sleep("plan"), *effects]


def late(live: Live, context: Context, now: float) -> tuple[TaskState, list[Effect]]:
    """Go on without the planners that did not answer in time."""
    work = live.works.get(PLANNING)
    taken_back = withdrawals(live, context, [work], "the plan was made without you") if work else []
    state, effects = deliberate(live, context, now)
    return state, taken_back + effects


def proposals(live: Live) -> tuple[list[Proposal], list[str]]:
    """Return what planners proposed and, a line each, what could not be read."""
    ports = tuple(Port(given.name, given.value.type) for given in live.task.inputs)
    read = [Proposal("clauses", propose(live.task.text, ports))]
    refused: list[str] = []
    work = live.works.get(PLANNING)
    for seat in work.seats if work else ():
        for given in seat.outputs:
            if given.value.type != "plan" or given.value.body is None:
                continue
            try:
                document: Any = msgspec.json.decode(given.value.body)
                read.append(Proposal(seat.agent, planfile.read(document)))
            except (msgspec.DecodeError, ConfigError, ProposalError, TypeError) as error:
                refused.append(f"{seat.agent}: {error}"[:500])
    return read, refused


def deliberate(live: Live, context: Context, now: float) -> tuple[TaskState, list[Effect]]:
    """Have the proposals' subtasks embedded, since planners mean the same in other words; one voice needs none."""
    read, _ = proposals(live)
    if len(read) < 2:  # noqa: PLR2004 - nothing to compare
        return agree(live, context, now)
    texts = _texts(read)
    return live, [fx.Tell(Key("lookup"), Asked("vectors", Embed(texts)))]


def _texts(read: list[Proposal]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(subtask.text for one in read for subtask in one.plan.subtasks))[:MAX_TEXTS]


def agree(live: Live, context: Context, now: float, vectors: Vectors | None = None) -> tuple[TaskState, list[Effect]]:
    """Merge what was proposed into one plan and adopt it; without vectors words are compared."""
    read, refused = proposals(live)
    known = zip(_texts(read), vectors.vectors, strict=False) if vectors is not None else ()
    plan, report = merge(read, {text: unpack(vector) for text, vector in known if vector and len(vector) % 2 == 0})
    works = {ident: work for ident, work in live.works.items() if ident != PLANNING}
    live = msgspec.structs.replace(live, works=works)
    dropped = [*refused, *(f"{one.planner}: {one.what}: {one.reason}" for one in report.dropped)]
    notes = [note(live, now, "proposal-dropped", text=line) for line in dropped[:16]]
    state, effects = adopt(live, plan or _atomic(live), context, now)
    return state, [tell(live, context, *notes), *effects] if notes else effects


def adopt(live: Live, plan: Plan, context: Context, now: float) -> tuple[TaskState, list[Effect]]:
    """Take `plan` and start on what is ready."""
    works = {subtask.id: Work(subtask.id) for subtask in plan.subtasks}
    live = msgspec.structs.replace(live, plan=plan, works=works, stage="running", asked={})
    told = tell(live, context, note(live, now, "planned", text=f"{len(plan.subtasks)} subtasks"), plan=plan)
    state, effects = advance(live, context, now)
    if isinstance(state, Live) and len(plan.subtasks) > 1:
        state, saved = save(state, context, now)
        return state, [*saved, told, *effects]
    return state, [told, *effects]


def looked_up(
    live: Live, token: str, answer: Found | Vectors | None, context: Context, now: float
) -> tuple[TaskState, list[Effect]]:
    """Take the answer to any of a task's lookups; None where the index could not be asked."""
    if token == "vectors":  # noqa: S105 - a lookup's token, no secret
        vectors = answer if isinstance(answer, Vectors) else None
        return agree(live, context, now, vectors) if live.stage == "planning" else (live, [])
    found = answer if isinstance(answer, Found) else Found(())
    if token == "find" and live.stage == "finding":  # noqa: S105 - a lookup's token, no secret
        return compared(live, found, context, now)
    if token == "planners" and live.stage == "planning" and PLANNING not in live.works:  # noqa: S105
        return invited(live, found.hits[0] if found.hits else (), context, now)
    return placed(live, token, found, context, now)
