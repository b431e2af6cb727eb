"""`foa explain` of plans and clusters: who proposed what, what was kept and why not, each edit, each one's credit."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from foa.cli.charts import WIDE
from foa.cli.main import main
from foa.cli.searching import explaining
from foa.wire.deliberation import Deliberation, Dropped, Edit, Kept, Voice
from foa.wire.ids import Epoch
from foa.wire.messages import Result, State
from foa.wire.records import Part, Plan, Seat, Subtask, Task, Work
from tests.cli import lessons

ONE, TWO, BAD = "acme/plans/one", "acme/plans/two", "evil/plans/bad"
PLAN = Plan((Subtask("solve", "Solve the equation"), Subtask("check", "Check it")), (("solve", "check"),))
DELIBERATIONS = (
    Deliberation(
        "",
        40,
        (Voice(ONE, PLAN, 2), Voice(TWO, Plan(PLAN.subtasks[:1]), 1, 0.5), Voice(BAD, refused="cycle: a -> b -> a")),
        ONE,
        True,
        (Kept("solve", (ONE, TWO)), Kept("check", (ONE,))),
        (Dropped(TWO, "audit", "proposed by one of three"), Dropped("", "check -> solve", "the weakest of a cycle")),
        "sequential",
        1,
        2,
        0.5,
    ),
    Deliberation("check", 90, (Voice(ONE, PLAN, 2),), ONE, False, (Kept("a", (ONE,)),), shape="parallel", width=2),
)
EDITS = (
    Edit("expand", "check", 95, "not atomic", ("check.a",), ("check",)),
    Edit("grow", "solve", 120, "2 of 3 disagree", agent="acme/maths/solver"),
)
CREDIT = {"acme/a/x": 0.7, "acme/a/y": 0.3}
PARTS = (
    Part("solve", ("acme/a/x", "acme/a/y"), rounds=2, agreed=False, strategy="weighted", credit=CREDIT),
    Part("check.a", ("acme/a/x",)),
)
RESULT = msgspec.structs.replace(lessons.explained(), plan=PLAN, parts=PARTS, deliberations=DELIBERATIONS, edits=EDITS)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.chdir(tmp_path)

    def explain(*arguments: str, message: State | Result = RESULT, code: int = 0) -> str:
        monkeypatch.setattr(explaining, "one_kept", lambda settings, task: message)
        assert main(["explain", "t-1", *arguments]) == code
        said = capsys.readouterr()
        return said.out if code == 0 else said.err

    return explain


def test_people_read_how_the_plan_came_about(told: Any) -> None:
    said = told()
    for words in (
        "plan: consensus, 2 proposals, 2 subtasks, run sequential (width 1, depth 2, coupling 0.50)",
        f"{ONE}: 2 subtasks, 2 kept, nearest to the others",
        f"{TWO}: 1 subtask, 1 kept, weight 0.5",
        f"{BAD}: refused: cycle: a -> b -> a",
        f"solve: from {ONE}, {TWO}",
        f"audit of {TWO}: proposed by one of three",
        "check -> solve: the weakest of a cycle",
        f"plan of check: the plan of {ONE}",
        "expand  check: not atomic  + check.a  - check",
        "grow  solve: 2 of 3 disagree  by acme/maths/solver",
        "solve: 2 agents, by weighted, 2 rounds, without agreement",
        "acme/a/x  credit 0.70",
    ):
        assert words in said
    assert max(map(len, said.splitlines())) <= WIDE


def test_json_has_all_of_it(told: Any) -> None:
    data = json.loads(told("--json"))
    voices = data["deliberations"][0]["voices"]
    assert [(each["planner"], each["kept"], each["refused"]) for each in voices] == [
        (ONE, 2, ""),
        (TWO, 1, ""),
        (BAD, 0, "cycle: a -> b -> a"),
    ]
    assert voices[0]["plan"]["subtasks"][1]["id"] == "check"
    assert [(each["kind"], each["reason"]) for each in data["edits"]] == [
        ("expand", "not atomic"),
        ("grow", "2 of 3 disagree"),
    ]
    (cluster,) = data["clusters"]
    assert (cluster["strategy"], cluster["rounds"], cluster["agreed"], cluster["credit"]) == (
        "weighted",
        2,
        False,
        CREDIT,
    )
    assert len(data["decisions"]) == 3


def test_one_subtask_alone(told: Any) -> None:
    data = json.loads(told("--subtask", "solve", "--json"))
    assert [len(data[each]) for each in ("deliberations", "edits", "clusters", "decisions")] == [1, 1, 1, 2]
    data = json.loads(told("--subtask", "check.a", "--json"))
    assert [len(data[each]) for each in ("deliberations", "edits", "clusters", "decisions")] == [1, 1, 0, 0]
    data = json.loads(told("--subtask", "planning", "--json"))
    assert [len(data[each]) for each in ("deliberations", "edits", "clusters", "decisions")] == [1, 0, 0, 1]
    assert "check" in told("--subtask", "nothing", code=4)


def test_a_task_that_runs_shows_votes_and_confidence(told: Any) -> None:
    seats = (
        Seat("acme/a/x", "w1", 1, rounds=2, confidence=0.9, votes={"acme/a/y": 4.0, "acme/a/x": 1.0}),
        Seat("acme/a/y", "w2", 1, rounds=1),
    )
    plan = Plan((Subtask("solve", "Solve it", strategy="quadratic"),))
    work = (Work("solve", "running", 1, seats),)
    running = State(Task("t-1", "x"), Epoch(1, "c"), 1, 1, plan=plan, work=work)
    said = told(message=running)
    assert "solve: 2 agents, by quadratic, 2 rounds" in said
    assert "acme/a/x  sure by 0.90; votes acme/a/x 1, acme/a/y 4" in said
    (cluster,) = json.loads(told("--json", message=running))["clusters"]
    assert cluster["votes"] == {"acme/a/x": {"acme/a/x": 1.0, "acme/a/y": 4.0}}


def test_what_strangers_wrote_moves_no_cursor(told: Any) -> None:
    nasty = "\x1b[2J\u202e\r\nx"
    bad = Deliberation(
        "", 1, (Voice(nasty, PLAN), Voice(nasty, refused=nasty)), dropped=(Dropped(nasty, nasty, nasty),)
    )
    edit = Edit("replan", nasty, 1, nasty, (nasty,), (nasty,), nasty)
    part = Part("solve", (nasty, "b"), credit={nasty: 1.0})
    said = told(message=msgspec.structs.replace(RESULT, deliberations=(bad,), edits=(edit,), parts=(part,)))
    assert not {"\x1b", "\u202e", "\r"} & set(said)
