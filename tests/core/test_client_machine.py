"""The submitter's machine: sends until it is kept, looks where the reply is lost, reads bodies, leaves nothing."""

from random import Random
from typing import Any

import msgspec

from foa.core import effects as fx
from foa.core.dag.blobs import Fetch, Fetched, store
from foa.core.effects import Effect, Event, Key
from foa.core.machines import client
from foa.core.machines.client import (
    Abandon,
    Collect,
    Context,
    Desk,
    Enough,
    Follow,
    Idle,
    Question,
    Rate,
    Report,
    Say,
    Submission,
)
from foa.core.machines.client.records import Back
from foa.core.machines.client.submission import MAX_AGAIN
from foa.core.routing.exchange import Answer, Asked
from foa.wire.ids import Epoch, partition_of
from foa.wire.messages import (
    Accepted,
    Acknowledged,
    Ask,
    Blob,
    Cancel,
    Events,
    Feedback,
    Input,
    Rejected,
    Required,
    Result,
    Submit,
)
from foa.wire.records import Given, Note, Query, Task, Value
from foa.wire.topics import Topic, Topics

TOPICS = Topics("foa/v1", 4)
E1 = Epoch(1, "c1")
CONTEXT = Context(TOPICS, "u1", inline_bytes=64, chunk_bytes=1024)
TASK = Task("t1", "echo this")
PLACE = f"task/{partition_of('t1', 4)}/t1/"


class Submitter:
    def __init__(self) -> None:
        self.context = CONTEXT
        self.state: Any = Idle("t1")
        self.now = 0.0
        self.retired = False

    def feed(self, event: Event) -> list[Effect]:
        self.state, effects = client.task_step(self.context, self.state, event, self.now, Random(0))
        self.retired = self.retired or fx.Retire() in effects
        return effects

    def tell(self, message: Any) -> list[Effect]:
        return self.feed(fx.Told(Key("shell"), message))

    def hear(self, message: Any) -> list[Effect]:
        return self.feed(fx.Received(Topic("reply", node="u1", name="task"), message))


def published(effects: list[Effect]) -> list[fx.Publish]:
    return [one for one in effects if isinstance(one, fx.Publish)]


def reports(effects: list[Effect]) -> list[tuple[str, Any]]:
    return [
        (one.argument.kind, one.argument.value)
        for one in effects
        if isinstance(one, fx.Request) and isinstance(one.argument, Report)
    ]


def patterns(effects: list[Effect], kind: type[fx.Subscribe | fx.Unsubscribe] = fx.Subscribe) -> list[str]:
    return [
        pattern.removeprefix("foa/v1/" + PLACE) for one in effects if isinstance(one, kind) for pattern in one.patterns
    ]


def test_it_submits_to_the_owner_of_the_partition_and_says_where_it_listens() -> None:
    (frame,) = published(Submitter().tell(Submission(TASK, watch=False)))
    assert (frame.topic, frame.message) == (TOPICS(PLACE + "submit"), Submit(TASK))
    assert frame.reply_to == TOPICS.reply("u1", "task")


def test_it_sends_again_until_it_is_kept_each_try_under_a_new_correlation() -> None:
    one = Submitter()
    tries = published(one.tell(Submission(TASK, watch=False)))
    for _ in range(2):
        tries += published(one.feed(fx.Elapsed("retry")))
    assert {frame.message for frame in tries} == {Submit(TASK)}
    assert len({frame.correlation for frame in tries}) == 3
    effects = one.hear(Accepted("t1", E1))
    assert fx.Sleep("retry") in effects
    assert reports(effects) == [("accepted", Accepted("t1", E1))]
    assert one.feed(fx.Elapsed("retry")) == []


def test_a_rejection_ends_it() -> None:
    one = Submitter()
    one.tell(Submission(TASK, watch=True))
    rejected = Rejected("t1", "text", "empty")
    effects = one.hear(rejected)
    assert reports(effects) == [("rejected", rejected)]
    assert patterns(effects, fx.Unsubscribe) == ["event"]
    assert one.retired


