"""Hybrid LinUCB: equal to the paper's algorithm written naively, whichever way it was kept up."""

import numpy as np
import pytest

from foa.core.learn.linucb import Hybrid
from foa.core.learn.moments import Floats, Moments

M, D = 4, 3
PRIOR = np.array([0.5, 0.0, -0.2, 0.1])


class Naive:
    """Algorithm 2 of Li et al. as printed, on rewards less z·prior, with weights."""

    def __init__(self, ridge: float, shared: float) -> None:
        self.ridge = ridge
        self.a0, self.b0 = np.eye(M) * shared, np.zeros(M)
        self.arms: dict[str, list[Floats]] = {}

    def arm(self, name: str) -> list[Floats]:
        return self.arms.setdefault(name, [np.eye(D) * self.ridge, np.zeros((D, M)), np.zeros(D)])

    def score(self, name: str, z: Floats, x: Floats) -> tuple[float, float]:
        a, b_, b = self.arm(name)
        ai, a0i = np.linalg.inv(a), np.linalg.inv(self.a0)
        beta = a0i @ self.b0
        theta = ai @ (b - b_ @ beta)
        s = z @ a0i @ z - 2 * z @ a0i @ b_.T @ ai @ x + x @ ai @ x + x @ ai @ b_ @ a0i @ b_.T @ ai @ x
        return float(z @ (PRIOR + beta) + x @ theta), float(np.sqrt(s))

    def observe(self, name: str, z: Floats, x: Floats, r: float, w: float) -> None:
        arm, r = self.arm(name), r - float(z @ PRIOR)
        a, b_, b = arm
        self.a0 += b_.T @ np.linalg.inv(a) @ b_
        self.b0 += b_.T @ np.linalg.inv(a) @ b
        a += w * np.outer(x, x)
        b_ += w * np.outer(x, z)
        b += w * r * x
        self.a0 += w * np.outer(z, z) - b_.T @ np.linalg.inv(a) @ b_
        self.b0 += w * r * z - b_.T @ np.linalg.inv(a) @ b


@pytest.mark.parametrize(("ridge", "shared"), [(1.0, 1.0), (0.3, 2.0)])
def test_it_is_the_papers_algorithm(ridge: float, shared: float) -> None:
    rng = np.random.default_rng(1)
    ours, naive = Hybrid(M, D, PRIOR, ridge, shared), Naive(ridge, shared)
    moments: dict[str, Moments] = {}
    agents = [f"a{i}" for i in range(12)]
    for _ in range(300):
        agent = agents[rng.integers(9)]
        z, x, r, w = rng.normal(size=M), rng.normal(size=D), rng.normal(), rng.uniform(0.1, 3)
        ours.observe(agent, z, x, r, w)
        naive.observe(agent, z, x, r, w)
        moments.setdefault(agent, Moments(M, D)).observe(np.concatenate((z, x)), r, w)
    derived = Hybrid(M, D, PRIOR, ridge, shared)
    derived.load({agent: one.scaled(4.0) for agent, one in moments.items()}, 0.25)
    zs, x = rng.normal(size=(12, M)), rng.normal(size=D)
    expected = np.array([naive.score(agent, z, x) for agent, z in zip(agents, zs, strict=True)])
    for model in (ours, derived):
        means, widths = model.score(agents, zs, x)
        np.testing.assert_allclose(means, expected[:, 0], atol=1e-9)
        np.testing.assert_allclose(widths, expected[:, 1], atol=1e-9)
    assert derived.weight == pytest.approx(ours.weight)
