"""The policy that learns who is good at what: hybrid LinUCB over moments, with kinds of task found on the way.

It keeps the latest rewards with their contexts. From them everything is derived anew when the kinds are fitted again
(seldom: each time three times as much is known), when an agent was found to have changed, and when decay has moved
far enough to matter (the prior does not decay, so that is not just a factor). In between, a reward is a rank-one
update.
"""

from collections import deque
from collections.abc import Sequence
from math import inf
from typing import Final, NamedTuple

import numpy as np
from numpy.random import Generator

from foa.core.learn.codebook import fit, shares
from foa.core.learn.linucb import Hybrid, second_look, waning_factor
from foa.core.learn.moments import Floats, Moments, decayed
from foa.core.learn.policies.change import Watch
from foa.core.learn.policies.policy import Choice, Task, best, by_id, chosen, finite, remember
from foa.core.learn.reward import WORST

KINDS: Final = 24
FIRST_FIT: Final = 64
FIT_AGAIN: Final = 3
MAX_SEEN: Final = 8192
"""Rewards that are kept with their contexts; the oldest goes first. At 384 dimensions they take 25 MB."""

EXPLORE: Final = 1.0
PATIENCE: Final = 300.0
SECOND: Final = 0.1
STEP: Final = 0.05
"""Everything is derived anew after so much of tau: by then decay has taken 5 %."""

MAX_AHEAD: Final = 1.0
"""A choice dated later than this many tau after the landmark weighs no more than one of then."""

MAX_CHANGES: Final = 256
"""Changes that are listed; the oldest goes first."""


class Knobs(NamedTuple):
    """``explore`` and ``patience``: see `waning_factor`. ``second``: see `second_look`.

    ``tau``: time of forgetting in the unit of `Task.at`. ``kinds``: how many kinds of task are told apart; 0: those of
    `Task.x` are taken instead, and never fitted. ``shared``: whether kinds also have shared weights (some are hard for
    everybody). ``watch``: look for changes.
    """

    explore: float = EXPLORE
    patience: float = PATIENCE
    second: float = SECOND
    tau: float = inf
    kinds: int = KINDS
    shared: bool = True
    watch: bool = True


class Seen(NamedTuple):
    """A reward and the choice that earned it."""

    choice: Choice
    reward: float


