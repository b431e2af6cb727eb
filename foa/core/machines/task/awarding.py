"""Awards: what an agent is told to do, with all it needs for it; and work that waits for another attempt."""

from collections.abc import Mapping
from math import ceil
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from foa.core import effects as fx
from foa.core.dag.plan import ancestors, sinks
from foa.core.effects import Effect
from foa.core.machines.task.over.letters import tried
from foa.core.machines.task.pending import JOINING, NOBODY, PLANNING, Kin, is_pseudo
from foa.core.machines.task.state import Context, Live, active, headers, left_ms, note, put, tracked
from foa.core.machines.task.verdict import begun, followed
from foa.core.routing.gate import expected_price
from foa.wire.ids import idempotency_key
from foa.wire.messages import Award
from foa.wire.records import MAX_VALUES, Given, Hit, Note, Query, Seat, Strategy, Subtask, Team, Work

MATERIAL: Final = ("agents", "cases", "ports")  # types of what planners are given beside the request
MAX_BEGUN: Final = 256
MAX_SOURCES: Final = 32  # subtasks whose outputs an award carries: all it waits for directly, and the nearest behind
SLACK: Final = 2.0
"""So many times its share of time and money a subtask may use."""

NOTHING: Final[Mapping[str, bytes]] = MappingProxyType({})
FOR_GOOD: Final = ("declined:", "lies:")  # beginnings of reasons that another attempt would not change


def query_for(live: Live, subtask: Subtask) -> Query:
    """Return whom `subtask` looks for: its own demands and the task's."""
    work = live.works.get(subtask.id)
    return Query(
        subtask.text,
        skills=union(subtask.skills, live.task.skills if not is_pseudo(subtask.id) else ()),
        policies=union(subtask.policies, live.task.policies),
        produces=subtask.produces,
        offered=_offered(live, subtask.id),
        budget=budget_left(live),
        exclude=union(work.failed + work.barred if work else (), live.task.hops),
    )


def _offered(live: Live, ident: str) -> tuple[str, ...]:
    """Return the types that whoever does `ident` is given."""
    known = tuple(dict.fromkeys(given.value.type for given in inputs_of(live, ident)))
    return union(known, MATERIAL) if ident.startswith(PLANNING) else known


