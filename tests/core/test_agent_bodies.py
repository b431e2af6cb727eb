"""Bodies by reference at an agent: answers that a broker forgot are said again, outputs that are lost done again."""

from foa.core import effects as fx
from foa.core.dag.blobs import Fetched, store
from foa.core.effects import Effect, Key
from foa.core.machines.agent import announce
from foa.core.machines.agent.reply import MAX_AGAIN
from foa.wire.messages import Blob, Done, Failed
from foa.wire.records import Given, Value
from tests.core.agent_bench import TOPICS, Bench, award_of, sent, text


def answered(size: int) -> Bench:
    bench = Bench()
    bench.feed(announce.KEY, fx.Online(resumed=False))
    bench.offer(award_of())
    bench.yields("w1", text("x" * size))
    return bench


def back(bench: Bench) -> list[Effect]:
    bench.feed(announce.KEY, fx.Offline())
    return bench.feed(announce.KEY, fx.Online(resumed=True))


def test_the_bodies_of_an_answer_are_said_again_when_the_bus_is_back() -> None:
    bench = answered(5000)
    effects = back(bench)
    kinds = [
        type(one.message) for one in effects if isinstance(one, fx.Publish) and isinstance(one.message, Blob | Done)
    ]
    assert kinds[-2:] == [Blob, Done], "first what it refers to"
    bench.settle("w1")
    assert sent(back(bench), Done) == []


def test_of_what_is_too_large_only_the_answer_is_said_again() -> None:
    effects = back(answered(MAX_AGAIN + 1))
    assert len(sent(effects, Done)) == 1
    assert not any("/blob/" in one.topic for one in effects if isinstance(one, fx.Publish))


def lacking(attempt: int, source: str) -> Failed:
    ref, _ = store(b"long", TOPICS, 60)
    given = Given("x", Value("text/plain", "text/plain", ref=ref), source)
    bench = Bench()
    bench.offer(award_of(inputs=(given,), attempt=attempt))
    gone = Fetched("inputs", {}, "it is not at the broker", (ref.digest,))
    (failed,) = sent(bench.feed(Key("award", "w1"), fx.Told(Key("blobs"), gone)), Failed)
    return failed


def test_an_output_that_two_agents_do_not_find_is_done_again() -> None:
    assert lacking(1, "first").refutes == "", "one may have had a bad link"
    assert lacking(2, "first").refutes == "first"


def test_what_a_person_gave_cannot_be_done_again() -> None:
    assert (lacking(2, "").code, lacking(2, "").refutes) == ("inputs", "")
