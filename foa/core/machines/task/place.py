"""Ready subtasks are looked up, decided upon and awarded; who finds nobody waits with patience, then fails."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from foa.core import effects as fx
from foa.core.dag.plan import ancestors, ready
from foa.core.effects import Effect, Key
from foa.core.machines.task.finish import fail, finish
from foa.core.machines.task.state import (
    MAX_DECISIONS,
    PLANNING,
    Context,
    Live,
    Part,
    TaskState,
    headers,
    left_ms,
    note,
    put,
    save,
    tell,
)
from foa.core.machines.task.verdict import MATCH, begun
from foa.core.routing.choose import conclude, consider
from foa.core.routing.exchange import Asked, Weigh, Weighed, Weighing, Weighted
from foa.core.routing.gate import expected_price
from foa.core.routing.score import preferring
from foa.wire.ids import idempotency_key
from foa.wire.messages import Ask, Award, Found
from foa.wire.records import Decision, Given, Hit, Note, Query, Seat, Subtask, Team, Work

MAX_QUERIES = 64
NOTHING: Mapping[str, bytes] = MappingProxyType({})
FOR_GOOD = ("declined:", "lies:")  # beginnings of reasons that another attempt would not change
SENT = "sent:"


def advance(live: Live, context: Context, now: float) -> tuple[TaskState, list[Effect]]:
    """Look for agents for every subtask that is ready, or finish if none is left."""
    assert live.plan is not None
    if all(work.phase == "done" for work in live.works.values()):
        return finish(live, context, now)
    pending = {ident for idents in live.asked.values() for ident in idents}
    pending.update(part.ident for parts in live.weighing.values() for part in parts)
    waiting = [
        ident for ident in ready(live.plan, live.phases()) if ident not in pending and ident not in live.unplaced
    ]
    if not waiting:
        return live, []
    return look(live, tuple(waiting[:MAX_QUERIES]), context)


def look(live: Live, idents: tuple[str, ...], context: Context) -> tuple[Live, list[Effect]]:
    """Ask the index for candidates for the subtasks `idents`, in one question."""
    token = f"place:{live.lookups}"
    asked = {**live.asked, token: idents}
    live = msgspec.structs.replace(live, asked=asked, lookups=live.lookups + 1)
    ask = Ask(tuple(query_for(live, live.subtask(ident)) for ident in idents), context.rules.candidates)
    return live, [fx.Tell(Key("lookup"), Asked(token, ask))]


def relook(live: Live, context: Context, now: float) -> tuple[Live, list[Effect]]:
    """Ask again for the subtasks that found nobody; one whose agent asked for a pause is left until that is over."""
    due = tuple(ident for ident, since in sorted(live.unplaced.items()) if since <= now)[:MAX_QUERIES]
    later = [since for since in live.unplaced.values() if since > now]
    effects: list[Effect] = [fx.Wake("relook", min(later))] if later else []
    if not due:
        return live, effects
    live, asked = look(live, due, context)
    return live, effects + asked


def query_for(live: Live, subtask: Subtask) -> Query:
    """Return whom `subtask` looks for: its own demands and the task's."""
    work = live.works.get(subtask.id)
    return Query(
        subtask.text,
        skills=_union(subtask.skills, live.task.skills if subtask.id != PLANNING else ()),
        policies=_union(subtask.policies, live.task.policies),
        produces=subtask.produces,
        offered=tuple(dict.fromkeys(given.value.type for given in inputs_of(live, subtask.id))),
        budget=budget_left(live),
        exclude=_union(work.failed + work.barred if work else (), live.task.hops),
    )


def _union(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one + other)) if other else one


def budget_left(live: Live) -> float | None:
    """Return what may still be spent, counting running awards as spent; None without a budget."""
    if live.task.budget is None:
        return None
    running = sum(seat.price for work in live.works.values() for seat in work.seats if seat.phase == "running")
    return max(0.0, live.task.budget - live.spent - running)


def inputs_of(live: Live, ident: str) -> tuple[Given, ...]:
    """Return all that subtask `ident` may use: what the submitter gave and all it depends on yielded."""
    given = list(live.task.inputs)
    if live.plan is not None and ident != PLANNING:
        for source in ancestors(live.plan, ident):
            given += live.works[source].outputs
    return tuple(given)


def placed(live: Live, token: str, found: Found, context: Context, now: float) -> tuple[TaskState, list[Effect]]:
    """Have the candidates for every subtask of the lookup `token` put in order; the award follows."""
    idents = live.asked.get(token)
    if idents is None:
        return live, []
    live = msgspec.structs.replace(live, asked={key: value for key, value in live.asked.items() if key != token})
    parts = tuple(
        part(found, at, ident) for at, ident in enumerate(idents) if live.works[ident].phase in {"waiting", "ready"}
    )
    items = tuple(_weighing(live, one, now) for one in parts)
    weights = preferring(context.rules.weights, live.task.prefer)
    if context.rules.learning:
        live = msgspec.structs.replace(live, weighing={**live.weighing, token: parts})
        return live, [fx.Tell(MATCH, Weigh(token, weights, items, live.task.prefer))]
    weighted = tuple(
        Weighted(item.ident, consider(item.query, item.hits, weights, None, item.left_ms), item.hits) for item in items
    )
    return _place_all(live, parts, weighted, context, now)


