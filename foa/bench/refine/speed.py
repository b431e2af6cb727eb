"""What the decisions themselves cost: microseconds of one process, the median over a sample of debates."""

from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from time import perf_counter
from typing import Final

from foa.bench.refine.data import Debate
from foa.core.cluster.credit import importance
from foa.core.cluster.escalate import Member, Rules, next_move
from foa.core.cluster.reputation import Reputation, learned
from foa.core.cluster.strategies import best_so_far, settle

SAMPLE: Final = 200


def speed(rows: Sequence[Debate]) -> dict[str, float]:
    """Return the median time of each decision on a whole team's answers."""
    times: dict[str, list[float]] = {}
    for row in rows[:SAMPLE]:
        history = [list(answers.values()) for answers in row.answers]
        first = history[0]
        trust = dict.fromkeys(row.agents, 0.5)
        pool = [Member(agent, 1.0, 0.4 + at / 50, at == 0) for at, agent in enumerate(row.agents)]
        work: dict[str, Callable[[], object]] = {
            "settle": partial(settle, "", first, trust),
            "best_so_far": partial(best_so_far, history, trust),
            "next_move": partial(next_move, first[:1], pool, Rules(trial=0)),
            "learned": partial(learned, Reputation(), first),
            "importance": partial(importance, history, history[-1][0].outputs),
        }
        for name, decide in work.items():
            begun = perf_counter()
            decide()
            times.setdefault(name, []).append((perf_counter() - begun) * 1e6)
    return {name: round(median(found), 1) for name, found in times.items()}
