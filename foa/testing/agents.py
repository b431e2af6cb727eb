"""Scripted agents: profiles, and handler services in virtual time that are slow, fail, fall silent, decline or err.

A service has the contract of `foa.nodes.agent.Handling`: `handler(job, done)` answers with `Yielded` or `Stumbled`,
`cancel(award, done)` stops. Everything is decided by the dice given, so a seed replays it.
"""

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, NamedTuple

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
    """How an agent behaves: seconds for one piece of work, and the probabilities of what goes wrong with it."""

    fastest_s: float = 0.01
    slowest_s: float = 0.05
    fails: float = 0.0
    silent: float = 0.0
    declines: float = 0.0
    errs: float = 0.0


class Begun(NamedTuple):
    """A handler was started: by whom, for what, and what it charges."""

    agent: str
    job: Job
    price: float


def profile(
    agent: str,
    *,
    skills: tuple[str, ...] = ("echo",),
    price: float = 0.0,
    slots: int = 2,
    holds: tuple[str, ...] = (),
    effects: Effects = "idempotent",
    refines: bool = False,
) -> Profile:
    """Return the profile of an agent that repeats what it is told, under one or more skills."""
    return Profile(
        agent,
        agent.rpartition("/")[2],
        f"I {WORDS}",
        skills=tuple(Skill(one, one, f"{one} {WORDS}", examples=(f"{one} these words",)) for one in skills),
        outputs=(Port("result", TEXT), *((Port("plan", "plan"),) if "plan" in skills else ())),
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


def echo(job: Job) -> tuple[Given, ...]:
    """Return the outputs of an honest echo, or of an honest planner."""
    if "plan" in job.award.subtask.skills:
        return (Given("plan", Value("plan", "application/json", proposal(job.award.subtask.text))),)
    return (Given("result", Value(TEXT, TEXT, answer_to(job.award.subtask, job.inputs))),)


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
            self._begun(Begun(self._owner.agent, job, self._owner.resources.price_call))
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
        if job.round:
            return Yielded(job.draft if job.draft == echo(job) else echo(job))
        if dice < temper.fails + temper.declines + temper.errs:
            kind = "plan" if "plan" in job.award.subtask.skills else TEXT
            return Yielded((Given("result", Value(kind, TEXT, b"nonsense")),))
        return Yielded(echo(job))
