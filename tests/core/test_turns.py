"""Whose turn it is: urgent first, submitters in turn, and nobody for ever, whatever comes."""

from collections import Counter
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from foa.core.turns import AGE_S, Queue, turn

SUBMITTERS = ("a", "b", "c", "d")
NAMES = st.sampled_from(SUBMITTERS)
WEIGHTS = st.fixed_dictionaries(dict.fromkeys(SUBMITTERS, st.sampled_from([0.5, 1.0, 2.0, 5.0])))
STEPS = st.lists(st.none() | st.tuples(NAMES, st.integers(0, 9)) | st.integers(0, 50), max_size=80)


@given(STEPS, WEIGHTS)
def test_whatever_comes_all_are_served_once_and_nothing_is_left(
    steps: list[int | tuple[str, int] | None], weights: dict[str, float]
) -> None:
    queue: Queue[int] = Queue()
    there: dict[int, tuple[str, int]] = {}
    for number, step in enumerate(steps):
        if isinstance(step, tuple):
            queue.add(number, step[1], step[0], weights[step[0]])
            queue.add(number, 9, "d", 1.0)  # a second time: it keeps its place
            there[number] = step
        elif step is None:
            if there:
                item = queue.take()
                lane = there.pop(item)
                assert not any(one < item for one, other in there.items() if other == lane), "within a lane in order"
        else:
            queue.remove(step)
            there.pop(step, None)
        assert len(queue) == len(there)
    while there:
        there.pop(queue.take())
    assert not queue.levels
    assert not queue.where
    assert not queue.turns.due


@given(WEIGHTS, st.integers(1, 400))
def test_submitters_have_turns_by_their_weights_however_much_they_bring(weights: dict[str, float], lead: int) -> None:
    """While all wait, nobody is further from its share than one turn of each."""
    queue: Queue[tuple[str, int]] = Queue()
    for number in range(lead):
        queue.add(("a", -1 - number), 5, "a", weights["a"])
    for submitter, weight in weights.items():
        for number in range(200):
            queue.add((submitter, number), 5, submitter, weight)
    served: Counter[str] = Counter()
    total = sum(weights.values())
    for count in range(1, 60):
        served[queue.take()[0]] += 1
        for submitter, weight in weights.items():
            assert abs(served[submitter] - count * weight / total) <= len(weights) * max(1.0, weight)


@given(st.dictionaries(st.integers(0, 9), st.just(1), min_size=1))
def test_no_priority_starves_another(priorities: dict[int, int]) -> None:
    """Each has twice the turns of the one below it, while both wait."""
    queue: Queue[tuple[int, int]] = Queue()
    rounds = 2048
    for priority in priorities:
        for number in range(rounds):
            queue.add((priority, number), priority)
    total = sum(2.0**priority for priority in priorities)
    served = Counter(queue.take()[0] for _ in range(rounds))
    for priority in priorities:
        assert abs(served[priority] - rounds * 2.0**priority / total) <= len(priorities) + 1


@given(st.integers(1, 10_000), st.integers(0, 40))
def test_ten_tasks_do_not_wait_for_ten_thousand(crowd: int, served: int) -> None:
    queue: Queue[tuple[str, int]] = Queue()
    for number in range(crowd):
        queue.add(("many", number), submitter="many")
    for _ in range(min(served, crowd - 1)):
        queue.take()
    for number in range(10):
        queue.add(("few", number), submitter="few")
    order = [queue.take()[0] for _ in range(min(len(queue), 21))]
    assert order.count("few") == 10


@given(st.integers(0, 9), st.integers(0, 8), st.integers(1, 5_000))
def test_what_is_urgent_goes_next(low: int, more: int, crowd: int) -> None:
    high = min(9, low + 1 + more)
    queue: Queue[int] = Queue()
    for number in range(crowd):
        queue.add(number, low)
    if high > low:
        queue.take()
        queue.add(-1, high)
        assert queue.take() == -1


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(0, 1e6)), min_size=2, max_size=30))
def test_in_an_agents_queue_a_step_of_priority_is_worth_so_long_and_no_longer(came: list[tuple[int, float]]) -> None:
    order = sorted(came, key=lambda one: turn(*one))
    for at, (priority, since) in enumerate(order):
        for other, later in order[:at]:
            assert later - since <= (other - priority) * AGE_S + 1e-6


def test_a_submitter_that_always_comes_back_waits_for_the_others() -> None:
    """One task at a time, again and again, is worth no more than a queue."""
    queue: Queue[str] = Queue()
    for number in range(100):
        queue.add(f"many{number}", submitter="many")
    order = []
    for number in range(40):
        queue.add(f"back{number}", submitter="back")
        order += [queue.take(), queue.take()]
    assert abs(sum(one.startswith("back") for one in order) - 40) <= ceil(len(order) / 40)
