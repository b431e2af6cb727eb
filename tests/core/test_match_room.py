"""Who waits for agents at work, whose turn comes, and who is held off: the matchmaker's tables over many lives."""

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foa.core import effects as fx
from foa.core.effects import Effect, Key
from foa.core.machines import match
from foa.core.machines.match import Rules, backoff, room
from foa.core.machines.match.state import Match, Room
from foa.core.routing.exchange import Awarded, Concluded, Left, Turn, Weigh, Weighed, Weighing, Weighted
from foa.core.routing.score import Weights
from foa.wire.ids import Version
from foa.wire.records import Hit, Query, Resources
from foa.wire.topics import Topics


def hit(name: str, slots: int = 1) -> Hit:
    return Hit(f"o/u/{name}", Version(1, 1), 0.9, 0.9, resources=Resources(concurrency=slots))


class Desk:
    """A matchmaker, asked and told by the tasks of one coordinator; whose turn comes looks again at once."""

    def __init__(self, *hits: Hit, learns: bool = False, shares: dict[str, float] | None = None) -> None:
        rules = Rules(on=learns, shares=shares or {})
        self.state: Match = match.new(match.Setup(topics=Topics(), node="c1", rules=rules))
        self.hits = hits
        self.now = 100.0
        self.turns: list[tuple[str, str]] = []
        self.wakes: dict[str, float] = {}
        self.at_work: dict[str, tuple[str, str]] = {}
        self.count = 0

    def step(self, event: fx.Event) -> list[Effect]:
        self.state, effects = match.step(self.state, event, self.now, Random(1))
        for effect in effects:
            match effect:
                case fx.Tell(Key("task", task), Turn(ident)):
                    self.turns.append((task, ident))
                case fx.Wake(timer, at):
                    self.wakes[timer] = at
        return effects

    def tell(self, task: str, message: Any) -> list[Effect]:
        return self.step(fx.Told(Key("task", task), message))

    def weigh(self, task: str, priority: int = 5, submitter: str = "", **more: Any) -> Weighted:
        item = Weighing("main", Query("do it"), more.pop("hits", self.hits), b"", 60_000.0)
        effects = self.tell(task, Weigh("place:0", Weights(), (item,), "balanced", priority, submitter, **more))
        (told,) = [each.message for each in effects if isinstance(each, fx.Tell) and isinstance(each.message, Weighed)]
        return told.items[0]

    def place(self, task: str, priority: int = 5, submitter: str = "") -> str:
        """Ask, and award the first free agent; return whom, or "" """
        free = [one.agent for one in self.weigh(task, priority, submitter).candidates if not one.refused]
        if not free:
            return ""
        self.count += 1
        self.tell(task, Awarded(f"w{self.count}", free[0], "main"))
        self.at_work[f"w{self.count}"] = (task, free[0])
        return free[0]

    def end(self, award: str, fault: str = "") -> None:
        task, agent = self.at_work.pop(award)
        score = 0.0 if fault else 1.0
        self.tell(task, Concluded(award, task, agent, b"", score, 0.0, "c1", done=not fault, fault=fault))

    def elapse(self) -> None:
        self.now = max(self.now, self.wakes.pop(room.TURNS))
        self.step(fx.Elapsed(room.TURNS))

    def refusal(self, agent: str, **more: Any) -> str:
        return next(one.refused for one in self.weigh("t-look", **more).candidates if one.agent == f"o/u/{agent}")


@pytest.mark.parametrize("learns", [True, False])
def test_a_freed_slot_is_kept_for_whose_turn_it_is(learns: bool) -> None:
    desk = Desk(hit("a"), learns=learns)
    assert desk.place("t1") == "o/u/a"
    assert not desk.place("t2")
    assert not desk.place("t3", priority=9)
    desk.end("w1")
    assert desk.turns == [("t3", "main")], "the urgent one, though it came later"
    assert not desk.place("t4"), "who comes meanwhile does not get it"
    assert desk.place("t3") == "o/u/a"
    desk.end("w2")
    assert desk.turns[1:] == [("t2", "main")]


def test_a_slot_that_is_not_taken_goes_to_the_next() -> None:
    desk = Desk(hit("a"))
    desk.place("t1")
    desk.place("t2")
    desk.place("t3")
    desk.end("w1")
    desk.elapse()
    assert desk.turns == [("t2", "main"), ("t3", "main")]
    desk.tell("t3", Left())
    assert desk.turns[2:] == []
    assert desk.place("t4") == "o/u/a"


def test_who_leaves_is_not_called() -> None:
    desk = Desk(hit("a"), hit("b"))
    desk.place("t1")
    desk.place("t2")
    for task in ("t3", "t4"):
        assert not desk.place(task)
    desk.tell("t3", Left())
    desk.end("w1")
    assert desk.turns == [("t4", "main")]


def test_many_of_one_submitter_do_not_hold_up_another() -> None:
    """Ten tasks of one come beside a thousand of another: they are served among the next twenty-one."""
    desk = Desk(hit("a", slots=2), shares={})
    for number in range(1000):
        desk.place(f"many{number}", submitter="many")
    for number in range(10):
        desk.place(f"few{number}", submitter="few")
    order = []
    for _ in range(21):
        desk.end(next(iter(desk.at_work)))
        task, _ = desk.turns.pop()
        order.append(task)
        assert desk.place(task, submitter=task.rstrip("0123456789"))
    assert sum(task.startswith("few") for task in order) == 10


