"""In which order candidates should have a subtask: alpha, then what was learned, then a newcomer's turn."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np

from foa.core.learn import features, kinds
from foa.core.learn.features import Standing
from foa.core.learn.linucb import second_look
from foa.core.learn.moments import Floats
from foa.core.machines.match import trust
from foa.core.machines.match.backoff import Sight, sifted
from foa.core.machines.match.memory import placed
from foa.core.machines.match.state import Match, factor, standing
from foa.core.routing.choose import consider
from foa.core.routing.exchange import Weighing, Weighted
from foa.core.routing.score import Weights
from foa.core.vcv.relevance import LEXICAL
from foa.core.vcv.vector import BYTES_PER_DIM
from foa.wire.records import Candidate, Hit, Prefer, Resources

PREFERENCE: Final = 0.3
"""What the dearest (or slowest) candidate loses, in points of reward, where cost (or latency) is preferred (ours)."""


CLOSE: Final = 0.7
TELLING: Final = 0.3
"""Whose profile says less than this share of what the best one says is not tried out of curiosity, where profiles say
anything at all: where the best says at least so much. Where none speaks of the task only trying tells who is good."""


class Around(NamedTuple):
    """What one subtask's candidates are seen in: their loads, the hour, whether those at work were left out."""

    loads: Mapping[str, int]
    now: float
    spare: bool = False


def weigh(state: Match, item: Weighing, weights: Weights, prefer: Prefer, around: Around) -> Weighted:
    """Order the candidates for one subtask; only who passed every gate is ordered at all."""
    loads = around.loads
    if not state.setup.rules.on:
        candidates = consider(item.query, item.hits, weights, loads, item.left_ms)
        candidates = sifted(state, Sight(candidates, around.spare), around.now)
        return Weighted(item.ident, candidates, item.hits, free=_free(item.hits, loads))
    placed(state.memory, item.query.text, item.vector)
    seen = {hit.agent: standing(state, hit.agent) for hit in item.hits}
    hits = tuple(measured(hit, seen[hit.agent], state.setup.rules.doubt) for hit in item.hits)
    candidates = consider(item.query, hits, weights, loads, item.left_ms)
    candidates = sifted(state, Sight(candidates, around.spare), around.now)
    permitted = [candidate for candidate in candidates if not candidate.refused]
    if state.model is None or state.basis is None or not permitted:
        free = _free(hits, loads)
        return Weighted(
            item.ident, candidates, hits, free=free, trust=trust.of(state, hits), plausible=trust.looks(state)
        )
    vector = item.vector if len(item.vector) == BYTES_PER_DIM * state.basis.shape[1] else b""
    x = kinds.project(state.basis, vector)
    z = _rows(loads, item, permitted, {hit.agent: hit for hit in hits}, seen)
    agents = [candidate.agent for candidate in permitted]
    means, widths = state.model.score(agents, z, x)
    evidence = np.array([seen[agent].seen for agent in agents])
    again = second_look(evidence, float(evidence.sum()), alpha=state.setup.rules.second)
    told = _told(permitted, means, widths * factor(state) + again, seen)
    lost = _bent(told, prefer, state.setup.rules.cost)
    curious = _plausible(permitted)
    bound = {c.agent: (c.mean or 0.0) + c.width * (c.agent in curious) - lost[c.agent] for c in told}
    ordered = _turn(state, sorted(told, key=lambda c: (-bound[c.agent], c.agent)))
    return Weighted(
        item.ident,
        (*ordered, *candidates[len(permitted) :]),
        hits,
        Contexts(agents, z, x),
        _free(hits, loads),
        trust.of(state, hits),
    )


def _free(hits: Sequence[Hit], loads: Mapping[str, int]) -> dict[str, int]:
    return {hit.agent: hit.resources.concurrency - loads.get(hit.agent, 0) for hit in hits}


def _plausible(permitted: Sequence[Candidate]) -> set[str]:
    """Return who may be tried for what is not known of them, and not only for what is expected.

    Only profiles count here: who did such tasks is known, and must not keep others from being tried.
    """
    told = {c.agent: max(0.0, c.cosine) + LEXICAL * c.words for c in permitted}
    best = max(told.values())
    return {agent for agent, said in told.items() if best < TELLING or said >= CLOSE * best}


