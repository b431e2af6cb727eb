"""Microseconds to choose among agents and to learn one reward, beside mabwiser's LinUCB, in one run."""

from collections.abc import Callable
from statistics import median
from time import perf_counter_ns
from typing import Any, Final

import numpy as np
from numpy.random import default_rng

from foa.core.learn.linucb import Hybrid
from foa.core.learn.moments import Floats
from foa.errors import ConfigError

WARM: Final = 20
TRIES: Final = 200
THEIR_TRIES: Final = 20


def measure(arms: int, dim: int, shared: int, rounds: int) -> dict[str, Any]:
    """Return medians over `rounds`; ConfigError if mabwiser is not there."""
    try:
        from mabwiser.mab import MAB, LearningPolicy
    except ImportError as error:
        raise ConfigError("this needs mabwiser: pip install 'federation-of-agents[bench]'") from error
    rng = default_rng(0)
    names = [f"agent-{index:04d}" for index in range(arms)]
    x = rng.normal(size=(TRIES + WARM, dim)) / np.sqrt(dim)
    z = rng.normal(size=(TRIES + WARM, arms, shared)) / np.sqrt(shared)
    reward = rng.random(TRIES + WARM)
    model = Hybrid(shared, dim, np.zeros(shared))
    theirs = MAB(names, LearningPolicy.LinUCB(alpha=1.0, l2_lambda=1.0))
    theirs.fit(list(names), reward[np.arange(arms) % len(reward)].tolist(), x[np.arange(arms) % len(x)])
    for index, name in enumerate(names):
        model.observe(name, z[index % len(z), index], x[index % len(x)], float(reward[index % len(reward)]))

    def choose(at: int) -> None:
        means, widths = model.score(names, z[at], x[at])
        (means + widths).argmax()

    def learn(at: int) -> None:
        row = at % arms
        model.observe(names[row], z[at, row], x[at], float(reward[at]))

    timed = {
        "select_us": [_us(choose, TRIES) for _ in range(rounds)],
        "update_us": [_us(learn, TRIES) for _ in range(rounds)],
        "mabwiser_select_us": [_us(lambda at: theirs.predict(x[at : at + 1]), THEIR_TRIES) for _ in range(rounds)],
        "mabwiser_update_us": [_us(lambda at: _fit(theirs, names, x, reward, at), THEIR_TRIES) for _ in range(rounds)],
    }
    found: dict[str, Any] = {name: round(median(values), 2) for name, values in timed.items()}
    ours = found["select_us"] + found["update_us"]
    mabwiser = found["mabwiser_select_us"] + found["mabwiser_update_us"]
    return {
        "arms": arms,
        "task_features": dim,
        "shared_features": shared,
        **found,
        "both_us": round(ours, 2),
        "mabwiser_both_us": round(mabwiser, 2),
        "select_times_faster": round(found["mabwiser_select_us"] / found["select_us"], 1),
        "times_faster": round(mabwiser / ours, 1),
    }


def _fit(theirs: Any, names: list[str], x: Floats, reward: Floats, at: int) -> None:
    theirs.partial_fit([names[at % len(names)]], [float(reward[at])], x[at : at + 1])


def _us(do: Callable[[int], object], tries: int) -> float:
    """Return the median time of one call in microseconds."""
    for at in range(WARM):
        do(at)
    taken = []
    for at in range(tries):
        begun = perf_counter_ns()
        do(at)
        taken.append(perf_counter_ns() - begun)
    return median(taken) / 1000.0


def table(found: dict[str, Any]) -> str:
    """Return the figures for people."""
    return (
        f"{found['arms']} agents, {found['task_features']} task features, ours with {found['shared_features']} shared\n"
        f"hybrid LinUCB   select {found['select_us']:.1f} µs  update {found['update_us']:.1f} µs\n"
        f"mabwiser LinUCB select {found['mabwiser_select_us']:.1f} µs  update {found['mabwiser_update_us']:.1f} µs\n"
        f"times faster: select {found['select_times_faster']}, select and update {found['times_faster']}"
    )
