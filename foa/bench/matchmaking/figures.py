"""From runs to figures: means per query, 95 % intervals over seeds, paired differences, regret."""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any, Final

import numpy as np

from foa.bench.matchmaking.play import Indices, Played, rewards
from foa.bench.matchmaking.world import World

POINTS: Final = 24
"""Of the regret curve."""

_T: Final = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11)
"""Student's t, two-sided 95 %, by degrees of freedom from 1 on."""

NORMAL: Final = 1.96


def half_width(values: Sequence[float]) -> float:
    """Return half the 95 % interval of the mean of independent `values`; 0 for a single one."""
    count = len(values)
    if count <= 1:
        return 0.0
    freedom = count - 1
    t = _T[freedom - 1] if freedom <= len(_T) else NORMAL + 2.6 / freedom
    return t * float(np.std(values, ddof=1)) / sqrt(count)


def interval(values: Sequence[float]) -> list[float]:
    """Return the 95 % interval of the mean of `values`."""
    mean, half = float(np.mean(values)), half_width(values)
    return [round(mean - half, 5), round(mean + half, 5)]


def hindsight(world: World, weight: float, order: Indices) -> dict[str, Played]:
    """Return what the best agent for each query, and the best single one for all, would have had in this order."""
    worth = rewards(world, weight)[order]
    single = np.full(len(order), int(worth.mean(axis=0).argmax()))
    every = np.arange(len(order))
    return {
        name: Played(worth[every, at], world.score[order][every, at], world.cost[order][every, at], at.astype(float))
        for name, at in (("best-single", single), ("oracle", worth.argmax(axis=1)))
    }


def summary(runs: Mapping[str, Sequence[Played]]) -> dict[str, Any]:
    """Return per policy the means per query over all seeds, and `linucb` minus each, paired by seed."""
    mean = {name: [float(run.reward.mean()) for run in played] for name, played in runs.items()}
    ours = mean["linucb"]
    policies = {
        name: {
            "reward": round(float(np.mean(mean[name])), 5),
            "score": round(float(np.mean([run.score.mean() for run in played])), 5),
            "cost": round(float(np.mean([run.cost.mean() for run in played])), 5),
            "ci95": interval(mean[name]),
        }
        for name, played in runs.items()
    }
    paired = {}
    for name in runs:
        if name != "linucb":
            less = [a - b for a, b in zip(ours, mean[name], strict=True)]
            paired[name] = {"difference": round(float(np.mean(less)), 5), "ci95": interval(less)}
    return {"policies": policies, "linucb_minus": paired, "regret": regret(runs)}


def regret(runs: Mapping[str, Sequence[Played]]) -> dict[str, Any]:
    """Return the mean cumulative regret against the best single agent at some points of the run."""
    count = len(runs["best-single"][0].reward)
    points = np.unique(np.linspace(1, count, min(POINTS, count)).astype(int))
    curves = {}
    for name, played in runs.items():
        each = [np.cumsum(best.reward - run.reward) for best, run in zip(runs["best-single"], played, strict=True)]
        curves[name] = [round(float(value), 2) for value in np.mean(each, axis=0)[points - 1]]
    return {"against": "best-single", "queries": points.tolist(), "curves": curves}
