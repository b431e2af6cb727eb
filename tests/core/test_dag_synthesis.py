"""Synthesis: what is put together keeps what was said and whose it is; what falls with a refuted subtask."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foa.core.dag.joined import MAX_JOINED, PROVENANCE
from foa.core.dag.plan import descendants, order, sinks
from foa.core.dag.synthesis import Synthesis, chosen, dependents, synthesize
from foa.wire.records import MAX_TEAM, Given, Joining, Phase, Plan, Ref, Seat, Subtask, Value, Work
from tests.core.test_dag_plan import a_plan, acyclic

JOININGS: tuple[Joining, ...] = ("", "concatenate", "rebase", "merge")


def value(content: Any, kind: str = "application/json", media: str = "") -> Value:
    if isinstance(content, str):
        return Value(kind, media or "text/plain", content.encode())
    return Value(kind, media or "application/json", json.dumps(content).encode())


def done(name: str, *outputs: tuple[str, Value]) -> Work:
    given = tuple(Given(one, each) for one, each in outputs)
    seat = Seat(f"o/u/{name}", f"w-{name}", 2, "done", outputs=given, price=0.5, rounds=1)
    return Work(name, "done", 2, (seat,), outputs=given)


def made(text: str, joining: Joining, **outputs: Any) -> Synthesis:
    works = {
        name: done(name, ("x", each if isinstance(each, Value) else value(each))) for name, each in outputs.items()
    }
    return synthesize(a_plan(text), works, joining=joining)


def contents(answer: Synthesis) -> dict[str, Any]:
    return {one.name: json.loads(one.value.body or b"null") for one in answer.outputs}


def rows(answer: Synthesis) -> list[tuple[str, str, str]]:
    found = [one for one in answer.outputs if one.value.type == PROVENANCE]
    return [(row["part"], row["subtask"], row["agent"]) for one in found for row in json.loads(one.value.body or b"[]")]


bodies = st.one_of(
    st.dictionaries(
        st.sampled_from("abc"), st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=2), max_size=3
    ).map(value),
    st.lists(st.integers(), max_size=3).map(value),
    st.text(max_size=20).map(lambda text: value(text, "text/plain")),
    st.binary(max_size=20).map(lambda body: Value("application/json", "application/json", body)),
    st.binary(max_size=20).map(lambda body: Value("text/plain", "text/plain", body)),
    st.just(Value("text/plain", "text/plain", ref=Ref("0" * 64, 5))),
)


@st.composite
def worked(draw: st.DrawFn) -> tuple[Plan, dict[str, Work]]:
    plan = draw(acyclic())
    works: dict[str, Work] = {}
    for subtask in plan.subtasks:
        names = draw(st.lists(st.sampled_from(["x", "y"]), max_size=2))
        work = done(subtask.id, *((name, draw(bodies)) for name in names))
        phase: Phase = draw(st.sampled_from(["done", "done", "done", "failed", "waiting"]))
        works[subtask.id] = Work(work.id, phase, 2, work.seats, outputs=work.outputs)
    return plan, works


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(worked(), st.sampled_from(JOININGS))
def test_every_output_keeps_its_source_and_agent_and_nothing_raises(
    case: tuple[Plan, dict[str, Work]], joining: Joining
) -> None:
    plan, works = case
    answer = synthesize(plan, works, joining=joining)
    assert answer == synthesize(plan, works, joining=joining)
    assert len({one.name for one in answer.outputs}) == len(answer.outputs)
    for one in answer.outputs:
        assert works[one.source].phase == "done"
        assert one.agent == f"o/u/{one.source}"
    kinds = {one.type for work in works.values() for one in [given.value for given in work.outputs]}
    assert {one.value.type for one in answer.outputs} <= kinds | {PROVENANCE}
    assert [part.subtask for part in answer.parts] == list(order(plan))


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(worked())
def test_concatenation_is_what_the_sinks_yielded(case: tuple[Plan, dict[str, Work]]) -> None:
    plan, works = case
    answer = synthesize(plan, works, joining="concatenate")
    expected = [(one, given.value) for one in sinks(plan) if works[one].phase == "done" for given in works[one].outputs]
    assert [(one.source, one.value) for one in answer.outputs] == expected


def an_object(one: Value) -> dict[str, Any] | None:
    try:
        content = json.loads((one.body or b"").decode()) if one.media == "application/json" else None
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(worked(), st.sampled_from(["rebase", "merge"]))
def test_no_end_is_lost(case: tuple[Plan, dict[str, Work]], joining: Joining) -> None:
    """What a sink said stands as it is, or the provenance names its part, but for objects laid over by later ones."""
    plan, works = case
    answer = synthesize(plan, works, joining=joining)
    named = {subtask for _, subtask, _ in rows(answer)}
    plain = [(one.source, one.value) for one in answer.outputs]
    for one in [one for one in sinks(plan) if works[one].phase == "done"]:
        for each in works[one].outputs:
            if (one, each.value) in plain:
                continue
            content = an_object(each.value)
            assert content == {} or one in named or (joining == "rebase" and content is not None)


def test_rebase_lets_the_later_stand_and_keeps_what_it_does_not_speak_of() -> None:
    answer = made("a>b b>c", "rebase", a={"k": 1, "old": 1}, b={"k": 2, "mid": 2}, c={"k": 3})
    assert contents(answer)["x"] == {"k": 3, "old": 1, "mid": 2}
    assert rows(answer) == [("k", "c", "o/u/c"), ("old", "a", "o/u/a"), ("mid", "b", "o/u/b")]
    assert [(one.name, one.source) for one in answer.outputs] == [("x", "c"), (PROVENANCE, "c")]


def test_rebase_takes_over_only_what_an_end_is_built_on_and_of_the_same_name_and_type() -> None:
    works = {
        "a": done("a", ("x", value({"k": 1})), ("y", value({"other": 1}))),
        "b": done("b", ("x", value({"k": 2}, kind="else"))),
        "c": done("c", ("x", value({"m": 3}))),
        "d": done("d", ("x", value({"n": 4}))),
    }
    answer = synthesize(a_plan("a>b b>c d>e"), works, joining="rebase")
    assert contents(answer)["x"] == {"k": 1, "m": 3}


def test_rebase_joins_ends_that_speak_of_the_same_the_later_stands() -> None:
    answer = made("a>b a>c", "rebase", a={"k": 0, "base": 0}, b={"k": 1, "b": 1}, c={"k": 2, "c": 2})
    assert contents(answer)["x"] == {"k": 2, "base": 0, "b": 1, "c": 2}
    assert answer.outputs[0].source == "c"


def test_of_texts_the_one_that_builds_on_the_other_stands() -> None:
    answer = made("a>b", "rebase", a=value("draft", "text/plain"), b=value("final", "text/plain"))
    assert [one.value.body for one in answer.outputs] == [b"final"]
    apart = made("a b", "rebase", a=value("one", "text/plain"), b=value("two", "text/plain"))
    assert [(one.name, one.value.body) for one in apart.outputs] == [("a.x", b"one"), ("b.x", b"two")]


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from("abcd"), st.integers(0, 9), max_size=4), min_size=1, max_size=5))
def test_a_chain_rebased_is_the_objects_laid_over_each_other(objects: list[dict[str, int]]) -> None:
    names = [f"n{at}" for at in range(len(objects))]
    works = {name: done(name, ("x", value(each))) for name, each in zip(names, objects, strict=True)}
    text = " ".join(f"{one}>{other}" for one, other in pairwise(names)) or "n0"
    laid: dict[str, int] = {}
    for each in objects:
        laid |= each
    answer = synthesize(a_plan(text), works, joining="rebase")
    assert contents(answer)["x"] == laid
    for part, subtask, _ in rows(answer):
        assert laid[part] == objects[names.index(subtask)][part]


def test_merge_appends_lists_and_unites_objects() -> None:
    assert contents(made("a b", "merge", a=[1, 2], b=[2, 3]))["x"] == [1, 2, 2, 3]
    assert rows(made("a b", "merge", a=[1, 2], b=[3])) == [("0:2", "a", "o/u/a"), ("2:3", "b", "o/u/b")]
    united = made(
        "a b", "merge", a={"s": 1, "l": [1], "o": {"p": 1}, "z": 0}, b={"s": 1, "l": [2], "o": {"q": 2}, "z": 9}
    )
    assert contents(united)["x"] == {"s": 1, "l": [1, 2], "o": {"p": 1, "q": 2}, "z": {"a": 0, "b": 9}}
    assert ("z", "a", "o/u/a") in rows(united)
    assert ("z", "b", "o/u/b") in rows(united)


def test_merge_puts_texts_under_the_words_of_their_subtasks() -> None:
    plan = Plan((Subtask("a", "Count the words\nall of them"), Subtask("b", "Find names")))
    works = {"a": done("a", ("x", value("five\n", "text/plain"))), "b": done("b", ("note", value("Ann", "text/plain")))}
    answer = synthesize(plan, works, joining="merge")
    assert answer.outputs[0].value.body == b"## Count the words\n\nfive\n\n## Find names\n\nAnn"
    assert [one.name for one in answer.outputs] == ["x", PROVENANCE]
    assert rows(answer) == [("Count the words", "a", "o/u/a"), ("Find names", "b", "o/u/b")]


def test_what_cannot_be_merged_stands_apart() -> None:
    svg = Value("image/svg+xml", "image/svg+xml", b"<svg/>")
    kinds: list[tuple[Any, Any]] = [
        (svg, svg),
        ([1], {"k": 1}),
        (value("x", "text/plain"), Value("text/plain", "text/plain", b"\xff")),
        (Value("application/json", body=b'{"k": "\xff"}'), {"k": 1}),
        (Value("application/json", body=b"[" * 100_000), [1]),
        (Value("text/plain", "text/plain", ref=Ref("0" * 64, 5)), value("x", "text/plain")),
        (value("x" * MAX_JOINED, "text/plain"), value("y", "text/plain")),
    ]
    for one, other in kinds:
        for joining in JOININGS:
            answer = made("a b", joining, a=one, b=other)
            assert [(given.name, given.source) for given in answer.outputs] == [("a.x", "a"), ("b.x", "b")]


def test_of_several_values_of_a_type_those_of_one_name_belong_together() -> None:
    both = [("title", value("T", "text/plain")), ("body", value("B", "text/plain"))]
    answer = synthesize(a_plan("a b"), {"a": done("a", *both), "b": done("b", *both)}, joining="merge")
    assert [one.name for one in answer.outputs] == ["title", "body", PROVENANCE]
    assert answer.outputs[0].value.body == b"## do a\n\nT\n\n## do b\n\nT"


def test_numbers_leave_as_they_came() -> None:
    long = b'{"n": 123456789012345678901234567890.10, "m": 1e400}'
    answer = made("a b", "merge", a=Value("application/json", body=long), b={"k": 1})
    assert b"123456789012345678901234567890.10" in (answer.outputs[0].value.body or b"")
    assert b"1e400" in (answer.outputs[0].value.body or b"")


def test_without_a_word_the_declared_types_decide() -> None:
    plan = Plan(tuple(Subtask(one, one, produces=("findings",)) for one in "ab"))
    works = {one: done(one, ("x", value([one], "findings"))) for one in "ab"}
    assert chosen(plan) == "merge"
    assert contents(synthesize(plan, works))["x"] == ["a", "b"]
    row = Plan(plan.subtasks, (("a", "b"),))
    assert chosen(row) == "rebase"
    assert chosen(a_plan("a b")) == chosen(a_plan("a>b")) == "concatenate"


def test_parts_tell_strategy_and_credit_within_bounds() -> None:
    works = {"a": done("a", ("x", value([1])))}
    credit = {"a": {"o/u/a": 1.7, "o/u/b": -1.0, "o/u/c": float("nan"), "o/u/d": 0.25}}
    (part,) = synthesize(
        a_plan("a"), works, credit=credit, strategies={"a": "anchor"}, disagreed={"a"}, ms={"a": 9}
    ).parts
    assert part.credit == {"o/u/a": 1.0, "o/u/b": 0.0, "o/u/c": 0.0, "o/u/d": 0.25}
    assert (part.strategy, part.agreed, part.attempt, part.rounds, part.ms) == ("anchor", False, 2, 1, 9)
    crowd = {"a": {f"o/u/{at:03d}": 0.5 for at in range(99)}}
    assert len(synthesize(a_plan("a"), works, credit=crowd).parts[0].credit) == MAX_TEAM
    assert synthesize(a_plan("a"), works).parts[0].credit == {}


phases: st.SearchStrategy[Phase] = st.sampled_from(["waiting", "ready", "running", "done", "failed", "cancelled"])


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(acyclic(), st.lists(phases, min_size=9, max_size=9), st.sampled_from(["n0", "n4", "nobody"]))
def test_what_was_built_on_the_refuted_falls_and_nothing_else(plan: Plan, said: list[Phase], refuted: str) -> None:
    works = {one.id: Work(one.id, phase) for one, phase in zip(plan.subtasks, said, strict=False)}
    fallen = dependents(plan, works, refuted)
    below = descendants(plan, refuted) if refuted in works else ()
    assert fallen == tuple(one for one in below if works[one].phase in {"running", "done"})
    assert dependents(plan, {}, refuted) == ()
