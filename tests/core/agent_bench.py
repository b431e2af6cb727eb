"""An agent on a bench: its `announce` and `award` machines, telling each other, and a handler that waits for orders."""

from random import Random
from typing import Any, TypeVar

from foa.core import effects as fx
from foa.core.effects import Effect, Event, Key
from foa.core.machines.agent import announce, award
from foa.core.machines.agent.state import Agent, AwardState, Context, Fresh, Job, Rules, Stumbled, Yielded
from foa.core.vcv.card import card_of
from foa.core.vcv.profile import Profile
from foa.testing.agents import profile as profile_of
from foa.wire.ids import Epoch, partition_of
from foa.wire.messages import AnyMessage, Award, Settled, Withdrawn
from foa.wire.records import Given, Subtask, Team, Value
from foa.wire.topics import Topic, Topics

TOPICS = Topics("foa/v1", 4)
ME = "acme/tools/a1"
E1, E2 = Epoch(1, "c1"), Epoch(2, "c2")
M = TypeVar("M")


def text(body: str) -> tuple[Given, ...]:
    return (Given("result", Value("text/plain", "text/plain", body.encode())),)


def award_of(ident: str = "w1", task: str = "t1", **changes: Any) -> Award:
    fields: dict[str, Any] = {
        "award": ident, "task": task, "partition": partition_of(task, 4), "subtask": Subtask("main", "echo this"),
        "epoch": E1, "attempt": 1, "key": f"key-{task}", "lease_ms": 9000, "left_ms": 20_000, "agent": ME,
    }  # fmt: skip
    return Award(**(fields | changes))


class Bench:
    """Runs both kinds of machine as the driver does; `jobs` are the handlers started and not yet answered."""

    def __init__(self, profile: Profile | None = None, **rules: Any) -> None:
        made = profile or profile_of(ME, slots=1)
        self.context = Context(made, TOPICS, card_of(made, TOPICS), 1, Rules(**rules))
        self.now = 0.0
        self.agent = Agent(online=True)
        self.awards: dict[str, AwardState] = {}
        self.timers: dict[tuple[str, str], float] = {}
        self.jobs: dict[str, Job] = {}
        self.cancelled: list[str] = []
        self.kept: dict[str, AnyMessage] = {}

    def feed(self, key: Key, event: Event) -> list[Effect]:
        if key.kind == "agent":
            self.agent, effects = announce.step(self.context, self.agent, event, self.now, Random(0))
        elif key.kind == "award":
            state = self.awards.get(key.id, Fresh())
            self.awards[key.id], effects = award.step(self.context, state, event, self.now, Random(0))
        else:
            return []
        return [one for effect in effects for one in (effect, *self._perform(key, effect))]

    def _perform(self, key: Key, effect: Effect) -> list[Effect]:
        match effect:
            case fx.Tell(to, message):
                return self.feed(to, fx.Told(key, message))
            case fx.Wake(timer, at):
                self.timers[key.id, timer] = at
            case fx.Sleep(timer):
                self.timers.pop((key.id, timer), None)
            case fx.TellAll(kind, message):
                return [
                    one for ident in list(self.awards) for one in self.feed(Key(kind, ident), fx.Told(key, message))
                ]
            case fx.Persist(None, part):
                self.kept.pop(f"{key.id}#{part}" if part else key.id, None)
            case fx.Persist(message, part):
                assert message is not None
                self.kept[f"{key.id}#{part}" if part else key.id] = message
            case fx.Request("handler", _, job):
                self.jobs[key.id] = job
            case fx.Request("cancel", _, ident):
                self.cancelled.append(ident)
                self.jobs.pop(ident, None)
            case fx.Retire():
                self.awards.pop(key.id, None)
                self.timers = {name: at for name, at in self.timers.items() if name[0] != key.id}
        return []

    def offer(self, granted: Award) -> list[Effect]:
        return self.feed(announce.KEY, fx.Received(Topic("request", agent=ME), granted))

    def yields(self, ident: str, outputs: tuple[Given, ...] | None, token: str = "draft") -> list[Effect]:
        self.jobs.pop(ident)
        return self.feed(Key("award", ident), fx.Returned(token, Yielded(outputs)))

    def stumbles(self, ident: str, stumbled: Stumbled) -> list[Effect]:
        self.jobs.pop(ident)
        return self.feed(Key("award", ident), fx.Returned("draft", stumbled))

    def settle(self, ident: str, task: str = "t1") -> list[Effect]:
        return self.feed(Key("award", ident), fx.Received(Topic("request", agent=ME), Settled(ident, task, E1)))

    def withdraw(self, ident: str, task: str = "t1") -> list[Effect]:
        return self.feed(announce.KEY, fx.Received(Topic("request", agent=ME), Withdrawn(ident, task, E1)))

    def elapse(self, ident: str, timer: str) -> list[Effect]:
        self.now = max(self.now, self.timers.pop((ident, timer)))
        said: list[Effect] = []
        if self.timers.get(("", "tick"), self.now) < self.now:  # in order of time, as the driver has it
            del self.timers["", "tick"]
            said = self.feed(announce.KEY, fx.Elapsed("tick"))
        return [*said, *self.feed(Key("award", ident) if ident else announce.KEY, fx.Elapsed(timer))]

    def recorded(self, ident: str) -> list[Effect]:
        """Give the broker's receipt for the word that once-work begins."""
        return self.feed(Key("award", ident), fx.Delivered("begin", 0))

    def restart(self) -> list[Effect]:
        """Lose everything but what was kept."""
        self.agent, self.awards, self.timers, self.jobs = Agent(online=True), {}, {}, {}
        said: list[Effect] = []
        for name, kept in self.kept.copy().items():
            key = announce.KEY if name.startswith("#") else Key("award", name)
            said += self.feed(key, fx.Restored(kept))
        return said


def sent(effects: list[Effect], kind: type[M]) -> list[M]:
    return [one.message for one in effects if isinstance(one, fx.Publish) and isinstance(one.message, kind)]


def team(*members: str, rounds: int = 2) -> Team:
    return Team("cl1", tuple(f"acme/tools/{member}" for member in members), rounds, 1000)
