"""What every runner is: one agent's own code, behind three coroutines the agent node calls.

``await start()`` once before the agent announces itself (ConfigError if it cannot work), then ``run`` per
award and ``revise`` per round of a cluster, any number at a time, and ``close()``. Whatever the code does,
a runner raises only Retry, Decline, AgentFailed, Ask or Refute; cancelling the coroutine stops the work where it can.
A runner that can do more has the methods of `Critic`, `Planner` or `Synthesiser` too.
"""

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

import msgspec

from foa.adapters.handlers import Assignment
from foa.adapters.models.endpoint import Endpoint
from foa.adapters.peers import Critique, Peer
from foa.core.vcv.profile import Profile
from foa.errors import AgentFailed, ConfigError, Decline
from foa.wire.records import Given, Port, Value

MAX_ANSWER: Final = 8 * 1024 * 1024

Outcome = tuple[Given, ...]


class Run(msgspec.Struct, frozen=True):
    """How an agent's code is run: exactly one of ``python``, ``command``, ``http`` and ``openai`` is set.

    ``timeout_s`` bounds one call (the award's own time does too); ``cwd`` is absolute; ``env`` names the
    variables of the environment that it needs; ``revise``, ``critique``, ``plan`` and
    ``synthesise`` are further ``file.py:function``. ``jobs`` says which of the latter three a command or an endpoint
    understands.
    """

    python: str = ""
    command: tuple[str, ...] = ()
    http: str = ""
    openai: Endpoint | None = None
    revise: str = ""
    critique: str = ""
    plan: str = ""
    synthesise: str = ""
    jobs: tuple[str, ...] = ()
    timeout_s: float = 300.0
    cwd: str = ""
    env: tuple[str, ...] = ()


class Declared(msgspec.Struct, frozen=True):
    """A profile file that was read: who the agent is, how it runs, where it was declared."""

    profile: Profile
    run: Run
    path: Path


class Runner(Protocol):
    """One agent's own code. ``profile`` is what it was declared to be; one call is ended after ``timeout_s``."""

    profile: Profile
    timeout_s: float

    async def start(self) -> None:
        """Make ready; ConfigError names what is missing."""

    async def run(self, assignment: Assignment) -> Outcome:
        """Do the work and return its outputs."""

    async def revise(self, assignment: Assignment, draft: Outcome, peers: tuple[Outcome, ...]) -> Outcome | None:
        """Answer the other members' drafts with a better one; None keeps `draft`."""

    async def close(self) -> None:
        """Give back what `start` took; work in flight was cancelled before."""


@runtime_checkable
class Critic(Protocol):
    """A runner that says what is wrong with others' drafts."""

    async def critique(
        self, assignment: Assignment, draft: Outcome, peers: tuple[Peer[Outcome], ...]
    ) -> Mapping[str, Critique]:
        """Return critiques by the peers' agent ids; `draft` is this agent's own."""


@runtime_checkable
class Planner(Protocol):
    """A runner that may have a planner beside its draft."""

    async def plan(self, assignment: Assignment) -> Outcome | None:
        """Return a value of type ``plan``; None if it has no planner of its own, so that `run` is asked."""


@runtime_checkable
class Synthesiser(Protocol):
    """A runner that may make one answer of parts."""

    async def synthesise(self, assignment: Assignment) -> Outcome | None:
        """Return the one answer; None if it has no way of its own, so that `run` is asked."""


def lacking(run: Run) -> tuple[str, ...]:
    """Return the variables of the environment that an agent needs and that are not set (or, for a model, empty)."""
    needed = [name for name in run.env if name not in os.environ]
    if run.openai is not None:
        needed += [name for name in run.openai.variables if not os.environ.get(name, "").strip()]
    return tuple(dict.fromkeys(needed))


def check_environment(declared: Declared) -> None:
    """Raise ConfigError if a variable that the profile names is not set."""
    for name in declared.run.env:
        if name not in os.environ:
            raise ConfigError(f"{declared.path}: run.env: {name} is not set in the environment")


def seconds_left(run_s: float, assignment: Assignment) -> float:
    """Return how long one call may take: the profile's own bound and what the award has left."""
    return max(0.001, min(run_s, assignment.left_ms / 1000))


def too_slow(seconds: float) -> AgentFailed:
    """Say that the time ran out; another attempt may do better."""
    return AgentFailed(f"took longer than {seconds:g} s")


def lies(detail: str) -> AgentFailed:
    """Say that an answer is not what the profile declares; trying again would not mend it."""
    return AgentFailed(f"lies about its types: {detail}", retryable=False)


def garbage(detail: str) -> AgentFailed:
    """Say that an answer cannot be read at all."""
    return AgentFailed(f"answered garbage: {detail}")


def outcome(ports: tuple[Port, ...], values: Mapping[str, Value]) -> Outcome:
    """Return `values` in the order declared; AgentFailed if one is missing or was never declared."""
    missing = [port.name for port in ports if port.name not in values and not port.optional]
    if missing:
        raise lies(f"no output {', '.join(map(repr, missing))}")
    unknown = sorted(values.keys() - {port.name for port in ports})
    if unknown:
        raise lies(f"output {unknown[0][:80]!r} was not declared")
    return tuple(Given(port.name, values[port.name]) for port in ports if port.name in values)


def critiques_of(said: Any, agents: Collection[str]) -> dict[str, Critique]:
    """Return critiques by agent, of a mapping from agents to words or `Critique`, or of many `Critique`.

    What is said of anybody else is left out; AgentFailed if it is nothing of the kind.
    """
    if said is None:
        return {}
    found: Iterable[tuple[Any, Any]] = said.items() if isinstance(said, Mapping) else ()
    if not isinstance(said, Mapping):
        if isinstance(said, str | bytes) or not isinstance(said, Iterable):
            raise lies(f"got {type(said).__name__}, declared critiques by agent")
        found = [(getattr(each, "agent", None), each) for each in said]
    kept: dict[str, Critique] = {}
    for agent, each in found:
        one = Critique(str(agent), each) if isinstance(each, str) else each
        if not isinstance(one, Critique):
            raise lies(f"got {type(each).__name__}, declared Critique")
        if agent in agents:
            kept[str(agent)] = Critique(str(agent), one_line(one.text), _score(one.score))
    return kept


def _score(score: float | None) -> float | None:
    """Return a score within [0, 1]; None if it is no number."""
    if isinstance(score, bool) or not isinstance(score, int | float) or score != score:  # noqa: PLR0124 - nan
        return None
    return min(1.0, max(0.0, float(score)))


def words(error: Decline) -> tuple[str, str]:
    """Return the code and the reason of a Decline: ``Decline(reason)`` or ``Decline(code, reason)``."""
    said = [str(each) for each in error.args]
    code = said[0][:64] if len(said) > 1 and said[0] else "declined"
    return code, (said[-1] if said else "")[:512]


def one_line(text: Any) -> str:
    """Return `text` fit for a reason that travels: one line, at most 400 characters."""
    return " ".join(str(text).split())[:400]
