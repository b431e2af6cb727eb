"""A process that submits tasks and waits for their results, over its own death as well: one of the victims of a run.

``foa bench submitter NAME …`` is started by `town`. It is a patient `Client` with a state directory, as a program that
must not lose a task would have: what it submits waits in the outbox, which sends it again after a restart, with a
broker or without. In a file of its own it notes only which of its tasks those are, to wait for their results.
"""

import asyncio
import hashlib
import os
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from foa.bench.chaos.work.ledger import Writer
from foa.bench.chaos.work.load import Errand, errand
from foa.errors import BusError, TaskError
from foa.nodes.client import Client, Submitted
from foa.nodes.federation import READY
from foa.settings import Settings, from_env
from foa.wire.messages import Result

LONGEST_S: Final = 2.0
"""The longest pause between two tasks."""
MOST: Final = 150
"""Tasks of one submitter on their way; above that it waits."""


class Orders(NamedTuple):
    """What a submitter is told: once the file ``over`` is there it submits no more."""

    name: str
    seed: int
    per_s: float
    deadline_s: float
    memory: Path
    over: Path


class Memory:
    """The numbers of the tasks sent, accepted and ended, in a file that outlives the process."""

    def __init__(self, path: Path) -> None:
        """Read `path`, and go on writing it."""
        self.open: dict[int, bool] = {}
        self.next = 0
        if path.exists():
            for line in path.read_text().splitlines():
                self._take(*line.split())
        self._file = path.open("a")

    def _take(self, word: str, number: str) -> None:
        at = int(number)
        self.next = max(self.next, at + 1)
        if word == "ended":
            self.open.pop(at, None)
        else:
            self.open[at] = word == "accepted"

    def note(self, word: str, number: int) -> None:
        """Note that a task was sent, accepted, or ended."""
        self._take(word, str(number))
        self._file.write(f"{word} {number}\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Write no more."""
        self._file.close()


def digest(result: Result) -> str:
    """Return what tells results of one task apart: how it ended, and what came of it."""
    said = [result.status, result.code, *(f"{each.name}={each.value.body!r}" for each in result.outputs)]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]


class Submitter:
    """Submits by the clock, and sees every task through."""

    def __init__(self, client: Client, orders: Orders, memory: Memory, ledger: Writer) -> None:
        """Nothing happens before `run`."""
        self._client = client
        self._orders = orders
        self._memory = memory
        self._ledger = ledger
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Go on with what an earlier life left, submit until the time is over, and wait for all that is on its way."""
        self._go_on()
        rng = Random(f"{self._orders.seed}/{self._orders.name}/{os.getpid()}")
        while not self._orders.over.exists():
            await asyncio.sleep(min(rng.expovariate(self._orders.per_s), LONGEST_S))
            if len(self._running) < MOST:
                number = self._memory.next
                self._memory.note("sent", number)
                self._hand_in(self._made(number), number)
        while self._running:
            await asyncio.wait(set(self._running))
        await asyncio.Event().wait()

    def _go_on(self) -> None:
        """See through what an earlier life submitted: the outbox sends what was not accepted, the rest is followed.

        Killed between the two files, a task is in neither outbox nor broker: it was never handed in, and is now.
        """
        waiting = {each.id: each for each in self._client.resume()}
        for number, accepted in sorted(self._memory.open.items()):
            made = self._made(number)
            kept = waiting.get(made.task.id)
            if kept is not None:
                self._ledger.say("resumed", made.task.id)
                self._begin(made, number, kept)
            elif accepted:
                self._begin(made, number, self._client.follow(made.task.id, watch=False))
            else:
                self._hand_in(made, number)

    def _made(self, number: int) -> Errand:
        return errand(self._orders.name, self._orders.seed, number, self._orders.deadline_s)

    def _hand_in(self, made: Errand, number: int) -> None:
        self._ledger.say("sent", made.task.id, sort=made.sort)
        self._begin(made, number, self._client.send(made.task))

    def _begin(self, made: Errand, number: int, submitted: Submitted) -> None:
        seen = asyncio.get_running_loop().create_task(self._see(made, number, submitted))
        self._running.add(seen)
        seen.add_done_callback(self._running.discard)

    async def _see(self, made: Errand, number: int, submitted: Submitted) -> None:
        """See one task through to its end."""
        ident = made.task.id
        try:
            await submitted.accepted()
            self._ledger.say("accepted", ident)
            self._memory.note("accepted", number)
            if made.cancel_s is not None:
                await asyncio.sleep(made.cancel_s)
                self._ledger.say("cancel", ident)
                submitted.cancel("enough of it")
            outcome = await submitted.result()
        except TaskError as error:
            self._ledger.say("rejected", ident, reason=str(error)[:300])
            self._memory.note("ended", number)
            return
        except BusError as error:
            self._ledger.say("gone", ident, reason=str(error)[:300])
            return
        result = outcome.result
        words = {"status": outcome.status, "code": result.code, "reason": outcome.reason[:300]}
        self._ledger.say("result", ident, digest=digest(result), **words)
        if made.wanted and outcome.status == "done" and outcome.output != made.wanted:
            self._ledger.say("wrong", ident, reason=f"{str(outcome.output)[:80]!r} instead of {made.wanted!r}")
        self._memory.note("ended", number)  # only now: killed in between, the next life hears it again


async def submit(orders: Orders) -> None:
    """Run a submitter until it is told to end, whether there is a broker or not."""
    settings = Settings.from_mapping(from_env(os.environ), "the environment")
    async with Client(settings, orders.name, patient=True) as client:
        print(f"{orders.name} {READY}", flush=True)
        with closing(Memory(orders.memory)) as memory, closing(Writer(orders.name)) as ledger:
            await Submitter(client, orders, memory, ledger).run()
