"""One task machine on a bench: events in, effects out, lookups answered from a list of agents."""

from collections.abc import Callable
from random import Random
from typing import Any, TypeVar

from foa.core import effects as fx
from foa.core.dag.cases import Model, Recall, Recalled
from foa.core.effects import Effect, Event, Key
from foa.core.machines.task import machine
from foa.core.machines.task.state import Context, Ended, Live, Rules, Shadow, TaskState
from foa.core.routing.exchange import Answer, Asked
from foa.core.routing.ownership import Holds, Opened
from foa.wire.ids import Epoch, Version, partition_of
from foa.wire.messages import Ask, Award, Declined, Done, Failed, Found, Progress, Submit, Taken
from foa.wire.records import Effects, Given, Hit, Plan, Query, Resources, Subtask, Task, Usage, Value
from foa.wire.topics import Topic, Topics

TOPICS = Topics("foa/v1", 4)
E1, E2 = Epoch(1, "c1"), Epoch(2, "c2")
REPLY = "foa/v1/reply/u1/task"
M = TypeVar("M")


def text(body: str) -> tuple[Given, ...]:
    return (Given("result", Value("text/plain", "text/plain", body.encode())),)


def hit(
    agent: str, price: float = 0.0, effects: Effects = "idempotent", holds: tuple[str, ...] = (), slots: int = 1
) -> Hit:
    return Hit(
        f"acme/tools/{agent}",
        Version(1, 1),
        0.9,
        0.9,
        holds=holds,
        resources=Resources(price_call=price, concurrency=slots),
        effects=effects,
    )


def task(ident: str = "t1", **changes: Any) -> Task:
    fields: dict[str, Any] = {"text": "echo this", "deadline_ms": 20_000, "retention_s": 20}
    return Task(ident, **(fields | changes))


def chain() -> Plan:
    return Plan((Subtask("a", "first"), Subtask("b", "then")), (("a", "b"),))


class Bench:
    """Holds the state; `feed` steps it, answers its lookups with `hits`, and returns all effects."""

    def __init__(self, *hits: Hit, ident: str = "t1", **rules: Any) -> None:
        self.context = Context(TOPICS, Rules(**rules))
        self.partition = partition_of(ident, TOPICS.partitions)
        self.ident = ident
        self.state: TaskState = Shadow(self.partition)
        self.hits = list(hits)
        self.now = 100.0
        self.asked: list[Asked] = []
        self.timers: dict[str, float] = {}
        self.retired = False
        self.found_by: Callable[[Query], tuple[Hit, ...]] | None = None

    def feed(self, event: Event, *, answer: bool = True) -> list[Effect]:
        self.state, effects = machine.step(self.context, self.state, event, self.now, Random(0))
        everything = list(effects)
        own: list[Event] = []
        for effect in effects:
            match effect:
                case fx.Wake(timer, at):
                    self.timers[timer] = at
                case fx.Sleep(timer):
                    self.timers.pop(timer, None)
                case fx.Retire():
                    self.retired = True
                case fx.Tell(Key("lookup"), Asked(_, Ask()) as asked):
                    self.asked.append(asked)
                case fx.Tell(Key("cases"), Recall(token)):
                    own.append(fx.Told(Key("cases"), Recalled(token, (), Model())))
                case fx.Tell(Key("task", self.ident) as me, word):
                    own.append(fx.Told(me, word))
        for word in own:
            everything += self.feed(word, answer=answer)
        while answer and self.asked:
            everything += self.feed(self.found(self.asked.pop(0)))
        return everything

    def found(self, asked: Asked) -> Event:
        assert isinstance(asked.ask, Ask)
        find = self.found_by or (lambda query: tuple(one for one in self.hits if one.agent not in query.exclude))
        hits = tuple(find(query) for query in asked.ask.queries)
        return fx.Told(Key("lookup"), Answer(asked.token, Found(hits, (0, 1, 2, 3))))

    def submit(self, wanted: Task, *, answer: bool = True) -> list[Effect]:
        """Submit to the owner, and give it the broker's receipt for its first snapshot."""
        opened = Opened(self.partition, E1, self.received("submit", Submit(wanted), reply_to=REPLY))
        effects = self.feed(fx.Told(Key("ownership"), opened), answer=answer)
        return effects + self.feed(fx.Delivered("accept", 0), answer=answer)

    def received(self, kind: Any, message: Any, reply_to: str = "") -> fx.Received:
        return fx.Received(Topic(kind, self.partition, self.ident), message, reply_to=reply_to)

    def answer(self, message: Any) -> list[Effect]:
        return self.feed(self.received("answer", message))

    def elapse(self, timer: str) -> list[Effect]:
        self.now = max(self.now, self.timers.pop(timer))
        return self.feed(fx.Elapsed(timer))

    def become_owner(self, epoch: Epoch = E2) -> list[Effect]:
        return self.feed(fx.Told(Key("ownership"), Holds(self.partition, epoch)))

    @property
    def live(self) -> Live:
        assert isinstance(self.state, Live), self.state
        return self.state

    @property
    def ended(self) -> Ended:
        assert isinstance(self.state, Ended), self.state
        return self.state


def sent(effects: list[Effect], kind: type[M]) -> list[M]:
    """Return the published messages of one kind, in order."""
    return [one.message for one in effects if isinstance(one, fx.Publish) and isinstance(one.message, kind)]


def done(award: Award, body: str = "this", cost: float = 0.0) -> Done:
    return Done(award.award, award.task, award.agent, award.key, text(body), Usage(1, cost))


def failed(award: Award, code: str = "handler", *, retryable: bool = True) -> Failed:
    return Failed(award.award, award.task, award.agent, code, "it went wrong", retryable)


def declined(award: Award, code: str = "inputs") -> Declined:
    return Declined(award.award, award.task, award.agent, code, "no")


def taken(award: Award, *, started: bool = True) -> Taken:
    return Taken(award.award, award.task, award.agent, started)


def progress(award: Award) -> Progress:
    return Progress(award.award, award.task, award.agent)