def test_the_result_ends_it_also_when_the_acceptance_was_lost() -> None:
    one = Submitter()
    one.tell(Submission(TASK, watch=False))
    result = Result("t1", "done", E1)
    assert reports(one.hear(result)) == [("result", result)]
    assert one.retired


def test_it_looks_at_the_retained_result_where_no_reply_comes() -> None:
    one = Submitter()
    one.tell(Submission(TASK, watch=False))
    one.hear(Accepted("t1", E1))
    assert patterns(one.feed(fx.Elapsed("look"))) == ["result"]
    effects = one.hear(Result("t1", "done", E1))
    assert patterns(effects, fx.Unsubscribe) == ["result"]


def test_watchers_hear_events() -> None:
    one = Submitter()
    assert patterns(one.tell(Submission(TASK, watch=True))) == ["event"]
    events = Events("t1", (Note("started", 1),))
    assert reports(one.hear(events)) == [("events", events)]


def test_a_question_is_told_and_the_result_still_awaited() -> None:
    one = Submitter()
    one.tell(Submission(TASK, watch=False))
    one.hear(Accepted("t1", E1))
    asked = Required("t1", "a", "Which column?", E1, ("x", "y"), "o/u/x")
    assert reports(one.hear(asked)) == [("required", asked)]
    assert reports(one.hear(Result("t1", "done", E1)))[0][0] == "result"


def test_who_asks_has_kept_the_task_also_where_the_acceptance_was_lost() -> None:
    one = Submitter()
    one.tell(Submission(TASK, watch=False))
    asked = Required("t1", "", "May it start?", E1)
    effects = one.hear(asked)
    assert fx.Sleep("retry") in effects
    assert reports(effects) == [("accepted", Accepted("t1", E1)), ("required", asked)]
    assert one.feed(fx.Elapsed("retry")) == []


def test_a_question_nobody_waits_for_changes_nothing() -> None:
    one = Submitter()
    assert one.hear(Required("t1", "", "May it start?", E1)) == []
    assert one.state == Idle("t1")


def test_large_inputs_are_kept_at_the_broker_before_the_task_is_sent() -> None:
    given = Given("load", Value("text/plain", "text/plain", b"x" * 100))
    frames = published(Submitter().tell(Submission(Task("t1", "echo", (given,)), watch=False)))
    assert [frame.topic.split("/")[2] for frame in frames] == ["blob", "task"]
    submit = frames[-1].message
    assert isinstance(submit, Submit)
    assert submit.task.inputs[0].value.ref is not None


def test_bodies_by_reference_are_read_before_the_result_is_told() -> None:
    ref, _ = store(b"long", TOPICS, 60)
    result = Result("t1", "done", E1, (Given("result", Value("text/plain", "text/plain", ref=ref)),))
    one = Submitter()
    one.tell(Submission(TASK, watch=False))
    effects = one.hear(result)
    assert reports(effects) == []
    assert fx.Tell(Key("blobs"), Fetch("result", (ref,))) in effects
    ((kind, told),) = reports(one.tell(Fetched("result", {ref.digest: b"long"})))
    assert (kind, told.outputs[0].value.body) == ("result", b"long")


def test_a_body_that_is_gone_is_told_with_the_result() -> None:
    ref, _ = store(b"long", TOPICS, 60)
    one = Submitter()
    one.tell(Submission(TASK, watch=False))
    one.hear(Result("t1", "done", E1, (Given("result", Value("text/plain", "text/plain", ref=ref)),)))
    ((_, told),) = reports(one.tell(Fetched("result", {}, "it expired")))
    assert told.reason == "it expired"


def test_a_second_result_is_not_told() -> None:
    ref, _ = store(b"long", TOPICS, 60)
    one = Submitter()
    one.tell(Submission(TASK, watch=False))
    one.hear(Result("t1", "done", E1, (Given("result", Value("text/plain", "text/plain", ref=ref)),)))
    assert one.hear(Result("t1", "failed", Epoch(2, "c2"))) == []


def test_a_cancel_is_retained_and_the_result_still_awaited() -> None:
    one = Submitter()
    one.tell(Submission(TASK, watch=False))
    (frame,) = published(one.tell(Abandon(cancel=True, reason="enough")))
    assert (frame.topic, frame.message, frame.retain) == (TOPICS(PLACE + "cancel"), Cancel("t1", "enough"), True)
    assert not one.retired
    other = Submitter()
    assert patterns(other.tell(Abandon(cancel=True))) == ["result"], "somebody else's task"


