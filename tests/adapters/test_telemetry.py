"""What a node shows over HTTP, and what it logs."""

import json
from contextlib import suppress
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from foa.adapters.telemetry import Telemetry
from foa.adapters.telemetry.health import HealthServer
from foa.adapters.telemetry.metrics import Metrics
from foa.errors import ConfigError


def test_a_node_shows_its_health_and_its_numbers() -> None:
    metrics, ready = Metrics(), [False]
    metrics.measure("foa_tasks_total", 2.0, None, "done")
    metrics.measure("foa_task_seconds", 1.0, 0.2, "")
    metrics.measure("something_new", 1.0, None, "an id must never become a label")
    server = HealthServer(metrics.registry, lambda: ready[0])
    port = server.start("127.0.0.1", 0)
    try:
        with pytest.raises(HTTPError, match="503"):
            urlopen(f"http://127.0.0.1:{port}/readyz")
        ready[0] = True
        assert json.load(urlopen(f"http://127.0.0.1:{port}/readyz")) == {"ok": True}
        assert json.load(urlopen(f"http://127.0.0.1:{port}/healthz")) == {"ok": True}
        page = urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
        with pytest.raises(ConfigError, match=r"http\.port"):
            HealthServer(metrics.registry, lambda: True).start("127.0.0.1", port)
    finally:
        server.close()
    assert 'foa_tasks_total{status="done"} 2.0' in page
    assert "foa_task_seconds_count 1.0" in page
    assert 'foa_events_total{name="something_new"} 1.0' in page
    assert "an id" not in page


def test_a_line_names_node_and_task_and_keeps_the_level(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry = Telemetry("c1", "warning", as_json=True)
    telemetry.log("task_ended", "info", {"task": "t1"})
    telemetry.log("dead_letter", "warning", {"task": "t2"})
    (line,) = capsys.readouterr().err.splitlines()
    said = json.loads(line)
    assert (said["event"], said["node"], said["task"], said["level"]) == ("dead_letter", "c1", "t2", "warning")


def test_a_log_that_cannot_be_written_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w", buffering=1) as full:  # noqa: PTH123 - line by line, like standard error
        monkeypatch.setattr("sys.stderr", full)
        Telemetry("n1").log("something", "warning", {"task": "t1"})
        with suppress(OSError):  # what its buffer still holds
            full.close()
