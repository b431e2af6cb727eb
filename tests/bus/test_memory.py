"""The in-memory bus: what its faults do, and what holds in spite of them."""

import os
import random
import subprocess
import sys
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foa.bus.memory import Faults, MemoryBus, MemoryNetwork, VirtualClock, Way
from foa.bus.port import Options, Subscription, Will
from foa.errors import BusError
from foa.settings import Settings
from foa.wire.envelope import Frame
from tests.bus.worlds import Recorder

STORM = Faults(drop=0.05, duplicate=0.1, delay_s=(0.0, 0.02), reorder=0.2, disconnect=0.02)


class Table:
    """A network, its clock, and clients by name."""

    def __init__(self, seed: int = 0, faults: Faults | None = None) -> None:
        self.clock = VirtualClock()
        self.network = MemoryNetwork(self.clock, random.Random(seed), faults)
        self.heard: dict[str, Recorder] = {}

    def join(self, name: str, *patterns: str, **options: object) -> MemoryBus:
        self.heard[name] = Recorder()
        bus = self.network.attach(Options(name, **options), self.heard[name])  # type: ignore[arg-type]
        if patterns:
            bus.subscribe([Subscription(pattern) for pattern in patterns])
        return bus

    def run(self, seconds: float) -> None:
        self.clock.run_until(self.clock.time() + seconds)


def first_of_each(payloads: Iterable[bytes]) -> list[int]:
    return [int(payload) for payload in dict.fromkeys(payloads)]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 40)), max_size=12))
def test_every_qos_1_frame_arrives_in_order_whatever_happens(seed: int, cuts: list[tuple[int, int]]) -> None:
    """Links cut at random, under a storm of faults: at least once, in order within a topic, none lost."""
    table = Table(seed, STORM)
    b = table.join("b", "t/+", receive_maximum=7)
    table.run(1.0)
    a = table.join("a", receive_maximum=7)
    receipts: list[int] = []
    for number in range(60):
        a.publish(Frame(f"t/{number % 2}", b"%d" % number), receipts.append)
    for which, wait_ms in cuts:
        table.run(wait_ms / 1000)
        (a if which % 2 else b).abort()
    table.run(10.0 if seed % 2 else 0.0)
    table.network.faults = Faults()  # while late packets of the storm are still under way, or not
    table.run(60.0)
    assert len(receipts) == 60
    assert a.backlog == 0
    for parity in (0, 1):
        payloads = [frame.payload for frame in table.heard["b"].frames if frame.topic == f"t/{parity}"]
        assert first_of_each(payloads) == list(range(parity, 60, 2))


def test_a_dropped_qos_0_frame_is_gone_and_a_dropped_qos_1_frame_comes_again() -> None:
    table = Table(1)
    table.join("b", "t")
    a = table.join("a")
    table.run(1.0)
    table.network.faults = Faults(drop=1.0)
    a.publish(Frame("t", b"0", qos=0))
    table.run(0.5)
    assert table.heard["a"].ends == []
    a.publish(Frame("t", b"1"))
    table.run(0.01)
    assert [final for _, final in table.heard["a"].ends] == [False]
    assert table.network.injected.dropped == 2
    table.network.faults = Faults()
    table.run(10.0)
    assert table.heard["b"].payloads == [b"1"]


def test_a_duplicate_is_marked() -> None:
    table = Table()
    table.join("b", "t")
    a = table.join("a", receive_maximum=1)
    table.run(1.0)
    table.network.faults = Faults(duplicate=1.0)
    a.publish(Frame("t", b"1"))
    table.run(1.0)
    assert [(one.frame.payload, one.duplicate) for one in table.heard["b"].deliveries] == [
        (b"1", False),
        (b"1", True),
        (b"1", False),  # the broker, too, got it twice
        (b"1", True),
    ]
    assert table.heard["b"].ends == []


def test_reordered_frames_overtake_other_topics_only() -> None:
    table = Table(3)
    table.join("b", "t/+")
    a = table.join("a")
    table.run(1.0)
    table.network.faults = Faults(reorder=0.5)
    for number in range(200):
        a.publish(Frame(f"t/{number % 4}", b"%d" % number))
    table.run(5.0)
    frames = table.heard["b"].frames
    assert first_of_each(frame.payload for frame in frames) != list(range(200))
    for topic in range(4):
        payloads = [frame.payload for frame in frames if frame.topic == f"t/{topic}"]
        assert [int(payload) for payload in payloads] == list(range(topic, 200, 4))


