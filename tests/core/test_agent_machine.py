"""The agent's machines: who it works for, when, how often, and what it says of it."""

from typing import Any

import pytest

from foa.core import effects as fx
from foa.core.effects import Key
from foa.core.machines.agent import announce
from foa.core.machines.agent.state import Answered, Joined, Progressed, Spent, Stumbled
from foa.core.routing.exchange import Answer, Asked
from foa.testing.agents import profile as profile_of
from foa.wire.envelope import Envelope
from foa.wire.ids import Epoch
from foa.wire.messages import Blob, Control, Declined, Done, Draft, Embed, Failed, Progress, Taken, Vcv, Vectors
from foa.wire.records import Subtask
from foa.wire.topics import Topic
from tests.core.agent_bench import E1, E2, ME, Bench, award_of, sent, team, text


def once() -> Bench:
    return Bench(profile_of(ME, slots=1, effects="once"))


# --- showing itself ---------------------------------------------------------------------------------------


def test_it_listens_before_it_shows_itself() -> None:
    effects = Bench().feed(announce.KEY, fx.Online(resumed=False))
    subscribed = next(at for at, one in enumerate(effects) if isinstance(one, fx.Subscribe))
    card = next(at for at, one in enumerate(effects) if isinstance(one, fx.Publish))
    assert subscribed < card
    assert any(isinstance(one, fx.Tell) and isinstance(one.message, Asked) for one in effects)


def test_vectors_make_the_capability_vector_and_every_reconnect_shows_it_again() -> None:
    bench = Bench()
    bench.feed(announce.KEY, fx.Online(resumed=False))
    vector = b"\x00\x3c" + bytes(2 * 383)
    answer = Answer("embed", Vectors("hash", (vector,) * 8))
    (vcv,) = sent(bench.feed(announce.KEY, fx.Told(Key("lookup"), answer)), Vcv)
    assert (vcv.agent, vcv.version.epoch, vcv.model) == (ME, 1, "hash")
    assert sent(bench.feed(announce.KEY, fx.Online(resumed=True)), Vcv) == [vcv]
    assert sent(bench.feed(announce.KEY, fx.Received(Topic("control"), Control("rebirth"))), Vcv) == [vcv]


def test_without_vectors_it_asks_again() -> None:
    bench = Bench()
    bench.feed(announce.KEY, fx.Online(resumed=False))
    bench.feed(announce.KEY, fx.Told(Key("lookup"), Answer("embed", None, "nobody")))
    (tell,) = bench.feed(announce.KEY, fx.Elapsed("embed"))
    assert isinstance(tell, fx.Tell)
    assert isinstance(tell.message.ask, Embed)


def test_who_leaves_says_so_and_takes_nothing_new() -> None:
    bench = Bench()
    card, end = bench.feed(announce.KEY, fx.Told(Key("shell"), "leave"))
    assert isinstance(card, fx.Publish)
    assert (card.envelope.status, card.envelope.source) == ("offline", "agent")
    assert end == fx.Stop("drained"), "nothing runs"
    assert sent(bench.offer(award_of()), Declined)[0].code == "draining"


def test_who_is_drained_hands_back_what_waits_finishes_what_runs_and_ends_once_it_was_heard() -> None:
    bench = Bench()
    bench.offer(award_of("w1"))
    bench.offer(award_of("w2"))
    drain = fx.Received(Topic("control", name="drain"), Control("drain", ME))
    said = bench.feed(announce.KEY, drain)
    assert [each.award for each in sent(said, Declined)] == ["w2"]
    assert not any(isinstance(each, fx.Stop) for each in said)
    assert not any(isinstance(each, fx.Stop) for each in bench.yields("w1", text("done")))
    assert fx.Stop("drained") in bench.settle("w1")


def test_others_are_not_meant_by_a_drain() -> None:
    bench = Bench()
    for node in ("", "acme/tools/another"):
        assert bench.feed(announce.KEY, fx.Received(Topic("control", name="drain"), Control("drain", node))) == []


