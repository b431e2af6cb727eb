"""A team's answers made one: by the cluster's strategy, after as many were asked as the disagreement is worth.

Who is asked when is decided by `foa.core.cluster.escalate`, whose answer stands by `foa.core.cluster.strategies`, and
each member's part in it by `foa.core.cluster.credit`; that is what its reward is.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from foa.core.cluster.answers import Answer, Choice
from foa.core.cluster.credit import importance, merit
from foa.core.cluster.escalate import Member, Move, next_move
from foa.core.cluster.escalate import Rules as Escalation
from foa.core.cluster.strategies import settle
from foa.core.effects import Effect
from foa.core.machines.task.awarding import Manner, affordable, award, query_for
from foa.core.machines.task.changing import logged, noted
from foa.core.machines.task.pending import Pool
from foa.core.machines.task.place import advance
from foa.core.machines.task.state import Context, Live, TaskState, put, save, tell
from foa.core.machines.task.verdict import concluded, dropped
from foa.core.routing.gate import expected_price
from foa.wire.records import Hit, Seat, Strategy, Work

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
        Member(hit.agent, rates[hit.agent], pool.trust.get(hit.agent, 0.5), hit.agent in asked) for hit in pool.hits
    ]
    left = 0 if pool.refined or not any(hit.refines for hit in pool.hits) else context.rules.rounds
    return next_move(answers_of(finished, pool), members, Escalation(rounds=left))


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
    manner = Manner(pool.contexts, not refine, not refine, strategy_of(live, work, context), pool.trust, pool.kin)
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
    drafts = pool.drafts if pool is not None else ()
    answers = answers_of(finished, pool)
    members = len({seat.agent for seat in (*work.seats, *drafts)})
    outputs, reason, how = finished[0].outputs, "", strategy_of(live, work, context) if members > 1 else ""
    credit: Mapping[str, float] = {finished[0].agent: 1.0}
    if members > 1:
        trust = pool.trust if pool is not None else {}
        chosen = settle(strategy_of(live, work, context), answers, trust, members=members)
        assert chosen is not None
        outputs, credit = answers[chosen.place].outputs, _credit(answers, len(drafts), chosen)
        how, reason = chosen.how, f"{chosen.how} of {members}: {chosen.share:.0%} agree"
        if not chosen.agreed:
            live = msgspec.structs.replace(live, disagreed=(*live.disagreed, work.id))
    effects: list[Effect] = []
    for seat in finished:
        judged, told = concluded(live, work, seat, min(1.0, max(0.0, credit.get(seat.agent, 0.0))), context, now)
        work = with_seat(work, judged)
        effects += told
    shares = {agent: min(1.0, max(0.0, share)) for agent, share in credit.items()} if how else {}
    work = msgspec.structs.replace(work, phase="done", outputs=outputs, reason=reason, strategy=how, credit=shares)
    live = put(live, work)
    pools = {ident: other for ident, other in live.pools.items() if ident != work.id}
    took = (now - live.started.get(work.id, now)) * 1000
    live = msgspec.structs.replace(live, took={**live.took, work.id: took}, pools=pools)
    state, more = advance(live, context, now)
    if isinstance(state, Live):
        state, saved = save(state, context, now)
        return state, saved + effects + more
    return state, effects + more


def _credit(answers: list[Answer], drafts: int, chosen: Choice) -> Mapping[str, float]:
    """Return each member's merit: how much of the accepted answer is its doing (`foa.core.cluster.credit`)."""
    rounds = [answers[:drafts], answers[drafts:]] if drafts else [answers]
    return merit(importance(rounds, answers[chosen.place].outputs))


def with_seat(work: Work, seat: Seat) -> Work:
    """Return `work` with `seat` in place of the one of its award, or added."""
    seats = tuple(seat if other.award == seat.award else other for other in work.seats)
    known = any(other.award == seat.award for other in work.seats)
    return msgspec.structs.replace(work, seats=seats if known else (*work.seats, seat))
