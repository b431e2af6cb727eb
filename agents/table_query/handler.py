"""Answers a question of a table with a table: rows kept, cleaned, grouped, sorted, cut. No language model."""

from typing import Annotated

import foa


def run(table: bytes, task: foa.Assignment) -> Annotated[bytes, foa.Type("text/csv")]:
    """Return what the task's words ask of `table`, as CSV; decline if they name nothing that is in it."""
    from .querying import answer  # noqa: PLC0415 - pandas is loaded by the first task, not by the process

    return answer(table, task.text)
