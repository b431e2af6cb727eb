"""A planning from its beginning to the merge: is it one agent's job, who plans, what do they propose.

There is one session for the task itself (its target is "") and one for every subtask that is planned in its turn: one
that is not atomic (after ROMA), or that failed and is planned anew. Planners are ordinary agents with the skill
``plan``; they are awarded a pseudo subtask and answer with a value of type ``plan``. A session that ends without a
plan of several subtasks leaves its subtask as it is.
"""

from typing import Final

import msgspec

from foa.core import effects as fx
from foa.core.dag.atomic import cover
from foa.core.dag.cases import Recall, Recalled
from foa.core.dag.plan import validated
from foa.core.effects import Effect, Key
from foa.core.machines.task.awarding import affordable, award, query_for
from foa.core.machines.task.finish import fail, withdrawals
from foa.core.machines.task.pending import ATOMIC, Session, Split, clauses_of, planning
from foa.core.machines.task.place import advance
from foa.core.machines.task.planning.agreeing import adopt, agree, unplanned
from foa.core.machines.task.planning.voices import material, proposals, texts
from foa.core.machines.task.state import Context, Live, TaskState, put, tell
from foa.core.routing.choose import consider
from foa.core.routing.exchange import Asked
from foa.core.routing.voices import one_each
from foa.errors import ProposalError
from foa.wire.messages import Ask, Embed, Found, Vectors
from foa.wire.records import Hit, Plan, Query, Subtask, Work

CASES: Final = Key("cases")
LOOKUP: Final = Key("lookup")
MAX_CLAUSES: Final = 32
PATIENT: Final = 15.0
"""A planner that declares to be slow is waited for so many times longer, within a quarter of the time left."""

MAX_HITS: Final = 64
"""Agents of whom planners are told."""

Stepped = tuple[TaskState, list[Effect]]


def find(live: Live, context: Context, now: float) -> Stepped:
    """Start: take a given plan, place a text of one clause at once, look up any other whole and in parts."""
    if live.task.plan is not None:
        return _given(live, live.task.plan, context, now)
    if len(clauses_of(live.task.text)) <= 1:
        return adopt(live, Plan((Subtask(ATOMIC, live.task.text),), origin=("atomic",)), context, now)
    return begin(live, Session("", live.task.text), context)


def _given(live: Live, plan: Plan, context: Context, now: float) -> Stepped:
    try:
        return adopt(live, validated(plan), context, now)
    except ProposalError as error:
        return fail(live, context, now, "plan", str(error))


def begin(live: Live, session: Session, context: Context) -> tuple[Live, list[Effect]]:
    """Look up the text of `session` whole and in parts."""
    parts = clauses_of(session.text)
    base = query_for(live, _subject(live, session))
    asked = (session.text, *(parts[:MAX_CLAUSES] if len(parts) > 1 else ()))
    ask = Ask(tuple(msgspec.structs.replace(base, text=text) for text in asked), context.rules.candidates)
    return _with(live, session), [fx.Tell(LOOKUP, Asked(f"find:{session.target}", ask))]


def split(live: Live, told: Split, context: Context, now: float) -> Stepped:
    """See whether a subtask of several clauses is one agent's job; plan it in its turn if not."""
    work = live.works.get(told.ident)
    if work is None or work.phase not in {"waiting", "ready"} or told.ident in live.sessions:
        return live, []
    if told.ident in live.atomic:
        return advance(live, context, now)
    return begin(live, Session(told.ident, live.subtask(told.ident).text, why="expand"), context)


def _subject(live: Live, session: Session) -> Subtask:
    return live.subtask(session.target) if session.target else Subtask(ATOMIC, session.text)


def _with(live: Live, session: Session) -> Live:
    return msgspec.structs.replace(live, sessions={**live.sessions, session.target: session})


def compared(live: Live, session: Session, found: Found, context: Context, now: float) -> Stepped:
    """Decide between one agent for all of it and a plan (`foa.core.dag.atomic` has the rule).

    What is planned anew was no agent's job already.
    """
    query = query_for(live, _subject(live, session))
    if session.why != "replan" and _is_atomic(query, found, context):
        return unplanned(live, session, context, now)
    hits = {hit.agent: hit for each in reversed(found.hits) for hit in reversed(each)}
    known = tuple(sorted(hits.values(), key=lambda hit: (-_relevance(hit), hit.agent)))[:MAX_HITS]
    vector = found.vectors[0] if found.vectors else b""
    session = msgspec.structs.replace(session, stage="recalling", hits=known, vector=vector)
    if not session.target:
        live = msgspec.structs.replace(live, vector=vector)
    return _with(live, session), [fx.Tell(CASES, Recall(session.target, session.text, vector))]


