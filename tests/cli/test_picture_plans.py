"""The picture of a plan: how it came about, how it changed, what came of which subtask, who is asked what."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foa.cli.planning.files import picture_of
from foa.cli.watching.lines import agreement, flat, lines
from foa.cli.watching.picture import MAX_PARTIAL, Picture
from foa.cli.watching.planned import nested
from foa.cli.watching.tree import draw, shown
from foa.wire.deliberation import Deliberation, Dropped, Edit, Kept, Voice
from foa.wire.ids import Epoch
from foa.wire.messages import Events, Required, Result, State
from foa.wire.records import Note, Part, Plan, Seat, Subtask, Task, Work

E1 = Epoch(1, "c-1")
PLAN = Plan((Subtask("load", "Load"), Subtask("report", "Report"), Subtask("send", "Send", approve=True)),
            (("load", "report"), ("report", "send")))  # fmt: skip
DEEPER = Plan(
    (PLAN.subtasks[0], Subtask("report.a", "Draft", depth=1), Subtask("report.b", "Review", depth=1), PLAN.subtasks[2]),
    (("load", "report.a"), ("report.a", "report.b"), ("report.b", "send")),
)
EXPANDED = Edit("expand", "report", 90, "not atomic", ("report.a", "report.b"), ("report",))
AGREED = Deliberation(
    at_ms=40,
    voices=(Voice("p/a/one", PLAN, 3), Voice("p/a/two", PLAN, 2, 0.5), Voice("p/a/bad", refused="a cycle")),
    anchor="p/a/one",
    kept=(Kept("load", ("p/a/one", "p/a/two")), Kept("report", ("p/a/one",))),
    dropped=(Dropped("p/a/two", "audit", "one voice"),),
    shape="sequential",
    width=1,
    depth=3,
)


def told(*notes: Note, **fields: Any) -> Events:
    return Events("t", notes, **fields)


def drawn(picture: Picture, room: int | None = None) -> str:
    from rich.console import Console

    console = Console(width=140, color_system=None)
    with console.capture() as said:
        console.print(draw(picture, 9000, room))
    return said.get()


def test_who_proposed_what_and_how_many_voices_each_subtask_has() -> None:
    picture = Picture("t")
    picture.apply_events(told(Note("proposal", 10, "", "p/a/one", "3 subtasks, 2 edges")))
    assert "p/a/one: 3 subtasks, 2 edges" in drawn(picture)
    picture.apply_events(told(deliberations=(AGREED,)))
    picture.apply_events(told(Note("planned", 41), plan=PLAN))
    assert [len(row.voices) for row in picture.rows.values()] == [2, 1, 0]
    said = drawn(picture)
    for words in ("consensus, 2 proposals", "run sequential", "p/a/bad: refused: a cycle", "audit: one voice", "2/2"):
        assert words in said
    assert "p/a/one: 3 subtasks, 2 edges" not in said


def test_an_edit_is_known_by_its_note_until_it_is_heard_itself() -> None:
    picture = Picture("t")
    note = Note("edited", 90, "report", text="expand: not atomic")
    picture.apply_events(told(note, Note("edited", 91, "report", text="sung: loudly"), plan=PLAN))
    assert picture.edits == [Edit("expand", "report", 90, "not atomic")]
    picture.apply_events(told(edits=(EXPANDED,)))
    picture.apply_events(told(note))
    assert picture.edits == [EXPANDED]


def test_a_plan_of_one_planner_is_no_consensus() -> None:
    alone = Deliberation(voices=(Voice("p/a/one", PLAN, 3),), anchor="p/a/one", agreed=False)
    assert next(agreement(alone)).startswith("plan: the plan of p/a/one, 1 proposal")


def test_what_came_of_a_subtask_stands_below_it() -> None:
    picture = Picture("t")
    picture.apply_events(told(plan=PLAN))
    picture.apply_events(told(Note("edited", 90, "report", text="expand: not atomic"), plan=DEEPER, edits=(EXPANDED,)))
    branches = nested(picture.rows, picture.parents, picture.before)
    assert [(each.row.id, len(each.lasts), each.heading) for each in branches] == [
        ("load", 1, False),
        ("report", 1, True),
        ("report.a", 2, False),
        ("report.b", 2, False),
        ("send", 1, False),
    ]
    assert branches[1].row.text == "Report"
    said = drawn(picture)
    assert "├─ report.a" in said
    assert "expand  report: not atomic  + report.a, report.b  - report" in said
    picture.apply_events(told(Note("done", 95, "report", "o/u/late")))
    assert "report" not in picture.rows, "a late word of what was replaced"


def test_rows_nest_by_their_depth_where_the_edit_was_not_heard() -> None:
    picture = Picture("t")
    picture.apply_events(told(plan=DEEPER))
    assert [len(each.lasts) for each in nested(picture.rows, {}, {})] == [1, 1, 2, 2, 1]
    dotted = Picture("t")
    dotted.apply_events(told(plan=Plan((Subtask("v1.2", "a version, not a child"),))))
    assert [each.row.id for each in nested(dotted.rows, {}, {})] == ["v1.2"]


def test_a_question_stands_until_it_is_answered_and_is_asked_with_its_options() -> None:
    picture = Picture("t")
    picture.apply_events(told(plan=PLAN))
    picture.apply_required(Required("t", "load", "Which one?", E1, ("a", "b"), "o/u/x"))
    picture.apply_events(told(Note("input-required", 5, "load", "o/u/x", "Which one?")))
    asked = picture.questions["load"]
    assert (asked.options, asked.consent, picture.phase) == (("a", "b"), False, "input required")
    assert "? load (o/u/x): Which one?" in drawn(picture)
    picture.apply_events(told(Note("answered", 6, "load", text="a")))
    assert (picture.questions, picture.phase) == ({}, "running")


def test_consent_is_asked_once_and_what_an_approved_step_asks_later_is_no_consent() -> None:
    picture = Picture("t")
    picture.apply_events(told(plan=PLAN))
    picture.apply_events(told(Note("input-required", 5, "send", "", "May this begin: Send")))
    assert picture.questions["send"].consent
    picture.apply_events(told(Note("approved", 6, "send")))
    picture.apply_events(told(Note("input-required", 9, "send", "", "It failed. What now?")))
    assert not picture.questions["send"].consent


def test_the_snapshot_and_the_end_have_the_questions_too() -> None:
    work = Work("load", "waiting", 1, question="Which one?", asker="o/u/x")
    state = State(Task("t", "x"), E1, 1, 1, plan=PLAN, work=(work,), deliberations=(AGREED,), edits=(EXPANDED,))
    picture = picture_of(state)
    assert picture.questions["load"].asker == "o/u/x"
    assert (len(picture.deliberations), len(picture.edits)) == (1, 1)
    picture.apply_events(told(deliberations=(AGREED,), edits=(EXPANDED,)))
    assert (len(picture.deliberations), len(picture.edits)) == (1, 1), "the same is not counted twice"
    picture.apply_result(Result("t", "failed", E1, reason="nobody answered", plan=PLAN))
    picture.apply_required(Required("t", "load", "Which one?", E1))
    assert (picture.questions, picture.phase) == ({}, "failed")


def test_an_answer_streams_and_is_gone_when_it_is_there() -> None:
    picture = Picture("t")
    picture.apply_events(told(Note("awarded", 1, "load", "o/u/x"), plan=PLAN))
    for number in range(100):
        picture.apply_events(told(Note("partial", 2, "load", "o/u/x", f"piece {number}\n")))
    assert len(picture.rows["load"].partial) == MAX_PARTIAL
    assert "piece 99▌" in drawn(picture)
    picture.apply_events(told(Note("done", 3, "load", "o/u/x")))
    assert "▌" not in drawn(picture)


def test_a_round_says_what_it_came_to_and_the_end_each_ones_credit() -> None:
    picture = Picture("t")
    picture.apply_events(told(Note("awarded", 1, "load", "o/u/x"), plan=PLAN))
    picture.apply_events(told(Note("round", 2, "load", "o/u/x", "round 2: 2 of 3 agree")))
    assert (picture.rows["load"].rounds, picture.rows["load"].agreement) == (2, "2 of 3 agree")
    part = Part("load", ("o/u/x", "o/u/y"), rounds=2, agreed=False, strategy="medoid", credit={"o/u/x": 0.75})
    picture.apply_result(Result("t", "done", E1, parts=(part,), plan=PLAN))
    row = picture.rows["load"]
    assert (row.strategy, row.credit, row.agreement) == ("medoid", {"o/u/x": 0.75}, "no agreement")


def test_what_is_refuted_waits_again() -> None:
    picture = Picture("t")
    picture.apply_events(told(Note("awarded", 1, "load", "o/u/x"), Note("done", 2, "load", "o/u/x"), plan=PLAN))
    picture.apply_events(told(Note("refuted", 3, "load", "o/u/y", "the sum is wrong")))
    row = picture.rows["load"]
    assert (row.phase, row.seats, row.said) == ("waiting", {}, "refuted: the sum is wrong")


@pytest.mark.slow
def test_too_many_rows_for_the_terminal_leave_those_that_move() -> None:
    picture = Picture("t")
    plan = Plan(tuple(Subtask(f"s{number}", "x") for number in range(200)))
    works = tuple(Work(f"s{number}", "done" if number < 100 else "waiting", 1) for number in range(200))
    moving = Work("s150", "running", 1, (Seat("o/u/x", "w", 1),))
    picture.apply_state(State(Task("t", "x"), E1, 1, 1, plan=plan, work=(*works[:150], moving, *works[151:])))
    branches = nested(picture.rows, picture.parents, picture.before)
    assert "s150" in {each.row.id for each in shown(branches, 10, picture)}
    said = drawn(picture, room=24)
    assert said.count("\n") <= 24
    assert "s150" in said
    assert "100 done" in said
    assert drawn(picture).count("s1") > 100, "all of them once there is room"


def test_lines_tell_plans_edits_and_nothing_twice() -> None:
    said = list(lines(told(Note("edited", 90, "report", text="expand: not atomic"), edits=(EXPANDED,))))
    assert len(said) == 1
    assert "expand" in said[0]
    assert "report: not atomic" in next(lines(told(edits=(EXPANDED,))))
    assert any("p/a/two" in each for each in lines(told(deliberations=(AGREED,))))


def test_strangers_move_no_cursor() -> None:
    nasty = "a\x1b[2Jb\nc\x00\u202ed\r"
    assert flat(nasty) == "a[2Jb c" + "d "
    plan = Plan((Subtask("load", nasty),))
    picture = Picture("t", nasty)
    notes = (Note("awarded", 1, "load", nasty[:200]), Note("partial", 2, "load", "o/u/x", nasty))
    picture.apply_events(told(*notes, plan=plan))
    picture.apply_required(Required("t", "load", nasty, E1, (nasty,), nasty))
    for said in (drawn(picture), *lines(told(*notes, plan=plan))):
        assert not {"\x1b", "\x00", "\u202e", "\r"} & set(said)
    assert "[bold]" in drawn(Picture("t", "[bold]markup is text[/bold]"))


IDS = st.sampled_from(["", "a", "b", "a.b", "a.b.c", "b.a", "~plan", "x" * 64])
TEXTS = st.sampled_from(["", "round 1: 2 of 3", "round x", "expand: y", "\x1b[1m", "9" * 300])
KINDS = st.sampled_from(
    ["accepted", "taken-over", "planned", "proposal", "proposal-dropped", "edited", "awarded", "started", "progress",
     "partial", "round", "done", "failed", "declined", "silent", "input-required", "answered", "approved", "rejected",
     "refuted", "withdrawn", "sang"]
)  # fmt: skip
NOTES = st.builds(Note, KINDS, st.integers(0, 10**9), IDS, TEXTS, TEXTS, st.floats(0, 10))
NAMES = st.tuples(IDS, IDS)
SUBTASKS = st.builds(
    Subtask, IDS, TEXTS, approve=st.booleans(), depth=st.integers(0, 20), strategy=st.sampled_from(["", "medoid"])
)
PLANS = st.builds(Plan, st.lists(SUBTASKS, max_size=5).map(tuple), st.lists(NAMES, max_size=6).map(tuple))
VOICES = st.builds(Voice, TEXTS, st.none() | PLANS, st.integers(0, 9), refused=TEXTS)
DELIBERATIONS = st.builds(
    Deliberation,
    IDS,
    st.integers(0, 3),
    st.lists(VOICES, max_size=3).map(tuple),
    kept=st.lists(st.builds(Kept, IDS, NAMES), max_size=3).map(tuple),
    dropped=st.lists(st.builds(Dropped, TEXTS, TEXTS, TEXTS), max_size=3).map(tuple),
)
EDITS = st.builds(
    Edit,
    st.sampled_from(["expand", "grow"]),
    IDS,
    st.integers(0, 3),
    TEXTS,
    NAMES,
    st.lists(IDS, max_size=2).map(tuple),
)
SEATS = st.builds(Seat, TEXTS, IDS, st.integers(0, 3))
PHASES = st.sampled_from(["waiting", "ready", "running", "done", "failed", "cancelled"])
WORKS = st.builds(Work, IDS, PHASES, st.integers(0, 3), st.lists(SEATS, max_size=2).map(tuple), question=TEXTS)
MANY = {
    "deliberations": st.lists(DELIBERATIONS, max_size=2).map(tuple),
    "edits": st.lists(EDITS, max_size=3).map(tuple),
    "plan": st.none() | PLANS,
}
FED = st.one_of(
    st.builds(Events, st.just("t"), st.lists(NOTES, max_size=4).map(tuple), work=st.lists(WORKS).map(tuple), **MANY),
    st.builds(
        State,
        st.builds(Task, st.just("t"), TEXTS),
        st.just(E1),
        st.just(1),
        st.just(1),
        work=st.lists(WORKS, max_size=3).map(tuple),
        **MANY,
    ),
    st.builds(Required, st.just("t"), IDS, TEXTS, st.just(E1), st.lists(TEXTS, max_size=2).map(tuple), TEXTS),
    st.builds(
        Result,
        st.just("t"),
        st.sampled_from(["done", "failed", "cancelled", "expired"]),
        st.just(E1),
        parts=st.lists(st.builds(Part, IDS, NAMES, credit=st.dictionaries(TEXTS, st.floats(0, 1))), max_size=2).map(
            tuple
        ),
        **MANY,
    ),
)


def feed(picture: Picture, what: Any) -> None:
    match what:
        case State():
            picture.apply_state(what)
        case Events():
            picture.apply_events(what)
            list(lines(what))
        case Required():
            picture.apply_required(what)
        case Result():
            picture.apply_result(what)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(FED, max_size=6), st.sampled_from([None, 5, 24]))
def test_any_order_gives_a_picture_with_every_subtask_once(fed: list[Any], room: int | None) -> None:
    picture = Picture("t")
    for what in fed:
        feed(picture, what)
    branches = nested(picture.rows, picture.parents, picture.before)
    assert sorted(each.row.id for each in branches if not each.heading) == sorted(picture.rows)
    assert len({each.row.id for each in branches}) == len(branches)
    assert "\x1b" not in drawn(picture, room)
    if picture.status is not None:
        assert not picture.questions
