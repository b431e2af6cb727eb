"""The bench of refinement: honest counting of calls, no peeking at what is right, figures under their keys."""

import json
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from foa.bench.main import app
from foa.bench.refine import measure, plot
from foa.bench.refine.data import Debate, debates
from foa.bench.refine.desk import Desk
from foa.bench.refine.policies import Escalating, Policy, Settling, Single, Team, Voting
from foa.bench.refine.replay import replay
from foa.core.cluster.escalate import Rules
from foa.errors import ConfigError

CHANCES = {"weak": 0.2, "fair": 0.4, "good": 0.9}


def row(number: int, rng: random.Random) -> dict[str, object]:
    """Three agents, two rounds: in the second one is right if it was, or if two others were."""
    first = {agent: rng.random() < chance for agent, chance in CHANCES.items()}
    second = {agent: right or sum(first.values()) > 1 for agent, right in first.items()}
    return {
        "id": str(number),
        "kind": "sums",
        "agents": list(CHANCES),
        "rounds": [
            [
                {"answer": "1" if one else str(rng.randint(2, 9)), "ok": int(one)}
                for one in (first[agent], second[agent])
            ]
            for agent in CHANCES
        ],
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    rng = random.Random(5)
    file = tmp_path / "debates.jsonl"
    file.write_text("\n".join(json.dumps(row(number, rng)) for number in range(60)))
    return file


@pytest.fixture
def rows(path: Path) -> tuple[Debate, ...]:
    return debates(path)


@pytest.mark.slow
def test_the_figures_stand_under_their_keys(path: Path, tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["refine", "--debates", str(path), "--json", "--seeds", "2", "--limit", "30"])
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    for name in (*measure.STRATEGIES, "escalating", "escalating_agreement"):
        assert 0.0 <= found[name]["accuracy"] <= 1.0
        assert found[name]["calls"] >= 1.0
    assert {row["policy"] for row in found["frontier"]} >= {"majority", "escalating", "team_random_1", "vote_first"}
    assert all(set(row) == {"policy", "accuracy", "calls"} for row in found["frontier"])
    assert found["baselines"]["oracle"]["accuracy"] >= max(row["accuracy"] for row in found["frontier"])
    assert found["baselines"]["single:good"]["accuracy"] == found["baselines"]["single_best"]["accuracy"]
    assert "escalating" in measure.table(found)
    pytest.importorskip("matplotlib")
    plot.draw(found, tmp_path / "frontier.png")
    assert (tmp_path / "frontier.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ConfigError, match="can be written"):
        plot.draw(found, tmp_path / "nowhere" / "frontier.png")


def test_a_policy_pays_for_what_it_sees_and_sees_nothing_else(rows: tuple[Debate, ...]) -> None:
    desk = Desk(rows[0], ("good", "weak", "fair"))
    assert desk.left == 0
    desk.ask("good")
    desk.ask("good")
    assert (desk.calls, desk.left) == (1, 0)
    with pytest.raises(AssertionError, match="whole round"):
        desk.refine()
    desk.ask("weak")
    desk.ask("fair")
    assert desk.left == 1
    desk.refine(["weak"])
    assert (desk.calls, desk.left) == (4, 0)
    assert [[answer.agent for answer in answers] for answers in desk.history] == [["good", "weak", "fair"], ["weak"]]


def test_calls_are_counted_per_reply(rows: tuple[Debate, ...]) -> None:
    cases: list[tuple[Callable[[], Policy], float]] = [
        (partial(Voting, 2), 2.0),
        (Voting, 3.0),
        (partial(Voting, rounds=0), 6.0),
        (partial(Team, 1), 1.0),
    ]
    for make, calls in cases:
        assert replay(rows, make, 1).calls.mean() == calls
    none = replay(rows, lambda: Single(["nobody"]), 1)
    assert np.isnan(none.right).all()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_figures(rows: tuple[Debate, ...]) -> None:
    one, other = (replay(rows, lambda: Escalating(Rules()), 2) for _ in range(2))
    assert (one.right == other.right).all()
    assert (one.calls == other.calls).all()


@pytest.mark.slow
@pytest.mark.parametrize("informed", [False, True])
def test_what_is_right_changes_nothing_for_who_learns_from_agreement(rows: tuple[Debate, ...], informed: bool) -> None:
    """Turn every verdict round: who does not hear verdicts must play the very same way."""
    turned = [
        debate._replace(right=tuple({agent: 1.0 - value for agent, value in one.items()} for one in debate.right))
        for debate in rows
    ]
    makes: list[Callable[[], Policy]] = [
        partial(Escalating, Rules()),
        partial(Settling, "weighted"),
        partial(Team, 2, informed=informed),
    ]
    for make in makes:
        one, other = replay(rows, make, 1), replay(turned, make, 1)
        assert (one.calls == other.calls).all()
        assert (one.right == 1.0 - other.right).all()


def test_a_verdict_comes_late(rows: tuple[Debate, ...]) -> None:
    """Until the first verdict is heard, who hears verdicts plays like who does not."""
    one = replay(rows[:10], lambda: Escalating(Rules()), 1)
    other = replay(rows[:10], lambda: Escalating(Rules(), verdicts=True), 1)
    assert (one.right == other.right).all()


def test_verdicts_find_the_good_one(rows: tuple[Debate, ...]) -> None:
    informed = replay(rows, lambda: Team(1, verdicts=True, informed=True), 3)
    random_one = replay(rows, lambda: Voting(1), 3)
    assert informed.right.mean() > random_one.right.mean() + 0.1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"rounds": []}, "give one list per agent"),
        ({"rounds": [[], [], []]}, "has no reply"),
        ({"agents": []}, "length"),
        ({"rounds": 3}, "rounds"),
    ],
)
def test_a_file_that_is_wrong_is_told_by_line(tmp_path: Path, change: dict[str, object], why: str) -> None:
    file = tmp_path / "wrong.jsonl"
    good = row(1, random.Random(1))
    file.write_text(json.dumps(good) + "\n" + json.dumps(good | change))
    with pytest.raises(ConfigError, match=f"line 2: .*{why}"):
        debates(file)


def test_strange_answers_and_names_are_taken(tmp_path: Path) -> None:
    file = tmp_path / "strange.jsonl"
    rounds = [[{"answer": None, "ok": 0}], [{"answer": 7, "ok": True}], [{"answer": "x" * 9000, "ok": 0.0, "x": 1}]]
    file.write_text(json.dumps({"id": "1", "agents": ["a", "a", "b"], "rounds": rounds}))
    found = debates(file)
    assert found[0].agents == ("a", "a#1", "b")
    makes: list[Callable[[], Policy]] = [partial(Settling, ""), partial(Escalating, Rules())]
    for make in makes:
        assert replay(found, make, 1).calls.mean() >= 1.0
