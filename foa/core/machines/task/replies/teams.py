"""A team's answers made one: by the cluster's strategy, after as many were asked as the disagreement is worth.

Who is asked when is decided by `foa.core.cluster.escalate`, whose answer stands by `foa.core.cluster.strategies`, and
each member's part in it by `foa.core.cluster.credit`; that is what its reward is.
"""

from collections.abc import Mapping
from math import inf
from typing import Final, NamedTuple

import msgspec

from foa.core import effects as fx
from foa.core.cluster.answers import Answer
from foa.core.cluster.credit import importance, merit
from foa.core.cluster.escalate import Member, Move, next_move
from foa.core.cluster.escalate import Rules as Escalation
from foa.core.cluster.reputation import PRIOR
from foa.core.cluster.strategies import best_so_far
from foa.core.effects import Effect
from foa.core.machines.task.awarding import Manner, affordable, award, query_for
from foa.core.machines.task.changing import logged, noted
from foa.core.machines.task.pending import Pool
from foa.core.machines.task.place import advance
from foa.core.machines.task.state import Context, Live, TaskState, put, save, tell
from foa.core.machines.task.verdict import MATCH, concluded, dropped
from foa.core.routing.exchange import Spoke
from foa.core.routing.gate import expected_price
from foa.wire.records import Given, Hit, Seat, Strategy, Work

LEAST: Final = 0.1
"""What asking costs at least, in prices of a usual member: nobody's time is free."""

Stepped = tuple[TaskState, list[Effect]]


def decided(live: Live, work: Work, finished: list[Seat], context: Context, now: float) -> Stepped:
    """Take the team's answer as the subtask's, or ask more members while they disagree."""
    pool = live.pools.get(work.id)
    if pool is not None:
        move = _move(live, work, pool, finished, context)
        if move.kind != "accept":
            grown = _grown(live, work, finished, move, context, now)
            if grown is not None:
                return grown
    return _agreed(live, work, finished, pool, context, now)


def answers_of(finished: list[Seat], pool: Pool | None) -> list[Answer]:
    """Return all that was answered: first before the members spoke with each other, then after."""
    seats = (*(pool.drafts if pool is not None else ()), *finished)
    return [Answer(seat.agent, seat.outputs, seat.confidence, seat.votes) for seat in seats]


def strategy_of(live: Live, work: Work, context: Context) -> Strategy:
    """Return how the team of a subtask comes to one answer: as it says itself, its task, or the settings."""
    return live.subtask(work.id).strategy or live.task.strategy or context.rules.strategy


def _move(live: Live, work: Work, pool: Pool, finished: list[Seat], context: Context) -> Move:
    asked = {seat.agent for seat in (*work.seats, *pool.drafts)}
    query = query_for(live, live.subtask(work.id))
    prices = {hit.agent: expected_price(query, hit.resources) for hit in pool.hits}
    usual = sum(prices.values()) / max(1, len(prices))
    rates = {agent: max(LEAST, price / usual) if usual else 1.0 for agent, price in prices.items()}
    members = [
        Member(hit.agent, rates[hit.agent], *_standing(pool, hit.agent, hit.agent in asked)) for hit in pool.hits
    ]
    left = 0 if pool.refined or not any(hit.refines for hit in pool.hits) else context.rules.rounds
    return next_move(answers_of(finished, pool), members, Escalation(rounds=left), pool.plausible)


def _standing(pool: Pool, agent: str, asked: bool) -> tuple[float, bool, float]:  # noqa: FBT001 - a field's place
    """Return the trust of a member, whether it was asked, and how many of its answers were judged.

    Where nobody learns, nobody is tried out.
    """
    sure, judged = pool.trust.get(agent, (PRIOR, inf))
    return sure, asked, judged


def _grown(live: Live, work: Work, finished: list[Seat], move: Move, context: Context, now: float) -> Stepped | None:
    """Ask one more, or let all refine each other's answers in a channel; None if the budget does not pay for it."""
    pool = live.pools[work.id]
    known = {hit.agent: hit for hit in pool.hits}
    wanted = [known[agent] for agent in move.agents if agent in known]
    refine = move.kind == "refine"
    if refine:
        wanted = [hit for hit in pool.hits if hit.refines and hit.agent in {seat.agent for seat in finished}]
    hits: list[Hit] = affordable(wanted, query_for(live, live.subtask(work.id)))
    if not hits or (refine and len(hits) < len(wanted)):
        return None
    live, said = noted(live, logged(live, now, "grow", work.id, move.reason), context, now)
    drafts = (*pool.drafts, *finished) if refine else pool.drafts
    live = _with_pool(live, work.id, pool._replace(drafts=drafts, refined=pool.refined or refine))
    manner = Manner(pool.contexts, not refine, not refine, strategy_of(live, work, context), believed(pool), pool.kin)
    freed: list[Effect] = []
    if refine:  # the attempt is the same: nobody failed; what each is worth is said of its refined answer
        live = put(live, msgspec.structs.replace(work, attempt=max(0, work.attempt - 1), seats=()))
        freed = dropped(live, [work], None, context, now)
    live, effects, notes = award(live, work.id, hits, context, now, manner)
    live, saved = save(live, context, now)
    return live, [*saved, said, *freed, *effects, tell(live, context, *notes)]


