"""From hits to a decision: gate, capacity, score, team. What a coordinator calls and then keeps as a record.

A learner stands between `consider` and `pick`: it may reorder permitted candidates, never add one.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import Final

import msgspec

from foa.core.routing.assign import Want, assign
from foa.core.routing.gate import Refusal, expected_price, gate
from foa.core.routing.score import Circumstances, Weights, alpha
from foa.core.routing.voices import on_probation, teammates
from foa.wire.records import MAX_TEAM, Candidate, Decision, Hit, Query

MAX_CANDIDATES: Final = 64
"""What a `Decision` may list; the worst refused ones are left out first."""

AUTO_TEAM: Final = 4
TEAM_RATIO: Final = 0.5
"""A team formed by itself has at most 4 members (the paper, 3.4), each with at least this share of the best score."""


BUSY: Final = "busy"
"""The word for an agent all of whose slots are taken."""


def consider(
    query: Query,
    hits: Iterable[Hit],
    weights: Weights,
    loads: Mapping[str, int] | None = None,
    left_ms: float | None = None,
) -> tuple[Candidate, ...]:
    """Return every hit as a candidate: permitted ones by falling score, then the refused with their reasons.

    ``loads`` are awards in flight per agent as far as known; an agent without a free slot is refused as busy.
    The cost bias is measured against the query's budget or, without one, the dearest permitted price; that of
    latency against the slowest permitted (ours).
    """
    loads = loads or {}
    verdicts = [(hit, _verdict(query, hit, loads.get(hit.agent, 0))) for hit in hits]
    permitted = [hit for hit, refusal in verdicts if refusal is None]
    share = _share(query, permitted)
    slowest = max((hit.resources.latency_ms for hit in permitted), default=0.0)
    scored = [
        alpha(query, hit, weights, Circumstances(loads.get(hit.agent, 0), left_ms, share, slowest)) for hit in permitted
    ]
    least = 0.0 if query.skills else weights.related
    good = [c for c in scored if c.score > weights.floor and (c.cosine >= least or not least)]
    unrelated = [_unrelated(c) for c in scored if c not in good]
    last = {hit.agent for hit in permitted if on_probation(hit)}
    good.sort(key=lambda c: (-c.score, c.agent in last, c.agent))
    refused = [refuse(hit, refusal) for hit, refusal in verdicts if refusal is not None]
    return (*good, *sorted(unrelated + refused, key=lambda c: (-c.cosine, c.agent)))[:MAX_CANDIDATES]


def refuse(hit: Hit, refusal: Refusal) -> Candidate:
    """Return `hit` as a refused candidate."""
    return Candidate(agent=hit.agent, cosine=hit.cosine, spec=hit.spec, refused=str(refusal)[:512])


def _verdict(query: Query, hit: Hit, load: int) -> Refusal | None:
    refusal = gate(query, hit)
    slots = hit.resources.concurrency
    if refusal is None and load >= slots:
        return Refusal(BUSY, f"works on {load} of at most {slots}")
    return refusal


def _share(query: Query, permitted: Sequence[Hit]) -> float:
    if query.budget is not None:
        return query.budget
    return max((expected_price(query, hit.resources) for hit in permitted), default=0.0)


def _unrelated(candidate: Candidate) -> Candidate:
    return msgspec.structs.replace(
        candidate,
        refused=f"unrelated: alpha {candidate.score:.3g}, cosine {candidate.cosine:.3f}, spec {candidate.spec:.3f}",
    )


def pick(
    candidates: Sequence[Candidate],
    hits: Iterable[Hit],
    team: int = 0,
    ratio: float = TEAM_RATIO,
    most: int = AUTO_TEAM,
) -> tuple[tuple[str, ...], str]:
    """Return the chosen among `candidates` (best first, as given) and why so many; none if all are refused.

    ``team`` 0 decides by itself: one, unless the best says ``refines`` and others that do, with the same output
    types, come close. Whoever has ``effects = once`` works alone, and so does who is on probation; of agents with one
    voice the best alone is in a team.
    """
    known = {hit.agent: hit for hit in hits}
    permitted = [c for c in candidates if not c.refused and c.agent in known]
    if not permitted:
        return (), "nobody permitted and able was found"
    best, lead = permitted[0], known[permitted[0].agent]
    if lead.effects == "once":
        return (best.agent,), "alone, since its effects must happen once"
    fellows = {hit.agent for hit in teammates(lead, [known[c.agent] for c in permitted[1:]])}
    others = [c for c in permitted[1:] if c.agent in fellows and known[c.agent].effects != "once"]
    if team > 0:
        chosen = (best, *others)[: min(team, MAX_TEAM)]
        return tuple(c.agent for c in chosen), f"{len(chosen)} of a team of {team} that was asked for"
    if not lead.refines:
        return (best.agent,), "alone, since its answers do not gain from peers"
    close = [c for c in others if _is_peer(known[c.agent], lead) and c.score >= ratio * best.score]
    chosen = (best, *close)[: max(1, most)]
    reason = f"team of {len(chosen)}, peers that refine and score at least {ratio:.0%} of the best"
    return tuple(c.agent for c in chosen), reason if close else "alone, no peer comes close"


def _is_peer(hit: Hit, lead: Hit) -> bool:
    return hit.refines and {port.type for port in hit.outputs} == {port.type for port in lead.outputs}


def decide(
    query: Query,
    hits: Sequence[Hit],
    weights: Weights,
    *,
    subtask: str,
    attempt: int = 1,
    team: int = 0,
    ratio: float = TEAM_RATIO,
    loads: Mapping[str, int] | None = None,
    left_ms: float | None = None,
    refused: Sequence[Candidate] = (),
    covered: int = 0,
) -> Decision:
    """Return who gets `subtask` and why, by alpha alone: `consider`, then `conclude`."""
    candidates = consider(query, hits, weights, loads, left_ms)
    return conclude(
        candidates, hits, subtask=subtask, attempt=attempt, team=team, ratio=ratio, refused=refused, covered=covered
    )


def conclude(
    candidates: Sequence[Candidate],
    hits: Sequence[Hit],
    *,
    subtask: str,
    attempt: int = 1,
    team: int = 0,
    ratio: float = TEAM_RATIO,
    most: int = AUTO_TEAM,
    refused: Sequence[Candidate] = (),
    covered: int = 0,
) -> Decision:
    """Return the record of a choice among `candidates`, best first. ``refused``, ``covered``: of the `Found`."""
    chosen, reason = pick(candidates, hits, team, ratio, most)
    seen = {candidate.agent for candidate in candidates}
    told = tuple(c for c in refused if c.agent not in seen)
    best = next((c for c in candidates if c.agent in chosen), None)
    return Decision(
        subtask=subtask,
        attempt=attempt,
        chosen=chosen,
        candidates=(*candidates, *told)[:MAX_CANDIDATES],
        covered=covered,
        reason=f"{_lead(best) if best else ''}{reason}"[:512],
    )


def together(decisions: Sequence[Decision], free: Mapping[str, int]) -> list[Decision]:
    """Return `decisions` as one assignment: nobody is chosen for more subtasks than it has free slots.

    Each was decided for itself; where that asks too much of somebody, all are solved as one program
    (`foa.core.routing.assign`), in which a candidate is worth what its place in the order says. A subtask for which no
    slot is left waits in the queue of its best.
    """
    asked = Counter(agent for decision in decisions for agent in decision.chosen)
    if all(count <= free.get(agent, 1) for agent, count in asked.items()):
        return list(decisions)
    wants = [Want(one.subtask, _open_to(one), 1, len(one.chosen)) for one in decisions if one.chosen]
    teams = assign(wants, free)
    told: list[Decision] = []
    for decision in decisions:
        team = teams.get(decision.subtask) or decision.chosen[:1]
        if set(team) != set(decision.chosen):
            reason = f"{decision.reason}; assigned together with {len(wants) - 1} others, for want of slots"
            told.append(msgspec.structs.replace(decision, chosen=team, reason=reason[:512]))
        else:
            told.append(decision)
    return told


def _open_to(decision: Decision) -> dict[str, float]:
    """Return who may have a subtask and what they are worth; a team is of peers, so nobody else can join it."""
    values = worths(decision.candidates)
    if len(decision.chosen) == 1:
        return values
    return {agent: values[agent] for agent in decision.chosen if agent in values}


def worths(candidates: Iterable[Candidate]) -> dict[str, float]:
    """Return what each permitted candidate is worth: what is hoped of it, never more than of one before it."""
    found: dict[str, float] = {}
    best = inf
    for one in candidates:
        if not one.refused:
            best = min(best, one.score if one.mean is None else one.mean + one.width)
            found[one.agent] = best
    return found


def _lead(best: Candidate) -> str:
    """Say what put the first first."""
    if best.probe:
        return f"a newcomer's turn (alpha {best.score:.4f}); "
    if best.mean is None:
        return f"alpha {best.score:.4f}; "
    return f"expected reward {best.mean:.3f} ± {best.width:.3f} (alpha {best.score:.4f}); "