def _is_atomic(query: Query, found: Found, context: Context) -> bool:
    scores = [
        {one.agent: one.score for one in consider(query, hits, context.rules.weights) if not one.refused}
        for hits in found.hits
    ]
    return bool(scores) and cover(scores[0], scores[1:]).atomic


def _relevance(hit: Hit) -> float:
    return hit.cosine if hit.relevance is None else hit.relevance


def invite(live: Live, told: Recalled, context: Context) -> tuple[Live, list[Effect]]:
    """Keep what is remembered of similar requests, and look for planners."""
    session = live.sessions.get(told.token)
    if session is None or session.stage != "recalling":
        return live, []
    live = _with(live, msgspec.structs.replace(session, stage="inviting", recalled=told))
    ask = Ask((query_for(live, live.subtask(planning(session.target))),), context.rules.planners)
    return live, [fx.Tell(LOOKUP, Asked(f"planners:{session.target}", ask))]


def invited(live: Live, session: Session, hits: tuple[Hit, ...], context: Context, now: float) -> Stepped:
    """Award planning to the planners found; without any, go on with our own proposals."""
    ident = planning(session.target)
    session = msgspec.structs.replace(session, stage="proposing", material=material(live, session))
    live = _with(live, session)
    able = one_each(hit for hit in hits if "plan" in hit.skills)[: context.rules.planners]
    able = affordable(able, query_for(live, live.subtask(ident)))
    if not able:
        return deliberate(live, session, context, now)
    live = put(live, Work(ident))
    live, effects, notes = award(live, ident, able, context, now)
    slowest = max(hit.resources.p95_ms for hit in able) / 1000
    patience = max(context.rules.plan_s, min(slowest, context.rules.plan_s * PATIENT, (live.ends - now) / 4))
    effects.append(fx.Wake(f"plan:{session.target}", now + patience))
    return live, [*effects, tell(live, context, *notes)]


def planned(live: Live, ident: str, context: Context, now: float) -> Stepped:
    """Go on once every planner has answered."""
    session = live.sessions.get(_target(ident))
    if session is None or session.stage != "proposing":
        return live, []
    state, effects = deliberate(live, session, context, now)
    return state, [fx.Sleep(f"plan:{session.target}"), *effects]


def _target(ident: str) -> str:
    return ident.partition("/")[2]


def late(live: Live, target: str, context: Context, now: float) -> Stepped:
    """Go on without the planners that did not answer in time."""
    session = live.sessions.get(target)
    if session is None or session.stage != "proposing":
        return live, []
    work = live.works.get(planning(target))
    taken_back = withdrawals(live, context, [work], "the plan was made without you") if work else []
    state, effects = deliberate(live, session, context, now)
    return state, taken_back + effects


def deliberate(live: Live, session: Session, context: Context, now: float) -> Stepped:
    """Have the proposals' subtasks embedded, since planners mean the same in other words; one voice needs none."""
    read, _ = proposals(live, session)
    if len(read) < 2:  # noqa: PLR2004 - nothing to compare
        return agree(live, session, context, now)
    session = msgspec.structs.replace(session, stage="embedding")
    live = _with(live, session)
    return live, [fx.Tell(LOOKUP, Asked(f"vectors:{session.target}", Embed(texts(read))))]


def looked_up(live: Live, token: str, answer: Found | Vectors | None, context: Context, now: float) -> Stepped | None:
    """Take the answer to one of a session's lookups; None if it is of no session. ``answer`` None: no index."""
    kind, colon, target = token.partition(":")
    session = live.sessions.get(target)
    if not colon or session is None:
        return None
    found = answer if isinstance(answer, Found) else Found(())
    match kind, session.stage:
        case "find", "comparing":
            return compared(live, session, found, context, now)
        case "planners", "inviting":
            return invited(live, session, found.hits[0] if found.hits else (), context, now)
        case "vectors", "embedding":
            return agree(live, session, context, now, answer if isinstance(answer, Vectors) else None)
        case _:
            return None
