"""The shell: in which order things become durable, are said and acknowledged, and what it does with what is broken."""

import pytest

from foa.core import effects as fx
from foa.core.effects import Effect, Event, Key
from foa.nodes.driver import MAX_DEAD_PER_TURN
from foa.nodes.outgoing import FULL_S
from foa.wire import codec
from foa.wire.ids import Epoch
from foa.wire.messages import Accepted, Cancel, Dead, Settled, Taken
from tests.nodes.driver_bench import FACTS, ME, TOPICS, Bench, Diary, at_frames, frame

KEPT = Cancel("t1", "kept")


def publish(leaf: str, **changes: object) -> fx.Publish:
    return fx.Publish(TOPICS(leaf), Cancel("t1"), **changes)  # type: ignore[arg-type]


# --- order ------------------------------------------------------------------------------------------------


def test_a_frame_is_acknowledged_only_after_what_it_caused_is_durable_and_said() -> None:
    bench = Bench(at_frames(fx.Persist(KEPT), publish("task/0/t1/cancel")))
    bench.arrive(frame())
    assert "ack" not in bench.diary.lines, "nothing is acknowledged before the commit"
    said = bench.settle()
    assert said.index("commit machine/") < said.index("ack")
    assert said.index("publish cancel") < said.index("ack")


def test_a_promise_leaves_only_after_the_commit() -> None:
    bench = Bench(at_frames(publish("reply/u1/task", promise=True), fx.Persist(KEPT), publish("task/0/t1/cancel")))
    bench.arrive(frame())
    said = bench.settle()
    assert said.index("commit machine/") < said.index("publish task") < said.index("ack")


def test_what_wants_nothing_is_acknowledged_too() -> None:
    bench = Bench(at_frames())
    bench.arrive(frame(), frame())
    assert bench.settle() == ["ack", "ack"]


def test_frames_and_subscriptions_keep_their_order() -> None:
    bench = Bench(at_frames(fx.Subscribe(("a",)), publish("task/0/t1/cancel"), fx.Unsubscribe(("a",))))
    bench.arrive(frame())
    assert [one for one in bench.settle() if one != "ack"] == ["subscribe a", "publish cancel", "unsubscribe a"]


def test_of_several_retained_frames_of_a_turn_the_last_is_sent_with_every_receipt() -> None:
    first = publish("task/0/t1/cancel", retain=True, token="first")
    last = fx.Publish(TOPICS("task/0/t1/cancel"), KEPT, retain=True)
    bench = Bench(at_frames(first, publish("task/0/t2/cancel"), last))
    bench.arrive(frame())
    bench.settle()
    bodies = [codec.decode(one.payload) for one in bench.diary.frames if "/t1/" in one.topic]
    assert bodies == [KEPT]
    (receipt,) = [one for one in bench.diary.receipts if one is not None]
    receipt(0)
    assert ("root", fx.Delivered("first", 0)) in bench.program.events


def test_machines_of_a_node_hear_each_other_in_order() -> None:
    def on(event: Event) -> list[Effect]:
        match event:
            case fx.Received():
                return [
                    fx.Tell(Key("other", "a"), "one"),
                    fx.Tell(Key("other", "b"), "two"),
                    fx.TellAll("other", "all"),
                ]
            case _:
                return []

    bench = Bench(on)
    bench.arrive(frame())
    bench.arrive(frame())
    heard = [(state, event.message) for state, event in bench.program.events if isinstance(event, fx.Told)]
    assert heard[:2] == [("a", "one"), ("b", "two")]
    assert heard[-2:] == [("a", "all"), ("b", "all")]


# --- the bus is full --------------------------------------------------------------------------------------


