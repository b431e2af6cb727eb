"""A plan that changes while it runs: planned in its turn, the ladder of recovery, people, teams that grow, joining."""

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from foa.core import effects as fx
from foa.core.dag.plan import check
from foa.core.effects import Key
from foa.core.machines.task.pending import JOINING, Stuck
from foa.core.routing.exchange import Answer
from foa.wire.ids import Version
from foa.wire.messages import (
    Accepted,
    Asking,
    Award,
    Failed,
    Input,
    Rejected,
    Required,
    Result,
    Settled,
    State,
    Withdrawn,
)
from foa.wire.records import Given, Hit, Plan, Port, Query, Resources, Subtask, Value
from tests.core.task_bench import Bench, chain, declined, done, failed, hit, sent, task

REFINES: dict[str, Any] = {"refines": True, "outputs": (Port("o", "text/plain"),)}


def able(agent: str, *, relevance: float = 0.9, **fields: Any) -> Hit:
    return Hit(f"acme/tools/{agent}", Version(1, 1), relevance, 0.9, **fields)


@dataclass
class Town:
    """Answers a bench's lookups by the words of each query: who is found for which word."""

    bench: Bench
    who: dict[str, list[Hit]]

    def __post_init__(self) -> None:
        self.bench.found_by = self.find

    def find(self, query: Any) -> tuple[Hit, ...]:
        if "plan" in query.skills:
            return tuple(one for one in self.who.get("~plan", []) if one.agent not in query.exclude)
        if "synthesise" in query.skills:
            return tuple(self.who.get("~join", []))
        words = [word for word in self.who if word in query.text]
        found = {one.agent: one for word in words for one in self.who[word]}
        return tuple(one for one in found.values() if one.agent not in query.exclude)


def kinds(bench: Bench) -> list[str]:
    return [edit.kind for edit in bench.live.edits]


def said(bench: Bench, **fields: Any) -> list[Any]:
    return bench.feed(bench.received("input", Input("t1", **fields), reply_to="foa/v1/reply/u1/rated"))


def ended(effects: list[Any]) -> Result:
    """Return the one result among `effects`, which is retained and told to the submitter."""
    retained, *told = sent(effects, Result)
    assert told in ([], [retained])
    return retained


def two() -> Plan:
    return Plan((Subtask("a", "make it"), Subtask("b", "pay for it", approve=True)), (("a", "b"),))


# --- people -----------------------------------------------------------------------------------------------


def test_a_step_that_needs_consent_waits_for_it() -> None:
    bench = Bench(hit("a1"))
    (first,) = sent(bench.submit(task(plan=two())), Award)
    effects = bench.answer(done(first))
    assert sent(effects, Award) == []
    (asked,) = sent(effects, Required)
    assert (asked.subtask, asked.agent, asked.options) == ("b", "", ("yes", "no"))
    assert sent(effects, State)[-1].work[1].question
    effects = said(bench, approve=True)
    assert sent(effects, Accepted)
    (second,) = sent(effects, Award)
    assert sent(bench.answer(done(second)), Result)[0].status == "done"


def test_who_says_no_ends_the_task() -> None:
    bench = Bench(hit("a1"))
    (first,) = sent(bench.submit(task(plan=two())), Award)
    bench.answer(done(first))
    result = ended(said(bench, text="no"))
    assert (result.status, result.code) == ("failed", "rejected")


def test_an_agent_that_asks_has_the_answer_in_its_next_award() -> None:
    bench = Bench(hit("a1"), hit("a2"))
    (award,) = sent(bench.submit(task(attempts=1)), Award)
    effects = bench.answer(Asking(award.award, "t1", award.agent, "which column?", ("x", "y")))
    assert sent(effects, Settled)
    (asked,) = sent(effects, Required)
    assert (asked.agent, asked.options) == (award.agent, ("x", "y"))
    (again,) = sent(said(bench, text="x"), Award)
    assert again.agent == award.agent
    assert [(given.name, given.value.body) for given in again.inputs] == [("answer", b"x")]
    assert again.attempt == award.attempt


