"""What `foa search` and `foa explain` say of candidates: every part of a score, the front, the gates, the attempts."""

import json
from pathlib import Path
from typing import Any

import pytest

from foa.cli.charts import WIDE, Point, bar, scatter, short, sparkline
from foa.cli.main import main
from foa.cli.searching import explaining, finding
from foa.errors import NoRoute
from foa.wire.ids import Version
from foa.wire.messages import Found, Result
from foa.wire.records import Hit, Resources
from tests.cli import lessons

CHEAP, BEST, QUICK, WORSE = (f"acme/tools/{name}" for name in ("cheap", "best", "quick", "worse"))


def hit(agent: str, cosine: float, price: float, latency_ms: float, **fields: Any) -> Hit:
    resources = Resources(price_call=price, latency_ms=latency_ms)
    return Hit(agent, Version(1, 1), cosine, 0.8, resources=resources, **fields)


HITS = (
    hit(BEST, 0.8, 0.02, 900.0, relevance=0.82, words=0.5, done=0.9, mass=2.0),
    hit(CHEAP, 0.5, 0.001, 900.0),
    hit(QUICK, 0.5, 0.02, 50.0),
    hit(WORSE, 0.4, 0.02, 950.0),
)


@pytest.fixture(autouse=True)
def _found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)

    async def searched(settings: object, query: object, k: int) -> Found:
        return Found((HITS,), tuple(range(64)), "hash", refused=((lessons.REFUSED,),))

    monkeypatch.setattr(finding, "_search", searched)
    monkeypatch.setattr(explaining, "one_kept", lambda settings, task: lessons.explained())


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(arguments) == code
    return capsys.readouterr().out


def found(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(said(capsys, "search", "solve it", "--json", *arguments))
    return data


def order(data: dict[str, Any]) -> list[str]:
    return [each["agent"] for each in data["candidates"] if not each["refused"]]


def test_what_is_preferred_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert order(found(capsys, "--prefer", "quality"))[0] == BEST
    assert order(found(capsys, "--prefer", "cost"))[0] == CHEAP
    assert order(found(capsys, "--prefer", "latency", "--deadline", "1s", "--cost", "0"))[0] == QUICK


def test_weights_that_are_given_stand_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    data = found(capsys, "--prefer", "cost", "--cost", "0", "--latency", "3", "--deadline", "1s", "--shortfall", "2")
    assert (data["weights"]["cost"], data["weights"]["latency"], data["weights"]["shortfall"]) == (0, 3, 2)
    assert (data["left_ms"], order(data)[0]) == (1000, QUICK)


def test_the_front_does_not_depend_on_what_is_preferred(capsys: pytest.CaptureFixture[str]) -> None:
    for prefer in ("balanced", "cost", "quality", "latency"):
        rows = {each["agent"]: each for each in found(capsys, "--prefer", prefer)["candidates"]}
        assert [agent for agent in (BEST, CHEAP, QUICK, WORSE) if rows[agent]["front"]] == [BEST, CHEAP, QUICK]
        assert set(rows[WORSE]["dominated_by"]) == {BEST, CHEAP, QUICK}


def test_json_has_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    data = found(capsys, "--budget", "0.05", "--given", "csv")
    assert {"model", "partitions", "query", "prefer", "left_ms", "weights", "candidates"} == data.keys()
    assert (data["query"]["offered"], data["query"]["budget"]) == (["text/csv"], 0.05)
    best = data["candidates"][0]
    assert best["agent"] == BEST
    assert {"score", "relevance", "words", "done", "mass", "fit", "spec", "cost", "price"} <= best.keys()
    assert (best["words"], best["mass"], best["latency_ms"]) == (0.5, 2, 900)
    assert data["candidates"][-1]["refused"] == "policy: does not hold eu-only"


def test_what_people_read_fits_and_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "search", "solve it", "--explain", "--prefer", "cost")
    assert max(map(len, text.splitlines())) <= WIDE
    for word in ("relevance", "words", "dominated by", "USD a call", "μ = 2", "does not hold eu-only", "64 of 64"):
        assert word in text
    assert "★" in said(capsys, "search", "solve it")
    assert "eu-only" not in said(capsys, "search", "solve it")


