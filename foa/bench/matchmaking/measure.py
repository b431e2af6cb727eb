"""All policies over all seeds: each query once, queries and agents in an order of the seed's own."""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from typing import Any, NamedTuple, TypeVar

from numpy.random import default_rng

from foa.bench.matchmaking import drift, figures
from foa.bench.matchmaking.drift import Broken
from foa.bench.matchmaking.play import Played, Run, play
from foa.bench.matchmaking.policies import ABLATIONS, POLICIES
from foa.bench.matchmaking.world import Say, World

T = TypeVar("T")

_WORLD: list[World] = []
"""The world of a worker process; exactly one after `_enter`."""


class Plan(NamedTuple):
    """What to measure."""

    weights: tuple[float, ...]
    seeds: int
    drift: str = ""
    ablation: bool = False
    processes: int = 2


class Job(NamedTuple):
    """One seed at one λ; ``broken`` None: the policies of the report, or the ablations."""

    weight: float
    seed: int
    ablation: bool = False
    broken: drift.Plan | None = None


def _enter(world: World) -> None:
    _WORLD[:] = [world]


def seeded(world: World, job: Job) -> dict[str, Played]:
    """Return what every policy achieved at one seed: the same order of queries and agents for all."""
    rng = default_rng(job.seed)
    order = rng.permutation(len(world.score))
    shuffled = world.of(rng.permutation(len(world.agents)).tolist())
    runs: dict[str, Played] = {}
    for number, (name, make) in enumerate((ABLATIONS if job.ablation else POLICIES).items()):
        policy = make(shuffled, job.weight)
        runs[name] = play(shuffled, policy, Run(order, job.weight, default_rng((job.seed, number))))
    runs.update(figures.hindsight(shuffled, job.weight, order))
    return runs


def _policies(job: Job) -> dict[str, Played]:
    return seeded(_WORLD[0], job)


def _drifted(job: Job) -> Broken:
    assert job.broken is not None
    return drift.drifted(_WORLD[0], job.weight, job.broken, job.seed)


def measure(world: World, plan: Plan, say: Say) -> dict[str, Any]:
    """Return the figures: one entry per λ, and those of the first λ at the top."""
    entries = [{"lambda": weight, **_at(world, plan, weight, say)} for weight in plan.weights]
    found: dict[str, Any] = {
        "agents": len(world.agents),
        "queries": len(world.score),
        "seeds": plan.seeds,
        "reward": "score - lambda * cost / reference",
        "reference_usd": world.reference,
        "reference_is": "the dearest agent's mean cost in this file",
        **entries[0],
    }
    if len(entries) > 1:
        found["lambdas"] = entries
    return found


def _at(world: World, plan: Plan, weight: float, say: Say) -> dict[str, Any]:
    jobs = [Job(weight, seed, plan.ablation) for seed in range(plan.seeds)]
    every = _all(world, plan, _policies, jobs, say)
    found = figures.summary({name: [runs[name] for runs in every] for name in every[0]})
    if plan.drift:
        break_ = drift.parse(plan.drift, world, weight)
        broken = _all(world, plan, _drifted, [job._replace(broken=break_) for job in jobs], say)
        found["drift"] = drift.summary(world, break_, broken)
    return found


def _all(world: World, plan: Plan, do: Callable[[Job], T], jobs: Sequence[Job], say: Say) -> list[T]:
    done: list[T] = []
    with ExitStack() as stack:
        if plan.processes == 1:
            _enter(world)
            stack.callback(_WORLD.clear)
            results: Iterable[T] = map(do, jobs)
        else:
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # of the processes to come: small matrices, few cores
            pool = ProcessPoolExecutor(plan.processes, get_context("spawn"), _enter, (world,))
            results = stack.enter_context(pool).map(do, jobs)
        for job, result in zip(jobs, results, strict=True):
            done.append(result)
            say(f"lambda {job.weight:g}: seed {job.seed + 1} of {len(jobs)}{' with drift' if job.broken else ''}")
    return done
