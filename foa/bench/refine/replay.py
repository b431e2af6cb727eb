"""One policy over all debates, several shuffled times: what was right and what it cost, by debate.

Who sits where is shuffled for every debate and seed, the order of debates for every seed, the same for all policies.
"""

from collections import deque
from collections.abc import Callable, Sequence
from random import Random
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from foa.bench.refine.data import Debate
from foa.bench.refine.desk import Desk, kinds
from foa.bench.refine.policies import Policy

DELAY: Final = 10
"""A verdict is heard so many problems later."""

RESAMPLES: Final = 1000

Matrix = npt.NDArray[np.float64]


class Score(NamedTuple):
    """By seed and debate, (seeds, debates): right or not, and calls; NaN where the policy had nobody to ask."""

    right: Matrix
    calls: Matrix


def replay(debates: Sequence[Debate], make: Callable[[], Policy], seeds: int) -> Score:
    """Play every debate once per seed, each seed with a policy that knows nothing yet."""
    right = np.full((seeds, len(debates)), np.nan)
    calls = np.full_like(right, np.nan)
    for seed in range(seeds):
        rng, policy = Random(seed), make()
        pending: deque[tuple[Debate, tuple[str, ...]]] = deque()
        for at in rng.sample(range(len(debates)), len(debates)):
            debate = debates[at]
            desk = Desk(debate, rng.sample(debate.agents, len(debate.agents)))
            pick = policy.play(desk)
            if pick is not None:
                right[seed, at], calls[seed, at] = debate.right[pick[0]][pick[1]], desk.calls
            _taught(policy, debate, desk, pending)
    return Score(right, calls)


def _taught(policy: Policy, debate: Debate, desk: Desk, pending: deque[tuple[Debate, tuple[str, ...]]]) -> None:
    """Let the policy learn from the problem that is over, and from the verdict on one that was over long ago."""
    first = debate.answers[0] if policy.informed else desk.bought[0] if desk.bought else {}
    policy.seen(list(first.values()), kinds(debate))
    if not policy.verdicts:
        return
    pending.append((debate, tuple(first)))
    if len(pending) > DELAY:
        past, agents = pending.popleft()
        for agent in agents:
            policy.told(past.answers[0][agent], past.right[0][agent], kinds(past))


def figures(score: Score) -> dict[str, object]:
    """Return accuracy and calls per problem, means over seeds and debates, with 95 % intervals over both."""
    found: dict[str, object] = {"accuracy": _mean(score.right), "calls": _mean(score.calls)}
    found["ci95"] = {"accuracy": interval(score.right), "calls": interval(score.calls)}
    found["seeds_accuracy"] = [_mean(row) for row in score.right]
    return found


def interval(values: Matrix) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the mean: debates are drawn again, each with all its seeds."""
    there = ~np.isnan(values).all(axis=0)
    if not there.any():
        return 0.0, 0.0
    by_debate = np.nanmean(values[:, there], axis=0)
    draws = np.random.default_rng(0).integers(len(by_debate), size=(RESAMPLES, len(by_debate)))
    low, high = np.quantile(by_debate[draws].mean(axis=1), (0.025, 0.975))
    return round(float(low), 4), round(float(high), 4)


def _mean(values: Matrix) -> float:
    return round(float(np.nanmean(values)), 4)
