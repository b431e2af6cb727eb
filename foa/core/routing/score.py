"""How well a permitted agent fits: the alpha of arXiv 2509.20175, section 3, with our cost bias.

    alpha = max(0, relevance) · 1[policy] · exp(-λ · Σ w_i · shortfall_i) · max(0, cos(e_t, e_a)) · bias
    bias  = exp(-μ · expected cost / budget share - ν · expected latency / slowest permitted)

The policy factor is the gate, before this module. ``e_t`` is the request's own vector: a request is its own
spec (ours). The relevance is ``cos(c_t, c_a)``, or what the index makes of it together with words and finished tasks.
Shortfalls are fractions in [0, 1] of what is needed and not there.
"""

from math import exp

import msgspec

from foa.core.routing.gate import OWN_TEXT, expected_price, expected_tokens, fits
from foa.wire.records import Candidate, Hit, Prefer, Query


class Weights(msgspec.Struct, frozen=True):
    """The knobs of alpha. ``shortfall`` is λ, ``cost`` is μ, ``latency`` is ν; the next four are the w_i.

    ``named``: the least that both cosines count for where the query names skills and the agent has them all,
    since an exact skill is better evidence than a short text's vector (ours). ``floor``: whose score is not above
    it is refused as unrelated; a product of two cosines is small, so it should be too. ``spec``: the power of the
    spec's cosine, 1 in the paper; below 1 a wordy spec weighs less against what the agent says it does.
    ``related``: the cosine from which an agent has to do with a request at all, where no skill is named.
    """

    shortfall: float = 1.0
    cost: float = 0.5
    latency: float = 0.0
    inputs: float = 2.0
    context: float = 1.0
    hurry: float = 1.0
    load: float = 0.5
    named: float = 0.05
    spec: float = 1.0
    floor: float = 0.0
    related: float = 0.0


class Circumstances(msgspec.Struct, frozen=True):
    """What a decision knows beside query and hit: the agent's awards in flight, time left, and the share.

    ``share`` is what the expected cost is measured against (USD, 0: nothing costs anything), ``slowest`` what the
    expected latency is (ms, 0: nothing takes time).
    """

    load: int = 0
    left_ms: float | None = None
    share: float = 0.0
    slowest: float = 0.0


def preferring(weights: Weights, prefer: Prefer) -> Weights:
    """Return `weights` bent to what the submitter prefers."""
    if prefer == "cost":
        return msgspec.structs.replace(weights, cost=weights.cost * 4)
    if prefer == "quality":
        return msgspec.structs.replace(weights, cost=weights.cost / 4)
    if prefer == "latency":
        return msgspec.structs.replace(weights, latency=max(weights.latency, 1.0), hurry=weights.hurry * 2)
    return weights


def input_shortfall(query: Query, hit: Hit) -> float:
    """Return the fraction of the agent's required inputs whose types nobody offers."""
    required = [port.type for port in hit.inputs if not port.optional]
    if not required:
        return 0.0
    offered = (OWN_TEXT, *query.offered)
    missing = sum(not any(fits(kind, given) for given in offered) for kind in required)
    return missing / len(required)


def weighted_shortfall(query: Query, hit: Hit, weights: Weights, around: Circumstances) -> float:
    """Return ``Σ w_i · shortfall_i`` over inputs, context length, time and load."""
    total = weights.inputs * input_shortfall(query, hit)
    needed, context = expected_tokens(query), hit.resources.context_tokens
    if 0 < context < needed:
        total += weights.context * (needed - context) / needed
    slowest = max(hit.resources.p95_ms, hit.resources.latency_ms)
    if around.left_ms is not None and slowest > around.left_ms:
        total += weights.hurry * (slowest - max(0.0, around.left_ms)) / slowest
    return total + weights.load * min(1.0, around.load / hit.resources.concurrency)


def bias(price: float, hit: Hit, weights: Weights, around: Circumstances) -> float:
    """Return the factor, in (0, 1], by which cost and (where asked for) latency lower the score."""
    exponent = weights.cost * price / around.share if around.share > 0.0 else 0.0
    if around.slowest > 0.0:
        exponent += weights.latency * hit.resources.latency_ms / around.slowest
    return exp(-exponent)


def alpha(query: Query, hit: Hit, weights: Weights, around: Circumstances) -> Candidate:
    """Return the score of a permitted `hit` with all its parts: ``score = relevance⁺ · fit · (spec⁺)^spec · cost``.

    ``cosine`` and ``spec`` are kept as measured; ``fit`` is f(shortfall), ``cost`` the bias.
    """
    price = expected_price(query, hit.resources)
    fit = exp(-weights.shortfall * weighted_shortfall(query, hit, weights, around))
    cost = bias(price, hit, weights, around)
    least = weights.named if query.skills else 0.0
    relevance = hit.cosine if hit.relevance is None else hit.relevance
    score = max(least, relevance) * fit * max(least, hit.spec) ** weights.spec * cost
    return Candidate(
        agent=hit.agent,
        score=score,
        cosine=hit.cosine,
        spec=hit.spec,
        fit=fit,
        cost=cost,
        price=price,
        latency=hit.resources.latency_ms,
        relevance=hit.relevance,
        words=hit.words,
        done=hit.done,
        mass=hit.mass,
    )
