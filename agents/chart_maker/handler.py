"""Charts what matters in a table: how its columns are spread, what moves together, what is missing."""

from typing import Annotated

import foa
from agents.records import Chart, Outliers, TableProfile


def run(
    table: bytes,
    task: foa.Assignment,
    profile: Annotated[TableProfile | None, foa.Type("table-profile")] = None,
    outliers: Annotated[Outliers | None, foa.Type("outliers")] = None,
) -> list[Chart]:
    """Return up to four charts; a profile and outliers sharpen what is shown."""
    from .drawing import charts  # noqa: PLC0415 - matplotlib is loaded by the first task, not by the process

    task.progress(0.1, "choosing what to chart")
    return charts(table, profile, outliers)
