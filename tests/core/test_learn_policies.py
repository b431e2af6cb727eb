"""One check of conventions over every policy: what whoever chooses agents has to keep, whatever it learns."""

from collections.abc import Callable
from math import inf, nan

import numpy as np
import pytest
from numpy.random import Generator, default_rng

from foa.core.learn.moments import Floats
from foa.core.learn.policies import contextual, policy
from foa.core.learn.policies.baselines import Cheapest, Disjoint, EpsilonGreedy, Static, Thompson, Ucb1, Uniform
from foa.core.learn.policies.change import LIMIT, SLACK, Watch
from foa.core.learn.policies.contextual import Knobs, LinUcb
from foa.core.learn.policies.policy import Choice, Policy, Task

M, D, DIM = 3, 5, 16
PRIOR = np.array([0.5, 1.0, 0.0])
MAKERS: dict[str, Callable[[], Policy]] = {
    "linucb": lambda: LinUcb(PRIOR, D),
    "linucb, few kinds and decay": lambda: LinUcb(PRIOR, D, Knobs(kinds=3, tau=40.0)),
    "linucb, given kinds": lambda: LinUcb(PRIOR, D, Knobs(kinds=0)),
    "linucb, nothing shared": lambda: LinUcb(PRIOR, D, Knobs(kinds=3, shared=False, watch=False)),
    "disjoint": lambda: Disjoint(DIM),
    "ucb1": Ucb1,
    "epsilon-greedy": EpsilonGreedy,
    "thompson": Thompson,
    "static": Static,
    "cheapest": Cheapest,
    "uniform": Uniform,
}
every = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
learning = pytest.mark.parametrize(
    "make", [make for name, make in MAKERS.items() if name not in {"static", "cheapest", "uniform"}]
)


def task(agents: list[str], rng: Generator, at: float = 0.0) -> Task:
    """Return a task whose features belong to the agents by id, in whatever order they stand."""
    order = np.argsort(np.argsort(agents))
    count = len(agents)
    text = rng.random(size=DIM)
    x = np.concatenate(([1.0], rng.random(D - 1)))
    z, alpha, price = rng.random((count, M))[order], rng.random(count)[order], rng.random(count)[order]
    return Task(tuple(agents), z, x, text / np.linalg.norm(text), alpha, price, at)


def names(count: int) -> list[str]:
    return [f"agent-{at:03d}" for at in range(count)]


def run(made: Policy, agents: list[str], seed: int, steps: int, reorder: Callable[[list[str]], list[str]]) -> list[str]:
    world, rng = default_rng(seed), default_rng(seed + 1)
    chosen = []
    for at in range(steps):
        choice = made.choose(task(reorder(agents), world, at), rng)
        made.learn(choice, float(sum(map(ord, choice.agent)) % 7) / 7.0)
        chosen.append(choice.agent)
    return chosen


@every
def test_the_same_seed_makes_the_same_choices_in_whatever_order_agents_stand(make: Callable[[], Policy]) -> None:
    shuffle = default_rng(9)
    straight = run(make(), names(7), 3, 90, list)
    assert straight == run(make(), names(7), 3, 90, list)
    assert straight == run(make(), names(7), 3, 90, lambda agents: [agents[at] for at in shuffle.permutation(7)])


@every
def test_only_the_permitted_are_chosen_while_they_come_and_go(make: Callable[[], Policy]) -> None:
    made, rng, world = make(), default_rng(1), default_rng(2)
    for at in range(80):
        present = [name for name in names(9) if world.random() < 0.5] or ["somebody-new"]
        choice = made.choose(task(present, world, at), rng)
        assert choice.agent in present
        made.learn(choice, 0.5)


@every
@pytest.mark.parametrize("count", [1, 200])
def test_one_agent_and_two_hundred(make: Callable[[], Policy], count: int) -> None:
    assert set(run(make(), names(count), 5, 12, list)) <= set(names(count))


@every
def test_nobody_to_choose_from_is_an_error(make: Callable[[], Policy]) -> None:
    nobody = Task((), np.zeros((0, M)), np.ones(D), np.ones(DIM), np.zeros(0), np.zeros(0))
    with pytest.raises(ValueError, match="no agent"):
        make().choose(nobody, default_rng(0))


@every
@pytest.mark.parametrize("reward", [nan, inf, -inf])
def test_what_is_no_number_is_refused_and_changes_nothing(make: Callable[[], Policy], reward: float) -> None:
    spoiled, clean = make(), make()
    choice = spoiled.choose(task(names(4), default_rng(0)), default_rng(1))
    clean.choose(task(names(4), default_rng(0)), default_rng(1))
    with pytest.raises(ValueError, match="finite"):
        spoiled.learn(choice, reward)
    assert run(spoiled, names(4), 8, 30, list) == run(clean, names(4), 8, 30, list)


@pytest.mark.parametrize("name", ["linucb", "linucb, given kinds", "disjoint", "static", "cheapest"])
def test_features_that_are_no_numbers_are_refused(name: str) -> None:
    broken = task(names(3), default_rng(0))
    full = np.full(3, nan)
    broken = broken._replace(z=np.full((3, M), nan), x=np.full(D, nan), text=np.full(DIM, nan), alpha=full, price=full)
    with pytest.raises(ValueError, match="finite"):
        MAKERS[name]().choose(broken, default_rng(0))


@every
def test_rewards_come_late_out_of_order_twice_or_absurd(make: Callable[[], Policy]) -> None:
    made, rng, world = make(), default_rng(1), default_rng(2)
    waiting: list[Choice] = []
    for at in range(60):
        waiting.append(made.choose(task(names(5), world, at), rng))
        if len(waiting) > 10:
            choice = waiting.pop(int(rng.integers(len(waiting))))
            for reward in (1e6, -1e6) if at % 9 == 0 else (0.3,):
                made.learn(choice, reward)
    assert made.choose(task(names(5), world, 99), rng).agent in names(5)


