"""A process that submits: the Python client behind `foa.submit`, the command line, and the benches.

One `Client` is one session on the bus. It keeps a submission until a coordinator says that it is kept, and
gets the result from the reply, or from the retained topic if its owner died in between.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Self

from foa.adapters import values
from foa.core import effects as fx
from foa.core.effects import Key, Step
from foa.core.machines import blobs, client, lookup
from foa.core.machines.client import Abandon, Collect, Enough, Follow, Idle, Question, Report, Submission
from foa.core.routing.exchange import Answer, Asked
from foa.errors import BusError, FoaError, NoRoute, TaskError, task_error
from foa.nodes.host import Host, Place, client_id, topics_of
from foa.nodes.ports import Done
from foa.settings import Settings
from foa.wire.messages import Accepted, Ask, Embed, Events, Feedback, Found, Rejected, Result, Vectors
from foa.wire.records import Given, Plan, Prefer, Query, Task, Value
from foa.wire.topics import Topics

SESSION_S: Final = 60
FEEDBACK_TRIES: Final = 3
FEEDBACK_S: Final = 2.0
NO_INDEX: Final = "no index node answered; start one with 'foa up' or 'foa node index'"
_TASK_KINDS: Final = frozenset({"result", "event"})


class ClientProgram:
    """The machines of a client: one per submission, the desk, and the lookup and blobs they share."""

    def __init__(self, node: str, settings: Settings, topics: Topics) -> None:
        """`node` names the reply topic."""
        self.roots: tuple[Key, ...] = (client.DESK, lookup.KEY, blobs.KEY)
        context = client.Context(topics, node, settings.wire.inline_limit, settings.wire.chunk)
        self._first: dict[str, Callable[[], Any]] = {
            client.DESK.kind: lambda: client.Desk(topics.reply(node, "task"), topics.reply(node, "feedback"), topics),
            lookup.KEY.kind: lambda: lookup.new(
                lookup.Setup(
                    topics=topics,
                    node=node,
                    answer_s=settings.index.ask_ms / 1000,
                    ttl_s=3 * settings.coordinator.refresh_s,
                )
            ),
            blobs.KEY.kind: lambda: blobs.State(topics),
        }
        self.steps: Mapping[str, Step[Any]] = {
            client.DESK.kind: client.desk_step,
            "client": partial(client.task_step, context),
            lookup.KEY.kind: lookup.step,
            blobs.KEY.kind: blobs.step,
        }

    def birth(self, key: Key) -> Any | None:
        """Return the first state of a machine."""
        if key.kind == "client":
            return Idle(key.id)
        first = self._first.get(key.kind)
        return None if first is None else first()

    def route(self, event: fx.Received | fx.Cleared, known: Callable[[Key], bool]) -> tuple[Key, ...]:
        """Say whose event it is; what is collected goes to the desk as well."""
        topic = event.topic
        if topic.kind == "reply":
            if topic.name == "lookup":
                return (lookup.KEY,)
            if topic.name == "feedback":
                return (client.DESK,)
            message = event.message if isinstance(event, fx.Received) else None
            key = Key("client", getattr(message, "task", ""))
            return (key,) if known(key) else ()
        if topic.kind in _TASK_KINDS and known(Key("client", topic.task)):
            return (Key("client", topic.task), client.DESK)
        if topic.kind == "blob":
            return (blobs.KEY,)
        return (lookup.KEY, client.DESK) if topic.kind == "presence" else (client.DESK,)


class Outcome:
    """How a task ended. ``outputs`` are Python values by name: text, JSON, or bytes."""

    def __init__(self, result: Result) -> None:
        """Wrap `result`."""
        self.result = result
        self.status = result.status
        self.reason = result.reason

    @property
    def outputs(self) -> dict[str, Any]:
        """The decoded outputs by name."""
        return {given.name: values.decode(given.value) for given in self.result.outputs}

    @property
    def output(self) -> Any:
        """The first output: most tasks have one."""
        return next(iter(self.outputs.values()), None)

    def checked(self) -> Self:
        """Return self, or raise the TaskError that fits (NoRoute, Cancelled …) if the task was not done."""
        if self.status != "done":
            raise task_error(
                self.result.code, f"task {self.result.task} {self.status}: {self.result.code}: {self.reason}"
            )
        return self


class Submitted:
    """A task on its way: await `accepted` and `result`, or iterate `events`."""

    def __init__(self, owner: "Client", ident: str) -> None:
        """Made by `Client.submit` and `Client.follow`."""
        loop = asyncio.get_running_loop()
        self.id = ident
        self._owner = owner
        self._accepted: asyncio.Future[Accepted] = loop.create_future()
        self._result: asyncio.Future[Result] = loop.create_future()
        self._events: asyncio.Queue[Events | None] = asyncio.Queue()

    async def accepted(self) -> Accepted:
        """Return once the task is kept; TaskError if it was rejected."""
        return await asyncio.shield(self._accepted)

    async def result(self) -> Outcome:
        """Return how the task ended, whatever way; TaskError only if it was rejected at the door."""
        return Outcome(await asyncio.shield(self._result))

    async def events(self) -> AsyncIterator[Events]:
        """Yield what happens until the result is there."""
        while (events := await self._events.get()) is not None:
            yield events

    def cancel(self, reason: str = "") -> None:
        """Ask for the end of the task; its result says what came of that."""
        self._owner.tell_task(self.id, Abandon(cancel=True, reason=reason))

    def hear(self, report: Report) -> None:
        """Take what the machine reports."""
        match report.value:
            case Accepted() as accepted:
                self._settle(self._accepted, accepted)
            case Rejected() as rejected:
                self.fail(TaskError(f"task {self.id} was rejected: {rejected.code}: {rejected.reason}"))
            case Events() as events:
                self._events.put_nowait(events)
            case Result() as result:
                self._settle(self._accepted, Accepted(result.task, result.epoch))
                self._settle(self._result, result)
                self._events.put_nowait(None)

    def _settle(self, future: "asyncio.Future[Any]", value: Any) -> None:
        if not future.done():
            future.set_result(value)

    def fail(self, error: FoaError) -> None:
        """Tell whoever waits that nothing will come."""
        for future in (self._accepted, self._result):
            if not future.done():
                future.set_exception(error)
                future.exception()  # whoever awaits it is told; whoever does not, need not be
        self._events.put_nowait(None)


class Client:
    """A session that submits, follows, searches and reads; an async context manager."""

    def __init__(self, settings: Settings | None = None, name: str = "") -> None:
        """Use `settings` (the defaults if None); ``name`` is made up if empty."""
        self.settings = settings or Settings()
        self.node = name or f"client-{secrets.token_hex(6)}"
        self.topics = topics_of(self.settings)
        self._tasks: dict[str, Submitted] = {}
        self._answers: dict[str, asyncio.Future[Answer]] = {}
        self._rated: dict[str, asyncio.Future[Accepted | Rejected]] = {}
        self._collected: list[fx.Received] = []
        self._hearers: list[asyncio.Queue[fx.Received]] = []
        self._host: Host | None = None

    async def __aenter__(self) -> Self:
        """Connect; raises Refused or BusError."""
        place = Place(client_id(self.settings, self.node), self.node, session_s=SESSION_S, keeps_journal=False)
        program = ClientProgram(self.node, self.settings, self.topics)
        self._host = Host(place, program, {"report": self._report}, self.settings)
        self._host.stopped.add_done_callback(lambda ended: self._lost(ended.result()))
        await self._host.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Disconnect."""
        if self._host is not None:
            await self._host.__aexit__(*exc)

    # --- tasks ------------------------------------------------------------------------------------------

    def submit(self, text: str, *, watch: bool = False, trace: str = "", **demands: Any) -> Submitted:
        """Submit a task; see `task_of` for the demands. Returns at once: await `Submitted.accepted`."""
        return self.send(task_of(text, **demands), watch=watch, trace=trace)

    def send(self, task: Task, *, watch: bool = False, trace: str = "") -> Submitted:
        """Submit a task that is made already."""
        submitted = self._tasks[task.id] = Submitted(self, task.id)
        self.tell_task(task.id, Submission(task, watch, trace or new_trace()))
        return submitted

    def follow(self, task: str, *, watch: bool = True) -> Submitted:
        """Listen to a task that anybody submitted."""
        submitted = self._tasks[task] = Submitted(self, task)
        self.tell_task(task, Follow(watch))
        return submitted

    def tell_task(self, task: str, message: Any) -> None:
        """Say something to the machine of a task."""
        self._driver.tell(Key("client", task), message)

    def forget(self, task: str) -> None:
        """Stop listening to a task."""
        self._tasks.pop(task, None)
        self.tell_task(task, Abandon(cancel=False))

    async def feedback(self, task: str, score: float, *, subtask: str = "", comment: str = "") -> None:
        """Say how good a finished task was, in [0, 1]; its agents' rewards become that.

        Raises TaskError if its owner no longer remembers the rewards, NoRoute if no coordinator answers.
        """
        said = Feedback(task, score, subtask, comment[:512], self.node)
        future = self._rated.setdefault(task, asyncio.get_running_loop().create_future())
        try:
            for _ in range(FEEDBACK_TRIES):
                self._driver.tell(client.DESK, client.Rate(said))
                done, _ = await asyncio.wait({future}, timeout=FEEDBACK_S)
                if done:
                    break
        finally:
            self._rated.pop(task, None)
        if not future.done():
            raise NoRoute(f"no coordinator took the feedback on task {task}; is one running? 'foa up' starts one")
        if isinstance(word := future.result(), Rejected):
            raise TaskError(f"feedback on task {task} was not taken: {word.reason}")

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
            case Report("rated", task, word):
                if (rated := self._rated.get(task)) is not None and not rated.done():
                    rated.set_result(word)
            case Report("retained", _, received):
                self._collected.append(received)
                for queue in self._hearers:
                    queue.put_nowait(received)
            case Report(kind, ident, _):
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
        for future in self._answers.values():
            if not future.done():
                future.set_exception(error)