def test_a_question_outlives_its_owner_and_is_told_to_who_submits_again() -> None:
    bench = Bench(hit("a1"))
    (award,) = sent(bench.submit(task()), Award)
    effects = bench.answer(Asking(award.award, "t1", award.agent, "which?"))
    snapshot = sent(effects, State)[-1]
    heir = Bench(hit("a1"))
    heir.feed(heir.received("state", snapshot))
    effects = heir.become_owner()
    assert sent(effects, Award) == []
    from foa.wire.messages import Submit

    effects = heir.feed(heir.received("submit", Submit(task()), reply_to="foa/v1/reply/u1/task"))
    assert sent(effects, Required)[0].question == "which?"
    assert sent(said(heir, text="that one"), Award)


def test_words_nobody_waits_for_are_refused_with_the_reason() -> None:
    bench = Bench(hit("a1"))
    bench.submit(task())
    (refused,) = sent(said(bench, text="hello"), Rejected)
    assert "waits for nobody" in refused.reason
    (refused,) = sent(said(bench, refute=True, subtask="main"), Rejected)
    assert "not done" in refused.reason


def test_who_ended_says_so_to_words_that_come_late() -> None:
    bench = Bench(hit("a1"))
    (award,) = sent(bench.submit(task()), Award)
    bench.answer(done(award))
    assert "has ended" in sent(said(bench, text="hello"), Rejected)[0].reason


# --- withdrawn and refuted ----------------------------------------------------------------------------------


def refutable() -> Bench:
    bench = Bench(hit("a1"), hit("a2"), hit("a3"))
    parts = (Subtask("a", "first"), Subtask("b", "then"), Subtask("c", "beside"), Subtask("d", "last"))
    plan = Plan(parts, (("a", "b"), ("b", "d"), ("c", "d")))
    one, other = sent(bench.submit(task(plan=plan)), Award)
    bench.answer(done(one))
    bench.answer(done(other))
    return bench


def test_a_refuted_part_takes_what_was_built_on_it_and_only_that() -> None:
    bench = refutable()
    works = bench.live.works
    assert [works[one].phase for one in "abc"] == ["done", "running", "done"]
    running = works["b"].seats[0]
    effects = said(bench, refute=True, subtask="a", text="the sum is wrong")
    assert [one.award for one in sent(effects, Withdrawn)] == [running.award]
    (again,) = sent(effects, Award)
    assert again.subtask.id == "a"
    assert again.agent != works["a"].seats[0].agent
    assert bench.live.works["c"].phase == "done"
    assert kinds(bench) == ["withdraw"]


def test_an_agent_may_refute_its_input() -> None:
    bench = refutable()
    seat = bench.live.works["b"].seats[0]
    wrong = Failed(seat.award, "t1", seat.agent, "refuted", "the sum is wrong", refutes="a")
    (again,) = sent(bench.answer(wrong), Award)
    assert again.subtask.id == "a"
    (then,) = sent(bench.answer(done(again)), Award)
    assert then.subtask.id == "b"


def test_what_cannot_be_refuted_is_a_failure_like_another() -> None:
    bench = refutable()
    seat = bench.live.works["b"].seats[0]
    wrong = Failed(seat.award, "t1", seat.agent, "refuted", "no", refutes="c")
    (again,) = sent(bench.answer(wrong), Award)
    assert again.subtask.id == "b"
    assert kinds(bench) == []


# --- the ladder -------------------------------------------------------------------------------------------


def csv_to_html() -> Plan:
    return Plan((Subtask("r", "report", produces=("text/html",)),))


def test_who_fails_for_good_is_gone_around_over_types() -> None:
    """The one agent that reports fails; two others get there by a type between."""
    bench = Bench()
    given = Given("table", Value("text/csv", "text/csv", b"a,b"))
    direct = able("direct", outputs=(Port("o", "text/html"),))
    first = able("profile", inputs=(Port("i", "text/csv"),), outputs=(Port("o", "columns"),))
    second = able("write", inputs=(Port("i", "columns"),), outputs=(Port("o", "text/html"),))
    bench.found_by = lambda query: tuple(
        one for one in (direct, first, second) if one.agent not in query.exclude and _open_to(one, query, direct)
    )
    (award,) = sent(bench.submit(task(plan=csv_to_html(), inputs=(given,), attempts=1)), Award)
    effects = bench.answer(failed(award))
    assert kinds(bench) == ["reroute"]
    assert check(bench.live.plan or Plan(())) is None
    (next_,) = sent(effects, Award)
    assert next_.agent == first.agent
    (last,) = sent(bench.answer(done_as(next_, "columns")), Award)
    assert last.agent == second.agent