def test_a_full_bus_holds_back_acknowledgements_and_loses_nothing() -> None:
    diary = Diary(room=1)
    bench = Bench(at_frames(publish("task/0/a/cancel"), publish("task/0/b/cancel"), publish("task/0/c/cancel")), diary)
    diary.backlog = 1
    bench.arrive(frame())
    assert bench.settle() == ["publish cancel"]
    diary.room, diary.backlog = 1000, 0
    bench.driver.drained()
    assert bench.settle() == ["publish cancel", "publish cancel", "ack"]
    assert [one.topic.split("/")[4] for one in diary.frames] == ["a", "b", "c"]


def test_a_frame_that_can_never_be_sent_is_told_as_a_refusal_and_blocks_nobody() -> None:
    large = fx.Publish(TOPICS("task/0/a/cancel"), Cancel("t1", "x" * 400), token="large")
    bench = Bench(at_frames(large, publish("task/0/b/cancel")), Diary(largest=200))
    bench.arrive(frame())
    bench.settle()
    assert [one.topic for one in bench.diary.frames] == [TOPICS("task/0/b/cancel")]
    assert ("root", fx.Delivered("large", 0x95)) in bench.program.events


def test_a_promise_the_bus_has_no_room_for_holds_back_the_acknowledgement() -> None:
    diary = Diary(room=0)
    diary.backlog = 1
    bench = Bench(at_frames(publish("reply/u1/task", promise=True)), diary)
    bench.arrive(frame())
    assert bench.settle() == []
    diary.room, diary.backlog = 1000, 0
    bench.driver.drained()
    assert bench.settle() == ["publish task", "ack"]


# --- what is broken ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("leaf", "body", "reason"),
    [
        ("task/0/t1/cancel", b"\xc1 nonsense", "shape"),
        ("task/0/t1/cancel", codec.encode(Accepted("t1", Epoch(1, "c1"))), "place"),
        ("answer/0/t1/acme/a/one", codec.encode(Taken("w", "t1", "acme/a/other")), "place"),
        ("no/such/topic", codec.encode(KEPT), "topic"),
        ("task/99/t1/cancel", codec.encode(KEPT), "topic"),
        ("task/0/t1/cancel", b"x" * (codec.MAX_PAYLOAD + 1), "size"),
    ],
)
def test_what_cannot_be_read_is_shown_counted_and_goes_no_deeper(leaf: str, body: bytes, reason: str) -> None:
    bench = Bench(at_frames(fx.Persist(KEPT)))
    bench.arrive(frame(body, leaf))
    assert bench.settle() == [f"publish {reason}", "ack"]
    dead = codec.decode(bench.diary.frames[0].payload)
    assert isinstance(dead, Dead)
    assert (dead.reason, dead.node, dead.body) == (reason, "n1", body[:256])
    assert ("foa_dead_letters_total", reason) in bench.diary.counts
    assert not any(isinstance(event, fx.Received) for _, event in bench.program.events)


def test_a_flood_of_rubbish_is_counted_but_not_echoed() -> None:
    bench = Bench(at_frames())
    bench.arrive(*[frame(b"\xc1")] * 100)
    assert len(bench.diary.frames) == MAX_DEAD_PER_TURN
    assert len(bench.diary.counts) == 100


def test_our_own_fault_costs_one_event_and_never_the_node() -> None:
    def on(event: Event) -> list[Effect]:
        if isinstance(event, fx.Received) and event.message == KEPT:
            raise RuntimeError("a bug")
        return [publish("task/0/t1/cancel")] if isinstance(event, fx.Received) else []

    bench = Bench(on)
    bench.arrive(frame(KEPT), frame())
    assert bench.settle().count("publish cancel") == 1
    assert [name for name, _ in bench.diary.logs] == ["step_failed"]


def test_an_empty_payload_is_a_cleared_topic() -> None:
    bench = Bench(at_frames())
    bench.arrive(frame(b""))
    assert isinstance(bench.program.events[-1][1], fx.Cleared)


# --- lives ------------------------------------------------------------------------------------------------