def test_who_stops_listening_leaves_nothing_behind() -> None:
    one = Submitter()
    assert sorted(patterns(one.tell(Follow(watch=True)))) == ["event", "result"]
    assert sorted(patterns(one.tell(Abandon(cancel=False)), fx.Unsubscribe)) == ["event", "result"]
    assert one.retired


# --- the desk ---------------------------------------------------------------------------------------------


def desk(state: Desk, event: Event) -> tuple[Desk, list[Effect]]:
    return client.desk_step(state, event, 0.0, Random(0))


def test_the_desk_passes_questions_on_and_answers_back() -> None:
    asked = Asked("q1", Ask((Query("echo"),)))
    state, effects = desk(Desk(CONTEXT), fx.Told(Key("shell"), Question(asked)))
    assert effects == [fx.Tell(Key("lookup"), asked)]
    answer = Answer("q1", None, "nobody")
    _, effects = desk(state, fx.Told(Key("lookup"), answer))
    assert reports(effects) == [("answer", answer)]


def test_the_desk_collects_until_it_is_enough() -> None:
    state, effects = desk(Desk(CONTEXT), fx.Told(Key("shell"), Collect("c1", ("foa/v1/discovery/#",))))
    assert effects == [fx.Subscribe(("foa/v1/discovery/#",))]
    seen = fx.Received(Topic("result", 0, "t9"), Result("t9", "done", E1), retained=True)
    _, effects = desk(state, seen)
    assert reports(effects) == [("retained", seen)]
    state, effects = desk(state, fx.Told(Key("shell"), Enough("c1")))
    assert effects == [fx.Unsubscribe(("foa/v1/discovery/#",))]
    assert desk(state, seen) == (state, [])


def test_the_desk_sends_a_persons_answer_and_hears_what_became_of_each() -> None:
    state, effects = desk(Desk(CONTEXT), fx.Online(resumed=False))
    (listening,) = effects
    assert isinstance(listening, fx.Subscribe)
    assert TOPICS.reply("u1", "input") in listening.patterns
    said = Input("t1", "a", "the second one")
    frames = [published(desk(state, fx.Told(Key("shell"), Say(said, token)))[1])[0] for token in ("token-1", "token-2")]
    assert {(frame.topic, frame.message) for frame in frames} == {(TOPICS(PLACE + "input"), said)}
    assert [frame.correlation for frame in frames] == [b"token-1", b"token-2"]
    where = Topic("reply", node="u1", name="input")
    refused = Rejected("t1", "input", "nothing was asked")
    words = ((b"token-2", refused), (b"token-1", Accepted("t1", E1)))
    heard = [reports(desk(state, fx.Received(where, word, correlation=which))[1]) for which, word in words]
    assert heard == [[("heard", refused)], [("heard", Accepted("t1", E1))]]


def test_what_is_large_in_an_answer_is_kept_at_the_broker_first() -> None:
    given = Given("table", Value("text/csv", "text/csv", b"x" * 100))
    frames = published(desk(Desk(CONTEXT), fx.Told(Key("shell"), Say(Input("t1", inputs=(given,)), "k")))[1])
    assert [frame.topic.split("/")[2] for frame in frames] == ["blob", "task"]
    sent = frames[-1].message
    assert isinstance(sent, Input)
    assert sent.inputs[0].value.ref is not None


def test_feedback_and_answers_are_told_apart() -> None:
    state = Desk(CONTEXT)
    (frame,) = published(desk(state, fx.Told(Key("shell"), Rate(Feedback("t1", 0.5))))[1])
    assert (frame.topic, frame.reply_to) == (TOPICS(PLACE + "feedback"), TOPICS.reply("u1", "feedback"))
    word = fx.Received(Topic("reply", node="u1", name="feedback"), Accepted("t1", E1))
    assert reports(desk(state, word)[1]) == [("rated", Accepted("t1", E1))]