def test_who_declined_for_want_of_what_a_detour_brings_has_a_part_in_it() -> None:
    """The last of two steps is asked for the whole first, and lacks its input; then the first makes that."""
    bench = Bench(patience_s=0.0)
    given = Given("table", Value("text/csv", "text/csv", b"a,b"))
    direct = able("direct", outputs=(Port("o", "text/html"),))
    first = able("profile", inputs=(Port("i", "text/csv"),), outputs=(Port("o", "columns"),))
    second = able("write", relevance=0.8, inputs=(Port("i", "columns"),), outputs=(Port("o", "text/html"),))
    bench.found_by = lambda query: tuple(
        one
        for one in (direct, first, second)
        if one.agent not in query.exclude and (not query.produces or one.outputs[0].type in query.produces)
    )
    plan = Plan((Subtask("r", "report", produces=("text/html",)),))
    (award,) = sent(bench.submit(task(plan=plan, inputs=(given,))), Award)
    (award,) = sent(bench.answer(declined(award, "inputs")), Award)
    assert award.agent == second.agent
    effects = bench.answer(declined(award, "inputs"))
    assert kinds(bench) == ["reroute"]
    (next_,) = sent(effects, Award)
    assert next_.agent == first.agent
    (last,) = sent(bench.answer(done_as(next_, "columns")), Award)
    assert last.agent == second.agent


def _open_to(one: Hit, query: Query, direct: Hit) -> bool:
    """Only who yields HTML by itself is near the words where that is asked; nobody is left out otherwise."""
    return one.agent == direct.agent or not query.produces or direct.agent in query.exclude or query.text != "report"


def done_as(award: Award, kind: str) -> Any:
    return msgspec.structs.replace(done(award), outputs=(Given("o", Value(kind, "text/plain", b"x")),))


def test_a_plan_that_declares_no_types_goes_around_too() -> None:
    """What the failed agent would have yielded is what another way must lead to."""
    bench = Bench()
    given = Given("table", Value("text/csv", "text/csv", b"a,b"))
    direct = able("direct", relevance=0.95, outputs=(Port("o", "text/html"),))
    first = able("profile", relevance=0.3, inputs=(Port("i", "text/csv"),), outputs=(Port("o", "columns"),))
    second = able("write", relevance=0.2, inputs=(Port("i", "columns"),), outputs=(Port("o", "text/html"),))
    bench.found_by = lambda query: tuple(one for one in (direct, first, second) if one.agent not in query.exclude)
    plan = Plan((Subtask("r", "report"),))
    (award,) = sent(bench.submit(task(plan=plan, inputs=(given,), attempts=1)), Award)
    assert award.agent == direct.agent
    bench.answer(failed(award))
    assert kinds(bench) == ["reroute"]
    assert bench.live.plan is not None
    assert [one.produces for one in bench.live.plan.subtasks] == [("columns",), ("text/html",)]


def test_what_fails_is_planned_anew_and_then_done_in_parts() -> None:
    """One agent was good for all of it, and failed; a planner then splits what was one sentence."""
    bench = Bench()
    planner = able("planner", skills=("plan",), outputs=(Port("o", "plan"),))
    Town(bench, {"whole": [able("bad")], "half": [able("good")], "~plan": [planner]})
    (award,) = sent(bench.submit(task(plan=Plan((Subtask("w", "Do the whole thing"),)), attempts=1)), Award)
    (asked,) = sent(bench.answer(failed(award)), Award)
    assert (asked.subtask.id, asked.subtask.text) == ("~plan", "Do the whole thing")
    document = b'{"subtask": [{"id": "x", "text": "one half"}, {"id": "y", "text": "other half", "after": ["x"]}]}'
    proposal = Given("plan", Value("plan", body=document))
    effects = bench.answer(msgspec.structs.replace(done(asked), outputs=(proposal,)))
    assert kinds(bench) == []
    effects = bench.feed(fx.Told(Key("lookup"), Answer("vectors:w", None)))
    (first,) = sent(effects, Award)
    assert (first.subtask.id, first.agent) == ("w.x", "acme/tools/good")
    assert kinds(bench) == ["replan"]
    assert bench.live.plan is not None
    assert [one.depth for one in bench.live.plan.subtasks] == [1, 1]


