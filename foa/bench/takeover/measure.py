"""What is done to the processes, and how long it takes until all goes on."""

import asyncio
import signal
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

from foa.bench.brokers import running
from foa.bench.takeover.town import KEEP_ALIVE_S, STEPS, Say, Town, Walk, owner_of
from foa.errors import FoaError
from foa.nodes.client import Client
from foa.settings import Settings
from foa.wire.messages import Own, Presence, State
from foa.wire.records import Query

COORDINATORS: Final = ("coordinator-1", "coordinator-2", "coordinator-3")
VICTIM: Final = "coordinator-2"
INDICES: Final = ("index-1", "index-2")
AGENTS: Final = ("step-1", "step-2", "step-3")
UNDER_WAY_S: Final = 0.7
PROBE_S: Final = 0.02

Figures = dict[str, Any]


class Plan(NamedTuple):
    """What to measure: tasks in flight, and how often each thing is done."""

    broker: str = "embedded"
    tasks: int = 40
    repeats: int = 3


async def measure(plan: Plan, say: Say) -> Figures:
    """Start everything, hurt it, end everything."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="foa-takeover-")))
        port = await stack.enter_async_context(running(plan.broker, folder))
        town = Town(port, folder)
        stack.push_async_callback(town.stop)
        await town.start(*COORDINATORS, *INDICES, *AGENTS)
        client = await stack.enter_async_context(Client(Settings.from_mapping(town.settings, "bench")))
        await town.settled(client, set(COORDINATORS), len(AGENTS))
        figures: Figures = {"broker": plan.broker, "tasks": plan.tasks, "keep_alive_s": KEEP_ALIVE_S}
        for name, hurt in (("kill", _kill), ("freeze", _freeze), ("leave", _leave), ("drain", _drain)):
            runs = [await _coordinator(town, client, plan, hurt, say, f"{name} {at + 1}") for at in range(plan.repeats)]
            figures[name] = _merged(runs)
        figures["join"] = await _join(town, client, plan, say)
        figures["index_kill"] = [await _index(town, client, say) for _ in range(plan.repeats)]
        figures["agent_kill"] = [await _agent(town, client, plan, say) for _ in range(plan.repeats)]
        begun_again, after_end = town.again()
        return {**figures, "begun_twice": begun_again, "begun_again_after_end": after_end}


# --- a coordinator ----------------------------------------------------------------------------------------


async def _kill(town: Town, client: Client) -> None:
    del client
    town.send(VICTIM, signal.SIGKILL)


async def _freeze(town: Town, client: Client) -> None:
    del client
    town.send(VICTIM, signal.SIGSTOP)


async def _leave(town: Town, client: Client) -> None:
    del client
    town.send(VICTIM, signal.SIGTERM)


async def _drain(town: Town, client: Client) -> None:
    del town
    client.order("drain", VICTIM)


Hurt = Callable[[Town, Client], Awaitable[None]]


class Run(NamedTuple):
    """What was measured of each task that moved, and when each stage of the take-over was over (see `Stages`)."""

    tasks: list[Figures]
    stages: Mapping[str, float]


class Stages:
    """Hears the stages of a take-over: the victim's end, the last claim, its last word, the last task resumed."""

    def __init__(self, client: Client, tasks: set[str]) -> None:
        self._tasks = tasks
        self._at: dict[str, float] = {}
        self._client = client
        self._hearing = asyncio.get_running_loop().create_task(self._hear())

    async def _hear(self) -> None:
        async for each in self._client.hear(["presence/coordinator/+", "own/+", "task/+/+/state/0"]):
            if each.retained:
                continue
            now = time.monotonic()
            match each.message:
                case Presence(node=node, alive=False) if node == VICTIM:
                    self._at.setdefault("dead", now)
                case Own(_, epoch) if epoch.node != VICTIM:
                    self._at["claimed"] = now
                case State() as seen if seen.task.id in self._tasks and "dead" in self._at:
                    if seen.last:
                        self._at["last word"] = now
                    elif seen.epoch.node != VICTIM:
                        self._at.setdefault(f"resumed:{seen.task.id}", now)

    def close(self, since: float) -> dict[str, float]:
        """Return when, after `since`, each stage was over."""
        self._hearing.cancel()
        resumed = [at for name, at in self._at.items() if name.startswith("resumed:")]
        found: dict[str, float] = {name: at for name, at in self._at.items() if ":" not in name}
        if resumed:
            found["resumed"] = max(resumed)
        return {name: round(at - since, 3) for name, at in found.items()}


