"""Prometheus numbers of one node, without any id. Loaded only where they are shown (`http.port`).

Names and labels are fixed here in one table, so that a metric cannot be invented in passing and no id can
become a label.
"""

from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Histogram

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


class Metrics:
    """What ``/metrics`` shows."""

    def __init__(self) -> None:
        """Start all at zero."""
        self.registry = CollectorRegistry()
        self._counters = {
            name: Counter(name, text, [label] if label else [], registry=self.registry)
            for name, (label, text) in COUNTERS.items()
        }
        self._other = Counter(OTHER, "what has no metric of its own", ["name"], registry=self.registry)
        self._seconds = {name: Histogram(name, text, registry=self.registry) for name, text in SECONDS.items()}
        self._children: dict[tuple[str, str], Any] = {}

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
