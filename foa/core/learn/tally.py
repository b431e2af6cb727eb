"""What one coordinator counted of one agent: moments for the model, and sums of what was measured."""

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from foa.core.learn.moments import Floats, Moments
from foa.wire.lessons import Counted, Lesson

MAX_FRESH: Final = 256
"""Rewards of one agent that are folded into its moments together at the latest."""

SUMS: Final = ("good", "paid", "ms", "cost", "price")


class Tally:
    """The sums of one agent: ``moments``, and ``sums`` (5,) of score, measured awards, ms, cost and price.

    All of awards that ended at or after ``since``. Rewards are gathered and folded into the moments together, when
    somebody looks: one product for many costs little more than for one.
    """

    __slots__ = ("_fresh", "_moments", "since", "sums")

    def __init__(self, moments: Moments, sums: Floats | None = None, since: float = 0.0) -> None:
        self._moments = moments
        self._fresh: list[tuple[Floats, float, float]] = []
        self.since = since
        self.sums: Floats = np.zeros(len(SUMS)) if sums is None else sums

    @property
    def moments(self) -> Moments:
        """Return the moments, all that was taken in them."""
        if self._fresh:
            v, rewards, weights = zip(*self._fresh, strict=True)
            made = Moments.of(np.array(v), np.array(rewards), np.array(weights), self._moments.m)
            self._moments = self._moments.merge(made)
            self._fresh.clear()
        return self._moments

    @property
    def weight(self) -> float:
        """Return ``Σ w`` of all rewards that were taken in."""
        return self._moments.weight + sum(weight for _, _, weight in self._fresh)

    def plus(self, other: "Tally") -> "Tally":
        """Return the sum of both."""
        return Tally(self.moments.merge(other.moments), self.sums + other.sums, max(self.since, other.since))

    def scaled(self, factor: float) -> "Tally":
        """Return every weight times `factor`."""
        return Tally(self.moments.scaled(factor), self.sums * factor, self.since)

    def take(self, counted: Counted, v: Floats, weight: float, sign: int = 1) -> None:
        """Count (sign 1) or take back (-1) one reward, or the correction of one, in place."""
        measured = (counted.ms, counted.cost, counted.price)
        self.sums = self.sums + np.array((counted.score, float(any(measured)), *measured)) * (sign * weight)
        if sign > 0 and not counted.change:
            self._fresh.append((v, counted.reward, weight))
            if len(self._fresh) >= MAX_FRESH:
                _ = self.moments
            return
        known = self.moments
        one = Moments(known.m, known.d)
        one.observe(v, counted.reward, weight)
        if counted.change:  # only the reward differs: what the features weigh was counted before
            blank = Moments(known.m, known.d)
            blank.observe(v, 0.0, weight)
            one = one.subtract(blank)
        self._moments = known.merge(one) if sign > 0 else known.subtract(one)

    def lesson(self, agent: str, factor: float) -> Lesson:
        """Return the sums as they travel, every weight times `factor`."""
        values = np.maximum(self.sums * factor, 0.0).tolist()
        moments = self.moments.scaled(factor).to_bytes()
        return Lesson(agent, moments, since=self.since, **dict(zip(SUMS, values, strict=True)))


def tallies(lessons: Iterable[Lesson], m: int, d: int, factor: float) -> Iterator[tuple[str, Tally]]:
    """Yield agents and tallies that travelled, every weight times `factor`; moments that cannot be are left out."""
    for lesson in lessons:
        try:
            moments = Moments.from_bytes(lesson.moments, m, d)
        except ValueError:
            continue
        sums = np.array((lesson.good, lesson.paid, lesson.ms, lesson.cost, lesson.price))
        yield lesson.agent, Tally(moments, sums, lesson.since).scaled(factor)
