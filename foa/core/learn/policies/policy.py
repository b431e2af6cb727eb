"""One interface for whoever chooses an agent and learns from the reward.

A reward comes late, if at all, and not in the order of the choices; so a choice carries all that learning needs.
"""

from collections.abc import Sequence
from math import isfinite
from typing import Final, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.random import Generator

from foa.core.learn.moments import Floats

T = TypeVar("T")

MAX_KNOWN: Final = 4096
"""Agents a policy remembers; whoever earned nothing for longest is forgotten first."""


class Task(NamedTuple):
    """One decision: the permitted agents, in any order, and what is known of task and agents.

    ``z`` is (n, m), shared features, a row per agent; ``alpha`` (n,) the static score, ``price`` (n,) the expected
    cost as a share of a reference; ``x`` (d,) are the task's features, ``text`` (dim,) its vector as it is. ``at`` is
    the time, in the unit of the policy's tau.
    """

    agents: tuple[str, ...]
    z: Floats
    x: Floats
    text: Floats
    alpha: Floats
    price: Floats
    at: float = 0.0


class Choice(NamedTuple):
    """Who was chosen, and the context at that time: z (m,), x (d,), text (dim,)."""

    agent: str
    z: Floats
    x: Floats
    text: Floats
    at: float


class Policy(Protocol):
    """Chooses among the permitted agents and learns from what came of it.

    The order of a task's agents means nothing: the same rng makes the same choice however they stand.
    """

    def choose(self, task: Task, rng: Generator) -> Choice:
        """Return one of the task's agents; ValueError if there is none or a feature is not finite."""
        ...

    def learn(self, choice: Choice, reward: float) -> None:
        """Take the reward of an earlier choice, however late; ValueError if it is not finite."""
        ...


def chosen(task: Task, index: int) -> Choice:
    """Return the choice of the task's agent at `index`."""
    return Choice(task.agents[index], task.z[index], task.x, task.text, task.at)


def by_id(agents: Sequence[str]) -> list[int]:
    """Return the indices of `agents` by id: the order in which chance is drawn. ValueError if there are none."""
    if not agents:
        raise ValueError("there is no agent to choose from")
    return sorted(range(len(agents)), key=agents.__getitem__)


def best(values: Floats, order: Sequence[int], rng: Generator) -> int:
    """Return the index of the greatest of `values`; among equals chance decides, drawn over `order`."""
    if not np.isfinite(values).all():
        raise ValueError("a score is not finite")
    top = values.max()
    if np.count_nonzero(values == top) == 1:
        return int(values.argmax())
    equal = [index for index in order if values[index] == top]
    return equal[int(rng.integers(len(equal)))]


def finite(reward: float) -> float:
    """Return `reward`; ValueError if it is not finite."""
    if not isfinite(reward):
        raise ValueError(f"a reward must be finite, not {reward}")
    return reward


def remember(table: dict[str, T], agent: str, value: T, most: int = MAX_KNOWN) -> str | None:
    """Put `value` into `table` as its newest entry; return the agent that had to be forgotten for it, if any."""
    table.pop(agent, None)
    table[agent] = value
    if len(table) <= most:
        return None
    oldest = next(iter(table))
    del table[oldest]
    return oldest
