"""Assignment as one program: the optimum against brute force and scipy, greedy against the optimum, laws of both."""

from itertools import combinations, product
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import LinearConstraint, linear_sum_assignment, milp

from foa.core.routing.assign import EXACT_UP_TO, Want, assign

NEVER = 0
Teams = dict[str, tuple[str, ...]]


def value(wants: list[Want], teams: Teams) -> tuple[float, int, float]:
    """Return the three goals: weight of the needed seats that are filled, who got somebody needed, the scores."""
    return (
        sum(want.weight * min(len(teams[want.ident]), want.least) for want in wants),
        sum(bool(teams[want.ident]) for want in wants if want.least),
        round(sum(want.scores[agent] for want in wants for agent in teams[want.ident]), 6),
    )


def holds(wants: list[Want], capacity: dict[str, int], teams: Teams, unknown: int = 1) -> bool:
    load: dict[str, int] = {}
    for want in wants:
        team = teams[want.ident]
        if len(team) > want.most or len(set(team)) < len(team) or not set(team) <= set(want.scores):
            return False
        for agent in team:
            load[agent] = load.get(agent, 0) + 1
    return all(count <= capacity.get(agent, unknown) for agent, count in load.items())


@st.composite
def programs(draw: st.DrawFn) -> tuple[list[Want], dict[str, int]]:
    agents = [f"o/u/{name}" for name in "abcd"[: draw(st.integers(0, 4))]]
    wants = []
    for at in range(draw(st.integers(0, 4))):
        some = draw(st.lists(st.sampled_from(agents), unique=True)) if agents else []
        scores = {agent: draw(st.integers(-2, 8)) / 8 for agent in some}
        least = draw(st.integers(0, 2))
        wants.append(Want(f"s{at}", scores, least, draw(st.integers(least, 3)), draw(st.sampled_from([1.0, 1.0, 2.0]))))
    return wants, {agent: draw(st.integers(0, 3)) for agent in agents if draw(st.booleans())}


def brute(wants: list[Want], capacity: dict[str, int]) -> tuple[float, int, float]:
    options = [
        [
            some
            for size in range(min(want.most, len(want.scores)) + 1)
            for some in combinations(sorted(want.scores), size)
        ]
        for want in wants
    ]
    allowed = [dict(zip([want.ident for want in wants], some, strict=True)) for some in product(*options)]
    return max(value(wants, teams) for teams in allowed if holds(wants, capacity, teams))


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(programs())
def test_the_optimum_is_what_brute_force_finds(case: tuple[list[Want], dict[str, int]]) -> None:
    wants, capacity = case
    teams = assign(wants, capacity)
    assert holds(wants, capacity, teams)
    assert value(wants, teams) == pytest.approx(brute(wants, capacity))


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(programs())
def test_greedy_serves_as_many_and_scores_no_better_than_the_optimum(case: tuple[list[Want], dict[str, int]]) -> None:
    wants, capacity = case
    teams, best = assign(wants, capacity, exact_up_to=NEVER), assign(wants, capacity)
    assert holds(wants, capacity, teams)
    assert value(wants, teams)[0] == value(wants, best)[0]
    assert value(wants, teams) <= value(wants, best)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(programs(), st.randoms(use_true_random=False), st.sampled_from([NEVER, EXACT_UP_TO]))
def test_the_order_of_what_is_given_changes_nothing(
    case: tuple[list[Want], dict[str, int]], rng: Random, limit: int
) -> None:
    wants, capacity = case
    shuffled = [want._replace(scores=dict(rng.sample(list(want.scores.items()), len(want.scores)))) for want in wants]
    rng.shuffle(shuffled)
    teams = assign(wants, capacity, exact_up_to=limit)
    assert list(assign(shuffled, dict(reversed(capacity.items())), exact_up_to=limit).items()) == list(teams.items())
    for want in wants:
        team = teams[want.ident]
        assert list(team) == sorted(team, key=lambda agent, scores=want.scores: (-scores[agent], agent))  # type: ignore[misc]


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(programs(), st.sampled_from("abcd"))
def test_more_capacity_serves_no_fewer(case: tuple[list[Want], dict[str, int]], name: str) -> None:
    wants, capacity = case
    agent = f"o/u/{name}"
    more = capacity | {agent: capacity.get(agent, 1) + 1}
    assert value(wants, assign(wants, more)) >= value(wants, assign(wants, capacity))


