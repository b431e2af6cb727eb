"""The handler service: what an author's code says on the way, and how its end is told."""

import asyncio
import contextlib
import threading
from functools import partial
from itertools import pairwise
from math import inf
from typing import Any

import msgspec
import pytest

import foa
from foa.adapters import metering
from foa.adapters.handlers import Assignment, Handler, agent
from foa.adapters.metering import Meter
from foa.adapters.peers import Critique, Peer
from foa.adapters.runners import runner_of
from foa.bus.virtual import VirtualClock
from foa.core.machines.agent.state import Charged, Job, Progressed, Stumbled, Yielded
from foa.nodes import agent as nodes_agent
from foa.nodes.agent import Handling
from foa.wire.ids import Epoch
from foa.wire.messages import Award, Draft
from foa.wire.records import Given, Resources, Subtask, Team, Value

ME, A2, GUEST = "acme/tools/it", "acme/tools/a2", "acme/tools/guest"


def text(body: str, name: str = "result") -> Given:
    return Given(name, Value("text/plain", "text/plain", body.encode()))


def job(*inputs: Given, skills: tuple[str, ...] = (), **more: Any) -> Job:
    team = Team("c", (ME, A2), guests=(GUEST,))
    granted = Award("w1", "t1", 0, Subtask("main", "hi", skills=skills), Epoch(1, "c"), 1, "k", 9000, 9000, team=team,
                    agent=ME)  # fmt: skip
    return Job(granted, inputs, 9000, **more)


def made(function: Any) -> Handler[..., Any]:
    return agent(ME, description="Does it")(function)


def drafts() -> Any:
    return "draft"


def handle(handler: Handler[..., Any], asked: Job) -> tuple[Any, list[Any]]:
    """Return the end of one job and all that was told, the end last."""

    async def go() -> tuple[Any, list[Any]]:
        told: list[Any] = []
        ended = asyncio.get_running_loop().create_future()

        def done(value: Any, error: str) -> None:
            assert error == ""
            told.append(value)
            ended.set_result(value)

        Handling(runner_of(handler), lambda key, message: told.append(message)).handler(asked, done)
        return await ended, told

    return asyncio.run(go())


@pytest.mark.parametrize("plain", [True, False])
def test_charges_are_told_before_the_end(*, plain: bool) -> None:
    def work(task: Assignment) -> str:
        task.charge(0.25, 10, 5)
        task.charge(0.5, tokens_out=1)
        task.confident(0.75)
        return "done"

    async def work_soon(task: Assignment) -> str:
        return work(task)

    end, told = handle(made(work if plain else work_soon), job())
    assert isinstance(end, Yielded)
    assert end.confidence == 0.75
    assert told[-1] is end
    charged = [one for one in told if isinstance(one, Charged)]
    assert (sum(c.usd for c in charged), sum(c.tokens_in for c in charged), sum(c.tokens_out for c in charged)) == (
        0.75, 10, 6,
    )  # fmt: skip


def test_what_was_charged_is_told_of_a_failure_too() -> None:
    def work(task: Assignment) -> str:
        task.charge(1.0)
        raise ValueError("boom")

    end, told = handle(made(work), job())
    assert isinstance(end, Stumbled)
    assert [one.usd for one in told if isinstance(one, Charged)] == [1.0]


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
def test_what_is_no_amount_is_the_authors_mistake(wrong: float) -> None:
    def work(task: Assignment) -> str:
        task.charge(wrong)
        return ""

    end, _ = handle(made(work), job())
    assert isinstance(end, Stumbled)
    assert "amounts are finite" in end.reason


def test_work_whose_start_cannot_be_kept_is_another_agents() -> None:
    begun: list[str] = []

    async def go() -> list[Any]:
        told: list[Any] = []
        handling = Handling(runner_of(made(lambda: begun.append("begun"))), lambda *_: None, keep=lambda: False)
        handling.handler(job(), lambda value, error: told.append((value, error)))
        await handling.finish(5.0)
        return told

    ((ended, error),) = asyncio.run(go())
    assert (ended.kind, ended.code, error, begun) == ("declined", "disk", "", [])