def test_what_was_kept_is_given_back_to_its_machine_and_rubbish_is_skipped() -> None:
    kept = [("other", "a", codec.encode(KEPT)), ("other", "b", b"\xc1"), ("gone", "c", codec.encode(KEPT))]
    bench = Bench(at_frames(), Diary(kept=kept))
    assert [(state, event) for state, event in bench.program.events if isinstance(event, fx.Restored)] == [
        ("a", fx.Restored(KEPT))
    ]
    assert [name for name, _ in bench.diary.logs] == ["journal_unreadable"]


def test_timers_fire_once_are_replaced_by_name_and_end_with_their_machine() -> None:
    def on(event: Event) -> list[Effect]:
        match event:
            case fx.Started():
                return [fx.Wake("a", 5.0), fx.Wake("a", 1.0), fx.Wake("b", 2.0), fx.Sleep("b"), fx.Wake("c", 3.0)]
            case fx.Elapsed("a"):
                return [fx.Retire()]
            case _:
                return []

    bench = Bench(on)
    bench.clock.run_until(10.0)
    assert [event for _, event in bench.program.events if isinstance(event, fx.Elapsed)] == [fx.Elapsed("a")]
    assert bench.driver.state(ME) is None


def test_a_service_answers_as_an_event_also_when_it_answers_at_once() -> None:
    bench = Bench(
        at_frames(fx.Request("double", "t", 2), fx.Request("double", "", 3)), double=lambda n, done: done(2 * n, "")
    )
    bench.arrive(frame())
    answers = [event for _, event in bench.program.events if isinstance(event, fx.Returned)]
    assert answers == [fx.Returned("t", 4, "")]


def test_the_roots_hear_of_the_bus_and_its_end() -> None:
    bench = Bench(at_frames())
    bench.driver.connected(FACTS)
    online = [bench.driver.online]
    bench.driver.disconnected("taken over", final=True)
    assert [*online, bench.driver.online] == [True, False]
    assert [event for _, event in bench.program.events[1:]] == [fx.Online(resumed=False), fx.Offline()]
    assert bench.stopped == ["taken over"]


def test_a_machine_may_stop_the_node() -> None:
    bench = Bench(at_frames(fx.Stop("drained")))
    bench.arrive(frame())
    assert bench.stopped == ["drained"]


def test_closing_sends_and_commits_what_is_pending() -> None:
    bench = Bench(at_frames(fx.Persist(Settled("w", "t1", Epoch(1, "c1"))), fx.Wake("a", 5.0)))
    bench.arrive(frame())
    bench.driver.close()
    assert bench.diary.lines[-2:] == ["commit machine/", "ack"]
    bench.clock.run_until(10.0)
    assert not any(isinstance(event, fx.Elapsed) for _, event in bench.program.events)


# --- a full disk ------------------------------------------------------------------------------------------


def test_a_full_disk_holds_back_promises_and_acknowledgements_and_forgets_nothing() -> None:
    bench = Bench(at_frames(publish("reply/u1/task", promise=True), fx.Persist(KEPT), publish("task/0/t1/cancel")))
    bench.diary.full = True
    bench.arrive(frame())
    bench.clock.run_until(FULL_S / 2)
    assert not bench.driver.settle()
    assert bench.diary.lines == ["publish cancel"]
    assert [name for name, _ in bench.diary.logs] == ["not_kept"], "said once"
    bench.diary.full = False
    assert bench.settle() == ["publish cancel", "commit machine/", "publish task", "ack"]
    assert bench.driver.settle()
    assert not bench.stopped


def test_a_disk_that_stays_full_ends_the_node_and_what_waits_is_not_acknowledged() -> None:
    bench = Bench(at_frames(publish("reply/u1/task", promise=True), fx.Persist(KEPT)))
    bench.diary.full = True
    bench.arrive(frame())
    bench.clock.run_until(2 * FULL_S)
    assert set(bench.stopped) == {"the disk is full"}
    bench.driver.close()
    assert bench.diary.lines == []
