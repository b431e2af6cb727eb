"""Logs and metrics of one process: structlog lines with task ids, Prometheus numbers without any id.

Names and labels are fixed here in one table, so that a metric cannot be invented in passing and no id can
become a label.
"""

import logging
import sys
from collections.abc import Mapping
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

COUNTERS: Final[dict[str, tuple[str, str]]] = {
    "foa_awards_total": ("", "awards made"),
    "foa_awards_declined_total": ("code", "awards declined by this agent"),
    "foa_blobs_refused_total": ("", "blobs that were not what their digest says"),
    "foa_claims_total": ("", "claims on partitions that were read back"),
    "foa_dead_letters_total": ("reason", "frames that could not be understood"),
    "foa_drafts_refused_total": ("", "drafts from outside a cluster, or too late"),
    "foa_ghost_awards_total": ("", "awards of owners that are none any more"),
    "foa_handler_failures_total": ("code", "failures of the author's code"),
    "foa_results_restored_total": ("", "first results that somebody had overwritten"),
    "foa_step_failures_total": ("machine", "events lost to a fault of our own"),
    "foa_takeovers_total": ("", "tasks taken over from another owner"),
    "foa_tasks_accepted_total": ("", "tasks accepted"),
    "foa_tasks_rejected_total": ("code", "tasks rejected"),
    "foa_tasks_total": ("status", "tasks ended"),
}
SECONDS: Final[dict[str, str]] = {
    "foa_handler_seconds": "time in the author's code",
    "foa_task_seconds": "time from acceptance to result",
}
OTHER: Final = "foa_events_total"


class Telemetry:
    """The sink of one node; also what its ``/metrics`` shows."""

    def __init__(self, node: str, level: str = "info", *, as_json: bool = False) -> None:
        """Log to standard error from `level` on."""
        self.registry = CollectorRegistry()
        self._counters = {
            name: Counter(name, text, [label] if label else [], registry=self.registry)
            for name, (label, text) in COUNTERS.items()
        }
        self._other = Counter(OTHER, "what has no metric of its own", ["name"], registry=self.registry)
        self._seconds = {name: Histogram(name, text, registry=self.registry) for name, text in SECONDS.items()}
        self.machines = Gauge("foa_machines", "machines that live in this node", ["kind"], registry=self.registry)
        self._children: dict[tuple[str, str], Any] = {}
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
        getattr(self._log, level)(name, **fields, **more)

    def measure(self, name: str, amount: float, seconds: float | None, label: str) -> None:
        """Count, or observe a duration."""
        if seconds is not None and name in self._seconds:
            self._seconds[name].observe(seconds)
            return
        child = self._children.get((name, label))
        if child is None:
            child = self._children[name, label] = self._child(name, label)
        child.inc(amount)

    def _child(self, name: str, label: str) -> Any:
        counter = self._counters.get(name)
        if counter is None:
            return self._other.labels(name)
        return counter.labels(label or "none") if COUNTERS[name][0] else counter