class LinUcb:
    """Hybrid LinUCB; ``prior`` (m,) is where the shared weights of `Task.z` start, ``d`` the size of `Task.x`.

    Rewards are clipped to ±16. ``changes`` are the agents found to have changed, with the times. ``frozen`` stops
    learning.
    """

    def __init__(self, prior: Floats, d: int, knobs: Knobs | None = None) -> None:
        self.knobs = knobs or Knobs()
        self.frozen = False
        self.changes: deque[tuple[float, str]] = deque(maxlen=MAX_CHANGES)
        own = self.knobs.kinds + 1 if self.knobs.kinds else d
        more = own - 1 if self.knobs.shared else 0
        self.model = Hybrid(len(prior) + more, own, np.concatenate((prior, np.zeros(more))))
        self.centroids: Floats | None = None
        self._seen: deque[Seen] = deque(maxlen=MAX_SEEN)
        self._next_fit = float(max(FIRST_FIT, self.knobs.kinds)) if self.knobs.kinds else inf
        self._learned = 0
        self._watches: dict[str, Watch] = {}
        self._agents: dict[str, None] = {}
        self._landmark = 0.0

    def choose(self, task: Task, rng: Generator) -> Choice:
        """Choose the greatest upper confidence bound."""
        order = by_id(task.agents)
        x = self._x(task)
        z = task.z
        if self.knobs.shared:
            z = np.concatenate((z, np.broadcast_to(x[1:], (len(z), x.size - 1))), axis=1)
        means, widths = self.model.score(task.agents, z, x)
        factor = waning_factor(self.model.weight, alpha=self.knobs.explore, patience=self.knobs.patience)
        again = second_look(self.model.evidence(task.agents), self.model.weight, alpha=self.knobs.second)
        return chosen(task, best(means + factor * widths + again, order, rng))

    def learn(self, choice: Choice, reward: float) -> None:
        """Take a reward; it weighs by the time of its choice, so that the order of rewards does not matter."""
        reward = float(np.clip(finite(reward), WORST, -WORST))
        if self.frozen:
            return
        z, x = self._context(choice)
        expected = self.model.observe(choice.agent, z, x, reward, self._weight(choice.at))
        self._seen.append(Seen(choice, reward))
        self._learned += 1
        stale = self._changed(choice, reward, expected)
        if remember(self._agents, choice.agent, None) or self._learned >= self._next_fit:
            stale = True
        if stale or choice.at - self._landmark > STEP * self.knobs.tau:
            self._derive(max(choice.at, self._landmark))

    def _x(self, task: Task | Choice) -> Floats:
        """Return the task's own features: a constant and its shares in the kinds, which are 0 before the first fit."""
        if not self.knobs.kinds:
            return task.x
        x = np.zeros(self.knobs.kinds + 1)
        x[0] = 1.0
        if self.centroids is not None:
            x[1:] = shares(self.centroids @ task.text)
        return x

    def _context(self, choice: Choice) -> tuple[Floats, Floats]:
        x = self._x(choice)
        return (np.concatenate((choice.z, x[1:])) if self.knobs.shared else choice.z), x

    def _changed(self, choice: Choice, reward: float, expected: float) -> bool:
        """Tell whether the agent turned out to have changed; what was before is then dropped."""
        if not self.knobs.watch:
            return False
        watch = self._watches.get(choice.agent) or Watch()
        remember(self._watches, choice.agent, watch)
        if not watch.saw(reward, expected):
            return False
        self.changes.append((choice.at, choice.agent))
        del self._watches[choice.agent]
        mine = sum(seen.choice.agent == choice.agent for seen in self._seen)
        before = mine - watch.length
        self._drop(choice.agent, before)
        return before > 0

    def _drop(self, agent: str, first: int) -> None:
        """Drop the `first` so many of the agent's rewards."""
        kept: list[Seen] = []
        for seen in self._seen:
            if seen.choice.agent == agent and first > 0:
                first -= 1
            else:
                kept.append(seen)
        self._seen = deque(kept, maxlen=MAX_SEEN)

    def _derive(self, at: float) -> None:
        """Derive everything as of `at`, which becomes the landmark: weights stay near 1."""
        if self._learned >= self._next_fit and len(self._seen) >= self.knobs.kinds:
            texts = np.array([seen.choice.text for seen in self._seen])
            self.centroids = fit(texts, self.knobs.kinds, self.centroids)
            self._next_fit = float(FIT_AGAIN * self._learned)
        self._landmark = at
        self.model.load(self._moments())

    def _moments(self) -> dict[str, Moments]:
        """Return what was seen of every agent that is still known, as of the landmark."""
        if not self._seen:
            return {}
        kept = [choice for choice, _ in self._seen]
        z, x = np.array([choice.z for choice in kept]), self._all_x(kept)
        v = np.concatenate((z, x[:, 1:], x), axis=1) if self.knobs.shared else np.concatenate((z, x), axis=1)
        rewards = np.array([seen.reward for seen in self._seen])
        weights = np.array([self._weight(choice.at) for choice in kept])
        places: dict[str, list[int]] = {}
        for at, choice in enumerate(kept):
            if choice.agent in self._agents:
                places.setdefault(choice.agent, []).append(at)
        m = self.model.m
        return {agent: Moments.of(v[at], rewards[at], weights[at], m) for agent, at in places.items()}

    def _all_x(self, choices: Sequence[Choice]) -> Floats:
        if not self.knobs.kinds:
            return np.array([choice.x for choice in choices])
        x = np.zeros((len(choices), self.knobs.kinds + 1))
        x[:, 0] = 1.0
        if self.centroids is not None:
            x[:, 1:] = shares(np.array([choice.text for choice in choices]) @ self.centroids.T)
        return x

    def _weight(self, at: float) -> float:
        return decayed(min(at, self._landmark + MAX_AHEAD * self.knobs.tau), self._landmark, self.knobs.tau)
