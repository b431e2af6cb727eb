"""Profiles any CSV: what is in each column, what is missing, what moves together."""

import foa
from agents.records import TableProfile


def run(table: bytes, task: foa.Assignment) -> TableProfile:
    """Return the profile of `table` (see README.md for its fields)."""
    from .profiling import profile  # noqa: PLC0415 - pandas is loaded by the first task, not by the process

    task.progress(0.1, "reading the table")
    return profile(table)
