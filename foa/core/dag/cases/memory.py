"""The memory of cases: a bounded tuple, oldest first. Called by `foa.core.machines.cases` and by benches."""

from collections.abc import Sequence
from math import isfinite
from typing import Final

import numpy as np

from foa.core.dag.cases.records import MAX_CHARACTERS, MAX_SUBTASKS, Case, Near, Rules
from foa.core.dag.plan import check
from foa.core.vcv.vector import BYTES_PER_DIM, is_unit, unpack, unpack_all

_DIGITS: Final = 4
_YEAR: Final = 365.25 * 86_400.0


def is_worth(case: Case) -> bool:
    """Tell whether a case may be planned by: a valid plan of several subtasks, its texts in bounds."""
    plan = case.plan
    if not 2 <= len(plan.subtasks) <= MAX_SUBTASKS or not (isfinite(case.at) and 0.0 <= case.score <= 1.0):  # noqa: PLR2004 - several
        return False
    if len(case.request) + sum(len(one.text) for one in plan.subtasks) > MAX_CHARACTERS or not case.request.strip():
        return False
    return check(plan) is None


def kept(cases: tuple[Case, ...], case: Case, rules: Rules) -> tuple[tuple[Case, ...], Case | None]:
    """Return the memory with `case` in it, and the case that had to go, if one had.

    A request that is known already replaces what was kept for it, unless that was done better. Beyond ``rules.most``
    the case goes whose score is lowest, a year of age counting as much as the whole range of scores; of equals the
    oldest.
    """
    if not is_worth(case) or not is_unit(case.vector, len(case.vector) // BYTES_PER_DIM):
        return cases, case
    near = nearest(cases, case.vector, 1)
    if near and near[0].similarity >= rules.same:
        known = near[0].case
        if known.score > case.score:
            return cases, case
        return (*(one for one in cases if one is not known), case), known
    if len(cases) < rules.most:
        return (*cases, case), None
    worst = min(range(len(cases)), key=lambda at: (cases[at].score + cases[at].at / _YEAR, at))
    return (*cases[:worst], *cases[worst + 1 :], case), cases[worst]


def nearest(cases: Sequence[Case], vector: bytes, count: int, floor: float = -1.0) -> tuple[Near, ...]:
    """Return the `count` cases nearest to a vector, nearest first, the later first among equals, none below `floor`."""
    if not is_unit(vector, len(vector) // BYTES_PER_DIM):
        return ()
    alike = [case for case in cases if len(case.vector) == len(vector)]
    if not alike:
        return ()
    found = np.round(unpack_all(case.vector for case in alike) @ unpack(vector), _DIGITS)
    order = sorted(np.flatnonzero(found >= floor).tolist(), key=lambda at: (-float(found[at]), -alike[at].at, -at))
    return tuple(Near(float(found[at]), alike[at]) for at in order[:count])
