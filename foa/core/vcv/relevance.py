"""How relevant an agent is to a request, from its vectors, its words, and what it was seen to do.

    fused     = max(0, cosine) + LEXICAL · lexical
    relevance = clip(PRIOR · fused + evidence, 0, 1)

``lexical`` is BM25 (Robertson and Zaragoza 2009, equation 3.15) divided by `RARE` times the idf of a word that nobody
has, so that three rare words in common are about 1 in a catalogue of any size. ``evidence`` is what finished
tasks say beyond the prior (`foa.core.learn.evidence_estimate`), so that relevance is an estimate of the reward: on
the scale of a cosine where nothing is known, near 1 where the agent did such tasks well. The constants were chosen
on three public sets together, each left out in turn (docs/decisions/0013).
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

LEXICAL: Final = 0.35
PRIOR: Final = 0.7
RARE: Final = 3.0
K1: Final = 1.2
B: Final = 0.75
DIGITS: Final = 6
"""Relevances are rounded to these, so that equals tie whichever product computed them; ties go by key."""


class Parts(NamedTuple):
    """What a relevance in [0, 1] is made of.

    ``cosine`` and ``spec`` in [-1, 1] are to ``c`` and ``e``. ``lexical`` >= 0. ``evidence`` is what was added to the
    prior, ``mass`` >= 0 how much was seen near the request: 1 is one finished task just like it.
    """

    relevance: float
    cosine: float
    spec: float
    lexical: float = 0.0
    evidence: float = 0.0
    mass: float = 0.0


def idf(count: Numbers | int, total: int) -> Numbers:
    """Return the weight of a word that `count` of `total` agents have; > 0."""
    found = np.asarray(count, dtype=np.float64)
    return np.asarray(np.log1p((total - found + 0.5) / (found + 0.5)), dtype=np.float64)


def saturated(times: Numbers, lengths: Numbers, mean: float) -> Numbers:
    """Return BM25's weight of a word's `times` in agents with `lengths` words, the mean of all being `mean`."""
    return np.asarray(times * (K1 + 1.0) / (times + K1 * (1.0 - B + B * lengths / mean)), dtype=np.float64)


def scale(total: int) -> float:
    """Return the BM25 score that counts as lexical 1 among `total` agents."""
    return RARE * float(idf(0, total))


def fused(cosines: Numbers, lexical: Numbers) -> Numbers:
    """Return the relevance of agents of which no finished task is known, before `PRIOR`; (n,)."""
    return np.asarray(np.maximum(0.0, cosines) + LEXICAL * lexical, dtype=np.float64)


def relevance(prior: Numbers, evidence: Numbers) -> Numbers:
    """Return the estimated reward from what was `fused`, and from the evidence; (n,), rounded.

    It is not clipped: a rank must not be lost among several that are surely good. `clipped` is for display and use.
    """
    return np.asarray(np.round(PRIOR * prior + evidence, DIGITS), dtype=np.float64)


def clipped(value: float) -> float:
    """Return a relevance within [0, 1]."""
    return min(1.0, max(0.0, value))
