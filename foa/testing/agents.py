"""Scripted agents: profiles, and handler services in virtual time that are slow, fail, fall silent, decline or err.

A service has the contract of `foa.nodes.agent.Handling`: `handler(job, done)` answers with `Yielded` or `Stumbled`,
`cancel(award, done)` stops. Everything is decided by the dice given, so a seed replays it.
"""

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, Final, NamedTuple

from msgspec import json

from foa.bus.port import Clock, Handle
from foa.core.machines.agent.state import Job, Stumbled, Yielded
from foa.core.vcv.profile import Profile, Skill, Spec
from foa.nodes.ports import Done, Service
from foa.wire.ids import digest_of
from foa.wire.records import Effects, Given, Port, Resources, Subtask, Value

TEXT = "text/plain"
WORDS = "repeat echo say words text again"


class Temper(NamedTuple):
    """How an agent behaves: seconds for one piece of work, and the probabilities of what goes wrong with it.

    One that ``asks`` wants a person's word first; one that ``refutes`` finds fault with what it was given; a ``wild``
    planner proposes anything; one that ``wavers`` changes its mind in every round.
    """

    fastest_s: float = 0.01
    slowest_s: float = 0.05
    fails: float = 0.0
    silent: float = 0.0
    declines: float = 0.0
    errs: float = 0.0
    asks: bool = False
    refutes: float = 0.0
    wild: bool = False
    wavers: bool = False


class Begun(NamedTuple):
    """A handler was started: by whom, for what, what it charges, and the policies that agent holds.

    ``beside``: it runs for that award already.
    """

    agent: str
    job: Job
    price: float
    holds: tuple[str, ...] = ()
    beside: bool = False


def profile(
    agent: str,
    *,
    skills: tuple[str, ...] = ("echo",),
    price: float = 0.0,
    slots: int = 2,
    holds: tuple[str, ...] = (),
    effects: Effects = "idempotent",
    refines: bool = False,
    takes: str = "",
    yields: str = TEXT,
) -> Profile:
    """Return the profile of an agent that repeats what it is told, under one or more skills."""
    return Profile(
        agent,
        agent.rpartition("/")[2],
        f"I {WORDS}",
        skills=tuple(Skill(one, one, f"{one} {WORDS}", examples=(f"{one} these words",)) for one in skills),
        inputs=(Port("source", takes),) if takes else (),
        outputs=(Port("result", yields), *((Port("plan", "plan"),) if "plan" in skills else ())),
        resources=Resources(price_call=price, concurrency=slots),
        holds=holds,
        effects=effects,
        refines=refines,
        spec=Spec(goals=(f"{WORDS} {' '.join(skills)}",)),
    )


def answer_to(subtask: Subtask, inputs: tuple[Given, ...]) -> bytes:
    """Return the one right answer: the text, and the digest of what it was given, so that lost inputs show."""
    if not inputs:
        return f"{subtask.id}: {subtask.text}".encode()
    given = b"|".join(sorted(each.value.body or b"?" for each in inputs))
    return f"{subtask.id}: {subtask.text} [{digest_of(given)[:12]}]".encode()


def proposal(text: str) -> bytes:
    """Return a plan file for any text: its halves, then both together."""
    half = len(text) // 2
    parts = {"one": text[:half].strip() or "echo", "two": text[half:].strip() or "echo"}
    tables: list[dict[str, Any]] = [{"id": name, "text": f"echo these words: {part}"} for name, part in parts.items()]
    tables.append({"id": "three", "text": "repeat both texts", "after": ["one", "two"]})
    return json.encode({"subtask": tables})


def _document(*tables: dict[str, Any]) -> bytes:
    return json.encode({"subtask": tables})