def _bent(permitted: Sequence[Candidate], prefer: Prefer, cost: float) -> dict[str, float]:
    """Return what each candidate loses by what is preferred; for quality, what rewards lose to cost comes back."""
    if prefer == "latency":
        worst = max(candidate.latency for candidate in permitted)
        return {c.agent: PREFERENCE * c.latency / worst if worst > 0.0 else 0.0 for c in permitted}
    dearest = max(candidate.price for candidate in permitted)
    weight = {"cost": PREFERENCE, "quality": -cost}.get(prefer, 0.0)
    return {c.agent: weight * c.price / dearest if dearest > 0.0 else 0.0 for c in permitted}


class Contexts(Mapping[str, bytes]):
    """The context of each permitted agent, packed when it is asked for: few are."""

    def __init__(self, agents: Sequence[str], z: Floats, x: Floats) -> None:
        self._at = {agent: at for at, agent in enumerate(agents)}
        self._z = z
        self._x = x

    def __getitem__(self, agent: str) -> bytes:
        return features.packed(self._z[self._at[agent]], self._x)

    def __iter__(self) -> Iterator[str]:
        return iter(self._at)

    def __len__(self) -> int:
        return len(self._at)


def measured(hit: Hit, seen: Standing, doubt: float) -> Hit:
    """Return `hit` with its declared price and latency moved toward what was measured, by evidence against doubt."""
    if seen.paid <= 0.0:
        return hit
    trust = seen.paid / (seen.paid + doubt)
    declared = hit.resources
    ratio = 1.0 + trust * (seen.cost / seen.price - 1.0) if seen.price > 0.0 else 1.0
    price_call = declared.price_call * ratio
    if seen.price <= 0.0 < seen.cost:  # declared free, and was not
        price_call = trust * seen.cost
    resources: Resources = msgspec.structs.replace(
        declared,
        price_call=price_call,
        price_1k=declared.price_1k * ratio,
        latency_ms=declared.latency_ms + trust * (seen.ms - declared.latency_ms),
        p95_ms=max(declared.p95_ms, trust * seen.ms),
    )
    return msgspec.structs.replace(hit, resources=resources)


def _rows(
    loads: Mapping[str, int],
    item: Weighing,
    permitted: Sequence[Candidate],
    hits: Mapping[str, Hit],
    seen: Mapping[str, Standing],
) -> Floats:
    dearest = max((candidate.price for candidate in permitted), default=0.0)
    around = features.Around(dearest if item.query.budget is None else item.query.budget, item.left_ms)
    return features.rows(
        [features.values(c, hits[c.agent], seen[c.agent], around, loads.get(c.agent, 0)) for c in permitted]
    )


def _told(
    permitted: Sequence[Candidate], means: Floats, widths: Floats, seen: Mapping[str, Standing]
) -> list[Candidate]:
    return [
        msgspec.structs.replace(candidate, mean=mean, width=max(0.0, width), seen=seen[candidate.agent].seen)
        for candidate, mean, width in zip(
            permitted, np.round(means, 6).tolist(), np.round(widths, 6).tolist(), strict=True
        )
    ]


def _turn(state: Match, ordered: list[Candidate]) -> list[Candidate]:
    """Let a newcomer go first when it is their turn: a bounded share of all decisions, among those that fit as well.

    Every decision in which a newcomer could go first and does not adds the share to a credit; at 1 it is spent.
    """
    rules, best = state.setup.rules, max(candidate.score for candidate in ordered)
    new = [c for c in ordered if c.seen < rules.tried and c.score >= rules.near * best]
    if not new or ordered[0].seen < rules.tried:
        return ordered
    state.credit += rules.probe
    if state.credit < 1.0:
        return ordered
    state.credit -= 1.0
    first = min(new, key=lambda c: (c.seen, -c.score, c.agent))
    probe = msgspec.structs.replace(first, probe=True)
    return [probe, *(c for c in ordered if c is not first)]
