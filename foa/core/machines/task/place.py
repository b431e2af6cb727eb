"""Ready subtasks are looked up, decided upon and awarded; who finds nobody waits with patience, then fails."""

from itertools import compress
from math import log1p
from operator import not_

import msgspec
import numpy as np
from numpy.typing import NDArray

from foa.core import effects as fx
from foa.core.cluster.formation import Item, clusters
from foa.core.cluster.formation import Rules as Formation
from foa.core.dag.plan import sinks
from foa.core.effects import Effect, Key
from foa.core.machines.task import waiting
from foa.core.machines.task.awarding import Manner, affordable, award, query_for, union
from foa.core.machines.task.finish import finish
from foa.core.machines.task.pending import ATOMIC, JOINING, NOBODY, Consent, Join, Kin, Pool, Split, Stuck, clauses_of
from foa.core.machines.task.state import (
    MAX_DECISIONS,
    Context,
    Live,
    Part,
    TaskState,
    left_ms,
    put,
    save,
    tell,
    tracked,
    works_of,
)
from foa.core.machines.task.verdict import MATCH
from foa.core.routing.choose import conclude, consider, together
from foa.core.routing.exchange import Asked, Left, Weigh, Weighed, Weighing, Weighted
from foa.core.routing.gate import expected_price
from foa.core.routing.score import preferring
from foa.core.routing.voices import on_probation
from foa.wire.ids import digest_of
from foa.wire.messages import Ask, Found
from foa.wire.records import Decision, Hit, Note, Query, Subtask, Work

MAX_QUERIES = 64
PROBES = 2
SENT = "sent:"
SPARE = "spare"
MAX_EXCLUDED = 256


def advance(live: Live, context: Context, now: float) -> tuple[TaskState, list[Effect]]:
    """Look for agents for every subtask that is ready, or finish if none is left."""
    live = tracked(live)
    if works_of(live).finished:
        return _whole(live, context, now)
    new, freed = waiting.due(live)
    due, effects = _asked_first(live, new, context)
    if due:
        live, asked = look(live, tuple(due[:MAX_QUERIES]), context)
        effects += asked
    if freed:
        live, asked = look(live, freed, context, SPARE, waiting.crowded(live))
        effects += asked
    return live, effects


def _whole(live: Live, context: Context, now: float) -> tuple[TaskState, list[Effect]]:
    """Finish; or first see whether an agent joins the parts of the answer, where there are several."""
    assert live.plan is not None
    several = sum(bool(live.works[ident].outputs) for ident in sinks(live.plan)) > 1 or live.task.joining
    if not several or JOINING in live.works or not context.rules.planners:
        return finish(live, context, now)
    live = put(live, Work(JOINING))
    return live, [fx.Tell(Key("task", live.task.id), Join())]


def _asked_first(live: Live, able: list[str], context: Context) -> tuple[list[str], list[Effect]]:
    """Return which of `able` agents are looked for now, and what the task tells itself about the others.

    A step that needs consent waits for it, one with an open question for the answer; one of several clauses that names
    no skill may be planned in its turn.
    """
    due: list[str] = []
    own: list[Effect] = []
    me = Key("task", live.task.id)
    for ident in able:
        work, subtask = live.works[ident], live.subtask(ident)
        if work.question:
            continue
        if subtask.approve and not work.approved:
            own.append(fx.Tell(me, Consent(ident)))
        elif _may_split(live, subtask, context):
            own.append(fx.Tell(me, Split(ident)))
        else:
            due.append(ident)
    return due, own


def _may_split(live: Live, subtask: Subtask, context: Context) -> bool:
    if subtask.id == ATOMIC or subtask.id in live.atomic or live.works[subtask.id].attempt:
        return False
    if subtask.skills or subtask.depth >= context.rules.depth or not context.rules.planners:
        return False
    return len(clauses_of(subtask.text)) > 1


def look(
    live: Live, idents: tuple[str, ...], context: Context, kind: str = "place", without: tuple[str, ...] = ()
) -> tuple[Live, list[Effect]]:
    """Ask the index for candidates for the subtasks `idents`, in one question; not for the agents `without`."""
    token = f"{kind}:{live.lookups}"
    asked = {**live.asked, token: idents}
    live = msgspec.structs.replace(live, asked=asked, lookups=live.lookups + 1)
    queries = tuple(query_for(live, live.subtask(ident)) for ident in idents)
    if without:
        replace = msgspec.structs.replace
        queries = tuple(replace(one, exclude=union(one.exclude, without)[:MAX_EXCLUDED]) for one in queries)
    return live, [fx.Tell(Key("lookup"), Asked(token, Ask(queries, context.rules.candidates)))]