def new_trace() -> str:
    """Return a fresh W3C traceparent."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def task_of(
    text: str,
    *,
    id: str = "",  # noqa: A002 - the word users know
    inputs: Mapping[str, Any] | None = None,
    plan: Plan | None = None,
    budget: float | None = None,
    deadline_s: float = 300.0,
    retention_s: int = 3600,
    policies: Sequence[str] = (),
    skills: Sequence[str] = (),
    team: int = 0,
    prefer: Prefer = "balanced",
    attempts: int = 3,
    submitter: str = "",
    private: bool = False,
) -> Task:
    """Return a task. ``inputs`` are by name: str, bytes, a `Value`, or whatever JSON can say; USD, seconds."""
    return Task(
        id or f"t-{secrets.token_hex(8)}",
        text,
        tuple(Given(name, value_of(value)) for name, value in (inputs or {}).items()),
        plan,
        int(deadline_s * 1000),
        retention_s,
        budget,
        tuple(skills),
        tuple(policies),
        submitter,
        prefer,
        team,
        attempts,
        private=private,
    )


def value_of(value: Any) -> Value:
    """Return a Python value as it travels."""
    if isinstance(value, Value):
        return value
    if isinstance(value, bytes):
        return Value(values.BYTES, values.BYTES, value)
    kind = values.TEXT if isinstance(value, str) else values.JSON
    return values.encode(value, kind)
