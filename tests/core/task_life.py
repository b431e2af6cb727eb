"""A random life of one task machine: agents that answer anything, lookups late or never, people, owners that change."""

from collections.abc import Callable
from random import Random
from typing import Any, Final

import msgspec
import numpy as np

from foa.core import effects as fx
from foa.core.dag.blobs import Fetch, Fetched, assemble
from foa.core.dag.cases import Model, Recall, Recalled
from foa.core.effects import Effect, Event, Key
from foa.core.machines.task import machine
from foa.core.machines.task.pending import Consent, Join, Split, Stuck
from foa.core.machines.task.state import Context, Ended, Live, Rules, Shadow, TaskState, active
from foa.core.routing.choose import consider
from foa.core.routing.exchange import Answer, Asked, Awarded, Concluded, Weigh, Weighed, Weighted
from foa.core.routing.ownership import Anew, Holds, Lost, Opened
from foa.testing.sim.observing.laws import Book
from foa.wire import codec
from foa.wire.ids import Epoch, Version, partition_of
from foa.wire.messages import (
    Asking,
    Award,
    Blob,
    Cancel,
    Declined,
    Done,
    Embed,
    Failed,
    Found,
    Input,
    Progress,
    Result,
    State,
    Submit,
    Taken,
    Vectors,
)
from foa.wire.records import Given, Hit, Plan, Port, Query, Resources, Subtask, Task, Usage, Value
from foa.wire.topics import Topic
from tests.core.task_bench import REPLY, TOPICS, text

ME: Final = Key("task", "t1")
PLACE: Final = partition_of("t1", TOPICS.partitions)
VECTORS: Final = [np.eye(4, dtype=np.float16)[at].tobytes() for at in range(2)]
WORDS: Final = ("yes", "no", "this", "this", "this", "that", "that", "try again", "try again")


def _hit(agent: str, *, price: float = 0.0, **fields: Any) -> Hit:
    resources = Resources(price_call=price, concurrency=2)
    return Hit(f"acme/tools/{agent}", Version(1, 1), 0.9, 0.9, resources=resources, **fields)


def _port(kind: str) -> tuple[Port, ...]:
    return (Port("o", kind),)


AGENTS: Final = (
    *(_hit(f"a{n}", skills=("echo",), outputs=_port("text/plain"), refines=n != 2) for n in (1, 2, 4)),
    _hit("a3", skills=("echo",), outputs=_port("text/plain"), refines=True, price=0.01),
    *(_hit(f"o{n}", skills=("charge",), effects="once") for n in (1, 2)),
    *(_hit(f"p{n}", skills=("plan",), outputs=_port("plan")) for n in (1, 2, 3)),
    _hit("j1", skills=("synthesise",), price=0.01),
    _hit("page", outputs=_port("html")),
    _hit("read", inputs=_port("text/plain"), outputs=_port("columns")),
    _hit("write", inputs=_port("columns"), outputs=_port("html")),
)  # fmt: skip


def _document(*tables: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"subtask": tables})


PROPOSALS: Final = (
    _document({"id": "x", "text": "one half"}, {"id": "y", "text": "other half", "after": ["x"]}),
    _document({"id": "x", "text": "one half"}, {"id": "z", "text": "the rest"}),
    _document({"id": "x", "text": "ask first", "approve": True}, {"id": "y", "text": "go. Then stop.", "after": ["x"]}),
    _document({"id": "x", "text": "round", "after": ["y"]}, {"id": "y", "text": "and round", "after": ["x"]}),
    _document({"id": "~plan", "text": "mine"}, {"id": "~join", "text": "mine too"}),
    _document(*({"id": f"n{at}", "text": f"part {at} of it " * 9} for at in range(400))),
    _document({"id": "x", "text": "x" * 60_000}, {"id": "y", "text": "y" * 60_000}),
    _document({"id": "x" * 64, "text": "long"}, {"id": "y" * 64, "text": "name", "weight": 1e300}),
    b"{", b"[]", b"nonsense", b"{" * 5000, _document({"id": "", "text": ""}),
)  # fmt: skip