def relook(live: Live, context: Context, now: float) -> tuple[Live, list[Effect]]:
    """Ask again for the subtasks that found nobody; one whose agent asked for a pause is left until that is over."""
    due = tuple(ident for ident, since in sorted(live.unplaced.items()) if since <= now)[:MAX_QUERIES]
    due += waiting.overlooked(live)
    later = [since for since in live.unplaced.values() if since > now]
    effects: list[Effect] = [fx.Wake("relook", min(later))] if later else []
    if not due:
        return live, effects
    live, asked = look(live, due, context)
    return live, effects + asked


def turn(live: Live, ident: str, context: Context) -> tuple[Live, list[Effect]]:
    """Look again for a subtask that waited, now that it is its turn; one that waits no longer says so."""
    live = tracked(live)
    if live.plan is None or not waiting.is_idle(live, ident):
        return live, [fx.Tell(MATCH, Left(ident))]
    return look(live, (ident,), context)


def placed(live: Live, token: str, found: Found, context: Context, now: float) -> tuple[TaskState, list[Effect]]:
    """Have the candidates for every subtask of the lookup `token` put in order; the award follows."""
    idents = live.asked.get(token)
    if idents is None:
        return live, []
    live = msgspec.structs.replace(live, asked={key: value for key, value in live.asked.items() if key != token})
    parts = tuple(part(found, at, ident) for at, ident in enumerate(idents) if waiting.is_open(live, ident))
    items = tuple(_weighing(live, one, now) for one in parts)
    weights = preferring(context.rules.weights, live.task.prefer)
    if context.rules.learning:
        live = msgspec.structs.replace(live, weighing={**live.weighing, token: parts})
        spare = token.startswith(SPARE)
        weigh = Weigh(token, weights, items, live.task.prefer, live.task.priority, live.task.submitter, spare)
        return live, [fx.Tell(MATCH, weigh)]
    loads = waiting.loads_of(live)
    weighted = tuple(
        Weighted(item.ident, consider(item.query, item.hits, weights, loads, item.left_ms), item.hits) for item in items
    )
    return _place_all(live, parts, weighted, context, now, spare=token.startswith(SPARE))


def weighed(live: Live, told: Weighed, context: Context, now: float) -> tuple[TaskState, list[Effect]]:
    """Decide and award what the matchmaker has put in order."""
    parts = live.weighing.get(told.token)
    if parts is None:
        return live, []
    left = {token: others for token, others in live.weighing.items() if token != told.token}
    live = msgspec.structs.replace(live, weighing=left)
    return _place_all(live, parts, told.items, context, now, spare=told.token.startswith(SPARE))


def _weighing(live: Live, one: Part, now: float) -> Weighing:
    query = query_for(live, live.subtask(one.ident))
    query = msgspec.structs.replace(query, exclude=union(query.exclude, live.busy))
    return Weighing(one.ident, query, one.hits, one.vector, left_ms(live, now))


def _place_all(
    live: Live,
    parts: tuple[Part, ...],
    weighted: tuple[Weighted, ...],
    context: Context,
    now: float,
    *,
    spare: bool = False,
) -> tuple[TaskState, list[Effect]]:
    """Decide upon all at once, then award one by one: what is spent on one is not there for the next.

    With ``spare`` only agents were asked for that are not at work already: one who finds none waits on.
    """
    before = live
    effects: list[Effect] = []
    notes: list[Note] = []
    pairs = [(one, order) for one, order in zip(parts, weighted, strict=True) if waiting.is_open(live, one.ident)]
    pairs.sort(key=lambda pair: waiting.turn(live, pair[0].ident))
    free = _free(live, weighted)
    alone = [_decided(live, *pair, context) for pair in pairs]
    if spare:
        found = [any(not one.refused for one in decision.candidates) for decision in alone]
        for (_, order), decision in compress(zip(pairs, alone, strict=True), map(not_, found)):
            live = waiting.held(live, decision, {hit.agent: hit for hit in order.hits})
        pairs, alone = list(compress(pairs, found)), list(compress(alone, found))
    served = waiting.served(alone, free)
    for (_, order), decision, now_served in zip(pairs, alone, served, strict=True):
        if not now_served:
            live = waiting.held(live, decision, {hit.agent: hit for hit in order.hits})
    pairs = list(compress(pairs, served))
    decisions = together(list(compress(alone, served)), free)
    guests = _guests(pairs, decisions, context)
    for (_, order), decision in zip(pairs, decisions, strict=True):
        live, more, said = _place(live, decision, order, guests.get(decision.subtask, NOBODY), context, now)
        effects += more
        notes += said
    effects += _overdue(live, context, now)
    live, timers = waiting.looking(live, context, now)
    effects += timers
    if notes:
        live, saved = save(live, context, now, token=f"{SENT}{live.seq + 1}" if live.unsent else "")
        effects = [*saved, *effects, tell(live, context, *notes)]
    if again := waiting.beyond(live, before, spare=spare, awarded=bool(notes)):  # for whom the index did not name
        live, asked = look(live, again, context, SPARE, waiting.crowded(live))
        effects = [*effects, *asked]
    if not waiting.fresh(live):
        return live, effects
    state, others = advance(live, context, now)  # more were ready than one question holds
    return state, [*effects, *others]


