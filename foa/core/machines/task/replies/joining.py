"""The parts of an answer put together by an agent that offers it (skill ``synthesise``); by ourselves where none does.

One attempt: whoever declines, fails or is silent leaves the deterministic synthesis of `foa.core.dag.synthesis`.
"""

import msgspec

from foa.core import effects as fx
from foa.core.effects import Effect, Key
from foa.core.machines.task.awarding import affordable, award, query_for
from foa.core.machines.task.finish import finish, withdrawals
from foa.core.machines.task.pending import JOINING
from foa.core.machines.task.state import Context, Live, TaskState, put, tell
from foa.core.routing.choose import decide
from foa.core.routing.exchange import Asked
from foa.wire.messages import Ask, Found
from foa.wire.records import Work

TOKEN = "join"  # noqa: S105 - a lookup's token, no secret

Stepped = tuple[TaskState, list[Effect]]


def join(live: Live, context: Context) -> tuple[Live, list[Effect]]:
    """Look for who offers to join."""
    query = query_for(live, live.subtask(JOINING))
    return live, [fx.Tell(Key("lookup"), Asked(TOKEN, Ask((query,), context.rules.planners)))]


def found(live: Live, answer: Found, context: Context, now: float) -> Stepped:
    """Award the best of those found; without any, finish. Nothing if a part was taken back, or somebody joins."""
    work = live.works.get(JOINING)
    if work is None or work.phase != "waiting":
        return live, []
    hits = answer.hits[0] if answer.hits else ()
    query = query_for(live, live.subtask(JOINING))
    decision = decide(query, hits, context.rules.weights, subtask=JOINING, team=1)
    known = {hit.agent: hit for hit in hits}
    chosen = affordable([known[agent] for agent in decision.chosen], query)
    if not chosen:
        return without(live, context, now)
    live, effects, notes = award(live, JOINING, chosen, context, now)
    return live, [*effects, tell(live, context, *notes)]


def joined(live: Live, work: Work, context: Context, now: float) -> Stepped:
    """Take what the agent made of the parts, if it made anything."""
    done = [seat for seat in work.seats if seat.phase == "done" and seat.outputs]
    if not done:
        return without(live, context, now)
    live = put(live, msgspec.structs.replace(work, phase="done", outputs=done[0].outputs))
    return finish(live, context, now)


def without(live: Live, context: Context, now: float) -> Stepped:
    """Finish with our own synthesis."""
    slow = [live.works[JOINING]]
    effects: list[Effect] = withdrawals(live, context, slow, "the parts were joined without you")
    effects += [fx.Sleep(f"lease:{seat.award}") for work in slow for seat in work.seats if seat.phase == "running"]
    works = {ident: work for ident, work in live.works.items() if ident != JOINING}
    state, more = finish(msgspec.structs.replace(live, works=works), context, now)
    return state, [*effects, *more]
