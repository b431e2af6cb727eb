"""What a learner has to beat: the standard policies with their standard parameters, and those that learn nothing.

`Ucb1`, `EpsilonGreedy` and `Thompson` see no context; `Disjoint` is LinUCB as libraries have it, on the raw vector of
the task's text. Rewards are mapped from [low, high] to [0, 1] where the theory asks for it.
"""

from math import log, sqrt
from typing import Final

import numpy as np
from numpy.random import Generator

from foa.core.learn.moments import Floats
from foa.core.learn.policies.policy import Choice, Task, best, by_id, chosen, finite, remember

EPSILON: Final = 0.1
"""The share of random choices in Sutton and Barto's ten-armed testbed."""

MAX_DENSE: Final = 512
"""Agents with a matrix of the text's dimension; at 384 dimensions each holds 1.2 MB."""


class Unlearned:
    """Learns nothing; still refuses what is no reward."""

    def learn(self, _choice: Choice, reward: float) -> None:
        """Check the reward."""
        finite(reward)


class Static(Unlearned):
    """The static score alone: what happens without any learning."""

    def choose(self, task: Task, rng: Generator) -> Choice:
        """Choose the greatest alpha."""
        return chosen(task, best(task.alpha, by_id(task.agents), rng))


class Cheapest(Unlearned):
    """The least expected cost."""

    def choose(self, task: Task, rng: Generator) -> Choice:
        """Choose the least price."""
        return chosen(task, best(-task.price, by_id(task.agents), rng))


class Uniform(Unlearned):
    """Any of the permitted, all alike."""

    def choose(self, task: Task, rng: Generator) -> Choice:
        """Choose by chance."""
        order = by_id(task.agents)
        return chosen(task, order[int(rng.integers(len(order)))])


class _Means:
    """Per agent how often it was rewarded, and the sum of its rewards in [0, 1]."""

    def __init__(self, low: float = 0.0, high: float = 1.0) -> None:
        if not low < high:
            raise ValueError(f"rewards need a range, not [{low}, {high}]")
        self._low = low
        self._high = high
        self.known: dict[str, tuple[int, float]] = {}

    def learn(self, choice: Choice, reward: float) -> None:
        """Count the reward, clipped to the range."""
        share = (min(max(finite(reward), self._low), self._high) - self._low) / (self._high - self._low)
        self._count(choice.agent, share)

    def _count(self, agent: str, share: float) -> None:
        count, total = self.known.get(agent, (0, 0.0))
        remember(self.known, agent, (count + 1, total + share))


class Ucb1(_Means):
    """UCB1 (Auer et al., 2002): ``mean + sqrt(2 ln t / n)``; whoever was never rewarded comes first."""

    def choose(self, task: Task, rng: Generator) -> Choice:
        """Choose the greatest upper bound."""
        order = by_id(task.agents)
        known = [self.known.get(agent) for agent in task.agents]
        fresh = [index for index in order if known[index] is None]
        if fresh:
            return chosen(task, fresh[int(rng.integers(len(fresh)))])
        t = sum(count for count, _ in self.known.values())
        bounds = [total / count + sqrt(2.0 * log(t) / count) for count, total in filter(None, known)]
        return chosen(task, best(np.array(bounds), order, rng))


class EpsilonGreedy(_Means):
    """The best mean so far, and by chance anyone in a share ε of all choices."""

    def __init__(self, low: float = 0.0, high: float = 1.0, epsilon: float = EPSILON) -> None:
        super().__init__(low, high)
        self._epsilon = epsilon

    def choose(self, task: Task, rng: Generator) -> Choice:
        """Choose by chance or the best mean, where an unknown agent counts as the best possible."""
        order = by_id(task.agents)
        if rng.random() < self._epsilon:
            return chosen(task, order[int(rng.integers(len(order)))])
        known = (self.known.get(agent, (1, 1.0)) for agent in task.agents)
        return chosen(task, best(np.array([total / count for count, total in known]), order, rng))


class Thompson(_Means):
    """Thompson sampling with Beta(1, 1) priors (Agrawal and Goyal, COLT 2012).

    A reward between 0 and 1 counts as that share of a success, which spares their toss of a coin and its noise.
    """

    def choose(self, task: Task, rng: Generator) -> Choice:
        """Choose the greatest draw from the posteriors."""
        draws: Floats = np.empty(len(task.agents))
        order = by_id(task.agents)
        for index in order:
            count, total = self.known.get(task.agents[index], (0, 0.0))
            draws[index] = rng.beta(1.0 + total, 1.0 + count - total)
        return chosen(task, best(draws, order, rng))


class Disjoint:
    """LinUCB with disjoint linear models (Li et al., 2010, Algorithm 1) on the raw vector of the task's text.

    The same as mabwiser's ``LinUCB(alpha, l2_lambda)``: ``x·θ_a + alpha·sqrt(xᵀ A_a⁻¹ x)``. Memory: dim² per agent.
    """

    def __init__(self, dim: int, alpha: float = 1.0, ridge: float = 1.0) -> None:
        self._alpha = alpha
        self._start = np.eye(dim) / ridge
        self._zero = np.zeros(dim)
        self.known: dict[str, tuple[Floats, Floats]] = {}

    def scores(self, task: Task) -> Floats:
        """Return the upper bound (n,) of every agent."""
        x = task.text
        bounds: Floats = np.empty(len(task.agents))
        for index, agent in enumerate(task.agents):
            inverse, b = self.known.get(agent, (self._start, self._zero))
            u = inverse @ x
            bounds[index] = b @ u + self._alpha * sqrt(max(0.0, float(x @ u)))
        return bounds

    def choose(self, task: Task, rng: Generator) -> Choice:
        """Choose the greatest upper bound."""
        return chosen(task, best(self.scores(task), by_id(task.agents), rng))

    def learn(self, choice: Choice, reward: float) -> None:
        """Update the agent's own model (Sherman-Morrison)."""
        reward = finite(reward)
        inverse, b = self.known.get(choice.agent, (None, self._zero))
        if inverse is None:
            inverse = self._start.copy()
        u = inverse @ choice.text
        inverse -= np.outer(u, u / (1.0 + float(choice.text @ u)))
        remember(self.known, choice.agent, (inverse, b + reward * choice.text), MAX_DENSE)