def test_when_nobody_may(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "search", "solve it", "--skill", "flying", "--explain", code=1)
    assert "nobody permitted and able was found" in text
    assert "0 of 5 passed" in text
    assert "refused: 4 skills, 1 policy" in " ".join(text.split())
    assert text.count("skills: lacks flying") == len(HITS)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([" "], "TEXT is empty"),
        (["x", "--deadline", "soon"], "--deadline soon"),
        (["x", "--prefer", "speed"], "speed"),
        (["x", "--cost", "-1"], "--cost"),
        (["x", "--skill", "s" * 65], "cannot be sent"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", *arguments]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert words in line


def test_no_index_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    async def nobody(*arguments: object) -> Found:
        raise NoRoute("no index node answered")

    monkeypatch.setattr(finding, "_search", nobody)
    assert main(["search", "x"]) == 1
    assert capsys.readouterr().err == "foa: no index node answered\n"


def test_a_task_is_explained_attempt_by_attempt(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "explain", "t-1")
    assert max(map(len, text.splitlines())) <= WIDE
    words = (
        "planning", "solve: Solve the equation", "attempt 1, chosen: acme/tools/guesser", "a newcomer's turn",
        "not the end of it: attempt 2 followed", "attempt 2, chosen: acme/maths/solver-of-equations",
        "done by acme/maths/solver-of-equations after 812 ms for 0.004 USD", "0.710 ± 0.030", "14.2", "0.90 of 3",
        "✗ acme/law/lawyer", "policy: does not hold eu-only", "2 of 3 passed", "refused: 1 policy", "bound 0.7400",
    )  # fmt: skip
    at = -1
    for word in words[:7]:
        assert (at := text.find(word, at + 1)) >= 0, word
    assert [word for word in words if word not in text] == []


def test_one_subtask_alone_and_one_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "explain", "t-1", "--subtask", "planning")
    assert "acme/plans/planner" in text
    assert "guesser" not in text
    assert "Expected reward" not in text
    assert main(["explain", "t-1", "--subtask", "paint"]) == 4
    assert "on: planning, solve" in capsys.readouterr().err


def test_explain_as_json_has_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    data = json.loads(said(capsys, "explain", "t-1", "--subtask", "solve", "--json"))
    assert [each["attempt"] for each in data["decisions"]] == [1, 2]
    first = data["decisions"][0]["candidates"][0]
    assert (first["mean"], first["width"], first["seen"], first["probe"]) == (0.74, 0.2, 1.5, True)
    assert data["decisions"][1]["candidates"][1]["probe"] is False
    assert data["decisions"][1]["became"].startswith("done by")


def test_a_task_without_decisions(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    bare = Result("t-1", "failed", lessons.explained().epoch)
    monkeypatch.setattr(explaining, "one_kept", lambda settings, task: bare)
    assert "nothing was decided yet" in said(capsys, "explain", "t-1")


def test_pictures_of_characters() -> None:
    assert sparkline([0.0, None, 0.5, 1.0, 2.0]) == "▁ ▅██"
    assert bar(0.5, 1.0, 4) == "    │██"
    assert bar(-1.0, 1.0, 4) == "████│"
    assert bar(0.0, 0.0, 4) == "    │"
    assert short("acme/tools/guesser", 10) == "…s/guesser"
    lines = scatter([Point(0, 1, "A"), Point(1, 0, "b")], "USD", "fit", 10, 3)
    assert [line.rstrip() for line in lines] == [
        "  fit", "    1 │A", "      │", "    0 │         b", "      └──────────", "       0    1 USD",
    ]  # fmt: skip