def test_a_will_of_ours_is_denied_and_a_later_life_is_topped() -> None:
    bench = Bench()
    bench.feed(announce.KEY, fx.Online(resumed=False))
    topic = Topic("discovery", agent=ME)
    will = Envelope(status="offline", epoch=Epoch(1, "x"), source="lwt")
    (card,) = bench.feed(announce.KEY, fx.Received(topic, Blob(b"{}"), will))
    assert isinstance(card, fx.Publish)
    assert card.envelope.status == "online"
    later = Envelope(status="online", epoch=Epoch(900, "x"))
    (card, *_) = bench.feed(announce.KEY, fx.Received(topic, Blob(b"{}"), later))
    assert isinstance(card, fx.Publish)
    assert card.envelope.epoch is not None
    assert card.envelope.epoch.n == 901
    assert bench.feed(announce.KEY, fx.Received(topic, Blob(b"{}"), card.envelope)) == [], "its own echo"


def test_that_it_is_there_is_said_again_and_expires() -> None:
    bench = Bench()
    bench.feed(announce.KEY, fx.Online(resumed=False))
    card, again = bench.feed(announce.KEY, fx.Elapsed("card"))
    assert isinstance(card, fx.Publish)
    assert isinstance(again, fx.Wake)
    assert card.expiry_s == 180


# --- the gate ---------------------------------------------------------------------------------------------


def test_a_ghost_of_a_lower_epoch_is_ignored_per_partition() -> None:
    bench = Bench(profile_of(ME, slots=4))
    bench.offer(award_of("w1", epoch=E2))
    assert sent(bench.offer(award_of("w2", epoch=E1)), Declined) == []
    assert set(bench.jobs) == {"w1"}
    bench.offer(award_of("w3", "t1", partition=(award_of().partition + 1) % 4, epoch=E1))
    assert set(bench.jobs) == {"w1", "w3"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"policies": ("eu",)}, "policy"),
        ({"subtask": Subtask("main", "x", policies=("eu",))}, "policy"),
        ({"hops": (ME,)}, "loop"),
        ({"budget": 0.001}, "budget"),
    ],
)
def test_it_checks_again_what_the_owner_should_have_checked(changes: dict[str, Any], code: str) -> None:
    bench = Bench(profile_of(ME, price=0.01))
    (declined,) = sent(bench.offer(award_of(**changes)), Declined)
    assert declined.code == code
    assert bench.jobs == {}


def test_an_award_of_exactly_its_price_is_taken() -> None:
    bench = Bench(profile_of(ME, price=0.01))
    bench.offer(award_of(budget=0.01))
    assert set(bench.jobs) == {"w1"}


def test_over_its_slots_it_queues_and_over_the_queue_it_is_busy() -> None:
    bench = Bench(backlog=1.0)
    bench.offer(award_of("w1", "t1"))
    assert [one.started for one in sent(bench.offer(award_of("w2", "t2")), Taken)] == [False]
    assert sent(bench.offer(award_of("w3", "t3")), Declined)[0].code == "busy"
    assert set(bench.jobs) == {"w1"}
    bench.yields("w1", text("one"))
    assert set(bench.jobs) == {"w2"}
    assert (bench.agent.running, bench.agent.waiting) == (("w2",), ())


def test_a_waiting_award_renews_its_lease_and_can_be_withdrawn() -> None:
    bench = Bench(backlog=1.0)
    bench.offer(award_of("w1", "t1"))
    bench.offer(award_of("w2", "t2"))
    assert [one.started for one in sent(bench.elapse("w2", "beat"), Taken)] == [False]
    bench.withdraw("w2")
    assert bench.agent.waiting == ()
    assert "w2" not in bench.awards


# --- one award --------------------------------------------------------------------------------------------


def test_it_answers_keeps_the_answer_and_repeats_it_until_it_is_settled() -> None:
    bench = Bench()
    bench.offer(award_of())
    (done,) = sent(bench.yields("w1", text("this")), Done)
    assert done.key == "key-t1"
    assert bench.kept == {"w1": done}
    pauses = []
    for _ in range(3):
        before = bench.now
        assert sent(bench.elapse("w1", "repeat"), Done) == [done]
        pauses.append(bench.now - before)
    assert pauses == sorted(pauses)
    assert pauses[-1] > pauses[0]
    bench.settle("w1")
    assert (bench.kept, bench.awards, bench.timers) == ({}, {}, {})


