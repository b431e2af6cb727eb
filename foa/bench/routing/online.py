"""Profiles that learn: every query once in a shuffled order, and what was tried is rewarded.

The first choice is what counts. If it is wrong, the next best of the same search is tried, as a task of the running
system whose agent fails is given to the next; each that was tried is told right (1) or wrong (0), and nothing is told
of any other agent. With ``told = "gold"`` somebody corrects as well: after the choice, all the right agents are told 1.
The evidence goes the way it goes in the running system: merged into the agent's memory, which the index takes over.
"""

from enum import StrEnum
from random import Random
from typing import Any, Final, NamedTuple

import numpy as np

from foa.bench.routing.figures import Numbers, interval, mean
from foa.bench.routing.town import Asked, Say, Town
from foa.core.learn.evidence import merge
from foa.core.learn.evidence_vector import shortened
from foa.core.vcv.vector import pack
from foa.wire.lessons import Exemplar

BINS: Final = 20
TOLD_EVERY: Final = 1_000
ATTEMPTS: Final = 3
"""What a task of the running system has, unless it says otherwise."""


class Told(StrEnum):
    """Of whom something is told after a choice: of those that were tried, or of the right agents as well."""

    CHOICE = "choice"
    GOLD = "gold"


class Terms(NamedTuple):
    """How profiles learn: agents tried per query until one is right, of whom it is told, shuffled runs."""

    attempts: int = ATTEMPTS
    told: Told = Told.CHOICE
    seeds: int = 1


def learned(town: Town, queries: Asked, terms: Terms, say: Say) -> dict[str, Any]:
    """Return ``hit@1``, ``hit@1_last_third`` and the ``curve`` (hit@1 in `BINS` parts of the run), over all seeds.

    ``seeds`` has both figures of each run; ``ci95`` is over all choices of all runs. Only first choices count.
    """
    runs = [_run(town, queries, terms, seed, say) for seed in range(terms.seeds)]
    lasts = [run[-max(1, len(run) // 3) :] for run in runs]
    every, late = np.concatenate(runs), np.concatenate(lasts)
    parts = [np.array_split(run, min(BINS, len(run))) for run in runs]
    return {
        "attempts": terms.attempts,
        "told": str(terms.told),
        "hit@1": mean(every),
        "hit@1_last_third": mean(late),
        "ci95": {"hit@1": interval(every), "hit@1_last_third": interval(late)},
        "curve": [mean(np.concatenate(bins)) for bins in zip(*parts, strict=True)],
        "seeds": [{"hit@1": mean(run), "hit@1_last_third": mean(last)} for run, last in zip(runs, lasts, strict=True)],
    }


def _run(town: Town, queries: Asked, terms: Terms, seed: int, say: Say) -> Numbers:
    """Return for each first choice of one run whether it was right, in order; memory is empty before and after."""
    order = list(range(len(queries.probes)))
    Random(seed).shuffle(order)
    memories: dict[str, tuple[Exemplar, ...]] = {}
    hits: list[float] = []
    for at, query in enumerate(order):
        probe, right = queries.probes[query], queries.gold[query]
        matches = town.retriever.search((probe,), terms.attempts)[0]
        found = [match.key for match in matches]
        hits.append(float(found[0] in right))
        said = verdicts(found, right, terms.told)
        untried = town.retriever.search((probe,), len(said), tuple(said))[0] if terms.told is Told.GOLD else ()
        words = {match.key: match.parts.lexical for match in (*matches, *untried)}
        vector = shortened(pack(probe.vector))
        for key, reward in said.items():
            exemplar = Exemplar(f"award-{at}", vector, reward, float(at), min(1.0, words[key]))
            memories[key] = merge(memories.get(key, ()), (exemplar,))
            town.retriever.remember(key, memories[key], float(at))
        if (at + 1) % TOLD_EVERY == 0:
            say(f"seed {seed}: {at + 1} of {len(order)} choices, {sum(hits[-TOLD_EVERY:]) / TOLD_EVERY:.3f} right")
    for key in memories:
        town.retriever.remember(key, (), 0.0)
    return np.array(hits)


def verdicts(found: list[str], right: frozenset[str], told: Told) -> dict[str, float]:
    """Return the reward of each agent that is told of, in order: of those tried until one is right, and who else is."""
    first = next((at for at, key in enumerate(found) if key in right), len(found))
    said = {key: float(key in right) for key in found[: first + 1]}
    return {**said, **dict.fromkeys(sorted(right), 1.0)} if told is Told.GOLD else said