def test_who_is_told_to_come_back_does_each_time_later() -> None:
    submitter = Submitter()
    submitter.tell(Submission(TASK, watch=False))
    pauses = []
    for _ in range(8):
        effects = submitter.hear(Rejected("t1", "quota", "too many", 1000))
        assert [name for name, _ in reports(effects)] == ["deferred"]
        (wake,) = [one for one in effects if isinstance(one, fx.Wake)]
        pauses.append(wake.at - submitter.now)
        submitter.now = wake.at
        assert any(isinstance(one.message, Submit) for one in published(submitter.feed(fx.Elapsed("retry"))))
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


def test_who_is_taken_after_all_goes_on_as_ever() -> None:
    submitter = Submitter()
    submitter.tell(Submission(TASK, watch=False))
    submitter.hear(Rejected("t1", "busy", "full", 1000))
    assert [name for name, _ in reports(submitter.hear(Accepted("t1", E1)))] == ["accepted"]


def test_what_is_refused_for_good_is_not_sent_again() -> None:
    submitter = Submitter()
    submitter.tell(Submission(TASK, watch=False))
    effects = submitter.hear(Rejected("t1", "text", "empty"))
    assert [name for name, _ in reports(effects)] == ["rejected"]
    assert submitter.retired


# --- kept, acknowledged, checked ------------------------------------------------------------------------------------


def persisted(effects: list[Effect]) -> list[tuple[str, Any]]:
    return [(one.part, one.message) for one in effects if isinstance(one, fx.Persist)]


def acknowledged(effects: list[Effect]) -> list[Acknowledged]:
    return [one.message for one in published(effects) if isinstance(one.message, Acknowledged)]


def retained(submitter: Submitter, result: Result) -> list[Effect]:
    return submitter.feed(fx.Received(Topic("result", 0, "t1"), result, retained=True))


def wakes(effects: list[Effect]) -> list[str]:
    return [one.timer for one in effects if isinstance(one, fx.Wake)]


def test_a_submission_is_kept_with_its_bodies_until_it_is_accepted() -> None:
    submitter = Submitter()
    large = Given("x", Value("text/plain", "text/plain", b"y" * 3000))
    effects = submitter.tell(Submission(msgspec.structs.replace(TASK, inputs=(large,)), watch=False))
    (head, *parts) = persisted(effects)
    assert head[0] == ""
    assert isinstance(head[1], Submit)
    assert len(parts) == 4  # three chunks and the manifest
    gone = persisted(submitter.hear(Accepted("t1", E1)))
    assert gone == [(part, None) for part, _ in (head, *parts)]


def test_an_earlier_life_s_submission_is_sent_again_with_its_bodies() -> None:
    first, second = Submitter(), Submitter()
    large = Given("x", Value("text/plain", "text/plain", b"y" * 3000))
    effects = first.tell(Submission(msgspec.structs.replace(TASK, inputs=(large,)), watch=False))
    again = [frame for _, message in persisted(effects) for frame in published(second.feed(fx.Restored(message)))]
    assert {(frame.topic, frame.message) for frame in again} == {
        (frame.topic, frame.message) for frame in published(effects)
    }
    assert len(persisted(second.hear(Accepted("t1", E1)))) == 5


def test_what_is_large_is_said_again_when_the_bus_is_back_until_the_result_is_there() -> None:
    submitter = Submitter()
    large = Given("x", Value("text/plain", "text/plain", b"y" * 3000))
    first = submitter.tell(Submission(msgspec.structs.replace(TASK, inputs=(large,)), watch=False))
    bodies = [frame for frame in published(first) if isinstance(frame.message, Blob)]
    assert len(bodies) == 4
    assert published(submitter.tell(Back())) == bodies
    submitter.hear(Accepted("t1", E1))
    assert published(submitter.tell(Back())) == bodies, "what it accepted lives longer than a broker that forgets"
    submitter.hear(Result("t1", "done", E1))
    assert submitter.retired


def test_what_an_earlier_life_left_is_said_again_as_well() -> None:
    first, second = Submitter(), Submitter()
    large = Given("x", Value("text/plain", "text/plain", b"y" * 3000))
    effects = first.tell(Submission(msgspec.structs.replace(TASK, inputs=(large,)), watch=False))
    for _, message in persisted(effects):
        second.feed(fx.Restored(message))
    assert published(second.tell(Back())) == published(first.tell(Back()))


