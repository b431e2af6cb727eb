"""Awards that come again: after a restart, over a broker that delivers twice, from an owner that took over."""

from foa.core import effects as fx
from foa.core.effects import Key
from foa.core.machines.agent import announce
from foa.core.machines.agent.announce import MAX_PAST
from foa.core.machines.agent.state import Stumbled
from foa.wire.messages import Declined, Done, Taken
from tests.core.agent_bench import E1, E2, Bench, award_of, sent, text

DISK = Stumbled("declined", "disk", "that this work was begun cannot be kept: the disk is full")


def begun(*, resumed: bool) -> Bench:
    """Return an agent whose process has just come up."""
    bench = Bench()
    bench.feed(announce.KEY, fx.Online(resumed=resumed))
    return bench


def test_an_award_left_by_an_earlier_life_waits_until_its_owner_could_take_it_back() -> None:
    bench = begun(resumed=True)
    assert sent(bench.offer(award_of()), Taken)[0].started is False
    bench.withdraw("w1")
    bench.elapse("", "tick")
    assert bench.jobs == {}
    bench.offer(award_of("w2"))
    assert list(bench.jobs) == ["w2"], "from then on work begins at once"


def test_it_begins_where_nobody_takes_it_back() -> None:
    bench = begun(resumed=True)
    bench.offer(award_of())
    bench.elapse("", "tick")
    assert list(bench.jobs) == ["w1"]


def test_an_agent_that_is_new_begins_at_once() -> None:
    bench = begun(resumed=False)
    bench.offer(award_of())
    assert list(bench.jobs) == ["w1"]


def test_what_was_declined_is_not_begun_when_it_is_delivered_again() -> None:
    bench = begun(resumed=False)
    bench.offer(award_of())
    bench.stumbles("w1", DISK)
    assert [word.code for word in sent(bench.offer(award_of()), Declined)] == ["over"]
    assert bench.jobs == {}


def test_what_was_settled_is_answered_again_to_who_took_over() -> None:
    bench = begun(resumed=False)
    bench.offer(award_of())
    (first,) = sent(bench.yields("w1", text("done")), Done)
    bench.settle("w1")
    assert sent(bench.offer(award_of(epoch=E2)), Done) == [first]
    assert bench.jobs == {}


def test_what_runs_is_told_to_who_took_over() -> None:
    bench = begun(resumed=False)
    bench.offer(award_of())
    assert [word.started for word in sent(bench.offer(award_of(epoch=E2)), Taken)] == [True]
    assert list(bench.jobs) == ["w1"]


def test_a_ghost_takes_nothing_back() -> None:
    bench = begun(resumed=False)
    bench.offer(award_of())
    bench.offer(award_of(epoch=E2))
    bench.withdraw("w1")  # under E1
    assert E1 < E2
    assert list(bench.jobs) == ["w1"]


def test_what_is_over_is_remembered_within_bounds() -> None:
    bench = begun(resumed=False)
    for number in range(MAX_PAST + 3):
        bench.offer(award_of(f"w{number}"))
        bench.stumbles(f"w{number}", DISK)
    assert len(bench.agent.past) == MAX_PAST
    assert Key("award", "w0").id not in bench.agent.past
