"""Evidence of what an agent does well, as a join-semilattice: whoever merges it in whatever order has the same.

An exemplar is one rewarded award: the task's vector, the reward, the time. Any coordinator may write the
memory of an agent; two copies are merged. Kept are, of successes and of failures each, the highest exemplar of an
award and of those the latest few. Both are maxima of one total order on the exemplars alone within a class that is
the exemplar's own, so that merging is commutative, associative and idempotent. What is not: a rule that looks at how
alike exemplars are, and one that lets a late failure drop an early success of the same award before
both are counted (the failure may be forgotten elsewhere, and the success return). So both stay, and `current` reads
the later one.
"""

from collections.abc import Iterable
from typing import Final

from foa.wire.lessons import Exemplar

SUCCESSES: Final = 96
FAILURES: Final = 96
"""Failures are kept as well, as many: what went wrong once near a request speaks against the agent there."""

SUCCESS: Final = 0.5
"""The reward from which an exemplar is a success."""

MAX_BYTES: Final = 60_000
"""Of all exemplars of one agent: a record is at most 64 KiB."""

_FRAME: Final = 115
"""Bytes that an exemplar takes beside its vector: numbers, names of fields, award id (of up to 64; few are of 50)."""


def merge(one: Iterable[Exemplar], other: Iterable[Exemplar]) -> tuple[Exemplar, ...]:
    """Return the memory of both, the latest first; vectors of two models are never in one memory."""
    return kept((*one, *other))


def kept(exemplars: Iterable[Exemplar]) -> tuple[Exemplar, ...]:
    """Return what is remembered of `exemplars`, the latest first.

    Vectors of one model have one length; if there are several, only the longest count, so that a stray one cannot
    make the bound depend on the order.
    """
    given = tuple(exemplars)
    size = max((len(each.vector) for each in given), default=0)
    whole = [each for each in given if len(each.vector) == size]
    good = _latest((each for each in whole if each.reward >= SUCCESS), _quota(SUCCESSES, size))
    bad = _latest((each for each in whole if each.reward < SUCCESS), _quota(FAILURES, size))
    return tuple(sorted((*good, *bad), key=_rank, reverse=True))


def current(exemplars: Iterable[Exemplar]) -> tuple[Exemplar, ...]:
    """Return `exemplars` with each award once, as it was last rewarded; the latest first."""
    last: dict[str, Exemplar] = {}
    for each in sorted(exemplars, key=_rank, reverse=True):
        last.setdefault(each.award, each)
    return tuple(last.values())


def _latest(exemplars: Iterable[Exemplar], most: int) -> list[Exemplar]:
    """Return the `most` highest, of each award the highest."""
    highest: dict[str, Exemplar] = {}
    for each in exemplars:
        old = highest.get(each.award)
        if old is None or _rank(each) > _rank(old):
            highest[each.award] = each
    return sorted(highest.values(), key=_rank, reverse=True)[:most]


def _quota(most: int, size: int) -> int:
    """Return how many of `most` exemplars with vectors of `size` bytes fit the record beside the other class."""
    fitting = MAX_BYTES // (size + _FRAME)
    return min(most, fitting * most // (SUCCESSES + FAILURES))


def _rank(exemplar: Exemplar) -> tuple[float, str, float, bytes, float]:
    return (exemplar.at, exemplar.award, exemplar.reward, exemplar.vector, exemplar.words)
