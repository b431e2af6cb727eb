"""What a subtask costs its coordinator, by the size of the plan: the task machine alone, and what it publishes encoded.

Lookups are answered at once with the same candidates, awards are answered at once with a small result, in the order
they were made; virtual time, CPU time of the process. Nobody learns here: the matchmaker has a bench of its own.
"""

import gc
from collections import deque
from random import Random
from time import process_time
from typing import Final

from foa.bench.schedule.workflows import layered, plan_of
from foa.core import effects as fx
from foa.core.effects import Effect, Event, Key
from foa.core.machines.task import machine
from foa.core.machines.task.state import Context, Ended, Rules, Shadow, TaskState
from foa.core.routing.exchange import Answer, Asked
from foa.core.routing.ownership import Opened
from foa.wire.codec import encode
from foa.wire.ids import Epoch, Version, partition_of
from foa.wire.messages import Ask, Award, Done, Found, Message, Submit
from foa.wire.records import Given, Hit, Port, Query, Resources, Task, Usage, Value
from foa.wire.topics import Topic, Topics

SIZES: Final = (50, 500, 5000)
AGENTS: Final = 16
DEADLINE_MS: Final = 86_400_000
BATCH: Final = 2_000
"""Subtasks that one figure is at least measured over: small plans are run several times."""

TOPICS: Final = Topics("foa/v1", 64)


def hits(count: int) -> tuple[Hit, ...]:
    """Return candidates that are all able."""
    return tuple(
        Hit(
            f"bench/agents/a{at:03}",
            Version(1, 1),
            0.9,
            0.9,
            skills=("run",),
            outputs=(Port("result", "text/plain"),),
            resources=Resources(concurrency=1),
        )
        for at in range(count)
    )


class Alone:
    """One task machine, driven to the end of its task."""

    def __init__(self, size: int, agents: int = AGENTS) -> None:
        plan = plan_of(layered(size))
        self.task = Task(f"scale{size}", "a plan of layers", plan=plan, deadline_ms=DEADLINE_MS)
        self.partition = partition_of(self.task.id, TOPICS.partitions)
        self.context = Context(TOPICS, Rules(planners=0))
        self.state: TaskState = Shadow(self.partition)
        self.found = hits(agents)
        self.awards: deque[Award] = deque()
        self.bytes = 0
        self.frames = 0
        self._rng = Random(0)
        self._queue: deque[Event] = deque()
        self._encoded: Message | None = None

    def run(self) -> None:
        """Submit, and answer whatever is asked until the task is over."""
        received = fx.Received(Topic("submit", self.partition, self.task.id), Submit(self.task))
        self._queue.append(fx.Told(Key("ownership"), Opened(self.partition, Epoch(1, "c1"), received)))
        self._queue.append(fx.Delivered("accept", 0))
        now = 0.0
        while not isinstance(self.state, Ended):
            if not self._queue:
                self._queue.append(self._done(self.awards.popleft()))
            now += 0.001
            self.state, effects = machine.step(self.context, self.state, self._queue.popleft(), now, self._rng)
            for effect in effects:
                self._perform(effect)

    def _perform(self, effect: Effect) -> None:
        match effect:
            case fx.Tell(Key("lookup"), Asked(token, Ask() as ask)):
                found = Found(tuple(self._able(query) for query in ask.queries), (0,))
                self._queue.append(fx.Told(Key("lookup"), Answer(token, found)))
            case fx.Tell(Key("task"), word):
                self._queue.append(fx.Told(Key("task", self.task.id), word))
            case fx.Persist(message) if message is not None:
                self._encode(message)
            case fx.Publish(_, message) if isinstance(message, Message):
                self._encode(message)
                self.frames += 1
                if isinstance(message, Award):
                    self.awards.append(message)

    def _able(self, query: Query) -> tuple[Hit, ...]:
        if not query.exclude:
            return self.found
        return tuple(hit for hit in self.found if hit.agent not in query.exclude)

    def _encode(self, message: Message) -> None:
        """Encode as the shell does: what is kept and then published once."""
        if message is not self._encoded:
            self._encoded = message
            self.bytes += len(encode(message))

    def _done(self, award: Award) -> fx.Received:
        outputs = (Given("result", Value("text/plain", "text/plain", award.subtask.id.encode())),)
        done = Done(award.award, award.task, award.agent, award.key, outputs, Usage(1))
        return fx.Received(Topic("answer", self.partition, self.task.id), done)


def cost(size: int, rounds: int = 3) -> dict[str, float]:
    """Return the microseconds of CPU and the bytes published per subtask in a plan of `size`, the best of `rounds`."""
    best, published = float("inf"), 0
    for _ in range(rounds):
        repeats = max(1, BATCH // size)
        runs = [Alone(size) for _ in range(repeats)]
        gc.collect()
        begun = process_time()
        for run in runs:
            run.run()
        best = min(best, (process_time() - begun) / (repeats * size))
        published = runs[0].bytes
        assert all(isinstance(run.state, Ended) and run.state.result.status == "done" for run in runs)
    return {"us": best * 1e6, "bytes": published / size}


def measure(sizes: tuple[int, ...] = SIZES, rounds: int = 3) -> dict[str, float]:
    """Return microseconds per subtask by size, and what the largest costs against the smallest."""
    found = {str(size): cost(size, rounds) for size in sizes}
    figures = {size: round(each["us"], 1) for size, each in found.items()}
    ratio = found[str(sizes[-1])]["us"] / found[str(sizes[0])]["us"]
    sent = {f"bytes_{size}": round(each["bytes"]) for size, each in found.items()}
    return {**figures, "ratio": round(ratio, 3), **sent}