WILD: Final = (
    _document({"id": "one", "text": "echo these words"}, {"id": "two", "text": "then say the text", "after": ["one"]}),
    _document({"id": "one", "text": "echo, may I", "approve": True}, {"id": "two", "text": "echo. Then say it again."}),
    _document({"id": "one", "text": "round", "after": ["two"]}, {"id": "two", "text": "and round", "after": ["one"]}),
    _document({"id": "~plan", "text": "mine"}, {"id": "~join", "text": "mine too"}),
    _document(*({"id": f"n{at}", "text": f"echo words {at}"} for at in range(300))),
    _document({"id": "one", "text": "x" * 50_000}, {"id": "two", "text": "y" * 50_000}),
    _document({"id": "x" * 64, "text": "repeat words"}, {"id": "y" * 64, "text": "say text", "weight": 1e300}),
    b"[]",
    b"{" * 3000,
    b"nonsense",
    b"",
)
"""What a wild planner proposes: other plans, hostile ones, huge ones, and what is no plan."""


def echo(job: Job, kind: str = TEXT) -> tuple[Given, ...]:
    """Return the outputs of an honest echo, or of an honest planner."""
    if "plan" in job.award.subtask.skills:
        return (Given("plan", Value("plan", "application/json", proposal(job.award.subtask.text))),)
    return (Given("result", Value(kind, TEXT, answer_to(job.award.subtask, job.inputs))),)


class Hands:
    """The services of one life of a scripted agent. ``begun`` hears of every start."""

    def __init__(
        self, owner: Profile, temper: Temper, clock: Clock, rng: Random, begun: Callable[[Begun], None]
    ) -> None:
        self._owner = owner
        self._temper = temper
        self._clock = clock
        self._rng = rng
        self._begun = begun
        self._work: dict[str, Handle] = {}

    def services(self) -> dict[str, Service]:
        """Return the services by name."""
        return {"handler": self.handler, "cancel": self.cancel}

    def handler(self, job: Job, done: Done) -> None:
        """Start one draft or revision."""
        temper, rng = self._temper, self._rng
        if not job.round:
            owner = self._owner
            self._begun(Begun(owner.agent, job, owner.resources.price_call, owner.holds, job.award.award in self._work))
        when = self._clock.time() + rng.uniform(temper.fastest_s, temper.slowest_s)
        if rng.random() < temper.silent:
            return
        self._work[job.award.award] = self._clock.call_at(when, partial(self._finish, job, done, self._outcome(job)))

    def cancel(self, award: str, done: Done) -> None:
        """Stop the work on an award, if any runs."""
        del done
        if (handle := self._work.pop(award, None)) is not None:
            handle.cancel()

    def _finish(self, job: Job, done: Done, outcome: Yielded | Stumbled) -> None:
        self._work.pop(job.award.award, None)
        done(outcome, "")

    def _outcome(self, job: Job) -> Yielded | Stumbled:
        temper, dice = self._temper, self._rng.random()
        if dice < temper.fails:
            return Stumbled("failed", "handler", "it went wrong")
        if dice < temper.fails + temper.declines and self._owner.effects != "once":
            return Stumbled("declined", "inputs", "not like this")
        if job.critical:
            return Yielded(None)
        if stumbled := self._objection(job):
            return stumbled
        if job.round:
            return self._revised(job)
        plans = "plan" in job.award.subtask.skills
        if plans and temper.wild:
            return Yielded((Given("plan", Value("plan", "application/json", self._rng.choice(WILD))),))
        if dice < temper.fails + temper.declines + temper.errs:
            return Yielded((Given("result", Value("plan" if plans else TEXT, TEXT, b"nonsense")),))
        return Yielded(self._honest(job))

    def _honest(self, job: Job) -> tuple[Given, ...]:
        return echo(job, self._owner.outputs[0].type)

    def _objection(self, job: Job) -> Stumbled | None:
        """Ask a person first, or find fault with an input."""
        if self._temper.asks and not any(given.name.startswith("answer") for given in job.inputs):
            return Stumbled("asking", "input", "in which colour?", options=("red", "blue"))
        sources = [given.source for given in job.inputs if given.source]
        if sources and self._rng.random() < self._temper.refutes:
            return Stumbled("failed", "refuted", "that is not right", refutes=sources[-1])
        return None

    def _revised(self, job: Job) -> Yielded:
        honest = self._honest(job)
        if self._temper.wavers:
            other = (Given("result", Value(TEXT, TEXT, b"nonsense %d" % self._rng.randrange(3))),)
            return Yielded(self._rng.choice((None, honest, other)), confidence=self._rng.random())
        return Yielded(job.draft if job.draft == honest else honest)