def test_repeating_for_days_is_no_arithmetic_error() -> None:
    bench = Bench()
    bench.offer(award_of())
    bench.yields("w1", text("this"))
    state = bench.awards["w1"]
    assert isinstance(state, Answered)
    bench.awards["w1"] = Answered(state.message, tries=5000)
    bench.elapse("w1", "repeat")
    assert bench.timers["w1", "repeat"] == pytest.approx(bench.now + bench.context.rules.repeat_max_s)


def test_after_a_restart_the_answer_is_said_again() -> None:
    bench = Bench()
    bench.offer(award_of())
    (done,) = sent(bench.yields("w1", text("this")), Done)
    assert sent(bench.restart(), Done) == [done]


def test_a_repeated_award_is_taken_once_and_answered_again() -> None:
    bench = Bench()
    bench.offer(award_of())
    assert [one.started for one in sent(bench.offer(award_of()), Taken)] == [True]
    (done,) = sent(bench.yields("w1", text("this")), Done)
    assert sent(bench.offer(award_of()), Done) == [done]
    assert bench.agent.running == ()
    assert bench.jobs == {}


def test_quick_work_is_not_announced_slow_work_is_and_progress_renews_the_lease() -> None:
    bench = Bench()
    assert sent(bench.offer(award_of()), Taken) == []
    assert [one.started for one in sent(bench.elapse("w1", "silent"), Taken)] == [True]
    assert len(sent(bench.elapse("w1", "beat"), Progress)) == 1
    effects = bench.feed(Key("award", "w1"), fx.Told(Key("shell"), Progressed(0.5, "half")))
    assert [(one.fraction, one.text) for one in sent(effects, Progress)] == [(0.5, "half")]
    assert bench.timers["w1", "beat"] == pytest.approx(bench.now + 3.0)


def test_failure_travels_as_data() -> None:
    bench = Bench()
    bench.offer(award_of())
    (failed,) = sent(bench.stumbles("w1", Stumbled("failed", "handler", "boom", retryable=False)), Failed)
    assert (failed.code, failed.reason, failed.retryable) == ("handler", "boom", False)
    assert bench.agent.running == ()


def test_declining_leaves_nothing_behind() -> None:
    bench = Bench()
    bench.offer(award_of())
    (declined,) = sent(bench.stumbles("w1", Stumbled("declined", "inputs", "not csv")), Declined)
    assert declined.code == "inputs"
    assert (bench.awards, bench.kept, bench.agent.running) == ({}, {}, ())


def test_the_deadline_stops_the_handler_and_says_so() -> None:
    bench = Bench()
    bench.offer(award_of())
    assert sent(bench.elapse("w1", "deadline"), Failed)[0].code == "deadline"
    assert bench.cancelled == ["w1"]


def test_what_is_withdrawn_stops_and_frees_its_slot() -> None:
    bench = Bench()
    bench.offer(award_of())
    bench.withdraw("w1")
    assert (bench.cancelled, bench.agent.running, bench.awards) == (["w1"], (), {})


# --- effects = once ---------------------------------------------------------------------------------------


def test_once_begins_only_when_that_is_on_record() -> None:
    bench = once()
    effects = bench.offer(award_of())
    (said,) = [one for one in effects if isinstance(one, fx.Publish)]
    assert (said.message, said.promise) == (Taken("w1", "t1", ME), True)
    assert bench.kept == {"w1": award_of()}
    assert bench.jobs == {}
    bench.recorded("w1")
    assert set(bench.jobs) == {"w1"}


def test_once_withdrawn_before_it_began_may_come_again() -> None:
    bench = once()
    bench.offer(award_of())
    bench.withdraw("w1")
    assert (bench.kept, bench.agent.begun) == ({}, {})
    bench.offer(award_of("w2"))
    bench.recorded("w2")
    assert set(bench.jobs) == {"w2"}


@pytest.mark.parametrize("restarted", [False, True])
def test_once_is_not_begun_again_under_another_award_nor_after_a_restart(restarted: bool) -> None:
    bench = once()
    bench.offer(award_of())
    bench.recorded("w1")
    bench.yields("w1", text("paid"))
    bench.settle("w1")
    assert isinstance(bench.awards["w1"], Spent)
    if restarted:
        bench.restart()
    effects = bench.offer(award_of("w2"))
    assert [one.started for one in sent(effects, Taken)] == [True]
    assert sent(effects, Failed)[0].code == "begun"
    assert bench.jobs == {}