FAULTS = ("", "", "", "silent", "handler", "declined", "retry")
moves = st.one_of(
    st.tuples(st.just("place"), st.integers(0, 15), st.integers(0, 9), st.sampled_from(["", "x", "y"])),
    st.tuples(st.just("end"), st.integers(0, 5), st.sampled_from(FAULTS)),
    st.tuples(st.just("turn")),
    st.tuples(st.just("left"), st.integers(0, 15)),
    st.tuples(st.just("elapse")),
    st.tuples(st.just("later"), st.floats(0, 40)),
)


def happens(desk: Desk, step: tuple[Any, ...]) -> None:
    """Let one thing happen, if it can happen now."""
    busy = {task for task, _ in desk.at_work.values()}
    match step:
        case ("place", number, priority, submitter) if f"t{number}" not in busy:
            desk.place(f"t{number}", priority, submitter)
        case ("end", number, fault) if desk.at_work:
            desk.end(list(desk.at_work)[number % len(desk.at_work)], fault)
        case ("turn",) if desk.turns:
            task, _ = desk.turns.pop(0)
            if task not in busy:
                desk.place(task)
        case ("left", number):
            desk.tell(f"t{number}", Left())
        case ("elapse",) if room.TURNS in desk.wakes:
            desk.elapse()
        case ("later", seconds):
            desk.now += seconds


@settings(max_examples=200, deadline=None)
@given(st.lists(moves, max_size=120), st.lists(st.integers(1, 3), min_size=1, max_size=3))
def test_no_slot_leaks_and_nothing_is_left(steps: list[tuple[Any, ...]], slots: list[int]) -> None:
    desk = Desk(*(hit(f"a{at}", count) for at, count in enumerate(slots)))
    for step in steps:
        happens(desk, step)
        held = desk.state.room
        for one in desk.hits:
            load = desk.state.loads.get(one.agent, 0) + held.kept.get(one.agent, 0)
            assert load <= one.resources.concurrency, "nobody has more than it has slots for"
            assert load == one.resources.concurrency or one.agent not in held.queues, "nobody waits beside a free slot"
        assert sum(held.kept.values()) == len(held.slots)
    for number in range(16):
        desk.tell(f"t{number}", Left())
    for award in list(desk.at_work):
        desk.end(award)
    assert desk.state.room == Room(awake=desk.state.room.awake)
    assert not desk.state.loads


def test_who_is_silent_is_asked_when_nobody_else_is_there_and_ever_more_seldom() -> None:
    desk = Desk(hit("bad"), hit("good", slots=2))
    until = []
    for number in range(4):
        desk.tell(f"t{number}", Awarded(f"w{number}", "o/u/bad", "main"))
        desk.at_work[f"w{number}"] = (f"t{number}", "o/u/bad")
        desk.end(f"w{number}", "silent")
        until.append(desk.state.strikes["o/u/bad"].until - desk.now)
        assert desk.refusal("bad").startswith("held: silent last, ")
        alone = desk.weigh("t-alone", hits=(hit("bad"),))
        assert not alone.candidates[0].refused, "better than nobody"
        desk.now += until[-1] + 0.01
        assert desk.refusal("bad") == ""
    assert until == pytest.approx([2.0, 4.0, 8.0, 16.0])


def test_one_that_is_held_is_not_asked_while_the_able_are_only_at_work() -> None:
    desk = Desk(hit("bad"), hit("good"))
    desk.at_work["w0"] = ("t0", "o/u/bad")
    desk.tell("t0", Awarded("w0", "o/u/bad", "main"))
    desk.end("w0", "hung")
    assert desk.place("t1") == "o/u/good"
    assert not desk.place("t2")
    assert desk.weigh("t3", hits=(hit("bad"),), spare=True).candidates[0].refused.startswith("held")
    desk.end("w1")
    assert desk.turns == [("t2", "main")]


def test_success_brings_it_back_and_a_bad_task_condemns_nobody() -> None:
    desk = Desk(hit("a"))

    def plays(task: str, fault: str) -> float:
        desk.at_work["w"] = (task, "o/u/a")
        desk.tell(task, Awarded("w", "o/u/a", "main"))
        desk.end("w", fault)
        known = desk.state.strikes.get("o/u/a")
        return known.number if known else 0.0

    assert [plays("poison", "crashed") for _ in range(5)] == [1.0] * 5
    assert [plays(f"t{n}", "silent") for n in range(3)] == [2.0, 3.0, 4.0]
    assert [plays("t", "") for _ in range(4)] == [2.0, 1.0, 0.0, 0.0]
    assert [plays(f"u{n}", "declined") for n in range(3)] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert [plays("t", "") for _ in range(2)] == [0.0, 0.0]
    assert [plays("t", fault) for fault in ("busy", "retry", "handler", "lies", "garbage")] == [0.0] * 5


def test_after_its_pause_it_gets_one_award_not_many() -> None:
    desk = Desk(hit("a", slots=9), hit("b", slots=9))
    desk.at_work["w"] = ("t", "o/u/a")
    desk.tell("t", Awarded("w", "o/u/a", "main"))
    desk.end("w", "silent")
    desk.now += 3.0
    assert desk.refusal("a") == ""
    desk.tell("t2", Awarded("w2", "o/u/a", "main"))
    assert desk.refusal("a").startswith("held")


def test_the_table_of_the_held_is_bounded() -> None:
    desk = Desk(hit("a"))
    for number in range(backoff.MAX_HELD + 10):
        desk.tell("t", Concluded(f"w{number}", "t", f"o/u/a{number}", b"", 0.0, 0.0, "c1", fault="silent"))
    assert len(desk.state.strikes) == backoff.MAX_HELD
    assert "o/u/a0" not in desk.state.strikes
