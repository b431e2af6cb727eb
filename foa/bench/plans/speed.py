"""How long it takes to merge eight proposals of twenty subtasks each, embedding not counted."""

from random import Random
from statistics import median
from time import process_time
from typing import Final

import numpy as np

from foa.core.dag.merge import Proposal, merge
from foa.wire.records import Plan, Subtask

PROPOSALS: Final = 8
SUBTASKS: Final = 20
_TOPICS: Final = 26
_ROUNDS: Final = 15
_EDGES: Final = 30
_DIM: Final = 384
_APART: Final = 0.03


def merge_ms(seed: int) -> float:
    """Return the median processor time of a merge, in ms: what others do on this machine does not count.

    Each planner has words of its own for most of the same topics.
    """
    rng, noise = Random(f"speed {seed}"), np.random.default_rng(abs(seed))
    topics = noise.normal(size=(_TOPICS, _DIM))
    times = []
    for _ in range(_ROUNDS):
        proposals, vectors = [], {}
        for planner in range(PROPOSALS):
            chosen = sorted(rng.sample(range(_TOPICS), SUBTASKS))
            texts = [f"step {topic} in the words of planner {planner}" for topic in chosen]
            for topic, text in zip(chosen, texts, strict=True):
                vector = topics[topic] / np.linalg.norm(topics[topic]) + _APART * noise.normal(size=_DIM)
                vectors[text] = (vector / np.linalg.norm(vector)).astype(np.float32)
            pairs = [(f"s{one:02d}", f"s{other:02d}") for one in range(SUBTASKS) for other in range(one + 1, SUBTASKS)]
            subtasks = tuple(Subtask(f"s{at:02d}", text) for at, text in enumerate(texts))
            proposals.append(Proposal(f"planner-{planner}", Plan(subtasks, tuple(rng.sample(pairs, _EDGES)))))
        start = process_time()
        merge(proposals, vectors)
        times.append((process_time() - start) * 1000)
    return median(times)