def _free(live: Live, weighted: tuple[Weighted, ...]) -> dict[str, int]:
    """Return how many more awards each agent can take, as far as is known here."""
    loads = waiting.loads_of(live)
    free = {hit.agent: hit.resources.concurrency - loads.get(hit.agent, 0) for order in weighted for hit in order.hits}
    for order in weighted:
        free |= order.free
    return free


def _decided(live: Live, found: Part, order: Weighted, context: Context) -> Decision:
    """Return who should have a subtask, regardless of the others; who asked a person about it has it again."""
    subtask, work = live.subtask(found.ident), live.works[found.ident]
    decision = conclude(
        order.candidates,
        order.hits,
        subtask=found.ident,
        attempt=work.attempt + 1,
        team=subtask.team or live.task.team,
        most=context.rules.team,
        refused=found.refused,
        covered=found.covered,
    )
    if any(one.agent == work.asker and not one.refused for one in decision.candidates):
        reason = "asked a person about it, and has the answer now"
        return msgspec.structs.replace(decision, chosen=(work.asker,), reason=reason)
    return decision


def _guests(pairs: list[tuple[Part, Weighted]], decisions: list[Decision], context: Context) -> dict[str, Kin]:
    """Return, for subtasks close in meaning that begin together, the channel they share and who works on the others.

    Only who refines is asked along: nobody else looks at what others drafted.
    """
    refining: dict[str, tuple[str, ...]] = {}
    items: list[Item] = []
    for (found, order), decision in zip(pairs, decisions, strict=True):
        known = {hit.agent: hit for hit in order.hits}
        able = tuple(agent for agent in decision.chosen if known[agent].refines and not on_probation(known[agent]))
        if able and found.vector:
            refining[found.ident] = able
            items.append(Item(found.ident, found.vector, _resources(known[able[0]])))
    if len(items) < 2:  # noqa: PLR2004 - two are needed to be close
        return {}
    close = clusters(items, Formation(smallest=2, largest=max(2, context.rules.team)))
    return {
        ident: Kin(
            digest_of(" ".join(group).encode())[:12],
            tuple(agent for other in group if other != ident for agent in refining[other]),
        )
        for group in close
        for ident in group
    }


def _resources(hit: Hit) -> NDArray[np.float32]:
    """Return the ``r`` of an agent as a vector: what its work costs and takes, each on a scale of its own order."""
    seen = hit.resources
    raw = (seen.price_call, seen.price_1k, seen.latency_ms / 1000, seen.memory_mb / 1000, float(seen.concurrency))
    return np.array([1.0, *(log1p(max(0.0, each)) for each in raw)], dtype=np.float32)


def part(found: Found, at: int, ident: str = "") -> Part:
    """Return what was found for query number `at`; nothing where the index was not there to answer."""
    hits = found.hits[at] if at < len(found.hits) else ()
    refused = found.refused[at] if at < len(found.refused) else ()
    vector = found.vectors[at] if at < len(found.vectors) else b""
    return Part(ident, hits, refused, len(found.covered), vector)


