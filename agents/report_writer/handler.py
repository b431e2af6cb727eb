"""Writes one self-contained HTML report on a table from what other agents found, every number checkable."""

from typing import Annotated

import foa
from agents.records import Chart, Outliers, TableProfile


def run(
    table: bytes,
    profile: Annotated[TableProfile, foa.Type("table-profile")],
    task: foa.Assignment,
    outliers: Annotated[Outliers | None, foa.Type("outliers")] = None,
    charts: Annotated[list[Chart] | None, foa.Type("charts")] = None,
) -> Annotated[str, foa.Type("text/html")]:
    """Return the report; what was not given is left out."""
    from .page import report  # noqa: PLC0415 - pandas is loaded by the first task, not by the process

    task.progress(0.1, "writing")
    return report(table, profile, outliers, charts or [])