def wanted(rng: Random) -> Task:
    """Return a task of any sort."""
    plan = None if rng.random() < 0.2 else _plan(rng)
    return Task(
        "t1",
        "Echo the words. Then say them again. Finally echo both.",
        plan=plan,
        deadline_ms=20_000,
        retention_s=20,
        budget=rng.choice((None, None, None, 0.0, 0.02, 0.1)),
        attempts=rng.randrange(1, 4),
        team=rng.choice((0, 0, 0, 1, 2, 3)),
        attended=rng.random() < 0.5,
        joining=rng.choice(("", "", "merge")),
    )


def _plan(rng: Random) -> Plan:
    count = 130 if rng.random() < 0.02 else rng.randrange(1, 6)
    subtasks = tuple(_subtask(rng, f"s{at}") for at in range(count))
    edges = tuple((f"s{a}", f"s{b}") for b in range(min(count, 12)) for a in range(b) if rng.random() < 0.5)
    return Plan(subtasks, edges)


def _subtask(rng: Random, ident: str) -> Subtask:
    words = rng.choice(("echo it", "Echo one thing. Then say another. Finally echo both.", f"echo {ident}"))
    kind = rng.choice(("", "", "echo", "charge", "html"))
    skills = (kind,) if kind in {"echo", "charge"} else ()
    return Subtask(
        ident, words, skills=skills, produces=("html",) if kind == "html" else (), approve=rng.random() < 0.2,
        consent=rng.random() < 0.1, team=rng.choice((0, 0, 0, 1, 2)),
    )  # fmt: skip