def test_what_is_too_large_to_be_held_is_said_once() -> None:
    submitter = Submitter()
    large = Given("x", Value("text/plain", "text/plain", b"y" * (MAX_AGAIN + 1)))
    submitter.tell(Submission(msgspec.structs.replace(TASK, inputs=(large,)), watch=False))
    assert submitter.tell(Back()) == []


def test_submissions_hear_of_the_bus_only_once_it_is_back() -> None:
    desk, first = client.desk_step(Desk(CONTEXT), fx.Online(resumed=False), 0.0, Random(0))
    _, again = client.desk_step(desk, fx.Online(resumed=True), 9.0, Random(0))
    assert fx.TellAll("client", Back()) not in first
    assert fx.TellAll("client", Back()) in again


def test_what_is_rejected_or_given_up_is_kept_no_longer() -> None:
    for end in (Rejected("t1", "text", "it is empty"), None):
        submitter = Submitter()
        submitter.tell(Submission(TASK, watch=False))
        effects = submitter.hear(end) if end is not None else submitter.tell(Abandon(cancel=False))
        assert persisted(effects) == [("", None)]
        assert submitter.retired


def test_a_result_is_acknowledged_by_who_submitted_it_and_by_nobody_else() -> None:
    result = Result("t1", "done", E1)
    submitter, follower = Submitter(), Submitter()
    submitter.tell(Submission(TASK, watch=False))
    submitter.hear(Accepted("t1", E1))
    assert acknowledged(submitter.hear(result)) == [Acknowledged("t1", E1)]
    follower.tell(Follow(watch=False))
    assert acknowledged(retained(follower, result)) == []


def test_a_result_that_is_told_again_is_acknowledged_again() -> None:
    desk = Desk(CONTEXT)
    told = fx.Received(Topic("reply", node="u1", name="task"), Result("t1", "done", E1))
    _, effects = client.desk_step(desk, told, 0.0, Random(0))
    assert acknowledged(effects) == [Acknowledged("t1", E1)]


def test_where_two_owners_spoke_what_the_broker_keeps_is_taken() -> None:
    mine, theirs = Result("t1", "done", E1), Result("t1", "failed", Epoch(2, "c2"))
    submitter = Submitter()
    submitter.tell(Submission(TASK, watch=False))
    submitter.hear(Accepted("t1", E1))
    submitter.hear(Accepted("t1", Epoch(2, "c2")))
    effects = submitter.hear(theirs)
    assert reports(effects) == []
    assert patterns(effects) == ["result"]
    assert reports(retained(submitter, theirs)) == []
    retained(submitter, mine)  # it was first, and is restored
    effects = submitter.feed(fx.Elapsed("check"))
    assert reports(effects) == [("result", mine)]
    assert acknowledged(effects) == [Acknowledged("t1", E1)]


def test_while_what_the_broker_keeps_changes_the_owners_are_given_their_time_again() -> None:
    first, later = Result("t1", "done", Epoch(2, "c2")), Result("t1", "expired", E1)
    submitter = Submitter()
    submitter.tell(Submission(TASK, watch=False))
    submitter.hear(Accepted("t1", E1))
    submitter.hear(Accepted("t1", Epoch(2, "c2")))
    submitter.hear(first)
    assert wakes(retained(submitter, first)) == []
    assert wakes(retained(submitter, later)) == ["check"]  # by an owner whose link was away
    assert wakes(retained(submitter, first)) == ["check"]  # its own owner has restored it
    assert reports(submitter.feed(fx.Elapsed("check"))) == [("result", first)]


def test_where_the_broker_keeps_none_the_one_that_was_heard_is_taken_in_the_end() -> None:
    theirs = Result("t1", "failed", Epoch(2, "c2"))
    submitter = Submitter()
    submitter.tell(Submission(TASK, watch=False))
    submitter.hear(Accepted("t1", E1))
    submitter.hear(theirs)
    for _ in range(20):
        if submitter.retired:
            break
        effects = submitter.feed(fx.Elapsed("check"))
    assert reports(effects) == [("result", theirs)]