def test_questions_and_refutations_travel_as_data() -> None:
    def ask(task: Assignment) -> str:
        if task.answers:
            return " then ".join(task.answers)
        raise foa.Ask("which?", options=("a", "b"))

    end, _ = handle(made(ask), job())
    assert end == Stumbled("asking", "ask", "which?", options=("a", "b"))
    end, _ = handle(made(ask), job(text("b", "answer"), text("c", "answer-2")))
    assert isinstance(end, Yielded)
    assert end.outputs == (text("b then c"),)

    def refute() -> str:
        raise foa.Refute("load", "it is empty")

    assert handle(made(refute), job())[0] == Stumbled("failed", "refuted", "it is empty", refutes="load")


def test_a_round_is_critique_then_revision_and_guests_are_not_judged() -> None:
    handler = made(drafts)

    @handler.critique
    def judge(draft: str, peers: list[Peer[str]], task: Assignment) -> list[Critique]:
        return [Critique(one.agent, "hm", 0.5) for one in peers]

    @handler.revise
    def better(draft: str, peers: list[Peer[str]], task: Assignment) -> str:
        return ", ".join(f"{one.agent} {one.guest} {one.critique}".strip() for one in peers)

    others = (
        Draft("w2", "t1", "c", A2, 0, (text('"x"'),), subtask="main", critiques={ME: "no"}),
        Draft("w3", "t1", "c", GUEST, 0, (text('"y"'),), subtask="other"),
    )
    end, _ = handle(handler, job(round=1, draft=(text("d"),), others=others))
    assert isinstance(end, Yielded)
    assert (end.critiques, end.scores) == ({A2: "hm"}, {A2: 0.5})
    assert (end.outputs or ())[0].value.body == f'"{A2} False no, {GUEST} True"'.encode()
    end, _ = handle(handler, job(round=1, draft=(text("d"),), others=others, critical=True))
    assert isinstance(end, Yielded)
    assert (end.outputs, end.critiques) == (None, {A2: "hm"})


def test_a_critic_that_fails_does_not_keep_the_reviser_from_its_work() -> None:
    handler = made(drafts)
    handler.critique(lambda draft, peers: 1 / 0)
    handler.revise(lambda draft, peers: "better")
    others = (Draft("w2", "t1", "c", A2, 0, (text('"x"'),)),)
    end, _ = handle(handler, job(round=1, draft=(text("d"),), others=others))
    assert isinstance(end, Yielded)
    assert (end.outputs or ())[0].value.body == b'"better"'


def test_planning_and_synthesis_go_to_their_own_functions_if_there_are_any() -> None:
    handler = made(drafts)
    assert (handle(handler, job(skills=("plan",)))[0].outputs)[0].value.body == b'"draft"'
    handler.plan(lambda request: [{"id": "a", "text": request}])
    assert (handle(handler, job(skills=("plan",)))[0].outputs)[0].value.type == "plan"
    assert (handle(handler, job())[0].outputs)[0].value.body == b'"draft"'


# --- streaming --------------------------------------------------------------------------------------------


class VirtualLoop:
    """As much of a loop as a meter needs, in virtual time."""

    def __init__(self) -> None:
        self.clock = VirtualClock()

    def time(self) -> float:
        return self.clock.time()

    def call_at(self, when: float, callback: Any, *args: Any) -> Any:
        return self.clock.call_at(when, partial(callback, *args))

    def call_soon_threadsafe(self, callback: Any, *args: Any) -> Any:
        return self.call_at(self.time(), callback, *args)


def streamed(piece: str, times: int, every_s: float) -> list[tuple[float, str]]:
    """Return what left and when, of a piece streamed so many times."""
    loop = VirtualLoop()
    told: list[tuple[float, str]] = []
    meter = Meter(lambda message: told.append((loop.time(), message.partial)), loop)
    for number in range(times):
        loop.clock.call_at(number * every_s, partial(meter.stream, piece))
    loop.clock.run_until(times * every_s + 60.0)
    meter.close()
    meter.stream("after the end")
    loop.clock.run_until(times * every_s + 61.0)
    return told


