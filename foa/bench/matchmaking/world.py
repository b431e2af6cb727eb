"""A file of outcomes as a bandit sees it: what is known before a choice, and what only the chosen agent reveals.

Expected costs come from the declared prices and the query's length, corrected by what was paid so far (`Bills`);
where the file declares no prices, agents start alike. The kind of a query (``task``) is never read.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from foa.adapters.embed import Embedder
from foa.bench import datasets
from foa.core.learn import kinds
from foa.core.learn.moments import Floats
from foa.core.learn.policies.policy import Task
from foa.core.vcv.vector import Floats as Vectors

Say = Callable[[str], None]

BATCH: Final = 512
DOUBT: Final = 5.0
"""So many bills weigh as much as what an agent declares."""

Z: Final = 3
"""Shared features: a constant, alpha, the expected cost times `PRICE_SCALE`."""

PRICE_SCALE: Final = 0.1
"""What a cost takes from the reward is known, not learned: a small feature with a large prior weight hardly moves."""


class World(NamedTuple):
    """N queries and n agents. ``cost`` and ``price`` are shares of ``reference`` (USD), the dearest agent's mean cost.

    Hidden from policies: ``score`` and ``cost`` (N, n). Shown: ``x`` (N, d), ``text`` (N, dim), ``alpha`` (N, n), and
    ``price`` (N, n), the cost that the declared prices foretell up to a common factor.
    """

    agents: tuple[str, ...]
    score: Floats
    cost: Floats
    x: Floats
    text: Floats
    alpha: Floats
    price: Floats
    reference: float

    def without(self, agent: int) -> "World":
        """Return the same world without one agent; the reference stays."""
        keep = [index for index in range(len(self.agents)) if index != agent]
        return self.of(keep)

    def of(self, order: list[int]) -> "World":
        """Return the world with its agents in another order, or some of them."""
        return self._replace(
            agents=tuple(self.agents[index] for index in order),
            score=self.score[:, order],
            cost=self.cost[:, order],
            alpha=self.alpha[:, order],
            price=self.price[:, order],
        )


def load(agents: Path, outcomes: Path, embedder: Embedder, say: Say) -> World:
    """Return the world of two files; ConfigError if they cannot be read or do not fit."""
    rows = datasets.agents(agents)
    found = datasets.outcomes(outcomes, rows)
    score = np.array([row.score for row in found])
    cost = np.array([row.cost for row in found])
    text = embedded(embedder, [row.query for row in found], say).astype(np.float64)
    about = embedded(embedder, [f"{row.name}. {row.description}" for row in rows], say).astype(np.float64)
    basis = kinds.basis(embedded(embedder, list(kinds.TEXTS), say))
    cosines = np.maximum(0.0, text @ about.T)
    reference = float(cost.mean(axis=0).max()) or 1.0
    length = np.array([[len(row.query)] for row in found], np.float64)
    return World(
        agents=tuple(row.id for row in rows),
        score=score,
        cost=cost / reference,
        x=kinds.features(text @ basis.T),
        text=text,
        alpha=cosines**2,
        price=_declared(rows) * length / length.mean(),
        reference=reference,
    )


def _declared(rows: Sequence[datasets.AgentRow]) -> Floats:
    """Return the prices (n,) as shares of the dearest; an agent that declares none is taken for one as dear."""
    prices = [row.usd_per_m_in if row.usd_per_m_in is not None else row.usd_per_m_out for row in rows]
    dearest = max((price for price in prices if price is not None), default=0.0)
    if dearest <= 0.0:
        return np.ones(len(rows))
    return np.array([1.0 if price is None else price / dearest for price in prices])


def embedded(embedder: Embedder, texts: list[str], say: Say) -> Vectors:
    """Return one vector per text (n, dim); short ones go together, so that little is padding."""
    order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
    vectors = np.zeros((len(texts), embedder.dim), np.float32)
    for first in range(0, len(order), BATCH):
        some = order[first : first + BATCH]
        vectors[some] = embedder.embed([texts[at] for at in some])
        if len(order) > BATCH:
            say(f"embedded {min(first + BATCH, len(order))} of {len(order)} texts")
    return vectors


class Bills:
    """What agents really cost against what their prices foretell: the expected cost, corrected by evidence."""

    def __init__(self, count: int) -> None:
        self._paid = np.zeros(count)
        self._told = np.zeros(count)
        self._number = np.zeros(count)

    def expected(self, price: Floats) -> Floats:
        """Return the expected cost (n,) of one query as a share of the reference."""
        told = self._told.sum()
        common = self._paid.sum() / told if told > 0.0 else 1.0
        weight = self._number / (self._number + DOUBT)
        own = np.divide(self._paid, self._told, out=np.full(len(price), common), where=self._told > 0.0)
        return np.asarray(price * (weight * own + (1.0 - weight) * common))

    def paid(self, agent: int, price: float, cost: float) -> None:
        """Take one bill."""
        self._paid[agent] += cost
        self._told[agent] += price
        self._number[agent] += 1.0


def task(world: World, index: int, expected: Floats, at: float) -> Task:
    """Return query `index` as a policy sees it."""
    alpha = world.alpha[index]
    z = np.stack((np.ones(alpha.size), alpha, PRICE_SCALE * expected), axis=1)
    return Task(world.agents, z, world.x[index], world.text[index], alpha, expected, at)
