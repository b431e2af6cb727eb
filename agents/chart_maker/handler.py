"""Charts what matters in a table: how its columns are spread, what moves together, what is missing."""

from typing import Annotated, Any

import foa


def run(
    table: bytes,
    task: foa.Assignment,
    profile: Annotated[dict[str, Any] | None, foa.Type("table-profile")] = None,
    outliers: Annotated[dict[str, Any] | None, foa.Type("outliers")] = None,
) -> list[dict[str, str]]:
    """Return up to four charts as {title, caption, svg}; a profile and outliers sharpen what is shown."""
    from .drawing import charts  # noqa: PLC0415 - matplotlib is loaded by the first task, not by the process

    task.progress(0.1, "choosing what to chart")
    return charts(table, profile or {}, outliers or {})
