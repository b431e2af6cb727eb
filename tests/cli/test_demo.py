"""``foa demo`` without a model: it ends with a checked report, also when its coordinator is killed, or with nothing."""

import json
import signal
import sys
from pathlib import Path

import pytest

from tests.cli.programs import HASH, Program, all_gone, foa

pytestmark = pytest.mark.slow
pytest.importorskip("sklearn")


def _children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            after = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        if int(after[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def test_the_sample_is_a_table_with_a_header() -> None:
    from foa.cli.demo import sample

    rows = [line.split(",") for line in sample().decode().splitlines()]
    assert rows[0][0] == "alcohol"
    assert len(rows) == 179
    assert {len(row) for row in rows} == {14}


def test_a_killed_coordinator_does_not_keep_the_report_from_being_right(tmp_path: Path) -> None:
    done = foa("demo", "--json", "--kill", "coordinator", "--out", "r.html", cwd=tmp_path, HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["ok"] is True
    assert told["wrong"] == []
    assert told["checked"] > 50
    assert b"<html" in (tmp_path / "r.html").read_bytes().lower()
    plan, *answers = told["agreed"]
    assert "planners proposed" in plan
    assert "foa/plan/clauses 4 of 4" in plan
    assert any("outliers-forest" in line and "outliers-robust" in line for line in answers)
    assert (tmp_path / "r.plan.svg").read_text().startswith("<svg")
    assert told["plan"] == str(tmp_path / "r.plan.svg")
    assert "kill -9 coordinator-" in done.stderr
    assert "taken-over" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_ended_in_the_middle_it_leaves_no_process_and_no_file(number: int, tmp_path: Path) -> None:
    changes = {**HASH, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    program = Program([sys.executable, "-m", "foa", "demo", "--out", "r.html"], tmp_path, changes)
    program.until("awarded")
    pids = _children(program.process.pid)
    assert len(pids) >= 13
    assert program.end(number) == (-9 if number == signal.SIGKILL else 130)
    assert all_gone(pids)
    assert not list(tmp_path.glob("*r.html*"))
    assert number == signal.SIGKILL or not list(tmp_path.glob("foa-demo-*"))
