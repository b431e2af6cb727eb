"""Cases as JSON: what a planner agent is given as input of type ``cases``, and how it is read, whoever wrote it.

::

    {"cases": [{"request": "...", "similarity": 0.83, "score": 0.9, "plan": {"subtask": [...]}}],
     "order": {"shapes": "<base64>", "pairs": "<base64>", "seen": 120}}

A plan has the form of a plan file (`foa.core.dag.planfile`). What cannot be read is left out.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from foa.core.dag import planfile
from foa.core.dag.cases.memory import is_worth
from foa.core.dag.cases.order import Model
from foa.core.dag.cases.planner import by_near
from foa.core.dag.cases.records import Case, Near, Rules
from foa.errors import ConfigError

MAX_GIVEN: Final = 32
"""Of a longer document no more cases are read."""


def cases_document(near: Sequence[Near], order: Model | None = None) -> dict[str, Any]:
    """Return the document of these cases, nearest first, and of what was learned of order."""
    rows = [
        {
            "request": each.case.request,
            "similarity": each.similarity,
            "score": each.case.score,
            "plan": planfile.write(each.case.plan),
        }
        for each in near[:MAX_GIVEN]
    ]
    return {"cases": rows, "order": msgspec.to_builtins(order or Model())}


def read_cases(document: Any) -> tuple[tuple[Near, ...], Model]:
    """Return what a document says, without vectors, nearest first; never raises.

    A bare list is read as its cases alone.
    """
    if not isinstance(document, Mapping):
        document = {"cases": document}
    rows = document.get("cases")
    rows = rows[:MAX_GIVEN] if isinstance(rows, list | tuple) else ()
    near = [each for each in map(_near, rows) if each is not None]
    near.sort(key=lambda each: -each.similarity)
    try:
        order = msgspec.convert(document.get("order", {}), Model)
    except msgspec.ValidationError:
        order = Model()
    return tuple(near), order


def _near(row: Any) -> Near | None:
    if not isinstance(row, Mapping) or not isinstance(row.get("plan"), Mapping):
        return None
    request, similarity, score = row.get("request"), _number(row.get("similarity")), _number(row.get("score", 1.0))
    if not isinstance(request, str) or similarity is None or score is None:
        return None
    try:
        case = Case(b"", request, planfile.read(row["plan"]), score)
    except (ConfigError, RecursionError):
        return None
    return Near(similarity, case) if is_worth(case) else None


def _number(value: Any) -> float | None:
    """Return a number in [-1, 1]; None for anything else."""
    return float(value) if isinstance(value, int | float) and -1.0 <= value <= 1.0 else None


def cases(request: str, document: Any) -> dict[str, Any] | None:
    """Return the plan document of the *cases* planner: from what was done for requests like this one.

    ``document`` is an input of type ``cases``, as it came. None where nothing in it is like the request, or where the
    request lists its own steps and too few plans were seen to know their order. Never raises.
    """
    near, order = read_cases(document)
    found = by_near(request, near, Rules(), order)
    return None if found is None else planfile.write(found)
