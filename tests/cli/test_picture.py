"""A task as watchers see it: from notes, from a snapshot when they come late, and from the result in the end."""

from foa.cli.watching.lines import lines
from foa.cli.watching.picture import Picture
from foa.wire.ids import Epoch
from foa.wire.messages import Events, Result, State
from foa.wire.records import Note, Part, Plan, Seat, Subtask, Task, Work

PLAN = Plan((Subtask("a", "do a"), Subtask("b", "do b")), (("a", "b"),))


def _told(*notes: tuple[int, str, str, str, str], plan: Plan | None = None) -> Events:
    return Events("t", tuple(Note(kind, at, sub, agent, text) for at, kind, sub, agent, text in notes), plan)


def test_a_subtask_goes_from_waiting_to_done() -> None:
    picture = Picture("t", "x")
    assert picture.phase == "submitted"
    picture.apply_events(_told((0, "accepted", "", "", "c-1"), (1, "planned", "", "", ""), plan=PLAN))
    assert (picture.phase, picture.owner) == ("running", "c-1")
    assert picture.rows["b"].after == ("a",)
    picture.apply_events(_told((5, "awarded", "a", "o/u/x", ""), (9, "progress", "a", "o/u/x", "half")))
    row = picture.rows["a"]
    assert (row.phase, row.attempt, row.seats, row.said, row.began_ms) == (
        "running",
        1,
        {"o/u/x": "running"},
        "half",
        5,
    )
    picture.apply_events(_told((20, "done", "a", "o/u/x", "")))
    assert (row.phase, row.ended_ms, picture.rows["b"].phase) == ("done", 20, "waiting")


def test_a_team_is_done_when_all_are_and_its_rounds_are_counted() -> None:
    picture = Picture("t")
    picture.apply_events(_told((1, "awarded", "a", "o/u/x", ""), (1, "awarded", "a", "o/u/y", ""), plan=PLAN))
    picture.apply_events(_told((2, "round", "a", "o/u/x", "round 2: revised"), (3, "done", "a", "o/u/x", "")))
    row = picture.rows["a"]
    assert (row.phase, row.attempt, row.rounds) == ("running", 1, 2)
    picture.apply_events(_told((4, "done", "a", "o/u/y", "")))
    assert row.phase == "done"


def test_the_next_attempt_replaces_the_lost_one() -> None:
    picture = Picture("t")
    picture.apply_events(_told((1, "awarded", "a", "o/u/x", ""), (2, "silent", "a", "o/u/x", "gone"), plan=PLAN))
    assert picture.rows["a"].phase == "waiting"
    picture.apply_events(_told((3, "awarded", "a", "o/u/y", "")))
    assert (picture.rows["a"].attempt, picture.rows["a"].seats) == (2, {"o/u/y": "awarded"})


def test_a_take_over_changes_the_owner() -> None:
    picture = Picture("t")
    picture.apply_events(_told((0, "accepted", "", "", "c-1"), (9, "taken-over", "", "", "c-2")))
    assert picture.owner == "c-2"


def test_who_comes_late_starts_from_the_snapshot() -> None:
    seat = Seat("o/u/x", "w", 2, rounds=1, price=0.5)
    state = State(
        Task("t", "words"), Epoch(1, "c-1"), 3, 1000, 0.5, PLAN, work=(Work("a", "running", 2, (seat,)),), ms=700
    )
    picture = Picture("t")
    picture.apply_state(state)
    row = picture.rows["a"]
    assert (picture.text, picture.owner, picture.ms, picture.spent) == ("words", "c-1", 700, 0.5)
    assert (row.phase, row.attempt, row.rounds, row.cost, row.text) == ("running", 2, 1, 0.5, "do a")
    picture.apply_events(_told((800, "done", "a", "o/u/x", "")))
    assert row.phase == "done"


def test_the_result_has_the_last_word() -> None:
    picture = Picture("t")
    picture.apply_result(
        Result("t", "done", Epoch(1, "c"), cost=2.0, ms=90, parts=(Part("a", ("o/u/x",), cost=2.0, ms=40),), plan=PLAN)
    )
    assert (picture.phase, picture.spent, picture.rows["a"].phase) == ("done", 2.0, "done")
    failed = Picture("t")
    failed.apply_result(Result("t", "failed", Epoch(1, "c"), reason="no", plan=PLAN))
    assert (failed.phase, failed.reason, failed.rows["a"].phase) == ("failed", "no", "cancelled")


def test_lines_say_what_happened_and_show_a_plan() -> None:
    said = list(lines(_told((1200, "awarded", "a", "o/u/x", ""), (0, "x", "~plan", "", "y"), plan=PLAN)))
    assert said[0].split() == ["1.20", "s", "a", "awarded", "o/u/x"]
    assert "planning" in said[1]
    assert said[3].strip() == "b: do b  [after a]"


def test_strange_notes_change_nothing() -> None:
    picture = Picture("t")
    picture.apply_events(_told((1, "sang", "a", "o/u/x", ""), (1, "round", "a", "o/u/x", "round ?")))
    assert picture.rows["a"].rounds == 0