def test_a_late_copy_of_a_settled_award_starts_nothing() -> None:
    bench = once()
    bench.offer(award_of())
    bench.recorded("w1")
    bench.yields("w1", text("paid"))
    bench.settle("w1")
    bench.offer(award_of())
    assert bench.jobs == {}
    bench.elapse("w1", "forget")
    assert (bench.awards, bench.kept) == ({}, {})


def test_once_interrupted_by_a_crash_is_reported_never_resumed() -> None:
    bench = once()
    bench.offer(award_of())
    bench.recorded("w1")
    assert sent(bench.restart(), Failed)[0].code == "interrupted"
    assert bench.jobs == {}


def test_with_consent_once_may_come_again() -> None:
    bench = once()
    consenting = Subtask("main", "pay", consent=True)
    bench.offer(award_of(subtask=consenting))
    bench.recorded("w1")
    bench.stumbles("w1", Stumbled("failed", "handler", "boom"))
    bench.offer(award_of("w2", subtask=consenting))
    bench.recorded("w2")
    assert set(bench.jobs) == {"w2"}


# --- a team -----------------------------------------------------------------------------------------------


def draft(agent: str, body: str, number: int = 0) -> fx.Received:
    message = Draft(f"w-{agent}", "t1", "cl1", f"acme/tools/{agent}", number, text(body))
    return fx.Received(Topic("channel", task="t1", name="cl1", agent=f"acme/tools/{agent}"), message)


def test_a_member_shows_its_draft_and_ends_when_most_agree() -> None:
    bench = Bench()
    bench.offer(award_of(team=team("a1", "a2", "a3")))
    assert [one.round for one in sent(bench.yields("w1", text("yes")), Draft)] == [0]
    assert sent(bench.feed(announce.KEY, draft("a2", "yes")), Done) == []
    (done,) = sent(bench.feed(announce.KEY, draft("a3", "yes")), Done)
    assert (done.agreed, done.rounds) == (True, 0)
    assert bench.agent.clusters == {}


def test_who_disagrees_revises_against_the_others() -> None:
    bench = Bench()
    bench.offer(award_of(team=team("a1", "a2")))
    bench.yields("w1", text("yes"))
    bench.feed(announce.KEY, draft("a2", "no way at all"))
    job = bench.jobs["w1"]
    assert (job.round, job.peers) == (1, (text("no way at all"),))
    effects = bench.yields("w1", None, "revised")
    assert [(one.round, one.outputs) for one in sent(effects, Draft)] == [(1, text("yes"))]
    (done,) = sent(bench.feed(announce.KEY, draft("a2", "yes", 1)), Done)
    assert (done.rounds, done.agreed) == (1, True)


def test_a_silent_member_costs_one_round_its_time_and_no_more() -> None:
    bench = Bench()
    bench.offer(award_of(team=team("a1", "a2", rounds=1)))
    bench.yields("w1", text("yes"))
    bench.elapse("w1", "round")
    (done,) = sent(bench.yields("w1", None, "revised"), Done)
    assert not done.agreed


def test_at_the_deadline_a_member_gives_its_best_draft() -> None:
    bench = Bench()
    bench.offer(award_of(team=team("a1", "a2")))
    bench.yields("w1", text("yes"))
    assert isinstance(bench.awards["w1"], Joined)
    (done,) = sent(bench.elapse("w1", "deadline"), Done)
    assert (done.outputs, done.agreed) == (text("yes"), False)


def test_strangers_and_other_clusters_are_not_heard() -> None:
    bench = Bench()
    bench.offer(award_of(team=team("a1", "a2")))
    bench.yields("w1", text("yes"))
    assert sent(bench.feed(announce.KEY, draft("a9", "yes")), Done) == []
    foreign = Draft("w-a2", "t1", "other", "acme/tools/a2", 0, text("yes"))
    topic = Topic("channel", task="t1", name="other", agent="acme/tools/a2")
    assert bench.feed(announce.KEY, fx.Received(topic, foreign)) == []
