"""Hybrid LinUCB: equal to the paper's algorithm written naively, whichever way it was kept up."""

import numpy as np
import pytest

from foa.core.learn.linucb import Hybrid, second_look, waning_factor, width_factor
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


def grown(agents: int, seed: int = 1, steps: int = 200) -> Hybrid:
    rng = np.random.default_rng(seed)
    model = Hybrid(M, D, PRIOR)
    for _ in range(steps):
        model.observe(f"a{rng.integers(agents)}", rng.normal(size=M), rng.normal(size=D), rng.random())
    return model


def test_without_evidence_the_prior_is_the_score() -> None:
    z, x = np.random.default_rng(0).normal(size=(5, M)), np.ones(D)
    means, widths = Hybrid(M, D, PRIOR).score([f"a{at}" for at in range(5)], z, x)
    np.testing.assert_allclose(means, z @ PRIOR)
    np.testing.assert_allclose(widths, np.sqrt(D + (z * z).sum(axis=1)))


def test_a_newcomer_starts_with_what_is_known_of_all() -> None:
    model = Hybrid(M, D, np.zeros(M))
    z = np.array([1.0, 0.0, 0.0, 0.0])
    for at in range(200):
        model.observe(f"a{at % 20}", z, np.zeros(D), 0.8)
    means, widths = model.score(["stranger", "a1"], np.stack((z, z)), np.zeros(D))
    assert means[0] == pytest.approx(0.8, abs=0.01)
    assert widths[0] < 0.1


def test_it_returns_what_it_expected() -> None:
    model, rng = grown(6), np.random.default_rng(3)
    z, x = rng.normal(size=M), rng.normal(size=D)
    for agent in ("a2", "stranger"):
        means, _ = model.score([agent], z[None], x)
        assert model.observe(agent, z, x, 0.4) == pytest.approx(means[0])


def test_own_weights_and_shared_weights_make_the_mean() -> None:
    model, rng = grown(6), np.random.default_rng(3)
    z, x = rng.normal(size=(2, M)), rng.normal(size=D)
    means, _ = model.score(["a2", "stranger"], z, x)
    assert means[0] == pytest.approx(z[0] @ model.beta + x @ model.own("a2"))
    assert means[1] == pytest.approx(z[1] @ model.beta)
    assert not model.own("stranger").any()


def test_no_weight_and_no_number_change_nothing() -> None:
    model = grown(3)
    before = model.score(["a0", "a9"], np.ones((2, M)), np.ones(D))
    model.observe("a0", np.ones(M), np.ones(D), 1.0, 0.0)
    for z, x, r, w in (
        (np.full(M, np.nan), np.ones(D), 0.0, 1.0),
        (np.ones(M), np.full(D, np.inf), 0.0, 1.0),
        (np.ones(M), np.ones(D), np.nan, 1.0),
        (np.ones(M), np.ones(D), 0.0, -1.0),
    ):
        with pytest.raises(ValueError, match="finite"):
            model.observe("a0", z, x, r, w)
    after = model.score(["a0", "a9"], np.ones((2, M)), np.ones(D))
    np.testing.assert_array_equal(before, after)


def test_agents_beyond_the_cap_are_scored_by_what_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foa.core.learn.linucb.MAX_AGENTS", 4)
    model = grown(40)
    assert len(model._rows) == 4
    assert np.isfinite(model.score(["a39", "a0"], np.ones((2, M)), np.ones(D))[0]).all()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="prior"):
        Hybrid(M, D, np.zeros(D))
    model, other = Hybrid(M, D, PRIOR), Moments(D, M).add(np.ones(M + D), 1.0)
    with pytest.raises(ValueError, match="features"):
        model.load({"a": other})


def test_loading_forgets_what_was_before() -> None:
    model = grown(5)
    model.load({})
    np.testing.assert_array_equal(model.beta, PRIOR)
    assert model.weight == 0.0


def test_the_factors_of_the_width() -> None:
    assert width_factor(4, 0.0, alpha=1.0, ridge=1.0, delta=1.0, norm=0.5) == 0.5
    grows = [width_factor(4, t, alpha=0.5, ridge=2.0, delta=0.1, norm=0.0) for t in (0, 10, 100)]
    assert grows == sorted(grows)
    assert waning_factor(0.0, alpha=0.8, patience=100.0) == 0.8
    assert waning_factor(300.0, alpha=0.8, patience=100.0) == pytest.approx(0.4)
    looks = second_look(np.array([0.0, 3.0, 500.0]), 503.0, alpha=0.2)
    assert looks[0] > looks[1] > looks[2] > 0.0
    assert not second_look(np.zeros(3), 0.0, alpha=0.2).any()


def test_evidence_is_the_weight_of_what_was_observed() -> None:
    model = Hybrid(M, D, PRIOR)
    for at in range(30):
        model.observe(f"a{at % 20}", np.ones(M), np.ones(D), 0.5, 0.5)
    assert model.evidence(["a0", "a19", "stranger"]).tolist() == [1.0, 0.5, 0.0]
    model.load({"a3": Moments(M, D).add(np.ones(M + D), 0.5, 4.0)}, 0.25)
    assert model.evidence(["a0", "a3"]).tolist() == [0.0, 1.0]


def test_agents_may_be_derived_anew_without_the_others() -> None:
    """Whatever was observed, loaded and replaced before: the model is that of the moments as they are now."""
    rng = np.random.default_rng(7)
    model, moments = Hybrid(M, D, PRIOR), {f"a{at}": Moments(M, D) for at in range(6)}
    for _ in range(60):
        agent = f"a{rng.integers(6)}"
        z, x, r = rng.normal(size=M), rng.normal(size=D), rng.normal()
        moments[agent].observe(np.concatenate((z, x)), r, 1.0)
        model.observe(agent, z, x, r)
    moments["a2"], moments["a4"] = Moments(M, D), moments["a1"].merge(moments["a3"])
    model.replace({agent: moments[agent] for agent in ("a2", "a4")})
    whole = Hybrid(M, D, PRIOR)
    whole.load(moments)
    z, x, agents = rng.normal(size=(7, M)), rng.normal(size=D), [*moments, "new"]
    for one, other in zip(model.score(agents, z, x), whole.score(agents, z, x), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)
    np.testing.assert_allclose(model.beta, whole.beta, atol=1e-9)
    assert model.weight == pytest.approx(whole.weight)