def test_a_person_is_the_last_rung_where_one_attends() -> None:
    bench = Bench(hit("a1"), planners=0)
    (award,) = sent(bench.submit(task(attempts=1, attended=True)), Award)
    (asked,) = sent(bench.answer(failed(award)), Required)
    assert asked.options == ("try again", "give up")
    assert kinds(bench) == ["escalate"]
    (again,) = sent(said(bench, text="use the other file"), Award)
    assert again.inputs[-1].value.body == b"use the other file"
    assert sent(bench.answer(failed(again)), Required)


def test_without_anybody_attending_it_fails_with_the_reason() -> None:
    bench = Bench(hit("a1"), planners=0)
    (award,) = sent(bench.submit(task(attempts=1)), Award)
    result = ended(bench.answer(failed(award)))
    assert (result.status, result.code) == ("failed", "agent-failed")


def test_what_the_task_tells_itself_too_late_changes_nothing() -> None:
    bench = Bench(hit("a1"))
    bench.submit(task())
    assert bench.feed(fx.Told(Key("task", "t1"), Stuck("main", "no-route", "late"))) == []
    assert bench.feed(fx.Told(Key("task", "t1"), Stuck("gone", "no-route", "late"))) == []


# --- a subtask planned in its turn ------------------------------------------------------------------------


def test_a_subtask_that_is_no_single_agents_job_is_planned_in_its_turn() -> None:
    bench = Bench()
    Town(bench, {"Count": [able("count")], "Translate": [able("translate")], "tea": [able("kettle")]})
    plan = Plan(
        (Subtask("tea", "make tea"), Subtask("w", "Count the words. Then Translate the counts.")), (("tea", "w"),)
    )
    (tea,) = sent(bench.submit(task(plan=plan)), Award)
    effects = bench.answer(done(tea))
    (first,) = sent(effects, Award)
    assert first.agent == "acme/tools/count"
    assert first.subtask.id.startswith("w.")
    assert kinds(bench) == ["expand"]
    (second,) = sent(bench.answer(done(first)), Award)
    assert second.agent == "acme/tools/translate"
    result = ended(bench.answer(done(second, "zwei")))
    assert result.status == "done"
    assert result.parts[0].subtask == "tea"
    assert result.edits[0].removed == ("w",)


def test_recursion_is_capped() -> None:
    bench = Bench(depth=0)
    Town(bench, {"Count": [able("count")], "Translate": [able("translate")]})
    plan = Plan((Subtask("w", "Count the words. Then Translate the counts."),))
    (award,) = sent(bench.submit(task(plan=plan)), Award)
    assert award.subtask.id == "w"


# --- teams ------------------------------------------------------------------------------------------------


def team(count: int) -> Bench:
    return Bench(*(able(f"a{n}", resources=Resources(price_call=0.0), **REFINES) for n in range(1, count + 1)))


def test_two_that_agree_are_enough() -> None:
    bench = team(4)
    probes = sent(bench.submit(task()), Award)
    assert len(probes) == 2
    assert all(award.team is None for award in probes)
    bench.answer(done(probes[0], "42"))
    result = ended(bench.answer(done(probes[1], "42")))
    assert result.outputs[0].value.body == b"42"
    assert result.parts[0].credit == {probes[0].agent: pytest.approx(1.0), probes[1].agent: pytest.approx(1.0)}


def test_who_disagree_bring_others_in() -> None:
    bench = team(4)
    probes = sent(bench.submit(task()), Award)
    bench.answer(done(probes[0], "42"))
    more = sent(bench.answer(done(probes[1], "43")), Award)
    assert len(more) >= 1
    assert not {award.agent for award in more} & {award.agent for award in probes}
    assert kinds(bench) == ["grow"]
    assert len({award.award for award in (*probes, *more)}) == len(probes) + len(more)


