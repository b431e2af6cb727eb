"""Profiles that learn: every query once in a shuffled order, the first choice is rewarded, and the choice alone.

After a choice it is told right (1) or wrong (0), nothing is told of any other agent, and the evidence goes the way it
goes in the running system: merged into the agent's memory, which the index node takes over.
"""

from random import Random
from typing import Any, Final

import numpy as np

from foa.bench.routing.figures import Numbers, interval, mean
from foa.bench.routing.town import Asked, Say, Town
from foa.core.learn.evidence import merge
from foa.core.vcv.vector import pack
from foa.wire.lessons import Exemplar

BINS: Final = 20
TOLD_EVERY: Final = 1_000


def learned(town: Town, queries: Asked, seeds: int, say: Say) -> dict[str, Any]:
    """Return ``hit@1``, ``hit@1_last_third`` and the ``curve`` (hit@1 in `BINS` parts of the run), over all seeds.

    ``seeds`` has both figures of each run; ``ci95`` is over all choices of all runs.
    """
    runs = [_run(town, queries, seed, say) for seed in range(seeds)]
    lasts = [run[-max(1, len(run) // 3) :] for run in runs]
    every, late = np.concatenate(runs), np.concatenate(lasts)
    parts = [np.array_split(run, min(BINS, len(run))) for run in runs]
    return {
        "hit@1": mean(every),
        "hit@1_last_third": mean(late),
        "ci95": {"hit@1": interval(every), "hit@1_last_third": interval(late)},
        "curve": [mean(np.concatenate(bins)) for bins in zip(*parts, strict=True)],
        "seeds": [{"hit@1": mean(run), "hit@1_last_third": mean(last)} for run, last in zip(runs, lasts, strict=True)],
    }


def _run(town: Town, queries: Asked, seed: int, say: Say) -> Numbers:
    """Return for each choice of one run whether it was right, in order; the town's memory is empty before and after."""
    order = list(range(len(queries.probes)))
    Random(seed).shuffle(order)
    memories: dict[str, tuple[Exemplar, ...]] = {}
    hits: list[float] = []
    for at, query in enumerate(order):
        probe = queries.probes[query]
        chosen = town.retriever.search((probe,), 1)[0][0].key
        hits.append(float(chosen in queries.gold[query]))
        exemplar = Exemplar(f"award-{at}", pack(probe.vector), hits[-1], float(at))
        memories[chosen] = merge(memories.get(chosen, ()), (exemplar,))
        town.retriever.remember(chosen, memories[chosen], float(at))
        if (at + 1) % TOLD_EVERY == 0:
            say(f"seed {seed}: {at + 1} of {len(order)} choices, {sum(hits[-TOLD_EVERY:]) / TOLD_EVERY:.3f} right")
    for key in memories:
        town.retriever.remember(key, (), 0.0)
    return np.array(hits)