def _with_pool(live: Live, ident: str, pool: Pool) -> Live:
    return msgspec.structs.replace(live, pools={**live.pools, ident: pool})


def _agreed(live: Live, work: Work, finished: list[Seat], pool: Pool | None, context: Context, now: float) -> Stepped:
    """Take the representative of the team's answers as the subtask's, and share the credit."""
    settled = _settled(live, work, finished, pool, context)
    effects: list[Effect] = [*settled.effects]
    for seat in finished:
        judged, told = concluded(live, work, seat, settled.credit.get(seat.agent, 0.0), context, now)
        work = with_seat(work, judged)
        effects += told
    work = msgspec.structs.replace(
        work,
        phase="done",
        outputs=settled.outputs,
        reason=settled.reason,
        strategy=settled.strategy,
        credit=dict(settled.credit) if settled.strategy else {},
    )
    pools = {ident: other for ident, other in live.pools.items() if ident != work.id}
    took = (now - live.started.get(work.id, now)) * 1000
    disagreed = live.disagreed if settled.agreed else (*live.disagreed, work.id)
    live = put(live, work)
    live = msgspec.structs.replace(live, took={**live.took, work.id: took}, pools=pools, disagreed=disagreed)
    state, more = advance(live, context, now)
    if isinstance(state, Live):
        state, saved = save(state, context, now)
        return state, saved + effects + more
    return state, effects + more


class _Settled(NamedTuple):
    """What stands for a subtask: its ``outputs``, how they came about, and each member's part in it in [0, 1]."""

    outputs: tuple[Given, ...]
    credit: Mapping[str, float]
    reason: str = ""
    strategy: Strategy = ""
    agreed: bool = True
    effects: tuple[Effect, ...] = ()


def _settled(live: Live, work: Work, finished: list[Seat], pool: Pool | None, context: Context) -> _Settled:
    """Choose by the cluster's strategy, the best so far over its rounds; one alone is not judged by others."""
    drafts = answers_of(list(pool.drafts), None) if pool is not None else []
    last = answers_of(finished, None)
    members = len({seat.agent for seat in work.seats} | {answer.agent for answer in drafts})
    if members < 2:  # noqa: PLR2004 - two can agree
        return _Settled(finished[0].outputs, {finished[0].agent: 1.0})
    rounds = [drafts, last] if drafts else [last]
    looks = pool.plausible if pool is not None else {}
    kept = best_so_far(
        rounds, believed(pool), strategy=strategy_of(live, work, context), members=members, plausible=looks
    )
    assert kept is not None
    chosen = kept.choice
    outputs = rounds[kept.round][chosen.place].outputs
    merits = merit(importance(rounds, outputs))
    alone = not any(seat.rounds for seat in finished) or bool(drafts)
    spoke = Spoke(tuple((answer.agent, answer.outputs) for answer in rounds[0]))
    return _Settled(
        outputs,
        {agent: min(1.0, max(0.0, share)) for agent, share in merits.items()},
        f"{chosen.how} of {members}: {chosen.share:.0%} agree",
        chosen.how,
        chosen.agreed,
        (fx.Tell(MATCH, spoke),) if alone and context.rules.learning else (),
    )


def believed(pool: Pool | None) -> dict[str, float]:
    """Return how often each member is expected to be right, where anything is known of it."""
    return {agent: sure for agent, (sure, judged) in pool.trust.items() if judged} if pool is not None else {}


def with_seat(work: Work, seat: Seat) -> Work:
    """Return `work` with `seat` in place of the one of its award, or added."""
    seats = tuple(seat if other.award == seat.award else other for other in work.seats)
    known = any(other.award == seat.award for other in work.seats)
    return msgspec.structs.replace(work, seats=seats if known else (*work.seats, seat))
