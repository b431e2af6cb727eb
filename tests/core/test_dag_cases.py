"""The cases planner: what is taken over, what is refused, what is learned of order, and that nothing looks ahead."""

import json
from itertools import pairwise
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foa.core.dag.cases import (
    Case,
    Model,
    Near,
    Rules,
    by_near,
    cases_document,
    kept,
    learned,
    nearest,
    propose,
    read_cases,
)
from foa.core.dag.cases.adapting import exchanged
from foa.core.dag.cases.document import cases as from_document
from foa.core.dag.cases.features import PAIR, WHOLE, pair, read, whole
from foa.core.dag.cases.order import edges, observe, relation, shape_of
from foa.core.dag.plan import check, reduced
from foa.core.vcv.vector import pack
from foa.wire.records import Plan, Subtask

RULES = Rules()


def vector(*values: float) -> bytes:
    return pack(np.array([*values, *[0.0] * (4 - len(values))]))


def plan(*texts: str, edges: tuple[tuple[int, int], ...] | None = None) -> Plan:
    """A chain, unless told otherwise."""
    pairs = tuple(pairwise(range(len(texts)))) if edges is None else edges
    return Plan(
        tuple(Subtask(f"s{at:02d}", text) for at, text in enumerate(texts)),
        tuple((f"s{one:02d}", f"s{other:02d}") for one, other in pairs),
    )


def case(request: str, *texts: str, near: tuple[float, ...] = (1.0,), score: float = 1.0, at: float = 0.0) -> Case:
    return Case(vector(*near), request, plan(*texts), score, at)


OSLO = case("Please book a flight to Oslo, then tell Anna", "Book a flight to Oslo", "Tell Anna")


def texts(found: Plan | None) -> list[str]:
    assert found is not None
    return [one.text for one in found.subtasks]


# --- taking over ------------------------------------------------------------------------------------------


def test_the_nearest_plan_is_said_in_the_words_of_the_request() -> None:
    other = case("Paint the fence", "Buy paint", "Paint the fence", near=(0.0, 1.0))
    found = propose("Please book a flight to Rome, then tell Bob", vector(1.0, 0.1), (other, OSLO), RULES)
    assert found is not None
    assert texts(found) == ["Book a flight to Rome", "Tell Bob"]
    assert found.edges == (("s00", "s01"),)
    assert found.origin == ("cases",)


def test_below_the_floor_nothing_is_proposed() -> None:
    assert propose("Book a flight to Rome", vector(0.6, 0.8), (OSLO,), RULES) is None
    assert propose("Book a flight to Rome", vector(1.0), (), RULES) is None
    assert propose("Book a flight to Rome", b"", (OSLO,), RULES) is None
    assert propose("Book a flight to Rome", vector(0.8, 0.6), (OSLO,), RULES) is not None


def test_among_equally_similar_cases_the_better_done_one_leads() -> None:
    worse = case("Book a trip", "Guess", "Hope", score=0.2, at=9.0)
    assert texts(propose("Book a trip", vector(1.0), (worse, OSLO), RULES))[0] == "Book a flight to Oslo"


def test_of_two_pages_on_one_thing_what_is_asked_decides() -> None:
    clean = case("You see a fridge. Clean an egg with soap, then dry it", "Wash an egg", "Dry it", near=(0.9, 0.43))
    heat = case("You see a fridge. Heat an egg in the oven, then eat it", "Heat an egg", "Eat it")
    found = propose("You see a sink. Clean a cup with soap, then dry it", vector(1.0), (clean, heat), RULES)
    assert texts(found)[0] == "Wash a cup"


@pytest.mark.parametrize(
    ("past", "now", "expected"),
    [
        ("Translate 'good day' for me", "Translate 'good night' for me", {"'good day'": "'good night'"}),
        ("Read /var/log/a.txt", "Read /srv/data/b.txt", {"/var/log/a.txt": "/srv/data/b.txt"}),
        ("Show orders from 2024-05-06", "Show orders from 2025-01-02", {"2024-05-06": "2025-01-02"}),
        ("Order 20 chairs", "Order 31 chairs", {"20": "31"}),
        ("Please call Anna Berg now", "Please call Bob Stone now", {"Anna Berg": "Bob Stone"}),
        ("put a cool bread in the fridge", "put a cool mug in the cupboard", {"bread": "mug", "fridge": "cupboard"}),
    ],
)
def test_what_requests_name_differently_is_exchanged(past: str, now: str, expected: dict[str, str]) -> None:
    found = exchanged(past, now)
    assert {one: found.get(one) for one in expected} == expected


def test_the_same_request_exchanges_nothing() -> None:
    assert not exchanged(OSLO.request, OSLO.request)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200), st.text(max_size=200), st.lists(st.text(min_size=1, max_size=40), min_size=2, max_size=5))
