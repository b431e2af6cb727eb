"""Collects what the conformance suite found, and prints it as a matrix: feature by client and broker."""

from collections.abc import Generator

import pytest

from tests.bus.worlds import WORLDS

_COLUMNS = {
    "memory": "memory",
    "ours": "ours-ours",
    "kept": "ours-ours, store",
    "mosquitto": "ours-mosquitto",
    "aiomqtt-ours": "aiomqtt-ours",
    "aiomqtt-mosquitto": "aiomqtt-mosquitto",
}
_cells: dict[tuple[str, str], str] = {}
_reasons: dict[str, None] = {}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "feature(name, seconds): one row of the conformance matrix")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        mark = item.get_closest_marker("feature")
        if mark is None or not isinstance(item, pytest.Function):
            continue
        kind = _kind(item)
        if mark.args[1] and not WORLDS[kind].virtual:
            item.add_marker(pytest.mark.slow)
        if WORLDS[kind].broker == "mosquitto":
            item.add_marker(pytest.mark.mosquitto)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    mark = item.get_closest_marker("feature")
    if mark is not None and report.when == "call" and isinstance(item, pytest.Function):
        _note(mark.args[0], _kind(item), report)
    return report


def _kind(item: pytest.Function) -> str:
    return str(item.callspec.params["kind"])


def _note(name: str, kind: str, report: pytest.TestReport) -> None:
    word = {"passed": "yes", "failed": "FAILED", "skipped": "no"}[report.outcome]
    before = _cells.get((name, kind))
    worse = ["yes", "no", "FAILED"]
    _cells[name, kind] = word if before is None else max(before, word, key=worse.index)
    if report.skipped and isinstance(report.longrepr, tuple):
        _reasons[f"{name}, {_COLUMNS[kind]}: {report.longrepr[2].removeprefix('Skipped: ')}"] = None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _cells:
        return
    terminalreporter.section("bus conformance, client-broker")
    names = list(dict.fromkeys(name for name, _ in _cells))
    width = max(map(len, names)) + 2
    terminalreporter.line("feature".ljust(width) + "".join(title.ljust(19) for title in _COLUMNS.values()))
    for name in names:
        row = "".join(_cells.get((name, kind), "-").ljust(19) for kind in _COLUMNS)
        terminalreporter.line(name.ljust(width) + row)
    for reason in _reasons:
        terminalreporter.line(f"no: {reason}")