@pytest.mark.parametrize(("piece", "times", "every_s"), [("ab", 500, 0.01), ("x" * 3_000, 20, 0.0), ("word ", 30, 0.3)])
def test_pieces_are_gathered_into_five_frames_a_second_at_most(piece: str, times: int, every_s: float) -> None:
    told = streamed(piece, times, every_s)
    assert "".join(shown for _, shown in told) == piece * times
    assert all(len(shown) <= metering.PIECE for _, shown in told)
    assert all(later - before >= metering.EVERY_S - 1e-9 for (before, _), (later, _) in pairwise(told))


def test_what_is_shown_is_bounded_and_nothing_follows_the_end() -> None:
    told = streamed("x" * 10_000, 20, 0.0)
    assert sum(len(shown) for _, shown in told) == metering.MOST
    assert all("after" not in shown for _, shown in told)


def test_pieces_from_threads_all_arrive() -> None:
    def work(task: Assignment) -> str:
        threads = [threading.Thread(target=task.stream, args=("ab",)) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return "done"

    _, told = handle(made(work), job())
    shown = "".join(one.partial for one in told if isinstance(one, Progressed))
    assert set(shown) <= {"a", "b"}
    assert shown.count("ab") * 2 == len(shown) <= 40


def test_code_that_will_not_be_stopped_is_counted_and_with_too_much_of_it_no_more_is_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nodes_agent, "MAX_STUBBORN", 2)

    async def go() -> list[Any]:
        release = asyncio.Event()

        async def stubborn(text: str) -> str:
            while not release.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await release.wait()
            return text

        told: list[Any] = []
        kept: list[int] = []

        def keep() -> bool:
            kept.append(len(told))
            return True

        handling = Handling(runner_of(made(stubborn)), lambda *_: None, keep)
        for number in range(2):
            handling.handler(renamed(number), lambda value, _: told.append(value))
            await asyncio.sleep(0)
            handling.cancel(f"w{number}", lambda *_: None)
            await asyncio.sleep(0)
        assert kept == [0, 0], "what the machines keep is durable before the code runs"
        handling.handler(renamed(2), lambda value, _: told.append(value))
        refused = list(told)
        release.set()
        await turns()
        handling.handler(renamed(3), lambda value, _: told.append(value))
        await turns()
        return [*refused, told[-1]]

    refused, after = asyncio.run(asyncio.wait_for(go(), 20))
    assert (refused.code, refused.retryable) == ("hung", True)
    assert "2 earlier calls were cancelled and have not ended" in refused.reason
    assert isinstance(after, Yielded)


async def turns() -> None:
    """Let everything that can happen now happen."""
    for _ in range(20):
        await asyncio.sleep(0)


def renamed(number: int) -> Job:
    asked = job(text("hi", "text"))
    return asked._replace(award=msgspec.structs.replace(asked.award, award=f"w{number}", team=None))


@pytest.mark.parametrize(
    ("call_s", "p95_ms", "hung", "seconds"),
    [(300.0, 0.0, 20.0, 302.0), (300.0, 2000.0, 20.0, 40.0), (300.0, 100.0, 20.0, 10.0), (5.0, 2000.0, 20.0, 7.0),
     (300.0, 2000.0, 0.0, 302.0), (inf, 0.0, 20.0, inf)],
)  # fmt: skip
def test_how_long_a_handler_may_give_no_sign(call_s: float, p95_ms: float, hung: float, seconds: float) -> None:
    profile = msgspec.structs.replace(made(drafts).profile, resources=Resources(p95_ms=p95_ms))
    settings = foa.Settings.from_mapping({"agent.hung": hung}, "the test")
    assert nodes_agent.hung_s(profile, settings, call_s) == seconds