def test_any_text_gives_a_valid_plan_or_none(past: str, now: str, steps: list[str]) -> None:
    known = Case(vector(1.0), past, plan(*steps))
    found = propose(now, vector(1.0), (known,), RULES)
    assert found is None or check(found) is None
    assert found == propose(now, vector(1.0), (known,), RULES)
    assert found is None or found == reduced(found)


# --- order ------------------------------------------------------------------------------------------------

BESIDE = ("Lift the {} arm", "Turn the {} head", "Stretch the {} leg")
AFTER = ("Load the {} file", "Clean the loaded {} file", "Plot the cleaned {} file")
TOPICS = ("red", "green", "blue", "large", "small", "old", "new", "first", "late", "flat")


def taught(count: int = 60) -> Model:
    model = Model()
    for at in range(count):
        topic = TOPICS[at % len(TOPICS)]
        for steps, chained in ((BESIDE, False), (AFTER, True)):
            listed = [one.format(topic) for one in steps]
            model = observe(model, f"the {topic} task", listed, tuple(pairwise(range(3))) if chained else ())
    return model


def listed(goal: str, steps: tuple[str, ...]) -> str:
    return goal + "\n" + "\n".join(f"- {one}" for one in steps)


def test_past_plans_teach_which_lists_are_procedures() -> None:
    order = taught()
    beside = by_near(listed("the odd task", tuple(one.format("odd") for one in BESIDE)), (), RULES, order)
    after = by_near(listed("the odd task", tuple(one.format("odd") for one in AFTER)), (), RULES, order)
    assert beside is not None
    assert after is not None
    assert beside.edges == ()
    assert [one.text for one in beside.subtasks] == [one.format("odd") for one in BESIDE]
    assert len(after.edges) == 2


def test_past_plans_teach_what_is_neither() -> None:
    """The last step gathers the others: two of three pairs are in order."""
    model = Model()
    steps = ("Measure the {} wall", "Choose a {} colour", "Buy what the {} list says")
    for at in range(200):
        model = observe(model, "redo a room", [one.format(TOPICS[at % 10]) for one in steps], ((0, 2), (1, 2)))
    assert set(edges(model, "redo a room", [one.format("wide") for one in steps])) == {(0, 2), (1, 2)}