def _place(
    live: Live, decision: Decision, order: Weighted, kin: Kin, context: Context, now: float
) -> tuple[Live, list[Effect], list[Note]]:
    """Award what was decided, as far as the budget pays for it; or have the subtask wait for somebody."""
    ident = decision.subtask
    subtask, work, query = live.subtask(ident), live.works[ident], query_for(live, live.subtask(ident))
    known = {hit.agent: hit for hit in order.hits}
    chosen = affordable([known[agent] for agent in decision.chosen], query)
    if waiting.is_crowded(live, decision, chosen):
        return waiting.held(live, decision, known), [], []
    if len(chosen) < len(decision.chosen):
        reason = f"{decision.reason}; the budget pays for {len(chosen)}"[:512]
        decision = msgspec.structs.replace(decision, chosen=tuple(hit.agent for hit in chosen), reason=reason)
    manner = Manner(
        order.contexts,
        strategy=subtask.strategy or live.task.strategy or context.rules.strategy,
        trust={agent: sure for agent, (sure, judged) in order.trust.items() if judged},
        kin=kin,
    )
    if len(chosen) > 1 and context.rules.escalate and not (subtask.team or live.task.team):
        pool = Pool(tuple(chosen), order.trust, order.contexts, order.plausible, kin)
        live = msgspec.structs.replace(live, pools={**live.pools, ident: pool})
        chosen, manner = _probes(chosen, query), manner._replace(alone=True)
        asked = tuple(hit.agent for hit in chosen)
        reason = f"{decision.reason}; {len(asked)} asked first, more while they disagree"[:512]
        decision = msgspec.structs.replace(decision, chosen=asked, reason=reason)
    elif ident in live.pools:  # of an attempt before this: who was asked then is not asked more now
        pools = {other: pool for other, pool in live.pools.items() if other != ident}
        live = msgspec.structs.replace(live, pools=pools)
    live = _record(live, decision)
    if not chosen:
        since = live.unplaced.get(ident, now)
        live = put(live, msgspec.structs.replace(work, failed=()))  # nobody else: who failed may try again
        return msgspec.structs.replace(live, unplaced={**live.unplaced, ident: since}), [], []
    live = waiting.let_go(live, ident)
    return award(live, ident, chosen, context, now, manner)


def _probes(chosen: list[Hit], query: Query) -> list[Hit]:
    """Return the best and the cheapest of the others: what they agree on needs no more (after ACAR)."""
    rest = sorted(chosen[1:], key=lambda hit: (expected_price(query, hit.resources), chosen.index(hit)))
    return [chosen[0], *rest[: PROBES - 1]]


def _record(live: Live, decision: Decision) -> Live:
    """Keep the decision; a repeated look that again finds nobody replaces the one before it."""
    kept = live.decisions
    if kept and not decision.chosen and not kept[-1].chosen and kept[-1].subtask == decision.subtask:
        kept = kept[:-1]
    return msgspec.structs.replace(live, decisions=(*kept, decision)[-MAX_DECISIONS:])


def _overdue(live: Live, context: Context, now: float) -> list[Effect]:
    """Tell the task itself of every subtask that has waited for somebody beyond all patience."""
    found: list[Effect] = []
    for ident, since in sorted(live.unplaced.items()):
        patience = 0.0 if _is_hopeless(live, ident) else context.rules.patience_s
        if now - since >= min(patience, max(0.0, live.ends - since)):
            latest = [decision for decision in live.decisions if decision.subtask == ident]
            code, reason = why_nobody(latest[-1] if latest else None, ident)
            if said := live.works[ident].reason:
                code, reason = "agent-failed", f"subtask {ident}: {said}; nobody else is permitted and able"
            found.append(fx.Tell(Key("task", live.task.id), Stuck(ident, code, reason)))
    return found


def _is_hopeless(live: Live, ident: str) -> bool:
    """Tell whether somebody declined a subtask for good and nobody else is able: who might come would decline too."""
    latest = next((one for one in reversed(live.decisions) if one.subtask == ident), None)
    return bool(live.works[ident].barred) and latest is not None and not latest.candidates


def why_nobody(decision: Decision | None, ident: str) -> tuple[str, str]:
    """Return an error word and a sentence for a subtask nobody could be found for."""
    refused = [candidate.refused for candidate in decision.candidates if candidate.refused] if decision else []
    if not refused:
        return "no-route", f"subtask {ident}: no agent is known that could do it; start one, or see 'foa agent list'"
    words = {text.split(":")[0] for text in refused}
    code = words.pop() if len(words) == 1 else "no-route"
    code = code if code in {"policy", "budget"} else "no-route"
    return code, f"subtask {ident}: nobody is permitted and able; first refusal: {refused[0]}"
