"""Many seeds, in as many processes as are wanted, added up as they come; the sum does not depend on who ran what."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import get_context
from time import monotonic
from typing import Any, Final

from foa.testing.sim import mutants, scenario
from foa.testing.sim.observing.coverage import Transition, report
from foa.testing.sim.observing.invariants import Violation
from foa.testing.sim.run import Outcome, Run

BATCH: Final = 8
"""Seeds a process runs before it reports."""

MAX_FAILURES: Final = 50
"""Failing seeds that are told in detail; all are counted."""


@dataclass(slots=True)
class Total:
    """What came of many seeds."""

    seeds: int = 0
    violations: int = 0
    events: int = 0
    failing: list[int] = field(default_factory=list)
    failures: list[tuple[int, tuple[Violation, ...]]] = field(default_factory=list)
    met: Counter[str] = field(default_factory=Counter)
    pairs: Counter[tuple[Transition, str]] = field(default_factory=Counter)
    digests: dict[int, str] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> None:
        """Count one seed."""
        self.seeds += 1
        self.violations += len(outcome.violations)
        self.events += outcome.events
        self.met += outcome.met
        self.pairs += outcome.pairs
        self.digests[outcome.seed] = outcome.digest
        if outcome.violations:
            self.failing.append(outcome.seed)
            if len(self.failures) < MAX_FAILURES:
                self.failures.append((outcome.seed, outcome.violations[:6]))

    def plain(self, seconds: float) -> dict[str, Any]:
        """Return the sum as JSON can say it; see `foa sim --json`."""
        return {
            "seeds": self.seeds,
            "violations": self.violations,
            "events": self.events,
            "seconds": round(seconds, 2),
            "failures": [
                {"seed": seed, "violations": [{"word": one.word, "detail": one.detail} for one in found]}
                for seed, found in sorted(self.failures)
            ],
            "failing": sorted(self.failing),
            "coverage": report(self.pairs),
            "met": dict(sorted(self.met.items())),
        }


def jobs_of(wanted: int) -> int:
    """Return how many processes to run: as many as wanted, or (0) as there are cores for us."""
    return wanted or len(os.sched_getaffinity(0))


def run(
    seeds: Iterable[int],
    jobs: int = 1,
    mutant: str = "",
    until: float | None = None,
    tell: Callable[[Total], None] | None = None,
) -> Total:
    """Run `seeds`; none is begun once `monotonic()` is past `until`. ``tell`` hears the sum now and then."""
    total = Total()
    for outcomes in _batches(seeds, jobs, mutant, until):
        for outcome in outcomes:
            total.add(outcome)
        if tell is not None:
            tell(total)
    return total


def _batches(seeds: Iterable[int], jobs: int, mutant: str, until: float | None) -> Iterator[list[Outcome]]:
    waiting = iter(seeds)
    chunks = iter(lambda: tuple(islice(waiting, BATCH)), ())
    if jobs <= 1:
        for chunk in chunks:
            if _over(until):
                return
            yield _run(chunk, mutant)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        running = [pool.submit(_run, chunk, mutant) for chunk in islice(chunks, 2 * jobs)]
        while running:
            yield running.pop(0).result()
            if not _over(until):
                running += [pool.submit(_run, chunk, mutant) for chunk in islice(chunks, 1)]


def _over(until: float | None) -> bool:
    return until is not None and monotonic() >= until


def _run(seeds: tuple[int, ...], mutant: str) -> list[Outcome]:
    """Run a few seeds, in this process."""
    with mutants.applied(mutant):
        return [Run(scenario.draw(seed)).run() for seed in seeds]