@pytest.mark.slow
def test_disjoint_is_mabwisers() -> None:
    """The scores of the library's LinUCB, to rounding."""
    mab = pytest.importorskip("mabwiser.mab")
    rng = default_rng(4)
    ours = Disjoint(DIM, alpha=0.7, ridge=1.5)
    theirs = mab.MAB(names(5), mab.LearningPolicy.LinUCB(alpha=0.7, l2_lambda=1.5))
    x = rng.normal(size=(120, DIM))
    x[:, 0] = 1.0
    who, rewards = rng.integers(5, size=120), rng.random(120)
    who[:5] = range(5)
    theirs.fit([names(5)[at] for at in who], rewards.tolist(), x)
    for context, agent, reward in zip(x, who, rewards, strict=True):
        ours.learn(Choice(names(5)[agent], np.zeros(M), np.zeros(D), context, 0.0), float(reward))
    for context in rng.normal(size=(20, DIM)):
        asked = task(names(5), rng)._replace(text=context)
        expected = theirs.predict_expectations(context[None, :])
        np.testing.assert_allclose(ours.scores(asked), [expected[name] for name in names(5)], atol=1e-9)


@every
def test_the_same_context_again_and_again(make: Callable[[], Policy]) -> None:
    made, rng = make(), default_rng(1)
    for at in range(100):
        made.learn(made.choose(task(names(3), default_rng(7), at), rng), 1.0)


@learning
def test_memory_does_not_grow_without_bound(make: Callable[[], Policy], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy.remember, "__defaults__", (10,))
    monkeypatch.setattr("foa.core.learn.policies.baselines.MAX_DENSE", 10)
    monkeypatch.setattr(contextual, "MAX_SEEN", 50)
    made, rng, world = make(), default_rng(1), default_rng(2)
    for at in range(120):
        made.learn(made.choose(task([f"passer-by-{at}"], world, at), rng), 0.5)
    if isinstance(made, LinUcb):
        assert len(made._agents) <= 10
        assert len(made._seen) <= 50
        assert len(made._watches) <= 10
        assert len(made.model._rows) <= 11
    else:
        assert isinstance(made, Disjoint | Ucb1 | EpsilonGreedy | Thompson)
        assert len(made.known) <= 10


@learning
def test_the_better_agent_is_found(make: Callable[[], Policy]) -> None:
    made, rng, world = make(), default_rng(1), default_rng(2)
    chosen = []
    for at in range(400):
        choice = made.choose(task(["bad", "good"], world, at), rng)
        made.learn(choice, float(world.random() < (0.9 if choice.agent == "good" else 0.1)))
        chosen.append(choice.agent)
    assert chosen[200:].count("good") > 120


def test_without_evidence_the_prior_decides() -> None:
    """LinUCB follows alpha before the first reward, since unknown agents are equally uncertain."""
    made = LinUcb(np.array([0.0, 1.0, 0.0]), D)
    z = np.array([[1.0, 0.2, 0.0], [1.0, 0.6, 0.0], [1.0, 0.4, 0.0]])
    z[:, 1] *= 5.0  # widths differ with z too, but less
    known = task(names(3), default_rng(0))._replace(z=z)
    assert made.choose(known, default_rng(0)).agent == "agent-001"


def kind(at: int) -> Floats:
    """Return a text's vector: of one of two kinds, with noise."""
    vector = default_rng(at).normal(size=DIM) * 0.1
    vector[at % 2] += 1.0
    return np.asarray(vector / np.linalg.norm(vector))


def test_kinds_of_task_are_found_and_used() -> None:
    """Two specialists: by then hardly a task goes to the wrong one, though nobody said that there are kinds."""
    made, rng, world = LinUcb(PRIOR, D, Knobs(kinds=4)), default_rng(1), default_rng(2)
    right = []
    for at in range(600):
        choice = made.choose(task(["even", "odd"], world, at)._replace(text=kind(at)), rng)
        fits = choice.agent == ("odd" if at % 2 else "even")
        made.learn(choice, float(world.random() < (0.9 if fits else 0.3)))
        right.append(fits)
    assert sum(right[300:]) > 270
    assert made.centroids is not None


def test_an_agent_that_breaks_is_dropped_at_once() -> None:
    made, rng, world = LinUcb(PRIOR, D), default_rng(1), default_rng(2)
    chosen = []
    for at in range(900):
        choice = made.choose(task(["best", "next"], world, at), rng)
        works = 0.8 if choice.agent == "best" else 0.6
        made.learn(choice, 0.0 if choice.agent == "best" and at >= 600 else float(world.random() < works))
        chosen.append(choice.agent)
    assert chosen[500:600].count("best") > 60
    assert chosen[625:725].count("best") < 15
    assert any(agent == "best" and 600 <= when < 640 for when, agent in made.changes)


def test_what_is_frozen_learns_no_more() -> None:
    made = LinUcb(PRIOR, D)
    run(made, names(3), 1, 20, list)
    before = made.model.beta
    made.frozen = True
    run(made, names(3), 2, 20, list)
    assert (made.model.beta == before).all()


def test_a_watch_counts_disappointments_only() -> None:
    watch = Watch()
    assert not any(watch.saw(0.6, 0.6) for _ in range(1000))
    assert watch.length == 0
    needed = next(at for at in range(1, 100) if watch.saw(0.0, 0.6))
    assert needed == int(LIMIT / (0.6 - SLACK)) + 1 == watch.length
