"""The policies that are measured, each made anew for a run, and the two that only hindsight knows."""

from collections.abc import Callable
from math import inf
from typing import Final

import numpy as np

from foa.bench.matchmaking.world import PRICE_SCALE, World, Z
from foa.core.learn.policies.baselines import Cheapest, Disjoint, EpsilonGreedy, Static, Thompson, Ucb1, Uniform
from foa.core.learn.policies.contextual import Knobs, LinUcb
from foa.core.learn.policies.policy import Policy

Make = Callable[[World, float], Policy]

TAU: Final = 10_000.0
"""Forgetting, in tasks: slow, since an agent that breaks is found out by the watch."""

START: Final = 0.5
"""The reward that is expected of anyone before anything is known."""


def learner(world: World, weight: float, knobs: Knobs) -> LinUcb:
    """Return hybrid LinUCB that knows λ: the weight of the expected cost starts at -λ."""
    prior = np.zeros(Z)
    prior[0] = START
    prior[2] = -weight / PRICE_SCALE
    return LinUcb(prior, world.x.shape[1], knobs)


def ours(world: World, weight: float) -> LinUcb:
    """Return what stands under ``linucb``: decay, watch, kinds found on the way."""
    return learner(world, weight, Knobs(tau=TAU))


POLICIES: Final[dict[str, Make]] = {
    "linucb": ours,
    "linucb-disjoint": lambda world, _: Disjoint(world.text.shape[1]),
    "ucb1": lambda _, weight: Ucb1(-weight, 1.0),
    "epsilon-greedy": lambda _, weight: EpsilonGreedy(-weight, 1.0),
    "thompson": lambda _, weight: Thompson(-weight, 1.0),
    "static": lambda _world, _weight: Static(),
    "random": lambda _world, _weight: Uniform(),
    "cheapest": lambda _world, _weight: Cheapest(),
}
"""By the names of the report. Rewards lie in [-λ, 1], but for queries dearer than the dearest agent's mean."""

ABLATIONS: Final[dict[str, Make]] = {
    "linucb": ours,
    "no watch, no decay": lambda world, weight: learner(world, weight, Knobs(watch=False)),
    "no shared weights of kinds": lambda world, weight: learner(world, weight, Knobs(tau=TAU, shared=False)),
    "named kinds instead": lambda world, weight: learner(world, weight, Knobs(tau=TAU, kinds=0)),
    "no kinds": lambda world, weight: learner(world, weight, Knobs(tau=TAU, kinds=1)),
    "no second look": lambda world, weight: learner(world, weight, Knobs(tau=TAU, second=0.0)),
    "exploration does not wane": lambda world, weight: learner(
        world, weight, Knobs(tau=TAU, explore=0.4, patience=inf, second=0.0)
    ),
}
"""``linucb`` with one thing changed each."""