def test_whatever_teams_answer_a_task_ends_with_one_result() -> None:
    for seed in range(40):
        bench = team(4)
        open_ = sent(bench.submit(task()), Award)
        results: list[Result] = []
        for step in range(60):
            if not open_:
                break
            award = open_.pop((seed + step) % len(open_))
            body = str((seed * 7 + step * 3) % (seed % 4 + 1))
            effects = bench.answer(failed(award) if (seed + step) % 5 == 0 else done(award, body))
            gone = {one.award for one in sent(effects, Withdrawn)}
            open_ = [one for one in open_ if one.award not in gone] + sent(effects, Award)
            results += [ended(effects)] if sent(effects, Result) else []
        assert len(results) == 1, seed


# --- joining ----------------------------------------------------------------------------------------------


def parallel() -> Plan:
    return Plan((Subtask("a", "left"), Subtask("b", "right")))


def test_an_agent_may_join_the_parts() -> None:
    bench = Bench()
    editor = able("editor", skills=("synthesise",))
    Town(bench, {"left": [able("l")], "right": [able("r")], "~join": [editor]})
    one, other = sent(bench.submit(task(plan=parallel())), Award)
    bench.answer(done(one, "L"))
    (join,) = sent(bench.answer(done(other, "R")), Award)
    assert (join.subtask.id, join.agent) == (JOINING, editor.agent)
    assert [given.value.body for given in join.inputs] == [b"L", b"R"]
    result = ended(bench.answer(done(join, "LR")))
    assert [given.value.body for given in result.outputs] == [b"LR"]
    assert {part.subtask for part in result.parts} == {"a", "b"}


@pytest.mark.parametrize("way", ["fails", "is silent", "comes too late"])
def test_without_its_joiner_the_answer_is_joined_all_the_same(way: str) -> None:
    bench = Bench()
    Town(bench, {"left": [able("l")], "right": [able("r")], "~join": [able("editor", skills=("synthesise",))]})
    one, other = sent(bench.submit(task(plan=parallel())), Award)
    bench.answer(done(one, "L"))
    (join,) = sent(bench.answer(done(other, "R")), Award)
    if way == "fails":
        effects = bench.answer(failed(join))
    else:
        effects = bench.elapse(f"lease:{join.award}" if way == "is silent" else "deadline")
    result = ended(effects)
    assert result.status == "done"
    assert result.outputs


# --- the whole ladder leaves a plan --------------------------------------------------------------------------


def test_every_state_on_the_way_is_a_lawful_plan() -> None:
    bench = Bench(hit("a1"), hit("a2"), hit("a3"), planners=0)
    (award,) = sent(bench.submit(task(plan=chain())), Award)
    for _ in range(3):
        effects = bench.answer(failed(award))
        awards = sent(effects, Award)
        if not awards:
            break
        (award,) = awards
        assert check(bench.live.plan or Plan(())) is None
        active = [seat.award for work in bench.live.works.values() for seat in work.seats if seat.phase == "running"]
        assert active == [award.award]


# --- shares of time and money -------------------------------------------------------------------------------


def test_an_award_carries_twice_its_share_of_the_critical_path_and_what_is_not_used_is_there_for_the_next() -> None:
    bench = Bench(hit("a1"), grace_s=0.0)
    parts = (Subtask("a", "one"), Subtask("b", "two"), Subtask("c", "three", weight=2.0))
    plan = Plan(parts, (("a", "b"), ("b", "c")))
    (first,) = sent(bench.submit(task(plan=plan, budget=4.0)), Award)
    assert first.left_ms == 20_000 * 2 // 4
    assert first.budget == pytest.approx(2.0)
    (second,) = sent(bench.answer(done(first)), Award)
    assert second.left_ms == int(20_000 * 2 / 3)
    assert second.budget == pytest.approx(4.0 * 2 / 3)
    (last,) = sent(bench.answer(done(second)), Award)
    assert (last.left_ms, last.budget) == (20_000, 4.0)