def test_a_partition_holds_everything_back_and_healing_in_time_loses_nothing() -> None:
    table = Table()
    b = table.join("b", "t", keep_alive_s=10)
    a = table.join("a")
    table.run(1.0)
    table.network.partition("b")
    for number in range(5):
        a.publish(Frame("t", b"%d" % number))
    b.publish(Frame("u"))
    table.run(5.0)
    assert table.heard["b"].payloads == []
    table.network.heal("b")
    table.run(1.0)
    assert table.heard["b"].payloads == [b"%d" % number for number in range(5)]
    assert b.backlog == 0
    assert table.heard["b"].ends == []


def test_a_long_partition_is_noticed_on_both_sides() -> None:
    table = Table()
    table.join("watcher", "w")
    table.join("b", "t", keep_alive_s=2, will=Will(Frame("w", b"b is gone")))
    a = table.join("a")
    table.run(1.0)
    table.network.partition("b")
    table.run(5.0)
    assert "silent" in table.heard["b"].ends[0][0]
    assert table.heard["watcher"].payloads == [b"b is gone"]
    a.publish(Frame("t", b"meanwhile"))
    table.run(30.0)
    table.network.heal("b")
    table.run(10.0)
    assert table.heard["b"].payloads == [b"meanwhile"]
    assert len(table.heard["b"].facts) == 2
    assert len(table.network._links) == 3


@pytest.mark.parametrize("forget", ["nothing", "sessions", "retained", "all"])
def test_a_crashed_broker_forgets_what_it_is_told_to(forget: str) -> None:
    table = Table()
    b = table.join("b", "t", will=Will(Frame("w", b"never sent")))
    a = table.join("a", "w")
    a.publish(Frame("kept", b"1", retain=True))
    table.run(1.0)
    b.close()
    table.run(1.0)
    a.publish(Frame("t", b"queued"))
    table.run(1.0)
    table.network.crash_broker(forget)  # type: ignore[arg-type]
    table.run(5.0)
    a.publish(Frame("t", b"during"))
    table.network.restart_broker()
    table.run(10.0)
    assert len(table.network._links) == 1
    late = table.join("late", "kept")
    back = table.join("b", "t")
    table.run(5.0)
    assert table.heard["late"].payloads == ([b"1"] if forget in {"nothing", "sessions"} else [])
    kept = forget in {"nothing", "retained"}
    assert table.heard["b"].facts[0].session_present is kept
    assert table.heard["b"].payloads == ([b"queued", b"during"] if kept else [])
    assert table.heard["a"].payloads == []
    assert table.heard["a"].facts[-1].session_present is kept
    assert (late.backlog, back.backlog, a.backlog) == (0, 0, 0)


def test_callbacks_never_run_inside_the_call_that_caused_them() -> None:
    table = Table()
    bus = table.join("a", "t")
    table.run(1.0)
    heard = table.heard["a"]
    bus.publish(Frame("t"), lambda _code: heard.ends.append(("receipt", False)))
    bus.publish(Frame("t", qos=0), lambda _code: heard.ends.append(("receipt", False)))
    bus.subscribe([], lambda _codes: heard.ends.append(("granted", False)))
    bus.close()
    bus.close()
    with pytest.raises(BusError, match="closed"):
        bus.publish(Frame("t"))
    assert heard.ends == []
    assert heard.deliveries == []
    table.run(1.0)
    assert heard.ends[-1] == ("closed", True)
    assert heard.ends.count(("closed", True)) == 1


def test_a_listener_that_raises_loses_its_own_call_only() -> None:
    table = Table()
    a = table.join("a", "t")
    table.run(1.0)
    heard = table.heard["a"]
    calls: list[bytes] = []

    def delivered(delivery: object) -> None:
        calls.append(delivery.frame.payload)  # type: ignore[attr-defined]
        if len(calls) == 1:
            message = "a listener's fault"
            raise ZeroDivisionError(message)

    heard.delivered = delivered  # type: ignore[method-assign]
    for number in range(3):
        a.publish(Frame("t", b"%d" % number))
    with pytest.raises(ZeroDivisionError):
        table.run(1.0)
    table.run(1.0)
    assert calls == [b"0", b"1", b"2"]