def weighed(live: Live, told: Weighed, context: Context, now: float) -> tuple[TaskState, list[Effect]]:
    """Decide and award what the matchmaker has put in order."""
    parts = live.weighing.get(told.token)
    if parts is None:
        return live, []
    left = {token: others for token, others in live.weighing.items() if token != told.token}
    return _place_all(msgspec.structs.replace(live, weighing=left), parts, told.items, context, now)


def _weighing(live: Live, one: Part, now: float) -> Weighing:
    query = query_for(live, live.subtask(one.ident))
    query = msgspec.structs.replace(query, exclude=_union(query.exclude, live.busy))
    return Weighing(one.ident, query, one.hits, one.vector, left_ms(live, now))


def _place_all(
    live: Live, parts: tuple[Part, ...], weighted: tuple[Weighted, ...], context: Context, now: float
) -> tuple[TaskState, list[Effect]]:
    """Decide and award subtask by subtask; what is spent on one is not there for the next."""
    effects: list[Effect] = []
    notes: list[Note] = []
    for one, order in zip(parts, weighted, strict=True):
        if live.works[one.ident].phase in {"waiting", "ready"}:
            live, more, said = _place(live, one, order, context, now)
            effects += more
            notes += said
    overdue = _overdue(live, context, now)
    if overdue is not None:
        state, ending = fail(live, context, now, *overdue)
        return state, [*(one for one in effects if isinstance(one, fx.Tell)), *ending]
    if live.unplaced:
        effects.append(fx.Wake("relook", now + context.rules.relook_s))
    if not notes:
        return live, effects
    live, saved = save(live, context, now, token=f"{SENT}{live.seq + 1}" if live.unsent else "")
    return live, [*saved, *effects, tell(live, context, *notes)]


def recorded(live: Live, seq: int, code: int, context: Context, now: float) -> tuple[Live, list[Effect]]:
    """Send the awards that waited for snapshot `seq`, which the broker has unless ``code`` says otherwise."""
    if code >= 0x80:  # noqa: PLR2004 - MQTT 5: 0x80 and above are failures
        return live, []
    due = {award for award, wanted in live.unsent.items() if wanted <= seq}
    live = msgspec.structs.replace(live, unsent={one: at for one, at in live.unsent.items() if one not in due})
    left = budget_left(live)
    return live, [
        _award(live, work.id, seat, Terms(None, None if left is None else left + seat.price), context, now)
        for work in live.works.values()
        for seat in work.seats
        if seat.award in due and seat.phase == "running"
    ]


def part(found: Found, at: int, ident: str = "") -> Part:
    """Return what was found for query number `at`; nothing where the index was not there to answer."""
    hits = found.hits[at] if at < len(found.hits) else ()
    refused = found.refused[at] if at < len(found.refused) else ()
    vector = found.vectors[at] if at < len(found.vectors) else b""
    return Part(ident, hits, refused, len(found.covered), vector)


def _place(
    live: Live, found: Part, order: Weighted, context: Context, now: float
) -> tuple[Live, list[Effect], list[Note]]:
    ident = found.ident
    subtask, work, query = live.subtask(ident), live.works[ident], query_for(live, live.subtask(ident))
    decision = conclude(
        order.candidates,
        order.hits,
        subtask=ident,
        attempt=work.attempt + 1,
        team=subtask.team or live.task.team,
        refused=found.refused,
        covered=found.covered,
    )
    known = {hit.agent: hit for hit in order.hits}
    chosen = affordable([known[agent] for agent in decision.chosen], query)
    if len(chosen) < len(decision.chosen):
        reason = f"{decision.reason}; the budget pays for {len(chosen)}"[:512]
        decision = msgspec.structs.replace(decision, chosen=tuple(hit.agent for hit in chosen), reason=reason)
    live = _record(live, decision)
    if not chosen:
        since = live.unplaced.get(ident, now)
        live = put(live, msgspec.structs.replace(work, failed=()))  # nobody else: who failed may try again
        return msgspec.structs.replace(live, unplaced={**live.unplaced, ident: since}), [], []
    unplaced = {other: since for other, since in live.unplaced.items() if other != ident}
    live = msgspec.structs.replace(live, unplaced=unplaced)
    return award(live, ident, chosen, context, now, order.contexts)


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


def _record(live: Live, decision: Decision) -> Live:
    """Keep the decision; a repeated look that again finds nobody replaces the one before it."""
    kept = live.decisions
    if kept and not decision.chosen and not kept[-1].chosen and kept[-1].subtask == decision.subtask:
        kept = kept[:-1]
    return msgspec.structs.replace(live, decisions=(*kept, decision)[-MAX_DECISIONS:])