def union(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """Return the words of both, each once."""
    return tuple(dict.fromkeys(one + other)) if other else one


def budget_left(live: Live) -> float | None:
    """Return what may still be spent, counting running awards as spent; None without a budget."""
    if live.task.budget is None:
        return None
    running = sum(seat.price for work in active(live) for seat in work.seats if seat.phase == "running")
    return max(0.0, live.task.budget - live.spent - running)


def inputs_of(live: Live, ident: str) -> tuple[Given, ...]:
    """Return all that subtask `ident` may use: what the submitter gave and all it depends on yielded."""
    given = list(live.task.inputs)
    if ident.startswith(PLANNING):
        session = live.sessions.get(_target(ident))
        return (*given, *session.material) if session is not None else tuple(given)
    if live.plan is not None and ident == JOINING:
        return (*given, *(each for one in sinks(live.plan) for each in live.works[one].outputs))
    if live.plan is not None and not is_pseudo(ident):
        graph = live.graph if live.graph is not None and live.graph.plan is live.plan else None
        for source in graph.above(ident, MAX_SOURCES) if graph is not None else ancestors(live.plan, ident):
            given += live.works[source].outputs
        given += live.works[ident].heard
    return tuple(given[:MAX_VALUES])


def _target(ident: str) -> str:
    return ident.partition("/")[2]


def affordable(chosen: list[Hit], query: Query) -> list[Hit]:
    """Return those of `chosen`, best first, whom the budget pays together; the gate looked at each alone."""
    if query.budget is None:
        return chosen
    left = query.budget
    kept: list[Hit] = []
    for hit in chosen:
        price = expected_price(query, hit.resources)
        if price <= left:
            left -= price
            kept.append(hit)
    return kept


class Manner(NamedTuple):
    """How an award is made: ``contexts`` are kept with the seats until rewards come.

    ``grow`` adds members to those who answered already; ``alone`` keeps several from speaking with each other.
    ``strategy``, ``trust`` and ``kin`` are those of the cluster that several form.
    """

    contexts: Mapping[str, bytes] = NOTHING
    grow: bool = False
    alone: bool = False
    strategy: Strategy = ""
    trust: Mapping[str, float] = {}
    kin: Kin = NOBODY


PLAIN: Final = Manner()


def award(
    live: Live, ident: str, hits: list[Hit], context: Context, now: float, manner: Manner = PLAIN
) -> tuple[Live, list[Effect], list[Note]]:
    """Give the subtask `ident` to the agents of `hits`.

    An award's id is never used again, not even after a decline that cost no attempt: ``seq`` has moved on by then.
    """
    work = live.works[ident]
    attempt = work.attempt if manner.grow else work.attempt + 1
    name = f"{idempotency_key(live.task.id, ident)[:16]}.{live.epoch.n}.{live.seq}"
    query = query_for(live, live.subtask(ident))
    first = len(work.seats) if manner.grow else 0
    seats = tuple(
        Seat(
            hit.agent,
            f"{name}.{first + n}",
            attempt,
            "running",
            hit.effects,
            price=price,
            expected=price,
            context=manner.contexts.get(hit.agent, b""),
        )
        for n, (hit, price) in enumerate((hit, expected_price(query, hit.resources)) for hit in hits)
    )
    held = work.seats if manner.grow else ()
    live = put(live, msgspec.structs.replace(work, phase="running", attempt=attempt, seats=held + seats, outputs=()))
    begun_at = live.started
    if len(begun_at) > MAX_BEGUN:  # of what is done nobody asks any more
        running = {other.id for other in active(live)}
        begun_at = {one: at for one, at in begun_at.items() if one in running}
    live = msgspec.structs.replace(live, started={**begun_at, ident: now})
    terms = Terms(_team(name, attempt, seats, manner, context) if not is_pseudo(ident) else None, query.budget)
    effects: list[Effect] = []
    for seat in seats:
        if seat.effects == "once" and not is_pseudo(ident):  # an heir must know of it before it can begin
            live = msgspec.structs.replace(live, unsent={**live.unsent, seat.award: live.seq + 1})
        else:
            effects.append(_award(live, ident, seat, terms, context, now))
        effects.append(fx.Wake(f"lease:{seat.award}", now + context.rules.accept_s + context.rules.grace_s))
        effects.append(followed(seat.agent))
        if not is_pseudo(ident):
            effects += begun(seat, context, ident)
    effects.append(fx.Measure("foa_awards_total", float(len(seats))))
    return live, effects, [note(live, now, "awarded", ident, seat.agent) for seat in seats]


def _team(name: str, attempt: int, seats: tuple[Seat, ...], manner: Manner, context: Context) -> Team | None:
    """Return the cluster that `seats` form; None for one who has nobody to speak with."""
    if manner.alone or len(seats) < 2:  # noqa: PLR2004 - two make a cluster
        return None
    members = tuple(seat.agent for seat in seats)
    return Team(
        f"{manner.kin.channel or name[:12]}.{attempt}",
        members,
        context.rules.rounds,
        int(context.rules.round_s * 1000),
        manner.strategy,
        tuple(guest for guest in manner.kin.guests if guest not in members),
        {agent: manner.trust[agent] for agent in members if agent in manner.trust},
    )


def recorded(live: Live, seq: int, code: int, context: Context, now: float) -> tuple[Live, list[Effect]]:
    """Send the awards that waited for snapshot `seq`, which the broker has unless ``code`` says otherwise."""
    if code >= 0x80:  # noqa: PLR2004 - MQTT 5: 0x80 and above are failures
        return live, []
    due = {award for award, wanted in live.unsent.items() if wanted <= seq}
    live = msgspec.structs.replace(live, unsent={one: at for one, at in live.unsent.items() if one not in due})
    left = budget_left(live)
    return live, [
        _award(live, work.id, seat, Terms(None, None if left is None else left + seat.price), context, now)
        for work in active(live)
        for seat in work.seats
        if seat.award in due and seat.phase == "running"
    ]


def repeated(live: Live, context: Context, now: float) -> list[Effect]:
    """Say again, under our epoch, the awards that run: who has one says where it stands, who never had it takes it.

    What was settled by an owner whose last words are lost is answered again; what nobody has any more is declined, and
    waits for no lease.
    """
    left = budget_left(live)
    return [
        _award(live, work.id, seat, Terms(None, None if left is None else left + seat.price), context, now)
        for work in active(live)
        for seat in work.seats
        if seat.phase == "running" and seat.award not in live.unsent and not is_pseudo(work.id)
    ]


class Terms(NamedTuple):
    """What all members of a team are awarded alike: the team (None: alone), and what may be spent (None: no bound)."""

    team: Team | None
    budget: float | None


def _award(live: Live, ident: str, seat: Seat, terms: Terms, context: Context, now: float) -> fx.Publish:
    time, money = _shares(live, ident)
    message = Award(
        seat.award,
        live.task.id,
        live.partition,
        live.subtask(ident),
        live.epoch,
        seat.attempt,
        idempotency_key(live.task.id, ident),
        int(context.rules.lease_s * 1000),
        max(1, int(left_ms(live, now) * time) - int(context.rules.grace_s * 1000)),
        None if terms.budget is None else max(terms.budget * money, min(terms.budget, seat.price)),
        inputs_of(live, ident),
        live.task.policies,
        terms.team,
        live.task.hops,
        seat.agent,
        live.task.priority,
    )
    patience = context.rules.accept_s + context.rules.grace_s  # who does not hear of it by then need not
    return fx.Publish(context.topics.request(seat.agent), message, headers(live), expiry_s=max(1, ceil(patience)))


def _shares(live: Live, ident: str) -> tuple[float, float]:
    """Return the parts in (0, 1] of the time and of the money left that a subtask may use.

    Of the time the part that its weight has of the heaviest path from it to the end (the rest of the critical path, if
    it is on it), of the money the part of what is still to be done. Twice that: weights are guesses, and what is not
    used is there for the next.
    """
    graph = tracked(live).graph
    if graph is None or ident not in graph.subtasks:
        return 1.0, 1.0
    weight, rank = graph.weight(ident), graph.rank[ident]
    money = 1.0
    if live.task.budget is not None:
        left = sum(graph.weight(one) for one in graph.ids if live.works[one].phase != "done")
        money = weight / left if left > 0.0 else 1.0
    return min(1.0, SLACK * weight / rank if rank > 0.0 else 1.0), min(1.0, SLACK * money)


def again(work: Work) -> Work:
    """Return `work` waiting for another attempt; it keeps what the first to fail it said, the best match.

    Who failed is asked again only if nobody else is found; who declined, or lied, never.
    """
    ended = [seat for seat in work.seats if seat.phase == "failed"]
    final = tuple(seat.agent for seat in ended if seat.reason.startswith(FOR_GOOD))
    failed = union(work.failed, tuple(seat.agent for seat in ended if seat.agent not in final))
    said = work.reason or (f"{ended[0].agent}: {ended[0].reason}"[:400] if ended else "")
    barred = union(work.barred, final)
    return msgspec.structs.replace(
        work, phase="waiting", seats=(), failed=failed[-64:], barred=barred[-64:], reason=said, tried=tried(work)
    )