def test_the_clock_runs_timers_in_order_and_stops_where_told() -> None:
    clock = VirtualClock(5.0)
    seen: list[str] = []
    clock.call_at(7.0, lambda: seen.append("b"))
    clock.call_at(7.0, lambda: seen.append("c"))
    clock.call_at(1.0, lambda: seen.append("past"))
    clock.call_at(6.0, lambda: seen.append("off")).cancel()

    def nine() -> None:
        clock.call_at(20.0, lambda: seen.append("late"))

    clock.call_at(9.0, nine)
    clock.run_until(6.5)
    assert (clock.time(), seen) == (6.5, ["past"])
    assert clock.run_until_idle(10.0) is False
    assert (clock.time(), seen) == (10.0, ["past", "b", "c"])
    assert clock.run_until_idle(30.0) is True
    assert (clock.time(), seen[-1]) == (20.0, "late")
    assert clock.step() is False


def trace(seed: int) -> str:
    """Return all that two clients hear in a storm, with times."""
    table = Table(seed, STORM)
    heard: list[str] = []
    a, b = table.join("a", "$share/g/t/+", "r/#"), table.join("b", "t/#", "$share/g/t/+")
    for name, recorder in table.heard.items():
        deliver = recorder.delivered

        def delivered(delivery, name=name, deliver=deliver):  # type: ignore[no-untyped-def]
            heard.append(f"{table.clock.time():.9f} {name} {delivery.frame} {delivery.duplicate}")
            deliver(delivery)

        recorder.delivered = delivered  # type: ignore[method-assign]
    for number in range(100):
        a.publish(Frame(f"t/{number % 5}", b"%d" % number, retain=number % 7 == 0))
        b.publish(Frame(f"r/{number % 3}", b"%d" % number, qos=number % 2))
        table.run(0.005)
    table.run(30.0)
    return "\n".join(heard)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_trace_under_two_hash_seeds() -> None:
    traces = {
        subprocess.run(
            [sys.executable, "-c", "from tests.bus.test_memory import trace; print(trace(11))"],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert traces == {trace(11) + "\n"}
    assert trace(12) != trace(11)


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_partition_may_cut_one_way_only(way: Way) -> None:
    table = Table()
    b = table.join("b", "t", keep_alive_s=30)
    a = table.join("a", "u")
    table.run(1.0)
    table.network.partition("b", way)
    a.publish(Frame("t", b"to b"))
    b.publish(Frame("u", b"from b"))
    table.run(2.0)
    assert table.heard["b"].payloads == ([b"to b"] if way == "up" else [])
    assert table.heard["a"].payloads == ([b"from b"] if way == "down" else [])
    table.network.heal("b")
    table.run(2.0)
    assert (table.heard["b"].payloads, table.heard["a"].payloads) == ([b"to b"], [b"from b"])
    assert b.backlog == a.backlog == 0


def test_a_broker_may_give_up_a_client_that_does_not_know() -> None:
    table = Table()
    table.join("watcher", "w")
    b = table.join("b", "t", keep_alive_s=60, will=Will(Frame("w", b"b is gone")))
    table.run(1.0)
    table.network.partition("b")
    table.network.lapse("b")
    b.publish(Frame("w", b"b believes to be there"))
    table.run(1.0)
    assert (table.heard["watcher"].payloads, table.heard["b"].ends) == ([b"b is gone"], [])
    table.network.heal("b")
    table.run(5.0)
    assert "gave up" in table.heard["b"].ends[0][0]
    assert table.heard["watcher"].payloads == [b"b is gone", b"b believes to be there"]


@pytest.mark.parametrize("away_s", [0.3, 2.0, 60.0])
def test_all_are_back_two_seconds_after_the_broker_however_long_it_was_away(away_s: float) -> None:
    """What is promised of a broker's restart stands on this, and what peers are given to come back in."""
    table = Table(7)
    names = [f"c{number}" for number in range(40)]
    for name in names:
        table.join(name)
    table.run(1.0)
    table.network.crash_broker()
    table.run(away_s)
    table.network.restart_broker()
    longest = Options("any").backoff_max_s
    assert longest == Settings().broker.backoff_max_s == 2.0
    table.run(longest + 0.1)
    assert all(len(table.heard[name].facts) == 2 for name in names)
