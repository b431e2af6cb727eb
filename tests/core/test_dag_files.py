"""Hand-written plans, and the answer made of a finished one."""

from typing import Any

import pytest

from foa.core.dag import planfile
from foa.core.dag.synthesis import synthesize
from foa.errors import ConfigError
from foa.wire.records import Given, Plan, Seat, Subtask, Value, Work


def test_a_plan_file_becomes_a_plan() -> None:
    plan = planfile.read({
        "subtask": [
            {"id": "load", "text": "Load it", "skills": ["csv"], "weight": 2},
            {"id": "plot", "text": "Plot it", "after": ["load"], "team": 3, "consent": True, "policies": ["eu"]},
        ]
    })  # fmt: skip
    assert plan.edges == (("load", "plot"),)
    assert plan.subtasks[0] == Subtask("load", "Load it", skills=("csv",), weight=2.0)
    assert plan.subtasks[1] == Subtask("plot", "Plot it", team=3, consent=True, policies=("eu",))
    assert plan.origin == ("file",)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "write at least one [[subtask]]"),
        ({"subtask": {"id": "a"}}, "write at least one [[subtask]]"),
        ({"subtasks": []}, "unknown key 'subtasks', did you mean 'subtask'?"),
        ({"subtask": [{"id": "a", "text": "x", "afer": []}]}, "subtask 'a': unknown key 'afer', did you mean 'after'?"),
        ({"subtask": [{"text": "x"}]}, 'subtask 1: id is missing, add id = "..."'),
        ({"subtask": [{"id": "a", "text": "x", "team": "big"}]}, "subtask 'a': team is 'big', expected `int`"),
        ({"subtask": [{"id": "a", "text": "x", "team": 99}]}, "team is 99, expected `int` <= 16"),
        ({"subtask": [{"id": "a", "text": "x", "skills": [1]}]}, "skills is [1], expected `str`"),
        ({"subtask": [{"id": "a", "text": "x", "after": "b"}]}, "after is 'b', expected `array`"),
        ({"subtask": [{"id": "a", "text": "x", "after": [3]}]}, "after is [3], expected `str`"),
        ({"subtask": [{"id": "load", "text": "x"}, {"id": "b", "text": "y", "after": ["laod"]}]}, "mean 'load'?"),
        ({"subtask": [{"id": "a", "text": "x", "after": ["a"]}]}, "cannot wait for itself"),
        ({"subtask": [7]}, "subtask 1: is 7, write it as a table"),
    ],
)
def test_mistakes_are_named_with_their_mend(document: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        planfile.read(document)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def done(name: str, *outputs: tuple[str, bytes], agents: tuple[str, ...] = ("o/u/a",)) -> Work:
    given = tuple(Given(one, Value("text/plain", body=body)) for one, body in outputs)
    seats = tuple(Seat(one, f"w-{one}", 1, "done", outputs=given, price=0.5, rounds=2) for one in agents)
    return Work(name, "done", 1, seats, outputs=given)


def test_the_sinks_outputs_are_the_answer() -> None:
    plan = Plan(tuple(Subtask(one, one) for one in "abcd"), (("a", "b"), ("a", "c")))
    works = {
        "a": done("a", ("data", b"1")),
        "b": done("b", ("chart", b"2"), ("note", b"3")),
        "c": done("c", ("note", b"4"), agents=("o/u/x", "o/u/y")),
        "d": Work("d", "failed", seats=(Seat("o/u/z", "w", 1, "failed"),)),
    }
    made = synthesize(plan, works, disagreed={"c"}, ms={"b": 7})
    assert [(one.name, one.source, one.agent) for one in made.outputs] == [
        ("chart", "b", "o/u/a"),
        ("b.note", "b", "o/u/a"),
        ("c.note", "c", "o/u/x"),
    ]
    parts = {one.subtask: one for one in made.parts}
    assert list(parts) == ["a", "b", "c", "d"]
    assert parts["b"].inputs == ("a",)
    assert (parts["b"].ms, parts["b"].cost, parts["b"].rounds, parts["b"].agreed) == (7, 0.5, 2, True)
    assert (parts["c"].agents, parts["c"].cost, parts["c"].agreed) == (("o/u/x", "o/u/y"), 1.0, False)
    assert parts["d"].agents == ()


def test_names_stay_apart_and_short() -> None:
    long = "n" * 64
    plan = Plan((Subtask("a" * 64, "x"), Subtask("b" * 64, "x")))
    works = {name * 64: done(name * 64, (long, b"1")) for name in "ab"}
    names = [one.name for one in synthesize(plan, works).outputs]
    assert len(set(names)) == 2
    assert all(len(name) <= 64 for name in names)
