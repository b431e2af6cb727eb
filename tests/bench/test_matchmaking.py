"""``foa bench matchmaking`` on a small file: only what was chosen is revealed, kinds are hidden, breaks are told."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.random import default_rng
from typer.testing import CliRunner

from foa.adapters.embed import HashEmbedder
from foa.bench.main import app
from foa.bench.matchmaking import drift, figures, measure, plot, world
from foa.bench.matchmaking.play import Run, play
from foa.bench.matchmaking.policies import POLICIES
from foa.bench.matchmaking.world import Bills, World
from foa.core.learn.policies.policy import Choice, Task
from foa.errors import ConfigError

AGENTS = [
    {"id": "mathematician", "name": "Mathematician", "description": "sums and equations", "usd_per_m_in": 1.0},
    {"id": "poet", "name": "Poet", "description": "verses and rhymes", "usd_per_m_in": 0.1},
    {"id": "nobody", "name": "Nobody", "description": "knows nothing", "usd_per_m_in": 0.5},
]


def row(at: int) -> dict[str, object]:
    rng = default_rng(at)
    sums = bool(rng.random() < 0.6)
    words = "add the numbers of this equation" if sums else "write a rhyme about the sea"
    right = [0.9, 0.2, 0.05] if sums else [0.3, 0.8, 0.05]
    score = [float(rng.random() < share) for share in right]
    query = f"{words} number {at}"
    return {"id": str(at), "task": "SECRET", "query": query, "score": score, "cost": [1e-4, 1e-5, 5e-5]}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("data")
    for name, rows in (("agents", AGENTS), ("outcomes", [row(at) for at in range(400)])):
        body = "\n".join(json.dumps(each) for each in rows)
        (folder / f"{name}.jsonl.gz").write_bytes(gzip.compress(body.encode()))
    return folder / "agents.jsonl.gz", folder / "outcomes.jsonl.gz"


@pytest.fixture(scope="module")
def small(files: tuple[Path, Path]) -> World:
    return world.load(*files, HashEmbedder(), lambda _: None)


class Spy:
    """Chooses the first, and notes what it is shown."""

    def __init__(self) -> None:
        self.seen: list[Task] = []
        self.told: list[tuple[str, float]] = []

    def choose(self, task: Task, _rng: object) -> Choice:
        self.seen.append(task)
        return Choice(task.agents[0], task.z[0], task.x, task.text, task.at)

    def learn(self, choice: Choice, reward: float) -> None:
        self.told.append((choice.agent, reward))


def test_only_the_chosen_agents_outcome_is_revealed(small: World) -> None:
    spy = Spy()
    order = default_rng(3).permutation(len(small.score))
    played = play(small, spy, Run(order, 0.5, default_rng(0)))
    expected = small.score[order, 0] - 0.5 * small.cost[order, 0]
    np.testing.assert_allclose([reward for _, reward in spy.told], expected)
    np.testing.assert_allclose(played.reward, expected)
    assert {agent for agent, _ in spy.told} == {"mathematician"}
    assert sorted(order) == list(range(400))


def test_what_is_shown_does_not_depend_on_hidden_outcomes(small: World) -> None:
    """Change every outcome of the agents that are not chosen: a policy sees and learns the same."""
    other = small._replace(score=small.score.copy(), cost=small.cost.copy())
    other.score[:, 1:] = 1.0 - other.score[:, 1:]
    other.cost[:, 1:] *= 7.0
    seen = []
    for given in (small, other):
        spy = Spy()
        play(given, spy, Run(np.arange(400), 0.5, default_rng(0)))
        seen.append(([task.z.tolist() for task in spy.seen], [task.price.tolist() for task in spy.seen], spy.told))
    assert seen[0] == seen[1]


def test_costs_are_shares_of_the_dearest_mean(small: World) -> None:
    assert small.reference == pytest.approx(1e-4)
    np.testing.assert_allclose(small.cost.mean(axis=0), [1.0, 0.1, 0.5])


def test_expected_costs_follow_the_bills() -> None:
    bills, price = Bills(2), np.array([1.0, 0.5])
    np.testing.assert_allclose(bills.expected(price), price)
    for _ in range(500):
        bills.paid(0, 1.0, 3.0)
        bills.paid(1, 0.5, 0.5)
    np.testing.assert_allclose(bills.expected(price), [3.0, 0.5], rtol=0.02)


@pytest.mark.slow
def test_one_seed_is_the_same_twice_and_hindsight_is_above_all(small: World) -> None:
    job = measure.Job(0.2, 5)
    one, other = measure.seeded(small, job), measure.seeded(small, job)
    assert set(one) == {*POLICIES, "best-single", "oracle"}
    for name, run in one.items():
        np.testing.assert_array_equal(run.reward, other[name].reward)
        assert run.reward.mean() <= one["oracle"].reward.mean() + 1e-12


@pytest.mark.slow
def test_an_agent_that_breaks(small: World) -> None:
    plan = drift.parse("best@0.5", small, 0.0)
    assert small.agents[plan.agent] == "mathematician"
    found = drift.summary(small, plan, [drift.drifted(small, 0.0, plan, 1)])
    learners = found["learners"]
    assert set(learners) == set(drift.KINDS)
    assert learners["frozen"]["mean_reward_after"] < learners["linucb"]["mean_reward_after"] <= 1.0


@pytest.mark.parametrize("plan", ["best", "best@1.5", "best@", "stranger@0.5", "@0.5"])
def test_a_plan_of_drift_that_makes_no_sense_is_one_line(small: World, plan: str) -> None:
    with pytest.raises(ConfigError, match=r"^--drift [^\n]+$"):
        drift.parse(plan, small, 0.0)


def test_recovery_is_counted_from_the_break() -> None:
    since = np.concatenate((np.zeros(30), np.full(100, 0.6)))
    assert drift.recovery(since, 0.6) == 30 + 23  # 23 of 25 are .552, the share .9 of the baseline is .54
    assert drift.recovery(np.zeros(100), 0.6) == np.inf
    assert drift.recovery(np.ones(3), 0.6) == np.inf


def test_intervals_are_students() -> None:
    assert figures.half_width([1.0]) == 0.0
    assert figures.half_width([0.0, 1.0]) == pytest.approx(12.71 * 0.5)
    values = default_rng(0).normal(size=2000).tolist()
    assert figures.half_width(values) == pytest.approx(1.96 / np.sqrt(2000), rel=0.06)


@pytest.mark.slow
def test_a_picture_is_written_or_the_reason_said(small: World, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    runs = measure.seeded(small, measure.Job(0.0, 1))
    found = {"seeds": 1, "lambda": 0.0, **figures.summary({name: [run] for name, run in runs.items()})}
    plot.draw(found, tmp_path / "regret.png")
    assert (tmp_path / "regret.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ConfigError, match="--plot"):
        plot.draw(found, tmp_path / "missing" / "regret.png")


@pytest.mark.slow
def test_the_command(files: tuple[Path, Path], tmp_path: Path) -> None:
    fewer = tmp_path / "outcomes.jsonl"
    fewer.write_bytes(b"\n".join(gzip.decompress(files[1].read_bytes()).splitlines()[:100]))
    common = ["matchmaking", "--agents", str(files[0]), "--outcomes", str(fewer), "--model", "hash", "--seeds", "2"]
    common += ["--cache", str(tmp_path / "cache.sqlite"), "--processes", "1"]
    done = CliRunner().invoke(app, [*common, "--lambda", "0.3", "--lambda", "0", "--drift", "poet@0.5", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [entry["lambda"] for entry in found["lambdas"]] == [0.3, 0.0]
    assert found["policies"] == found["lambdas"][0]["policies"]
    assert set(found["policies"]["ucb1"]) == {"reward", "score", "cost", "ci95"}
    assert "SECRET" not in done.stdout
    table = CliRunner().invoke(app, [*common, "--ablation"])
    assert table.exit_code == 0, table.output
    assert "no kinds" in table.stdout


@pytest.mark.slow
def test_the_speed() -> None:
    pytest.importorskip("mabwiser")
    done = CliRunner().invoke(app, ["bandit", "--arms", "5", "--dim", "4", "--rounds", "1", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["times_faster"] > 0
