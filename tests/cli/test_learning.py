"""`foa learn show`: the sums of all coordinators in words, as data and as a picture; nothing learned is said so."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from foa.cli.agents import Seen
from foa.cli.charts import WIDE
from foa.cli.learning import commands
from foa.cli.learning.commands import Heard
from foa.cli.learning.survey import CELLS, Survey, scores, steps, survey
from foa.cli.main import main
from foa.core.vcv.profile import Profile
from foa.wire.lessons import Counted
from foa.wire.messages import Learned
from foa.wire.records import Resources
from tests.cli import lessons
from tests.cli.lessons import FEATURES, GOOD, NOW, POOR, TAU

Records = list[tuple[str, Learned]]


def seen(agent: str, price: float, latency_ms: float) -> Seen:
    resources = Resources(price_call=price, latency_ms=latency_ms)
    return Seen(Profile(agent=agent, name="A", description="does it", resources=resources), "online", True, b"")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that runs the command over records."""
    monkeypatch.chdir(tmp_path)

    def run(records: Records, *arguments: str, code: int = 0) -> str:
        async def heard(settings: object) -> Heard:
            return Heard(records, [seen(GOOD, 0.004, 500.0)])

        monkeypatch.setattr(commands, "_heard", heard)
        monkeypatch.setattr(time, "time_ns", lambda: int((NOW + 60.0) * 1e9))
        assert main(["learn", "show", *arguments]) == code
        return "".join(capsys.readouterr())

    return run


def found(records: Records) -> Survey:
    made = survey(records, NOW, TAU)
    assert made is not None
    return made


# --- the numbers ----------------------------------------------------------------------------------------------


def test_every_reward_is_in_it_once_and_weighs_by_its_age() -> None:
    made = found(lessons.learned())
    by_agent = {each.agent: each for each in made.agents}
    assert {agent: each.rewards for agent, each in by_agent.items()} == {GOOD: 20, POOR: 20}
    assert 19.0 < by_agent[GOOD].weight < 20.0
    assert by_agent[POOR].score == pytest.approx(0.1, abs=1e-4)
    assert by_agent[GOOD].score == pytest.approx(0.79, abs=0.01)
    assert (by_agent[GOOD].price, by_agent[GOOD].expected) == pytest.approx((0.006, 0.004))
    assert by_agent[GOOD].ms == pytest.approx(900.0)


def test_two_coordinators_add_up_and_a_twin_is_not_drawn_twice() -> None:
    one, both = found(lessons.learned()), found(lessons.learned() + lessons.learned("c2"))
    assert both.coordinators == ("c1", "c2")
    assert both.rewards == 2 * one.rewards
    assert sum(step.rewards for step in both.curve) == sum(step.rewards for step in one.curve) == 40


def test_kinds_are_named_with_their_weight_and_mean_reward() -> None:
    good = next(each for each in found(lessons.learned()).agents if each.agent == GOOD)
    assert {skill.kind for skill in good.kinds} == {"algebra", "geometry"} or [s.kind for s in good.kinds] == [
        "algebra"
    ]
    assert sum(skill.weight for skill in good.kinds) == pytest.approx(good.weight, rel=1e-3)
    mean = sum(skill.weight * skill.reward for skill in good.kinds) / good.weight
    assert mean == pytest.approx(good.score, rel=1e-3)


def test_who_does_better_has_the_greater_effect() -> None:
    effects = {each.agent: each.effect for each in found(lessons.learned()).agents}
    assert effects[GOOD] > 0.0 > effects[POOR]


def test_of_two_models_the_one_in_use_counts() -> None:
    old = [(bucket, msgspec.structs.replace(one, until=NOW - 1e6)) for bucket, one in lessons.learned("c9", "old/1")]
    made = found(old + lessons.learned())
    assert (made.features, made.coordinators, made.left_out) == (FEATURES, ("c1",), len(old))


