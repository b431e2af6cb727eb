"""`foa bench plans` on plans made here: what it reads and refuses, its metric, its noise, and that it never peeks."""

import gzip
import json
import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from foa.bench.main import app
from foa.bench.plans import measure, noise, planners
from foa.bench.plans.data import Graph, PlanRow, acyclic, graph_of, is_chain, listed, plan_of, read
from foa.bench.plans.metric import scores
from foa.core.dag.plan import check
from foa.errors import ConfigError

VERBS = ("load", "clean", "plot", "translate", "mail", "count", "train", "archive")
THINGS = ("customer table", "sales figures", "weekly report", "german abstract", "parrot photos", "server logs")


def rows(count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Return plans: of "line" requests a chain, of "heap" requests no order at all."""
    rng = random.Random(seed)
    found = []
    for at in range(count):
        size = rng.randint(2, 5)
        nodes = [f"{verb} the {rng.choice(THINGS)}" for verb in rng.sample(VERBS, size)]
        kind = "line" if at % 2 else "heap"
        edges = list(pairwise(range(size))) if kind == "line" else []
        task = f"{'One after the other' if kind == 'line' else 'All at once'}: {', '.join(nodes)}."
        found.append({"id": str(at), "task": task, "source": kind, "nodes": nodes, "edges": edges})
    return found


def written(path: Path, found: list[dict[str, Any]]) -> Path:
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, found)).encode()))
    return path


def run(*words: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["plans", "--model", "words", "--json", *words])
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.mark.slow
def test_the_keys_that_scripts_read(tmp_path: Path) -> None:
    path = written(tmp_path / "plans.jsonl.gz", rows(12))
    found = run("--plans", str(path), "--noise", "0.25", "--fuzz", "20")
    for part in (found, found["steps"]):
        for name in ("chain", "clauses", "parallel", "union", "consensus"):
            assert {"node_f1", "edge_f1"} <= set(part[name])
        assert set(part["by_source"]) == {"line", "heap"}
        assert set(part["ablation"]) == set(part["refused"]) == {"chain", "clauses", "parallel", "typed"}
        assert part["refused"] == {"chain": 0.0, "clauses": 0.0, "parallel": 0.0, "typed": 1.0}
        assert part["chain_share"] == 0.5
    assert set(found["noise"]["0.25"]) == {"single", "union", "consensus"}
    assert found["items"] == 12
    assert found["merge_ms"] > 0
    assert found["fuzz"]["cyclic_or_dangling"] == 0
    assert found == run("--plans", str(path), "--noise", "0.25", "--fuzz", "20") | {
        key: found[key] for key in ("merge_ms", "row_ms", "steps")
    }


def test_the_trivial_chain_of_listed_steps_is_the_reference(tmp_path: Path) -> None:
    found = run("--plans", str(written(tmp_path / "plans.jsonl.gz", rows(12))), "--given", "steps")
    by = found["by_source"]
    assert by["line"]["chain"]["edge_f1"] == by["heap"]["parallel"]["edge_f1"] == 1.0
    assert by["heap"]["chain"]["edge_f1"] == by["line"]["parallel"]["edge_f1"] == 0.0
    assert found["chain"]["node_f1"] == 1.0


def test_a_table_for_people(tmp_path: Path) -> None:
    path = written(tmp_path / "plans.jsonl.gz", rows(6))
    result = CliRunner().invoke(app, ["plans", "--model", "words", "--plans", str(path), "--noise", "0.5"])
    assert result.exit_code == 0
    assert "consensus without it" in result.stdout
    assert "spoilt" in result.stdout


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"edges": [[0, 9]]}, "names no node.*no row is left"),
        ({"nodes": []}, "line 1"),
        ({"nodes": ["", "b"]}, "empty text"),
        ({"task": " "}, "task is empty"),
        ({"edges": "x"}, "line 1"),
    ],
)
def test_bad_rows_are_refused_in_one_line(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    path = written(tmp_path / "plans.jsonl.gz", [rows(1)[0] | change])
    with pytest.raises(ConfigError, match=says) as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_rows_whose_edges_are_none_are_skipped_and_told(tmp_path: Path) -> None:
    found = rows(6)
    found[2]["edges"], found[4]["edges"] = [[0, 9]], [[1, 1]]
    path = written(tmp_path / "plans.jsonl.gz", found)
    given = read(path)
    assert [row.id for row in given.rows] == ["0", "1", "3", "5"]
    assert given.skipped == (
        "2: edge [0, 9] names no node: nodes are 0 to " + str(len(found[2]["nodes"]) - 1),
        "4: edge [1, 1] leads from a node to itself",
    )
    result = CliRunner().invoke(app, ["plans", "--model", "words", "--json", "--given", "steps", "--plans", str(path)])
    assert json.loads(result.stdout)["skipped"] == 2
    assert "2 rows are skipped, the first 2: edge [0, 9]" in result.stderr


def test_a_rate_out_of_range_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["plans", "--plans", str(tmp_path), "--noise", "1.5"])
    assert "must be in [0, 1)" in str(result.exception)


def test_the_metric() -> None:
    gold = Graph(("load", "clean", "plot"), ((0, 1), (1, 2)))
    assert scores(gold, gold, {}) == (1.0, 1.0, 1.0)
    written_out = Graph(gold.nodes, ((0, 1), (1, 2), (0, 2)))
    assert scores(written_out, gold, {}).edge_f1 == 1.0
    assert scores(written_out, gold, {}).direct_f1 == 0.8
    assert scores(Graph(()), Graph(("load",)), {}) == (0.0, 0.0, 0.0)
    assert scores(Graph(("load",)), Graph(("load",)), {}) == (1.0, 1.0, 1.0)
    assert scores(Graph(gold.nodes), gold, {}) == (1.0, 0.0, 0.0)
    left_out = scores(Graph(("load", "plot"), ((0, 1),)), gold, {})
    assert left_out == (0.8, 0.5, 0.0)
    twice = scores(Graph(("load", "load", "load")), gold, {})
    assert twice.node_f1 == pytest.approx(2 / 6)
    assert scores(Graph(gold.nodes[::-1], ((0, 1), (1, 2))), gold, {}).edge_f1 == 0.0


def test_spoilt_plans_are_plans_and_spoilt() -> None:
    rng = random.Random(3)
    for row in rows(60):
        gold = Graph(tuple(row["nodes"]), tuple(map(tuple, row["edges"])))
        assert noise.spoilt(gold, 0.0, ["x"], rng) == gold
        found = noise.spoilt(gold, 0.5, ["feed the parrot"], rng)
        assert check(plan_of(found, "x")) is None
        assert all(max(edge) < len(found.nodes) for edge in found.edges)
    assert noise.reworded("Load the data", random.Random(1)) != "Load the data"


def test_graphs_and_plans() -> None:
    graph = Graph(("a", " ", "c"), ((0, 1), (0, 2), (2, 0)))
    assert graph_of(plan_of(graph, "x")) == Graph(("a", "c"), ((0, 1),))
    assert acyclic([("a", "b"), ("b", "c"), ("c", "a"), ("a", "a")]) == (("a", "b"), ("b", "c"))
    assert is_chain(Graph(("a", "b"), ((0, 1),)))
    assert not is_chain(Graph(("a", "b")))
    merged = planners.union({"p": Graph(("a", "b"), ((0, 1),)), "q": Graph(("b", "a"), ((0, 1),))})
    assert merged == Graph(("a", "b"), ((0, 1), (1, 0)))
    row = PlanRow("1", "Do it", ("a\nb", "c"))
    assert planners.chain(listed(row)) == Graph(("a b", "c"), ((0, 1),))


def test_nothing_is_known_of_a_plan_before_it_was_scored() -> None:
    """What a row's own plan is, and what comes after it, changes nothing of what was proposed and merged for it."""
    given = [PlanRow(**{**row, "nodes": tuple(row["nodes"]), "edges": ()}) for row in rows(12)]
    texts = [planners.request(row, "request") for row in given]
    other = [PlanRow(row.id, row.task, ("something else",), (), row.source) for row in given[6:]]
    for changed in ([*given[:6], *other], given[:7]):
        asked = texts[: len(changed)]
        found = measure.stream(changed, asked, measure.proposed(changed, "request", asked, {}), {})
        whole = measure.stream(given, texts, measure.proposed(given, "request", texts, {}), {})
        assert [one.by for one in found[:6]] == [one.by for one in whole[:6]]