def test_too_little_seen_is_no_voice() -> None:
    steps = tuple(one.format("odd") for one in AFTER)
    assert by_near(listed("the odd task", steps), (), RULES) is None
    assert by_near(listed("the odd task", steps), (), RULES, taught(RULES.seen // 2 - 1)) is None
    assert by_near(listed("the odd task", steps), (), RULES, taught(RULES.seen // 2)) is not None


def test_the_model_does_not_grow() -> None:
    few, many = taught(5), taught(50)
    assert len(msgspec.msgpack.encode(few)) + 2 >= len(msgspec.msgpack.encode(many))
    assert many.seen == 100


def test_features_are_as_many_as_said_and_finite() -> None:
    steps = read([one.format("x") for one in AFTER])
    assert whole("a goal", steps, (0.0,) * 6).shape == (WHOLE,)
    assert len(pair(steps, 0, 1)) == len(pair(steps, 2, 0)) == PAIR


words = st.lists(
    st.sampled_from(["find", "the", "file", "it", "result", "then", "Anna", "3", "", "\n", "- "]), max_size=6
)
lists = st.lists(words.map(" ".join), max_size=30)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.text(max_size=80), lists, st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=20))
def test_the_model_takes_anything_and_gives_no_cycle(goal: str, steps: list[str], pairs: list[tuple[int, int]]) -> None:
    model = observe(taught(2), goal, steps, pairs)
    found = edges(model, goal, steps)
    before = relation(len(steps), found)
    assert not any((two, one) in before for one, two in before)
    assert found == edges(model, goal, steps)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(
    st.integers(2, 7).flatmap(
        lambda n: st.tuples(st.just(n), st.sets(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=9))
    )
)
def test_the_relation_is_the_transitive_closure(given_: tuple[int, set[tuple[int, int]]]) -> None:
    import networkx as nx

    count, pairs = given_
    graph: Any = nx.DiGraph([(one, other) for one, other in sorted(pairs) if one < other])
    forward = sorted((one, other) for one, other in pairs if one < other)
    assert relation(count, forward) == frozenset(nx.transitive_closure(graph).edges)


def test_shapes() -> None:
    assert shape_of(3, relation(3, ())) == 0
    assert shape_of(3, relation(3, ((0, 1), (1, 2)))) == 1
    assert shape_of(3, relation(3, ((1, 0), (0, 2)))) == 2
    assert shape_of(3, relation(3, ((0, 2),))) == 2


# --- memory -----------------------------------------------------------------------------------------------


def random_case(rng: Random, at: int) -> Case:
    spot = vector(*(rng.gauss(0, 1) for _ in range(4)))
    steps = [rng.choice((*BESIDE, *AFTER)).format(rng.choice(TOPICS)) for _ in range(rng.randint(2, 4))]
    pairs = tuple((one, two) for one in range(len(steps)) for two in range(one + 1, len(steps)) if rng.random() < 0.4)
    return Case(spot, f"request {at}", reduced(plan(*steps, edges=pairs)), rng.random(), float(at))


def replay(cases: list[Case], rules: Rules = RULES) -> tuple[tuple[Case, ...], Model, list[Plan | None]]:
    """What was proposed for each case by those before it."""
    memory: tuple[Case, ...] = ()
    order = Model()
    found = []
    for one in cases:
        found.append(propose(one.request, one.vector, memory, rules, order))
        order = learned(order, one, memory, rules)
        memory, _ = kept(memory, one, rules)
    return memory, order, found


@pytest.mark.slow
def test_only_the_past_is_used() -> None:
    rng = Random(4)
    cases = [random_case(rng, at) for at in range(60)]
    for cut in (0, 20, 59):
        later = cases[cut:]
        rng.shuffle(later)
        assert replay([*cases[:cut], *later])[2][:cut] == replay(cases)[2][:cut]
        one = replay(cases[:cut])
        again = replay(cases[:cut])
        assert one == again


def test_a_memory_is_bounded_and_keeps_the_better_and_the_recent() -> None:
    rules = Rules(most=10)
    rng = Random(5)
    cases = [random_case(rng, at) for at in range(100)]
    memory, _, _ = replay(cases, rules)
    assert len(memory) <= 10
    assert np.mean([one.score for one in memory]) > 0.8
    year = 365.25 * 86_400.0
    old = [msgspec.structs.replace(one, at=0.0, score=0.9) for one in cases[:10]]
    new = msgspec.structs.replace(cases[50], at=year, score=0.5)
    assert new in kept(tuple(old), new, rules)[0]


def test_the_same_request_again_replaces_what_was_kept_unless_that_was_better() -> None:
    again = msgspec.structs.replace(OSLO, at=5.0)
    assert kept((OSLO,), again, RULES) == ((again,), OSLO)
    worse = msgspec.structs.replace(OSLO, at=5.0, score=0.1)
    assert kept((OSLO,), worse, RULES) == ((OSLO,), worse)


@pytest.mark.parametrize(
    "bad",
    [
        case("one step", "only this"),
        case("", "a", "b"),
        case("too long", "a", "b" * 20_000),
        msgspec.structs.replace(OSLO, vector=b""),
        msgspec.structs.replace(OSLO, vector=b"\xff" * 8),
        msgspec.structs.replace(OSLO, at=float("nan")),
        msgspec.structs.replace(OSLO, score=2.0),
        msgspec.structs.replace(OSLO, plan=plan("a", "b", edges=((0, 1), (1, 0)))),
        case("many", *(f"do {at}" for at in range(65))),
    ],
)
def test_what_is_not_worth_remembering(bad: Case) -> None:
    assert kept((OSLO,), bad, RULES) == ((OSLO,), bad)


def test_nearest_is_what_an_exact_search_finds() -> None:
    rng = Random(6)
    cases = tuple(random_case(rng, at) for at in range(200))
    spot = vector(0.5, 0.5, 0.5, 0.5)
    exact = sorted(
        cases, key=lambda one: -float(np.dot(np.frombuffer(one.vector, "<f2").astype(float), [0.5, 0.5, 0.5, 0.5]))
    )
    found = nearest(cases, spot, 10)
    assert [each.case.at for each in found[:3]] == [one.at for one in exact[:3]]
    assert all(one.similarity >= two.similarity for one, two in pairwise(found))
    assert nearest(cases, vector(1.0)[:4], 10) == ()


# --- as JSON ----------------------------------------------------------------------------------------------


def test_a_document_says_it_all() -> None:
    near = (Near(0.9, OSLO), Near(0.8, case("Paint", "Buy paint", "Paint it")))
    order = taught(3)
    document = json.loads(json.dumps(cases_document(near, order)))
    found, read_order = read_cases(document)
    assert read_order == order
    assert [(each.similarity, each.case.request, each.case.plan.edges) for each in found] == [
        (each.similarity, each.case.request, each.case.plan.edges) for each in near
    ]
    assert from_document("Please book a flight to Rome, then tell Bob", document) is not None
    assert from_document("Please book a flight to Rome, then tell Bob", document["cases"]) is not None


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["cases", "order", "plan", "request", "similarity", "score", "subtask", "id", "text"]),
            inner,
        )
    ),
    max_leaves=20,
)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(anything, st.text(max_size=60))
def test_a_hostile_document_is_no_harm(document: Any, text: str) -> None:
    near, order = read_cases(document)
    assert all(check(each.case.plan) is None for each in near)
    assert order.seen >= 0
    from_document(text, document)


def test_weights_that_are_none_count_as_nothing_learned() -> None:
    for body in (b"x", b"\xff" * (2 * 3 * WHOLE * 4), b"\x00" * (2 * 3 * WHOLE * 4)):
        steps = [one.format("odd") for one in AFTER]
        assert edges(Model(body, body, 100), "goal", steps) == edges(Model(seen=100), "goal", steps)
