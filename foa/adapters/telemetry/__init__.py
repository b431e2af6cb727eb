"""Logs of one process, structlog lines with task ids, and its metrics where somebody looks at them."""

import logging
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import structlog

Measure = Callable[[str, float, float | None, str], None]


def nowhere(name: str, amount: float, seconds: float | None, label: str) -> None:
    """Count nothing: nobody would see it."""


class Telemetry:
    """The sink of one node. ``measure`` counts or observes, see `foa.adapters.telemetry.metrics`."""

    def __init__(self, node: str, level: str = "info", *, as_json: bool = False, measure: Measure = nowhere) -> None:
        """Log to standard error from `level` on."""
        self.measure = measure
        self._log = structlog.wrap_logger(
            structlog.PrintLogger(sys.stderr),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.ExceptionPrettyPrinter() if not as_json else structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(default=str)
                if as_json
                else structlog.dev.ConsoleRenderer(colors=False),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
            node=node,
        )

    def log(self, name: str, level: str, fields: Mapping[str, Any]) -> None:
        """Write one line; an exception among the fields brings its traceback (it is our own fault)."""
        if not name:
            return
        error = fields.get("error")
        more = {"exc_info": error} if isinstance(error, BaseException) else {}
        with suppress(OSError):  # a log on a full disk must not stop the node
            getattr(self._log, level)(name, **fields, **more)
