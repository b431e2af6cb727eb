"""An agent breaks at work: how many tasks until the choices are as good as they can be without it.

After Symphony-Coord's drift experiment. Baseline: the mean reward after the break of undisturbed ``linucb`` that never
had that agent, in the same order with the same chance. Recovered: the running mean reward of the latest `WINDOW` tasks
is at least `SHARE` of the baseline, counted in tasks since the break (the window lies wholly after it).
"""

import re
from math import inf, isfinite
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.random import default_rng

from foa.bench.matchmaking.figures import interval
from foa.bench.matchmaking.play import Before, Played, Run, play, rewards
from foa.bench.matchmaking.policies import TAU, learner
from foa.bench.matchmaking.world import World
from foa.core.learn.moments import Floats
from foa.core.learn.policies.contextual import Knobs, LinUcb
from foa.core.learn.policies.policy import Policy
from foa.errors import ConfigError

WINDOW: Final = 25
SHARE: Final = 0.9
SHOWN: Final = (10, 25, 50, 100, 200, 400)
"""After so many tasks the mean reward since the break is told."""

KINDS: Final = ("linucb", "decay, no watch", "neither", "frozen")
"""``linucb`` as it is; with decay alone; with neither decay nor watch; with no learning after the break."""

_PLAN: Final = re.compile(r"(?P<who>[^@]+)@(?P<when>0?\.\d+)")


class Plan(NamedTuple):
    """Who breaks (its score becomes 0, its cost stays), by index, and after which share of the queries."""

    agent: int
    when: float


def parse(text: str, world: World, weight: float) -> Plan:
    """Return the plan of ``best@0.5`` or ``<agent id>@0.5``; ConfigError if it is none."""
    found = _PLAN.fullmatch(text)
    if found is None:
        raise ConfigError(f"--drift {text}: give WHO@SHARE, such as best@0.5 or {world.agents[0]}@0.3")
    who = found["who"]
    if who == "best":
        return Plan(int(rewards(world, weight).mean(axis=0).argmax()), float(found["when"]))
    if who not in world.agents:
        raise ConfigError(f"--drift {text}: there is no agent {who!r}; give best or an id of the agents file")
    return Plan(world.agents.index(who), float(found["when"]))


class Broken(NamedTuple):
    """Rewards per task since the break, by kind of learner, and the baseline of this seed."""

    since: dict[str, Floats]
    baseline: float
    found: float


def drifted(world: World, weight: float, plan: Plan, seed: int) -> Broken:
    """Return what each kind of learner had after the break in one order of the queries."""
    order = default_rng(seed).permutation(len(world.score))
    at = int(plan.when * len(order))
    rest = world.without(plan.agent)
    never = play(rest, _made(rest, weight, "linucb"), Run(order, weight, default_rng(seed)))
    since: dict[str, Floats] = {}
    found = inf
    for kind in KINDS:
        policy = _made(world, weight, kind)
        run = Run(order, weight, default_rng(seed), plan.agent, at)
        played: Played = play(world, policy, run, _freeze_at(at) if kind == "frozen" else _let)
        since[kind] = played.reward[at:]
        if kind == "linucb":
            name = world.agents[plan.agent]
            found = min((when - at for when, who in policy.changes if who == name and when >= at), default=inf)
    return Broken(since, float(never.reward[at:].mean()), found)


def _made(world: World, weight: float, kind: str) -> LinUcb:
    knobs = {"decay, no watch": Knobs(tau=TAU, watch=False), "neither": Knobs(watch=False)}
    return learner(world, weight, knobs.get(kind, Knobs(tau=TAU)))


def _let(_at: int, _policy: Policy) -> None:
    return


def _freeze_at(start: int) -> Before:
    def before(at: int, policy: Policy) -> None:
        if at == start and isinstance(policy, LinUcb):
            policy.frozen = True

    return before


def recovery(since: Floats, baseline: float) -> float:
    """Return the tasks after the break until the running mean is back; infinite if never."""
    if len(since) < WINDOW:
        return inf
    running = np.convolve(since, np.full(WINDOW, 1.0 / WINDOW), mode="valid")
    back = np.flatnonzero(running >= SHARE * baseline)
    return float(back[0] + WINDOW) if len(back) else inf


def summary(world: World, plan: Plan, seeds: list[Broken]) -> dict[str, Any]:
    """Return recovery over all seeds; null stands for never."""
    kinds = {}
    for kind in KINDS:
        times = [recovery(one.since[kind], one.baseline) for one in seeds]
        curve = np.mean([one.since[kind] for one in seeds], axis=0)
        shown = {str(n): round(float(curve[:n].mean()), 4) for n in SHOWN if n <= len(curve)}
        kinds[kind] = {
            "recovered_after": _known(float(np.median(times))),
            "slowest": _known(max(times)),
            "never": sum(not isfinite(time) for time in times),
            "mean_reward_first": shown,
            "mean_reward_after": round(float(curve.mean()), 4),
        }
    mean_curve = {kind: np.mean([one.since[kind] for one in seeds], axis=0) for kind in KINDS}
    baseline = float(np.mean([one.baseline for one in seeds]))
    for kind, curve in mean_curve.items():
        kinds[kind]["recovered_after_on_mean_curve"] = _known(recovery(curve, baseline))
    return {
        "agent": world.agents[plan.agent],
        "at": plan.when,
        "window": WINDOW,
        "share": SHARE,
        "baseline": round(baseline, 4),
        "baseline_ci95": interval([one.baseline for one in seeds]),
        "baseline_is": "mean reward after the break of linucb that never had the agent, same order and chance",
        "found_out_after": _known(float(np.median([one.found for one in seeds]))),
        "learners": kinds,
    }


def _known(value: float) -> float | None:
    return round(value, 1) if isfinite(value) else None