def random_case(
    seed: int, wants: int, agents: int, density: float, most: int, slots: int
) -> tuple[list[Want], dict[str, int]]:
    rng = Random(seed)
    names = [f"o/u/{at:03d}" for at in range(agents)]
    made = [
        Want(f"s{at:03d}", {agent: rng.random() for agent in names if rng.random() < density}, 1, rng.randint(1, most))
        for at in range(wants)
    ]
    return made, {agent: rng.randint(1, slots) for agent in names}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_one_each_is_the_assignment_problem_of_scipy(seed: int) -> None:
    wants, capacity = random_case(seed, 30, 40, 1.0, 1, 1)
    scores = np.array([[want.scores[agent] for agent in capacity] for want in wants])
    rows, columns = linear_sum_assignment(scores, maximize=True)
    teams = assign(wants, capacity)
    assert value(wants, teams)[2] == pytest.approx(scores[rows, columns].sum(), abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_teams_are_the_integer_program_of_scipy(seed: int) -> None:
    wants, capacity = random_case(seed, 12, 10, 0.7, 3, 3)
    agents = list(capacity)
    pairs = [(row, column) for row, want in enumerate(wants) for column, one in enumerate(agents) if one in want.scores]
    scores = np.array([wants[row].scores[agents[column]] for row, column in pairs])
    in_row = np.array([[pair[0] == row for pair in pairs] for row in range(len(wants))], dtype=float)
    in_column = np.array([[pair[1] == column for pair in pairs] for column in range(len(agents))], dtype=float)
    limits = [
        LinearConstraint(in_row, 1, [want.most for want in wants]),
        LinearConstraint(in_column, 0, [capacity[one] for one in agents]),
    ]
    solved = milp(-scores, constraints=limits, bounds=(0, 1), integrality=np.ones(len(pairs)))
    assert solved.success
    assert value(wants, assign(wants, capacity))[2] == pytest.approx(-solved.fun, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(40, 40, 1.0, 1, 1), (60, 30, 0.3, 3, 3), (40, 40, 0.1, 1, 1), (20, 50, 0.5, 3, 2)])
def test_greedy_is_near_the_optimum(shape: tuple[int, int, float, int, int]) -> None:
    for seed in range(3):
        wants, capacity = random_case(seed, *shape)
        best, near = value(wants, assign(wants, capacity)), value(wants, assign(wants, capacity, exact_up_to=NEVER))
        assert near[0] == best[0]
        assert near[2] >= 0.85 * best[2]


def test_the_best_agent_goes_where_nobody_else_can() -> None:
    wants = [Want("easy", {"o/u/a": 0.9, "o/u/b": 0.8}), Want("hard", {"o/u/a": 0.1})]
    assert assign(wants, {}) == {"easy": ("o/u/b",), "hard": ("o/u/a",)}
    assert assign(wants, {}, exact_up_to=NEVER) == {"easy": ("o/u/b",), "hard": ("o/u/a",)}


def test_serving_more_comes_before_scores_and_weight_before_that() -> None:
    pair = Want("pair", {"o/u/a": 9.0, "o/u/b": 9.0}, 2, 2)
    lone = Want("lone", {"o/u/b": 0.1})
    assert assign([pair, lone], {}) == {"pair": ("o/u/a",), "lone": ("o/u/b",)}
    assert assign([pair._replace(weight=2.0), lone], {})["lone"] == ()


def test_seats_beyond_the_needed_are_for_good_scores_only() -> None:
    want = Want("s", {"o/u/a": -1.0, "o/u/b": -2.0, "o/u/c": 0.5}, 1, 3)
    assert assign([want], {})["s"] == ("o/u/c",)
    assert assign([want], {"o/u/c": 0})["s"] == ("o/u/a",)
    assert assign([want._replace(least=0)], {"o/u/c": 0})["s"] == ()


def test_capacity_not_known_is_what_is_said() -> None:
    wants = [Want(name, {"o/u/a": 1.0}) for name in "xyz"]
    assert sum(map(bool, assign(wants, {}).values())) == 1
    assert sum(map(bool, assign(wants, {}, unknown=2).values())) == 2
    assert sum(map(bool, assign(wants, {"o/u/a": 5}).values())) == 3
    assert assign(wants, {"o/u/a": 1})["x"] == ("o/u/a",)


@pytest.mark.parametrize("limit", [NEVER, EXACT_UP_TO])
def test_what_is_no_number_and_what_is_nobody_do_no_harm(limit: int) -> None:
    odd = {"o/u/a": float("nan"), "o/u/b": float("inf"), "o/u/c": 1e300, "o/u/d": -1e300}
    wants = [Want("a", odd, -3, 2, float("nan")), Want("b", odd, 5, 2, -1.0), Want("c", {}), Want("d", odd, 1, -1)]
    teams = assign(wants, {"o/u/d": -4, "o/u/c": 2**80}, exact_up_to=limit)
    assert teams == {"a": ("o/u/c",), "b": ("o/u/c",), "c": (), "d": ()}
    assert assign([], {}, exact_up_to=limit) == {}
    assert assign([Want("x", {"o/u/a": 1.0}), Want("x", {})], {}, exact_up_to=limit) == {"x": ("o/u/a",)}