def _told(stages: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {at:.3f}" for name, at in stages.items())


async def _coordinator(town: Town, client: Client, plan: Plan, hurt: Hurt, say: Say, name: str) -> Run:
    """Hurt one coordinator while tasks walk; return, for each that it owned, how long that took."""
    owners = await town.settled(client, set(COORDINATORS), len(AGENTS))
    walks = [Walk(client, number) for number in range(plan.tasks)]
    await asyncio.sleep(UNDER_WAY_S)
    mine = [walk for walk in walks if owner_of(walk, owners, client) == VICTIM]
    watch = Stages(client, {walk.submitted.id for walk in mine})
    since = time.monotonic()
    await hurt(town, client)
    await _over(walks)
    stages = watch.close(since)
    moved = [walk.moved(since) for walk in mine]
    lost = sum(each.taken is None for each in moved)
    found = [
        {"taken": each.taken - since, "onward": (each.onward or each.taken) - since}
        for each in moved
        if each.taken is not None
    ]
    worst = max((each["onward"] for each in found), default=0.0)
    say(f"{name}: {len(found)} tasks moved, worst {worst:.3f} s; {lost} had ended before; {_told(stages)}")
    await _restored(town, client, hurt)
    return Run(found, stages)


async def _restored(town: Town, client: Client, hurt: Hurt) -> None:
    """Have the coordinator back: go on if it was stopped, else start it again."""
    if hurt is _freeze:
        town.send(VICTIM, signal.SIGCONT)
        await asyncio.sleep(1.0)
    else:
        code = await town.ended(VICTIM)
        if hurt is _drain and code != 0:
            raise FoaError(f"a drained coordinator ended with exit code {code}")
        await town.start(VICTIM)
    await town.settled(client, set(COORDINATORS), len(AGENTS))


async def _over(walks: Sequence[Walk]) -> None:
    for walk in walks:
        outcome = await walk.submitted.result()
        outcome.checked()
        await walk.watching
        if len(outcome.result.parts) != STEPS:
            raise FoaError(f"task {walk.submitted.id} lacks a step")


async def _join(town: Town, client: Client, plan: Plan, say: Say) -> Figures:
    """Have a coordinator join under load: how long each task that moved stood still beyond its step."""
    await town.start("coordinator-4")  # it claims a moment after it said that it is ready
    since = time.monotonic()
    walks = [Walk(client, number) for number in range(plan.tasks)]
    await _over(walks)
    moved = [walk for walk in walks if walk.moved(since).taken is not None]
    still = [_longest(walk) for walk in walks if walk not in moved]
    pauses = [_longest(walk) for walk in moved]
    say(f"join: {len(moved)} of {len(walks)} tasks moved")
    client.order("drain", "coordinator-4")
    await town.ended("coordinator-4")
    await town.settled(client, set(COORDINATORS), len(AGENTS))
    return {"moved": len(moved), "longest_pause": _spread(pauses), "longest_pause_of_others": _spread(still)}


def _longest(walk: Walk) -> float:
    """Return the longest time in which a task took no step."""
    times = [at for at, kind in walk.notes if kind in {"awarded", "done"}]
    return max((after - before for before, after in pairwise(times)), default=0.0)


# --- an index node, an agent ------------------------------------------------------------------------------


async def _index(town: Town, client: Client, say: Say) -> Figures:
    """Kill one of two index nodes while searches go on: how long they were not answered whole, and the slowest."""
    query, gap, slowest = Query("take one step of the walk", skills=("step",)), 0.0, 0.0
    town.send("index-1", signal.SIGKILL)
    ends = time.monotonic() + 3.0
    whole = time.monotonic()
    while time.monotonic() < ends:
        began = time.monotonic()
        found = await client.search([query], 8)
        now = time.monotonic()
        slowest = max(slowest, now - began)
        if len(found.covered) == client.settings.wire.partitions:
            gap = max(gap, began - whole)
            whole = now
        await asyncio.sleep(PROBE_S)
    await town.ended("index-1")
    await town.start("index-1")
    await asyncio.sleep(1.0)
    say(f"index: without full coverage for {max(0.0, gap - PROBE_S):.3f} s, slowest search {slowest:.3f} s")
    return {"gap_s": round(max(0.0, gap - 2 * PROBE_S), 3), "slowest_s": round(slowest, 3)}


async def _agent(town: Town, client: Client, plan: Plan, say: Say) -> Figures:
    """Kill an agent at work: how long until what it worked on is awarded again."""
    walks = [Walk(client, number) for number in range(plan.tasks // 2)]
    await asyncio.sleep(UNDER_WAY_S)
    since = time.monotonic()
    town.send("step-1", signal.SIGKILL)
    await _over(walks)
    again: list[float] = []
    for walk in walks:
        silent = next((at for at, kind in walk.notes if kind == "silent" and at > since), None)
        if silent is not None:
            again.append(next((at for at, kind in walk.notes if kind == "awarded" and at >= silent), silent) - since)
    await town.ended("step-1")
    await town.start("step-1")
    await town.settled(client, set(COORDINATORS), len(AGENTS))
    say(f"agent: {len(again)} awards given again, worst {max(again, default=0):.3f} s")
    return {"awards": len(again), "again": _spread(again)}


# --- figures ----------------------------------------------------------------------------------------------


def _merged(runs: Sequence[Run]) -> Figures:
    every = [each for run in runs for each in run.tasks]
    return {
        "tasks_moved": len(every),
        "taken_over": _spread([each["taken"] for each in every]),
        "next_progress": _spread([each["onward"] for each in every]),
        "stages": [dict(run.stages) for run in runs],
    }


def _spread(seconds: Sequence[float]) -> Figures:
    """Return the median and the worst, in seconds."""
    if not seconds:
        return {"median_s": None, "worst_s": None}
    return {"median_s": round(statistics.median(seconds), 3), "worst_s": round(max(seconds), 3)}


def table(figures: Figures) -> str:
    """Return the figures for people."""
    lines = [f"{figures['broker']}, {figures['tasks']} tasks in flight, keep-alive {figures['keep_alive_s']} s"]
    for name in ("kill", "freeze", "leave", "drain"):
        one = figures[name]
        taken, onward = one["taken_over"], one["next_progress"]
        lines.append(
            f"  {name:<8} {one['tasks_moved']:>4} tasks  taken over {taken['median_s']} / {taken['worst_s']} s"
            f"  next progress {onward['median_s']} / {onward['worst_s']} s  (median / worst)"
        )
    join = figures["join"]
    pause, others = join["longest_pause"], join["longest_pause_of_others"]
    lines.append(f"  join     {join['moved']:>4} tasks  longest pause {pause}, of others {others}")
    lines += [
        f"  index    gap {each['gap_s']} s, slowest search {each['slowest_s']} s" for each in figures["index_kill"]
    ]
    lines += [f"  agent    {each['awards']} awards given again after {each['again']}" for each in figures["agent_kill"]]
    lines.append(
        f"  begun twice {figures['begun_twice']}, begun again after it had ended {figures['begun_again_after_end']}"
    )
    return "\n".join(lines)
