"""The ladder of recovery: awarded again, re-routed, planned anew, then a person or the end. Never silent.

The first rung is `foa.core.machines.task.replies.answers`, which awards again, without who failed, as often as the task
allows. Where that is over, or nobody is there to be awarded, `recover` takes the next rung; each is climbed once for a
subtask, and each that is taken is an edit on record.
"""

from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from foa.core import effects as fx
from foa.core.dag import typed
from foa.core.dag.edit import spliced
from foa.core.dag.plan import ancestors
from foa.core.machines.task.awarding import again, query_for
from foa.core.machines.task.changing import changed, logged
from foa.core.machines.task.finish import fail
from foa.core.machines.task.pending import Session
from foa.core.machines.task.place import advance
from foa.core.machines.task.planning.sessions import LOOKUP, Stepped, begin
from foa.core.machines.task.replies.dialogue import AGAIN, ask
from foa.core.machines.task.state import Context, Live, put
from foa.core.routing.exchange import Asked
from foa.core.routing.gate import OWN_TEXT, fits
from foa.errors import ProposalError
from foa.wire.messages import Ask, Found, Required
from foa.wire.records import Plan, Subtask

AWARDED, REROUTED, REPLANNED, ASKED = range(4)
"""`foa.wire.records.Work.rung`."""

FORBIDDEN: Final = frozenset({"policy", "budget"})
"""What no other way to the same end would change."""

ANYTHING: Final = frozenset({"text/plain", "application/json", "*/*"})
"""Types that say too little of what is in them to look for another way to it."""

MAX_OFFERS: Final = 64


def recover(live: Live, ident: str, code: str, reason: str, context: Context, now: float) -> Stepped:
    """Take the next rung for subtask `ident`, which `reason` keeps from being done."""
    work = msgspec.structs.replace(again(live.works[ident]), reason=reason[:500])
    live = put(_settled(live, ident), work)
    subtask = live.subtask(ident)
    if work.rung < REROUTED and code not in FORBIDDEN and (subtask.produces or work.failed or work.barred):
        live = put(live, msgspec.structs.replace(work, rung=REROUTED))
        return _ask_for_detour(live, subtask, code)
    splits = code not in FORBIDDEN and context.rules.planners > 0
    if splits and work.rung < REPLANNED and subtask.depth < context.rules.depth:
        live = put(live, msgspec.structs.replace(work, rung=REPLANNED))
        return begin(live, Session(ident, subtask.text, why="replan", code=code), context)
    if work.rung < ASKED and live.task.attended:
        live = put(live, msgspec.structs.replace(work, rung=ASKED))
        question = f"Subtask {ident} ({subtask.text[:500]}) cannot be done: {reason[:500]}. What now?"
        return ask(live, Required(live.task.id, ident, question, live.epoch, AGAIN), "escalate", context, now)
    return fail(live, context, now, code, reason, subtask=ident)


def _settled(live: Live, ident: str) -> Live:
    """Return `live` with nothing under way for `ident` but its recovery."""
    unplaced = {one: since for one, since in live.unplaced.items() if one != ident}
    pools = {one: pool for one, pool in live.pools.items() if one != ident}
    sessions = {one: session for one, session in live.sessions.items() if one != ident}
    return msgspec.structs.replace(live, unplaced=unplaced, pools=pools, sessions=sessions)


def _ask_for_detour(live: Live, subtask: Subtask, code: str) -> Stepped:
    """Look for agents about the subtask's text, and for those that yield what it must, whatever they are about.

    Who failed is not left out: what they would have yielded is what it must, where the plan does not say it.
    """
    query = msgspec.structs.replace(query_for(live, subtask), produces=(), skills=(), exclude=live.task.hops)
    wanted = tuple(msgspec.structs.replace(query, produces=(kind,)) for kind in subtask.produces[:8])
    session = Session(subtask.id, subtask.text, stage="detouring", why="replan", code=code)
    live = msgspec.structs.replace(live, sessions={**live.sessions, subtask.id: session})
    return live, [fx.Tell(LOOKUP, Asked(f"detour:{subtask.id}", Ask((query, *wanted), MAX_OFFERS)))]


def detoured(live: Live, ident: str, found: Found, context: Context, now: float) -> Stepped:
    """Put the cheapest other way to what subtask `ident` must yield in its place; without one go up the ladder."""
    work, session = live.works.get(ident), live.sessions.get(ident)
    if work is None or work.phase not in {"waiting", "ready"} or live.plan is None:
        return live, []
    if session is None or session.stage != "detouring":  # asked in another life, or the way is found already
        return live, []
    graph, code = live.plan, session.code
    live = _settled(live, ident)
    offers = typed.offers(hit for hits in found.hits for hit in hits)
    hungry = _hungry(offers, _available(live, ident))
    work = msgspec.structs.replace(work, barred=tuple(agent for agent in work.barred if agent not in hungry))
    live = put(live, work)
    failed = frozenset(work.failed + work.barred)
    plan = typed.detour(_declared(graph, ident, offers, failed), ident, _available(live, ident), offers, failed)
    if plan is not None:
        try:
            edited = spliced(graph, ident, plan, live.phases(), deeper=False)
        except ProposalError:
            return recover(live, ident, code, work.reason, context, now)
        edit = logged(live, now, "reroute", ident, work.reason, after=edited)
        live, effects = changed(live, edited, edit, context, now)
        state, more = advance(live, context, now)
        return state, [*effects, *more]
    return recover(live, ident, code, work.reason, context, now)


def _hungry(offers: Sequence[typed.Offer], available: Collection[str]) -> frozenset[str]:
    """Return who lacks something here that it needs: it declined for that alone, and a detour may bring it."""
    known = {*available, OWN_TEXT}
    return frozenset(
        offer.agent
        for offer in offers
        if any(not port.optional and not any(fits(port.type, kind) for kind in known) for port in offer.inputs)
    )


def _declared(plan: Plan, ident: str, offers: Sequence[typed.Offer], failed: Collection[str]) -> Plan:
    """Return `plan` with what subtask `ident` must yield: as it says, or as who failed it would have yielded."""
    lead = next(one for one in plan.subtasks if one.id == ident)
    kinds = {port.type for offer in offers if offer.agent in failed for port in offer.outputs} - ANYTHING
    if lead.produces or not kinds:
        return plan
    declared = msgspec.structs.replace(lead, produces=tuple(sorted(kinds))[:1])
    subtasks = tuple(declared if one.id == ident else one for one in plan.subtasks)
    return msgspec.structs.replace(plan, subtasks=subtasks)


def _available(live: Live, ident: str) -> frozenset[str]:
    """Return the types that subtask `ident` may be given."""
    assert live.plan is not None
    kinds = {given.value.type for given in live.task.inputs}
    for source in ancestors(live.plan, ident):
        kinds.update(given.value.type for given in live.works[source].outputs)
    return frozenset(kinds)