class Life:
    """One task at one node; every message that leaves is read back from its bytes."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        rng = self.rng
        rules = Rules(learning=rng.random() < 0.5, planners=rng.choice((0, 4, 4)), patience_s=rng.choice((0.1, 3.0)),
                      team=rng.choice((2, 4)), escalate=rng.random() < 0.7)  # fmt: skip
        self.context = Context(TOPICS, rules)
        self.now = 100.0
        self.state: TaskState = Shadow(PLACE)
        self.epoch = 1
        self.book = Book()
        self.faults: list[Any] = []
        self.results: list[Result] = []
        self.edits: set[str] = set()
        self.awards: list[Award] = []
        self.asked: list[Event] = []
        self.words: list[Event] = []
        self.stale: list[Event] = []
        self.timers: dict[str, float] = {}
        self.blobs: dict[str, Blob] = {}
        self.loads: dict[str, int] = {}
        self.snapshots: dict[int, tuple[State, float]] = {}
        self.there = [one for one in AGENTS if rng.random() < 0.85]

    def feed(self, event: Event) -> None:
        before = self.state
        self.state, effects = machine.step(self.context, before, event, self.now, self.rng)
        self.faults += self.book.step(before, event, self.state, effects)
        for effect in effects:
            self._perform(effect)
        if isinstance(self.state, Live):
            self.edits |= {edit.kind for edit in self.state.edits}

    def _perform(self, effect: Effect) -> None:
        match effect:
            case fx.Publish(topic, message) if message is not None and not isinstance(message, bytes):
                self._sent(topic, codec.decode(codec.encode(message)), self.now + (effect.expiry_s or 0))
                if effect.token:
                    self.words.append(fx.Delivered(effect.token, 0))
            case fx.Wake(timer, at):
                self.timers[timer] = at
            case fx.Sleep(timer):
                self.timers.pop(timer, None)
            case fx.Tell(Key("lookup"), Asked() as asked):
                self.asked.append(fx.Told(Key("lookup"), self._answer(asked)))
            case fx.Tell(Key("cases"), Recall(token)):
                self.words.append(fx.Told(Key("cases"), Recalled(token, (), Model())))
            case fx.Tell(Key("blobs"), Fetch(token, refs)):
                bodies = {ref.digest: body for ref in refs if (body := assemble(ref, self.blobs)) is not None}
                self.words.append(fx.Told(Key("blobs"), Fetched(token, bodies, "")))
            case fx.Tell(Key("match"), word):
                self._matched(word)
            case fx.Tell(key, word) if key == ME:
                self.words.append(fx.Told(ME, word))

    def _sent(self, topic: str, message: Any, until: float) -> None:
        if isinstance(message, Award):
            self.awards.append(message)
        elif isinstance(message, Blob):
            self.blobs[topic.rpartition("/")[2]] = message
        elif isinstance(message, State):
            self.snapshots[message.group] = (message, until)
        elif isinstance(message, Result) and message not in self.results:
            self.results.append(message)

    def _matched(self, word: Any) -> None:
        match word:
            case Weigh(token, weights, items, _):
                known = {one.agent: b"1234" for one in AGENTS}
                made = tuple(
                    Weighted(one.ident, consider(one.query, one.hits, weights), one.hits, known) for one in items
                )
                self.words.append(fx.Told(Key("match"), Weighed(token, made)))
            case Awarded(award, _):
                self.loads[award] = self.loads.get(award, 0) + 1
            case Concluded() as ended:
                self.loads.pop(ended.award, None)

    def _answer(self, asked: Asked) -> Answer:
        if isinstance(asked.ask, Embed):
            vectors = tuple(self.rng.choice(VECTORS) for _ in asked.ask.texts)
            return Answer(asked.token, Vectors("hash", vectors))
        hits = tuple(self._find(query) for query in asked.ask.queries)
        vectors = tuple(self.rng.choice(VECTORS) for _ in hits)
        return Answer(asked.token, Found(hits, (0, 1, 2, 3), vectors=vectors))

    def _find(self, query: Query) -> tuple[Hit, ...]:
        near = 0.45 if ". " in query.text and self.rng.random() < 0.7 else 0.9  # whole, or only in parts
        return tuple(
            msgspec.structs.replace(one, cosine=near, spec=near)
            for one in self.there
            if one.agent not in query.exclude
            and set(query.skills) <= set(one.skills)
            and set(query.produces) <= {port.type for port in one.outputs}
            and (query.skills or not {"plan", "charge", "synthesise"} & set(one.skills))
        )

    # --- what happens ------------------------------------------------------------------------------------

    def begin(self) -> None:
        submit = fx.Received(Topic("submit", PLACE, "t1"), Submit(wanted(self.rng)), reply_to=REPLY)
        self.feed(fx.Told(Key("ownership"), Opened(PLACE, Epoch(1, "c1"), submit)))

    def happen(self) -> None:
        """Let one thing happen; usually what is next, now and then what nobody expects."""
        rng = self.rng
        odd: tuple[Callable[[], None], ...] = (
            self._person, self._person, self._elapse, self._again, self._owner, self._invented, self._rarely,
        )  # fmt: skip
        dice = rng.random()
        if dice < 0.08:
            rng.choice(odd)()
        elif self.words and dice < 0.8:
            self._word()
        elif self.asked and dice < 0.8:
            self._found()
        elif rng.random() < 0.3 and self._questions():
            self._person()
        else:
            self._says()
        self._pass(self.now + rng.choice((0.0, 0.0, 0.0, 0.02, 0.2)))

    def _questions(self) -> bool:
        return isinstance(self.state, Live) and any(work.question for work in self.state.works.values())

    def _pass(self, until: float) -> None:
        """Let time pass, and every timer that is due."""
        while self.timers and min(self.timers.values()) <= until:
            timer = min(self.timers, key=lambda one: (self.timers[one], one))
            self.now = max(self.now, self.timers.pop(timer))
            self.feed(fx.Elapsed(timer))
        self.now = max(self.now, until)

    def _word(self) -> None:
        event = self.words.pop(0)
        self.stale = [*self.stale, event][-20:]
        self.feed(event)

    def _found(self) -> None:
        event = self.asked.pop(0 if self.rng.random() < 0.8 else self.rng.randrange(len(self.asked)))
        dice = self.rng.random()
        if dice < 0.03:
            return  # never answered
        if dice < 0.06 and isinstance(event, fx.Told):
            event = event._replace(message=Answer(event.message.token, None, "no index"))
        self.stale = [*self.stale, event][-20:]
        self.feed(event)

    def _says(self) -> None:
        if not self.awards:
            return
        rng = self.rng
        runs = (
            {seat.award for work in active(self.state) for seat in work.seats}
            if isinstance(self.state, Live)
            else set()
        )
        now = [award for award in self.awards if award.award in runs]
        award = rng.choice(now if now and rng.random() < 0.9 else self.awards)
        self.feed(self._received("answer", self._reply(award)))

    def _reply(self, award: Award) -> Any:
        rng, ident, agent = self.rng, award.award, award.agent
        dice = rng.random()
        if dice < 0.6:
            usage = Usage(1, rng.choice((0.0, 0.0, 0.01, 9.0)))
            return Done(ident, "t1", agent, award.key, self._outputs(award), usage, confidence=rng.choice((None, 0.9)))
        if dice < 0.78:
            known = [given.source for given in award.inputs] + ["", "", "", "s0", "nobody"]
            refutes, later = rng.choice(known), rng.choice((0, 0, 0, 500))
            code = rng.choice(("handler", "retry", "lies"))
            return Failed(ident, "t1", agent, code, "why", rng.random() < 0.7, later, Usage(), refutes)
        if dice < 0.83:
            return Declined(ident, "t1", agent, rng.choice(("busy", "inputs")), "no")
        if dice < 0.9:
            return Asking(ident, "t1", agent, rng.choice(("which?", " ")), rng.choice(((), ("this", "that"))))
        return rng.choice((Taken(ident, "t1", agent), Progress(ident, "t1", agent, 0.5, "half", partial="so far")))

    def _outputs(self, award: Award) -> tuple[Given, ...]:
        if "plan" in award.subtask.skills:
            return (Given("plan", Value("plan", body=self.rng.choice(PROPOSALS))),)
        if award.subtask.produces:
            return (Given("o", Value("html", body=b"<p>")),)
        return text(self.rng.choice(WORDS)) if self.rng.random() < 0.9 else ()

    def _person(self) -> None:
        rng = self.rng
        known = list(self.state.works) if isinstance(self.state, Live) else []
        said = Input(
            "t1", rng.choice(["", "", *known, "nobody"]), rng.choice(WORDS), refute=rng.random() < 0.3,
            approve=rng.choice((None, None, None, True, True, True, True, False)),
        )  # fmt: skip
        event = self._received("input", said)._replace(
            reply_to="foa/v1/reply/u1/input", correlation=rng.choice((b"", b"1", str(rng.random()).encode()))
        )
        self.feed(event)

    def _elapse(self) -> None:
        if self.timers:
            self._pass(min(self.timers.values()))

    def _again(self) -> None:
        """Let something old be heard once more."""
        if self.stale:
            self.feed(self.rng.choice(self.stale))

    def _invented(self) -> None:
        ident = self.rng.choice(("s0", "s1", "s0.x", "main", "~plan", "~join", "nobody"))
        word = self.rng.choice((Stuck(ident, "no-route", "why"), Split(ident), Consent(ident), Join()))
        self.feed(fx.Told(ME, word))

    def _rarely(self) -> None:
        """Let something happen that has to do with the whole task, not with its plan."""
        if not isinstance(self.state, Live):
            return
        old = msgspec.structs.replace(self.snapshots[0][0], epoch=Epoch(0, "c0"))
        event = self.rng.choice((
            fx.Told(Key("ownership"), Anew(lost=True)),
            self._received("state", old),
            self._received("submit", Submit(self.state.task))._replace(reply_to=REPLY),
            self._received("submit", Submit(self.state.task))._replace(reply_to=REPLY),
            self._received("cancel", Cancel("t1", "not wanted")),
        ))  # fmt: skip
        self.feed(event)

    def _owner(self) -> None:
        """Lose the partition, hear less or more of what others know, and own it again."""
        if not isinstance(self.state, Live) or self.rng.random() < 0.5:
            return
        if self.rng.random() < 0.5:
            self.feed(fx.Told(Key("ownership"), Lost(PLACE)))
            assert self.loads == {}, "who steps back counts no load"
        else:  # the process died
            self.state, self.loads, self.timers = Shadow(PLACE), {}, {}
            for _, (seen, until) in sorted(self.snapshots.items(), reverse=True):
                left = max(0, int(until - self.now))
                self.feed(fx.Received(Topic("state", PLACE, "t1"), seen, retained=True, expiry_s=left))
        self.asked, self.words = [], []
        if self.rng.random() < 0.5:
            self._says()
        self.own()

    def own(self) -> None:
        self.epoch += 1
        self.feed(fx.Told(Key("ownership"), Holds(PLACE, Epoch(self.epoch, "c1"))))

    def _received(self, kind: Any, message: Any) -> fx.Received:
        return fx.Received(Topic(kind, PLACE, "t1"), codec.decode(codec.encode(message)))

    def end(self) -> None:
        """Let the deadline come."""
        if isinstance(self.state, Shadow):
            self.own()
        for _ in range(400):
            if isinstance(self.state, Ended):
                return
            assert self.timers, "nothing would ever happen again"
            assert self.now <= 122.0, "beyond the deadline"
            self._pass(min(self.timers.values()))
