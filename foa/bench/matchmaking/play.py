"""One policy through all queries in one order: only what it chose is revealed to it, and learned at once."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from foa.bench.matchmaking.world import Bills, World, task
from foa.core.learn.moments import Floats
from foa.core.learn.policies.policy import Policy
from foa.core.learn.reward import utility

Indices = NDArray[np.int64]


class Played(NamedTuple):
    """Per query in the order played: reward, score, cost (share of the reference), and the index of the chosen."""

    reward: Floats
    score: Floats
    cost: Floats
    chosen: Floats


Before = Callable[[int, Policy], None]


class Run(NamedTuple):
    """What a run needs beside its policy: the order of queries, λ, the chance, and who broke from when on."""

    order: Indices
    weight: float
    rng: Generator
    broken: int = -1
    since: int = 1 << 62


def _nothing(_at: int, _policy: Policy) -> None:
    return


def play(world: World, policy: Policy, run: Run, before: Before = _nothing) -> Played:
    """Return what `policy` achieved; `before` is called before each query with its place in the order."""
    index_of = {agent: index for index, agent in enumerate(world.agents)}
    bills = Bills(len(world.agents))
    rows = np.empty((len(run.order), 4))
    for at, query in enumerate(run.order.tolist()):
        before(at, policy)
        choice = policy.choose(task(world, query, bills.expected(world.price[query]), float(at)), run.rng)
        agent = index_of[choice.agent]
        score = 0.0 if agent == run.broken and at >= run.since else float(world.score[query, agent])
        cost = float(world.cost[query, agent])
        reward = worth(score, cost, run.weight)
        policy.learn(choice, reward)
        bills.paid(agent, float(world.price[query, agent]), cost)
        rows[at] = reward, score, cost, agent
    return Played(*rows.T)


def worth(score: float, cost: float, weight: float) -> float:
    """Return the reward of an outcome: `utility` of the score clipped to [0, 1] and the cost ratio."""
    return utility(min(1.0, max(0.0, score)), cost, cost_weight=weight)


def rewards(world: World, weight: float) -> Floats:
    """Return all rewards (N, n): for the oracle and the best single agent, which no policy is."""
    return np.asarray(np.clip(world.score, 0.0, 1.0) - weight * world.cost)