def test_corrections_replace_what_they_correct() -> None:
    first = Counted("w", "t", GOOD, b"", 1.0, 1.0, NOW)
    change = Counted("w", "t", GOOD, b"", -0.75, -0.75, NOW, change=1)
    record = Learned("c1", 1, FEATURES, NOW, recent=(first, change))
    orphan = Learned("c2", 1, FEATURES, NOW, recent=(change,))
    assert scores([record, orphan]) == {GOOD: [(NOW, 0.25)]}
    assert scores([orphan]) == {}


def test_a_curve_is_the_means_of_equal_stretches() -> None:
    made = steps([(0.0, 0.2), (1.0, 0.4), (10.0, 1.0)], 0.0, 10.0, 5)
    assert [step.rewards for step in made] == [2, 0, 0, 0, 1]
    assert made[0].score == pytest.approx(0.3)
    assert (made[1].score, made[-1].score) == (None, 1.0)
    assert steps([], 0.0, 1.0) == ()
    assert steps([(5.0, 1.0)], 5.0, 5.0)[0].rewards == 1


def test_moments_that_cannot_be_are_not_believed() -> None:
    broken = [
        (
            bucket,
            msgspec.structs.replace(one, lessons=tuple(msgspec.structs.replace(x, moments=b"?") for x in one.lessons)),
        )
        for bucket, one in lessons.learned()
    ]
    assert survey(broken, NOW, TAU) is None
    assert survey([], NOW, TAU) is None


# --- what is said ---------------------------------------------------------------------------------------------


def test_all_agents_for_people(said: Any) -> None:
    text = said(lessons.learned())
    assert max(map(len, text.splitlines())) <= WIDE
    words = ("40 rewards of 2 agents", "last written 1 min ago", "reputation", GOOD[-20:], "0.1", "no card", "0.004",
             "500 ms", "900 ms", "algebra", "all agents", "▁", "█")  # fmt: skip
    assert [word for word in words if word not in text] == []


def test_one_agent_with_all_its_kinds(said: Any) -> None:
    text = said(lessons.learned(), GOOD)
    assert max(map(len, text.splitlines())) <= WIDE
    assert "kind of task" in text
    assert POOR not in text
    assert "nothing was learned of a/b/c" in said(lessons.learned(), "a/b/c", code=4)
    assert "org/unit/agent" in said(lessons.learned(), "guesser", code=2)


def test_as_data(said: Any) -> None:
    data = json.loads(said(lessons.learned(), "--json"))
    assert (data["rewards"], data["features"], data["coordinators"]) == (40, FEATURES, ["c1"])
    good = next(each for each in data["agents"] if each["agent"] == GOOD)
    assert good["declared"] == {"price": 0.004, "latency_ms": 500.0}
    assert len(good["curve"]) <= CELLS
    assert {"at", "score", "rewards"} == data["curve"][0].keys()
    assert {"feature", "prior", "now", "learned"} == data["shared"][0].keys()
    assert data["shared"][1]["prior"] == pytest.approx(1.0)


def test_nothing_learned_is_said_plainly(said: Any) -> None:
    assert said([]) == "nothing was learned yet: no coordinator has published a reward\n"
    assert "learning.on = false in the command line" in said([], "--set", "learning.on=false")
    assert "ann may not read learn/#" in said([], "--set", "broker.username=ann")
    assert "of other features" in said(lessons.learned("c1", "hash/999"))
    assert json.loads(said([], "--json"))["agents"] == []


def test_a_picture(said: Any) -> None:
    pytest.importorskip("matplotlib")
    assert "drawn into all.png" in said(lessons.learned(), "--png", "all.png")
    said(lessons.learned(), GOOD, "--png", "one.png")
    for name in ("all.png", "one.png"):
        assert Path(name).read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_it_says_how_to_get_it(said: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    line = said(lessons.learned(), "--png", "x.png", code=2)
    assert line.count("\n") == 1
    assert "pip install 'federation-of-agents[bench]'" in line
