"""``foa bench routing`` on small files: the figures by hand, the contract of its keys, and errors in one line."""

import gzip
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from foa.adapters.embed import HashEmbedder
from foa.bench.main import app
from foa.bench.routing.figures import figures
from foa.bench.routing.measure import Plan, measure
from foa.bench.routing.online import Terms, Told, verdicts
from foa.errors import ConfigError

AGENTS = [
    {"id": "getWeather", "name": "getWeather", "description": "Tells the forecast of a city", "domain": "x"},
    {"id": "translate_text", "name": "translate_text", "description": "Translates documents between languages"},
    {"id": "Bank 7", "name": "Bank 7", "description": "Transfers money to an account"},
]
QUERIES = [
    {"id": "q1", "query": "What is the weather forecast for Rome?", "gold": ["getWeather"]},
    {"id": "q2", "query": "Transfer money and translate the receipt documents", "gold": ["Bank 7", "translate_text"]},
    {"id": "q3", "query": "forecast of the money transfers", "gold": ["translate_text"]},
]
KEYS = {"recall@1", "recall@5", "recall@10", "hit@1", "mrr", "ci95"}


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    agents, queries = tmp_path / "agents.jsonl.gz", tmp_path / "queries.jsonl"
    agents.write_bytes(gzip.compress("\n".join(map(json.dumps, AGENTS)).encode()))
    queries.write_text("\n".join(map(json.dumps, QUERIES)))
    return agents, queries


def test_figures_by_hand() -> None:
    ranked = [("a", "b", "c"), ("b", "c", "a"), ("c",), ()]
    gold = [frozenset("a"), frozenset("ac"), frozenset("a"), frozenset("a")]
    found = figures(ranked, gold)
    assert found["recall@1"] == 0.25
    assert found["recall@5"] == 0.5
    assert found["hit@1"] == 0.25
    assert found["mrr"] == pytest.approx((1 + 0.5) / 4)
    low, high = found["ci95"]["recall@1"]
    assert low + high == pytest.approx(0.5, abs=1e-3)
    assert low < 0.25 < high


def test_the_keys_are_a_contract(files: tuple[Path, Path]) -> None:
    said: list[str] = []
    found = measure(Plan(*files, online=Terms(seeds=2), baselines=True), HashEmbedder(), said.append)
    assert found.keys() >= KEYS
    assert all(found["baselines"][name].keys() == KEYS for name in ("minilm", "bm25"))
    assert {"hit@1", "hit@1_last_third", "curve"} <= found["online"].keys()
    assert (found["online"]["attempts"], found["online"]["told"]) == (3, "choice")
    assert len(found["online"]["seeds"]) == 2
    assert found["recall@1"] == pytest.approx(0.5)
    assert found["recall@5"] == 1.0
    assert said
    assert json.loads(json.dumps(found)) == found


def test_who_is_told_of() -> None:
    found, right = ["a", "b", "c"], frozenset("bd")
    assert verdicts(found, right, Told.CHOICE) == {"a": 0.0, "b": 1.0}
    assert verdicts(found[:1], right, Told.CHOICE) == {"a": 0.0}
    assert verdicts(found, frozenset("d"), Told.CHOICE) == {"a": 0.0, "b": 0.0, "c": 0.0}
    assert verdicts(found, right, Told.GOLD) == {"a": 0.0, "b": 1.0, "d": 1.0}
    assert verdicts(found[1:], right, Told.GOLD) == {"b": 1.0, "d": 1.0}


@pytest.mark.parametrize(("attempts", "told"), [(1, Told.CHOICE), (3, Told.CHOICE), (1, Told.GOLD)])
def test_a_learned_profile_beats_its_description(
    tmp_path: Path, files: tuple[Path, Path], attempts: int, told: Told
) -> None:
    again = [
        {"id": f"q{at}", "query": "forecast of the money transfers", "gold": ["translate_text"]} for at in range(12)
    ]
    queries = tmp_path / "again.jsonl"
    queries.write_text("\n".join(map(json.dumps, again)))
    found = measure(Plan(files[0], queries, online=Terms(attempts, told)), HashEmbedder(), lambda _: None)
    assert found["hit@1"] == 0.0
    assert found["online"]["hit@1_last_third"] == 1.0


def test_the_command_prints_json_and_draws(files: tuple[Path, Path], tmp_path: Path) -> None:
    picture = tmp_path / "figures.png"
    options = ["--agents", str(files[0]), "--queries", str(files[1]), "--model", "hash", "--json", "--limit", "2"]
    online = ["--online", "--attempts", "2", "--told", "gold"]
    ran = CliRunner().invoke(app, ["routing", *options, *online, "--plot", str(picture)])
    assert ran.exit_code == 0
    found = json.loads(ran.stdout)
    assert found["queries"] == 2
    assert (found["online"]["attempts"], found["online"]["told"]) == (2, "gold")
    assert picture.read_bytes()[:4] == b"\x89PNG"


def test_a_wrong_file_is_told_with_line_and_field(files: tuple[Path, Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    for row, said in (
        ({"id": "q", "query": "x", "gold": ["nobody"]}, r"line 1: gold names 'nobody'"),
        ({"id": "q", "gold": ["getWeather"]}, r"line 1: .*`query`"),
        ({"id": "q", "query": 7, "gold": ["getWeather"]}, r"line 1: .*query"),
    ):
        bad.write_text(json.dumps(row))
        with pytest.raises(ConfigError, match=said):
            measure(Plan(files[0], bad), HashEmbedder(), lambda _: None)
    with pytest.raises(ConfigError, match="cannot be read"):
        measure(Plan(tmp_path / "none", files[1]), HashEmbedder(), lambda _: None)