def _overdue(live: Live, context: Context, now: float) -> tuple[str, str] | None:
    """Return code and reason once a subtask has waited for somebody beyond all patience."""
    for ident, since in sorted(live.unplaced.items()):
        if now - since >= min(context.rules.patience_s, max(0.0, live.ends - since)):
            if said := live.works[ident].reason:
                return "agent-failed", f"subtask {ident}: {said}; nobody else is permitted and able"
            latest = [decision for decision in live.decisions if decision.subtask == ident]
            return why_nobody(latest[-1] if latest else None, ident)
    return None


def why_nobody(decision: Decision | None, ident: str) -> tuple[str, str]:
    """Return an error word and a sentence for a subtask nobody could be found for."""
    refused = [candidate.refused for candidate in decision.candidates if candidate.refused] if decision else []
    if not refused:
        return "no-route", f"subtask {ident}: no agent is known that could do it; start one, or see 'foa agent list'"
    words = {text.split(":")[0] for text in refused}
    code = words.pop() if len(words) == 1 else "no-route"
    code = code if code in {"policy", "budget"} else "no-route"
    return code, f"subtask {ident}: nobody is permitted and able; first refusal: {refused[0]}"


def award(
    live: Live, ident: str, hits: list[Hit], context: Context, now: float, contexts: Mapping[str, bytes] = NOTHING
) -> tuple[Live, list[Effect], list[Note]]:
    """Give the subtask `ident` to the agents of `hits`; `contexts` are kept with the seats until rewards come.

    An award's id is never used again, not even after a decline that cost no attempt: ``seq`` has moved on by then.
    """
    work = live.works[ident]
    attempt = work.attempt + 1
    name = f"{idempotency_key(live.task.id, ident)[:16]}.{live.epoch.n}.{live.seq}"
    query = query_for(live, live.subtask(ident))
    prices = [expected_price(query, hit.resources) for hit in hits]
    seats = tuple(
        Seat(
            hit.agent,
            f"{name}.{n}",
            attempt,
            "running",
            hit.effects,
            price=price,
            expected=price,
            context=contexts.get(hit.agent, b""),
        )
        for n, (hit, price) in enumerate(zip(hits, prices, strict=True))
    )
    live = put(live, msgspec.structs.replace(work, phase="running", attempt=attempt, seats=seats, outputs=()))
    live = msgspec.structs.replace(live, started={**live.started, ident: now})
    team = None
    if len(seats) > 1 and ident != PLANNING:
        rules = context.rules
        members = tuple(seat.agent for seat in seats)
        team = Team(f"{name[:12]}.{attempt}", members, rules.rounds, int(rules.round_s * 1000))
    effects: list[Effect] = []
    for seat in seats:
        if seat.effects == "once" and ident != PLANNING:  # an heir must know of it before it can begin
            live = msgspec.structs.replace(live, unsent={**live.unsent, seat.award: live.seq + 1})
        else:
            effects.append(_award(live, ident, seat, Terms(team, query.budget), context, now))
        effects.append(fx.Wake(f"lease:{seat.award}", now + context.rules.accept_s + context.rules.grace_s))
        if ident != PLANNING:
            effects += begun(seat, context)
    effects.append(fx.Measure("foa_awards_total", float(len(seats))))
    return live, effects, [note(live, now, "awarded", ident, seat.agent) for seat in seats]


class Terms(NamedTuple):
    """What all members of a team are awarded alike: the team (None: alone), and what may be spent (None: no bound)."""

    team: Team | None
    budget: float | None


def _award(live: Live, ident: str, seat: Seat, terms: Terms, context: Context, now: float) -> fx.Publish:
    message = Award(
        seat.award,
        live.task.id,
        live.partition,
        live.subtask(ident),
        live.epoch,
        seat.attempt,
        idempotency_key(live.task.id, ident),
        int(context.rules.lease_s * 1000),
        max(1, left_ms(live, now) - int(context.rules.grace_s * 1000)),
        terms.budget,
        inputs_of(live, ident),
        live.task.policies,
        terms.team,
        live.task.hops,
        seat.agent,
    )
    expiry = max(1, left_ms(live, now) // 1000 + 1)
    return fx.Publish(context.topics.request(seat.agent), message, headers(live), expiry_s=expiry)


def again(work: Work) -> Work:
    """Return `work` waiting for another attempt; it keeps what the first to fail it said, the best match.

    Who failed is asked again only if nobody else is found; who declined, or lied, never.
    """
    ended = [seat for seat in work.seats if seat.phase == "failed"]
    final = tuple(seat.agent for seat in ended if seat.reason.startswith(FOR_GOOD))
    failed = _union(work.failed, tuple(seat.agent for seat in ended if seat.agent not in final))
    said = work.reason or (f"{ended[0].agent}: {ended[0].reason}"[:400] if ended else "")
    barred = _union(work.barred, final)
    return msgspec.structs.replace(
        work, phase="waiting", seats=(), failed=failed[-64:], barred=barred[-64:], reason=said
    )
