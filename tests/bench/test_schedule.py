"""The schedule bench: its yardstick against its laws, its files, and a small replay of the real thing."""

import gzip
import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foa.bench.schedule import classical, measure, scaling
from foa.bench.schedule.command import counts
from foa.bench.schedule.replay import replay
from foa.bench.schedule.workflows import Workflow, layered, load, plan_of
from foa.core.dag.plan import critical_path
from foa.errors import ConfigError


@st.composite
def small(draw: st.DrawFn) -> Workflow:
    size = draw(st.integers(1, 6))
    pairs = list(itertools.combinations(range(size), 2))
    edges = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    return Workflow("w", tuple(edges), tuple(draw(st.lists(st.integers(1, 9), min_size=size, max_size=size))))


@settings(max_examples=60, deadline=None)
@given(small(), st.integers(1, 4))
def test_the_yardstick_keeps_the_laws_of_list_scheduling(workflow: Workflow, machines: int) -> None:
    span, least = classical.makespan(workflow, machines), classical.bound(workflow, machines)
    assert least - 1e-9 <= span <= (2 - 1 / machines) * least + 1e-9  # Graham's bound
    assert classical.makespan(workflow, 1) == pytest.approx(sum(workflow.seconds))
    path = max(classical.remaining(workflow))
    assert classical.makespan(workflow, 100) == pytest.approx(path)
    weights = {subtask.id: subtask.weight for subtask in plan_of(workflow).subtasks}
    assert path == pytest.approx(sum(weights[one] for one in critical_path(plan_of(workflow))))


def test_the_longest_remaining_path_goes_first() -> None:
    workflow = Workflow("w", ((2, 3),), (2.0, 2.0, 2.0, 4.0))
    assert classical.makespan(workflow, 2) == 6.0


def test_a_file_is_read_plain_and_packed_and_what_is_wrong_is_named(tmp_path: Path) -> None:
    line = json.dumps({"id": "w", "edges": [[0, 1]], "runtime_s": [1.5, None], "app": "x"}).encode()
    (tmp_path / "w.jsonl").write_bytes(line + b"\n\n" + line)
    (tmp_path / "w.jsonl.gz").write_bytes(gzip.compress(line))
    assert load(tmp_path / "w.jsonl") == 2 * load(tmp_path / "w.jsonl.gz")
    assert load(tmp_path / "w.jsonl.gz")[0].seconds == (1.5, 0.001)
    for body, said in ((b'{"id": 1}', "line 1"), (line.replace(b"[0, 1]", b"[0, 7]"), "no subtask")):
        (tmp_path / "bad.jsonl").write_bytes(body)
        with pytest.raises(ConfigError, match=said):
            load(tmp_path / "bad.jsonl")
    with pytest.raises(ConfigError, match="--workflows"):
        load(tmp_path / "none.jsonl")
    with pytest.raises(ConfigError, match="--agents"):
        counts("4,x")
    assert counts("4, 16") == (4, 16)


@pytest.mark.slow
@pytest.mark.parametrize("machines", [2, 20])
def test_the_federation_keeps_up_with_the_yardstick(machines: int) -> None:
    workflow = layered(30, 10)
    ours = replay(workflow, machines)
    assert ours.begun == 30
    assert classical.bound(workflow, machines) <= ours.makespan <= 1.1 * classical.makespan(workflow, machines)


@pytest.mark.slow
def test_a_plan_of_many_groups_is_run_to_its_end_and_publishes_no_more_for_each() -> None:
    small_plan, large = scaling.cost(50, 1), scaling.cost(400, 1)
    assert small_plan["us"] > 0
    assert large["bytes"] < 1.5 * small_plan["bytes"]


@pytest.mark.slow
def test_the_figures_have_their_keys(tmp_path: Path) -> None:
    line = json.dumps({"id": "w", "edges": [[0, 1]], "runtime_s": [1.5, 2.0]})
    (tmp_path / "w.jsonl").write_text(line)
    found = measure.measure(tmp_path / "w.jsonl", (4,), 0, 0, lambda _: None)
    assert {"workflows", "ratio_p50", "ratio_max", "scaling"} <= set(found)
    assert found["workflows"][0]["ratio"] < 1.05
    assert "ratio" in measure.table(found)
