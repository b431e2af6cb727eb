"""A process that submits: the Python client behind `foa.submit`, the command line, and the benches.

One `Client` is one session on the bus. It keeps a submission until a coordinator says that it is kept, and
gets the result from the reply, or from the retained topic if its owner died in between.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, Self

from foa.adapters.outbox import Outbox
from foa.core import effects as fx
from foa.core.effects import Key
from foa.core.machines import client
from foa.core.machines.client import Abandon, Collect, Enough, Follow, Question, Report, Submission
from foa.core.routing.exchange import Answer, Asked
from foa.errors import BusError, FoaError, NoRoute, TaskError
from foa.nodes.client.asked import input_of as input_of
from foa.nodes.client.asked import task_of as task_of
from foa.nodes.client.asked import value_of as value_of
from foa.nodes.client.program import ClientProgram as ClientProgram
from foa.nodes.client.submitted import Outcome as Outcome
from foa.nodes.client.submitted import Submitted as Submitted
from foa.nodes.host import Host, Place, ring_of, topics_of
from foa.nodes.outgoing import PART
from foa.nodes.ports import Done
from foa.settings import Settings
from foa.wire.messages import Accepted, Ask, Control, Embed, Feedback, Found, Rejected, Vectors
from foa.wire.records import Query, Task

SESSION_S: Final = 60
TRIES: Final = 3
REPLY_S: Final = 2.0
NO_INDEX: Final = "no index node answered; start one with 'foa up' or 'foa node index'"


class Client:
    """A session that submits, follows, searches and reads; an async context manager."""

    def __init__(self, settings: Settings | None = None, name: str = "", *, patient: bool = False) -> None:
        """Use `settings` (the defaults if None); ``name`` is made up if empty.

        A ``patient`` client begins without a broker: what it submits waits in the outbox, and `reach` for the broker.
        """
        self.settings = settings or Settings()
        self.node = name or f"client-{secrets.token_hex(6)}"
        self.topics = topics_of(self.settings)
        self._tasks: dict[str, Submitted] = {}
        self._answers: dict[str, asyncio.Future[Answer]] = {}
        self._words: dict[tuple[str, str], asyncio.Future[Accepted | Rejected]] = {}
        self._collected: list[fx.Received] = []
        self._hearers: list[asyncio.Queue[fx.Received]] = []
        self._host: Host | None = None
        self._patient = patient
        self._opening: asyncio.Task[None] | None = None
        self._outbox = Outbox(outbox_of(self.settings), self.node)
        self._unkept: set[str] = set()
        self._resumed = False

    async def __aenter__(self) -> Self:
        """Connect; raises Refused or BusError."""
        place = Place(self.node, self.node, session_s=SESSION_S, keeps_journal=False)
        program = ClientProgram(self.node, self.settings, self.topics)
        services = {"report": self._report}
        self._host = Host(
            place, program, services, self.settings, ring_of(self.settings, self.node), journal=self._outbox
        )
        self._host.stopped.add_done_callback(lambda ended: self._lost(ended.result()))
        if self._patient:
            self._opening = self._host.begin()
        else:
            await self._host.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Disconnect; what nobody accepted stays in the outbox."""
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()
            await asyncio.wait((self._opening,))
        if self._host is not None:
            await self._host.__aexit__(*exc)

    async def reach(self, seconds: float | None = None) -> None:
        """Wait until the broker is there, at most `seconds`; Refused if it says no for good, BusError if it is not.

        What was submitted meanwhile stays in the outbox, where the next client that submits anything finds it; but
        not where the broker says no.
        """
        if self._opening is None:
            return
        done, _ = await asyncio.wait((self._opening,), timeout=seconds)
        if not done:
            mine = ", ".join(sorted(self._unkept)[:3])
            kept = f"; task {mine} is kept, and sent by 'foa task outbox --send' or with the next submission"
            raise BusError(f"cannot reach a broker at {self.settings.broker.url}{kept if mine else ''}")
        if self._opening.exception() is not None:
            for task in tuple(self._unkept):
                self.forget(task)
        await self._opening

    # --- tasks ------------------------------------------------------------------------------------------

    def submit(self, text: str, *, watch: bool = False, trace: str = "", **demands: Any) -> Submitted:
        """Submit a task; see `task_of` for the demands. Returns at once: await `Submitted.accepted`."""
        return self.send(task_of(text, **demands), watch=watch, trace=trace)

    def send(self, task: Task, *, watch: bool = False, trace: str = "") -> Submitted:
        """Submit a task that is made already; BusError if too many wait to be accepted.

        It is kept in a file until a coordinator has accepted it, whatever becomes of this process and the broker. What
        an earlier process left there is sent as well.
        """
        self.resume()
        if len(self._unkept) >= (most := self.settings.node.outbox):
            raise BusError(f"node.outbox = {most}: so many tasks wait to be accepted; wait for some, or raise it")
        self._unkept.add(task.id)
        submitted = self._tasks[task.id] = Submitted(task.id, self.tell_task)
        self.tell_task(task.id, Submission(task, watch, trace or new_trace()))
        return submitted

    def resume(self) -> list[Submitted]:
        """Send what clients that ended left in the outbox, once; return those tasks."""
        if self._resumed:
            return []
        self._resumed = True
        left = self._outbox.adopted()
        tasks = {ident: Submitted(ident, self.tell_task) for _, ident, _, _ in left if PART not in ident}
        self._tasks |= tasks
        self._unkept |= tasks.keys()
        self._driver.restore(left)
        return list(tasks.values())

    def follow(self, task: str, *, watch: bool = True) -> Submitted:
        """Listen to a task that anybody submitted."""
        submitted = self._tasks[task] = Submitted(task, self.tell_task)
        self.tell_task(task, Follow(watch))
        return submitted

    def tell_task(self, task: str, message: Any) -> None:
        """Say something to the machine of a task."""
        self._driver.tell(Key("client", task), message)

    def forget(self, task: str) -> None:
        """Stop listening to a task, and sending it if nobody has accepted it."""
        self._tasks.pop(task, None)
        self._unkept.discard(task)
        self.tell_task(task, Abandon(cancel=False))

    async def feedback(self, task: str, score: float, *, subtask: str = "", comment: str = "") -> None:
        """Say how good a finished task was, in [0, 1]; its agents' rewards become that.

        Raises TaskError if its owner no longer remembers the rewards, NoRoute if no coordinator answers.
        """
        said = Feedback(task, score, subtask, comment[:512], self.node)
        word = await self._told(("rated", task), client.Rate(said))
        if word is None:
            raise NoRoute(f"no coordinator took the feedback on task {task}; is one running? 'foa up' starts one")
        if isinstance(word, Rejected):
            raise TaskError(f"feedback on task {task} was not taken: {word.reason}")

    async def answer(
        self,
        task: str,
        text: str = "",
        *,
        subtask: str = "",
        inputs: Mapping[str, Any] | None = None,
        approve: bool | None = None,
        refute: bool = False,
    ) -> None:
        """Answer what a task asks (``subtask`` "": whatever it asked first), ``approve`` a step, or ``refute`` one.

        ``inputs`` are by name, as in `submit`. Refuted is a finished subtask that is wrong, ``text`` saying why: it and
        what was built on it are done again. Raises ConfigError if that says nothing, TaskError if the task's owner did
        not take it (nothing was asked, it ended), NoRoute if no coordinator answers.
        """
        said = input_of(task, text, subtask=subtask, inputs=inputs, approve=approve, refute=refute, submitter=self.node)
        token = secrets.token_hex(8)
        word = await self._told(("heard", token), client.Say(said, token))
        if word is None:
            raise NoRoute(f"no coordinator took the answer to task {task}; is one running? 'foa up' starts one")
        if isinstance(word, Rejected):
            raise TaskError(f"the answer to task {task} was not taken: {word.reason}")
        if not refute and (submitted := self._tasks.get(task)) is not None:
            submitted.answered(subtask)

    async def _told(self, key: tuple[str, str], message: Any) -> Accepted | Rejected | None:
        """Tell the desk, a few times if need be; return the owner's word, which is reported under `key`."""
        future = self._words.setdefault(key, asyncio.get_running_loop().create_future())
        try:
            for _ in range(TRIES):
                self._driver.tell(client.DESK, message)
                done, _ = await asyncio.wait({future}, timeout=REPLY_S)
                if done:
                    return future.result()
        finally:
            self._words.pop(key, None)
        return None

    def drop(self, task: str) -> None:
        """Take away the letter of a failed task."""
        self._driver.tell(client.DESK, client.Clear(task))

    def order(self, verb: Literal["rebirth", "drain"], node: str, reply: str = "") -> None:
        """Say an operator's word to `node`, who may answer on the topic `reply` below the root."""
        self._driver.tell(client.DESK, client.Order(Control(verb, node), self.topics(reply) if reply else ""))

    # --- reading ----------------------------------------------------------------------------------------

    async def search(self, queries: Sequence[Query], k: int = 10) -> Found:
        """Ask the index; NoRoute if no index node answers."""
        answer = await self._ask(Ask(tuple(queries), k))
        if not isinstance(answer.found, Found) or not answer.found.covered:
            raise NoRoute(answer.error or NO_INDEX)
        return answer.found

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Have an index node make vectors of at most 64 texts; NoRoute if none answers."""
        answer = await self._ask(Embed(tuple(texts)))
        if not isinstance(answer.found, Vectors):
            raise NoRoute(answer.error or NO_INDEX)
        return answer.found

    async def _ask(self, ask: Ask | Embed) -> Answer:
        token = secrets.token_hex(8)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._answers[token] = future
        self._driver.tell(client.DESK, Question(Asked(token, ask)))
        return await future

    async def collect(self, patterns: Sequence[str], seconds: float = 0.4) -> list[fx.Received]:
        """Return what is retained on filters below the root, waiting until nothing came for a while."""
        token = secrets.token_hex(8)
        self._collected = []
        self._driver.tell(client.DESK, Collect(token, tuple(map(self.topics, patterns))))
        seen = -1
        while seen != len(self._collected):
            seen = len(self._collected)
            await asyncio.sleep(seconds)
        self._driver.tell(client.DESK, Enough(token))
        return self._collected

    async def hear(self, patterns: Sequence[str]) -> AsyncGenerator[fx.Received, None]:
        """Yield what is retained on filters below the root, then what comes, until the iterator is closed."""
        token = secrets.token_hex(8)
        queue: asyncio.Queue[fx.Received] = asyncio.Queue()
        self._hearers.append(queue)
        self._driver.tell(client.DESK, Collect(token, tuple(map(self.topics, patterns))))
        try:
            while True:
                yield await queue.get()
        finally:
            self._hearers.remove(queue)
            self._driver.tell(client.DESK, Enough(token))

    # --- inside -----------------------------------------------------------------------------------------

    @property
    def _driver(self) -> Any:
        if self._host is None:
            raise FoaError("the client is not connected; use 'async with Client() as client'")
        return self._host.driver

    def _report(self, report: Report, done: Done) -> None:
        """Take what the machines say to the program: the service ``report``."""
        del done
        match report:
            case Report("answer", token, answer):
                if (future := self._answers.pop(token, None)) is not None and not future.done():
                    future.set_result(answer)
            case Report("rated" | "heard" as kind, token, word):
                if (waiting := self._words.get((kind, token))) is not None and not waiting.done():
                    waiting.set_result(word)
            case Report("retained", _, received):
                self._collected.append(received)
                for queue in self._hearers:
                    queue.put_nowait(received)
            case _:
                self._told_of(report)

    def _told_of(self, report: Report) -> None:
        """Take what the machine of a task says; one that is to be sent again later says so, and nothing is new."""
        kind, ident, _ = report
        if kind == "deferred":
            return
        if kind != "events":
            self._unkept.discard(ident)
        submitted = self._tasks.get(ident)
        if submitted is not None:
            submitted.hear(report)
        if kind in {"result", "rejected"}:
            self._tasks.pop(ident, None)

    def _lost(self, reason: str) -> None:
        """Fail whatever waits, since the bus will not come back."""
        error = BusError(reason)
        for submitted in self._tasks.values():
            submitted.fail(error)
        futures: list[asyncio.Future[Any]] = [*self._answers.values(), *self._words.values()]
        for future in futures:
            if not future.done():
                future.set_exception(error)


def outbox_of(settings: Settings) -> Path:
    """Return the folder of the outboxes of all clients with these settings."""
    return Path(settings.node.state_dir) / "outbox"


def new_trace() -> str:
    """Return a fresh W3C traceparent."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
