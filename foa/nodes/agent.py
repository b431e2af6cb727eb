"""The agent: shows a profile, takes awards, and has its author's code do the work. Loads neither torch nor scipy."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any, Final, Protocol, Self

from foa.adapters.binding import is_answer
from foa.adapters.handlers import PLAN, SYNTHESISE, Assignment, inputs_of
from foa.adapters.metering import Meter
from foa.adapters.peers import Critique, Peer
from foa.adapters.runners.base import Critic, Planner, Runner, Synthesiser
from foa.bus.port import Will
from foa.core import effects as fx
from foa.core.dag.blobs import CHUNK
from foa.core.effects import Key, Step
from foa.core.machines import blobs, lookup
from foa.core.machines.agent import announce, award, showing
from foa.core.machines.agent.state import Agent, Context, Fresh, Job, Rules, Stumbled, Yielded
from foa.core.vcv.card import card_of
from foa.core.vcv.profile import Profile
from foa.errors import AgentFailed, Ask, Decline, Refute, Retry
from foa.nodes.births import born
from foa.nodes.host import Host, Place, ring_of, topics_of
from foa.nodes.ports import Done, Service
from foa.nodes.window import frame_of
from foa.settings import Settings
from foa.wire.ids import node_of
from foa.wire.messages import Settled
from foa.wire.records import Given
from foa.wire.topics import Topics

OVERDUE_S: Final = 2.0
"""How long a runner may take to end a call whose time is out."""

LEAST_S: Final = 10.0
"""No handler is given up for its declared p95 before this."""

MAX_STUBBORN: Final = 64
"""Calls that were cancelled and go on; with so many no more are begun."""


class Worker(Protocol):
    """An author's code, as the runners of `foa.adapters.runners` wrap it; it may be a Critic, Planner, Synthesiser."""

    async def run(self, assignment: Assignment) -> tuple[Given, ...]:
        """Do the work; raises Retry, Decline, AgentFailed, Ask or Refute."""

    async def revise(
        self, assignment: Assignment, draft: tuple[Given, ...], peers: tuple[tuple[Given, ...], ...]
    ) -> tuple[Given, ...] | None:
        """Improve `draft` in view of the others'; None keeps it."""


class AgentProgram:
    """The machines of an agent: the agent, one per award, and the lookup and blobs they share."""

    def __init__(
        self,
        profile: Profile,
        birth: int,
        settings: Settings,
        topics: Topics,
        call_s: float = inf,
        *,
        sign: Callable[[bytes], bytes] | None = None,
    ) -> None:
        """`birth` is the epoch of the capability vector: higher at every start. One call takes at most `call_s`.

        ``sign`` adds a signature to the card.
        """
        self.roots: tuple[Key, ...] = (announce.KEY, lookup.KEY, blobs.KEY)
        card = card_of(profile, topics)
        card = card if sign is None else sign(card)
        context = Context(profile, topics, card, birth, _rules(profile, settings, call_s))
        self.context = context
        self._first: dict[str, Callable[[], Any]] = {
            announce.KEY.kind: Agent,
            "award": Fresh,
            lookup.KEY.kind: lambda: lookup.new(
                lookup.Setup(
                    topics=topics,
                    node=node_of(profile.agent),
                    answer_s=settings.index.ask_ms / 1000,
                    ttl_s=3 * settings.coordinator.refresh_s,
                )
            ),
            blobs.KEY.kind: lambda: blobs.State(topics),
        }
        self.steps: Mapping[str, Step[Any]] = {
            announce.KEY.kind: partial(announce.step, context),
            "award": partial(award.step, context),
            lookup.KEY.kind: lookup.step,
            blobs.KEY.kind: blobs.step,
        }

    def birth(self, key: Key) -> Any | None:
        """Return the first state of a machine."""
        first = self._first.get(key.kind)
        return None if first is None else first()

    def route(self, event: fx.Received | fx.Cleared, known: Callable[[Key], bool]) -> tuple[Key, ...]:
        """Say whose event it is."""
        kind = event.topic.kind
        if kind == "request":
            if isinstance(event, fx.Received) and isinstance(event.message, Settled):
                key = Key("award", event.message.award)
                return (key,) if known(key) else ()
            return (announce.KEY,)
        if kind in {"channel", "control"}:
            return (announce.KEY,)
        if kind == "blob":
            return (blobs.KEY,)
        return (lookup.KEY,) if kind in {"presence", "reply"} else ()


def hung_s(profile: Profile, settings: Settings, call_s: float) -> float:
    """Return after how long without a sign of its own a handler is given up, in seconds.

    What its runner ends by itself after `call_s` has `OVERDUE_S` more to end; where a p95 is declared, a multiple.
    """
    limits = [call_s + OVERDUE_S]
    if settings.agent.hung and profile.resources.p95_ms:
        limits.append(max(LEAST_S, settings.agent.hung * profile.resources.p95_ms / 1000))
    return min(limits)


def _rules(profile: Profile, settings: Settings, call_s: float) -> Rules:
    return Rules(
        hung_s=hung_s(profile, settings, call_s),
        refresh_s=settings.agent.refresh_s,
        crashes=settings.agent.crashes,
        keep_s=settings.wire.retention_s,
        kept=settings.agent.kept,
        repeat_s=settings.agent.repeat_ms / 1000,
        backlog=max(settings.agent.queue, 0) / max(1, profile.resources.concurrency),
        inline_bytes=settings.wire.inline_limit,
        chunk_bytes=min(settings.wire.chunk, CHUNK),
        blob_expiry_s=settings.wire.retention_s,
    )


@dataclass
class Handling:
    """The handler service: one asyncio task per piece of work, cancelled when its award is.

    ``keep`` makes durable what the machines wanted kept: that a work was begun, before the author's code runs. Where
    that cannot be, the work is another agent's.
    """

    worker: Worker
    tell: Callable[[Key, Any], None]
    keep: Callable[[], bool] = lambda: True

    def __post_init__(self) -> None:
        """Start with nothing running."""
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stubborn: set[asyncio.Task[None]] = set()

    def handler(self, job: Job, done: Done) -> None:
        """Start one draft or revision; `done` gets `Yielded` or `Stumbled`."""
        if len(self._stubborn) >= MAX_STUBBORN:
            count = f"{MAX_STUBBORN} earlier calls were cancelled and have not ended; restart the agent"
            done(Stumbled("failed", "hung", count), "")
            return
        task = asyncio.get_running_loop().create_task(self._work(job, done))
        self._tasks[job.award.award] = task
        task.add_done_callback(partial(self._ended, job.award.award))

    def cancel(self, award_id: str, done: Done) -> None:
        """Stop the work on an award, if any runs; code that will not be cancelled is counted until it ends."""
        del done
        if (task := self._tasks.pop(award_id, None)) is not None:
            self._stubborn.add(task)
            task.cancel()

    def _ended(self, award_id: str, task: asyncio.Task[None]) -> None:
        self._stubborn.discard(task)
        if self._tasks.get(award_id) is task:
            del self._tasks[award_id]

    async def finish(self, seconds: float) -> None:
        """Wait for the work that runs, at most `seconds`; then stop it."""
        running = list(self._tasks.values())
        if running:
            await asyncio.wait(running, timeout=seconds)
        for task in running:
            task.cancel()

    async def _work(self, job: Job, done: Done) -> None:
        if not self.keep():
            done(Stumbled("declined", "disk", "that this work was begun cannot be kept: the disk is full"), "")
            return
        meter = Meter(partial(self.tell, Key("award", job.award.award)))
        try:
            outcome = await attempt(self.worker, job, meter)
        finally:
            meter.close()
        done(outcome, "")


async def attempt(worker: Worker, job: Job, meter: Meter) -> Yielded | Stumbled:
    """Do one job and say what came of it, in the words that travel."""
    assignment = assignment_of(job, meter)
    try:
        made = await (_round(worker, job, assignment) if job.round else _first(worker, job, assignment))
        return made._replace(confidence=meter.confidence)
    except Ask as error:
        return Stumbled("asking", "ask", str(error.question), options=tuple(map(str, error.options)))
    except Refute as error:
        return Stumbled("failed", "refuted", error.reason, refutes=error.source)
    except Decline as error:
        code, reason = error.args if len(error.args) == 2 else ("declined", str(error))  # noqa: PLR2004 - code, reason
        return Stumbled("declined", str(code)[:64] or "declined", str(reason))
    except Retry as error:
        return Stumbled(
            "failed", "retry", str(error) or "the agent asks for another try", after_ms=int(error.after * 1000)
        )
    except AgentFailed as error:
        return Stumbled("failed", _code(str(error)), str(error), error.retryable)


async def _first(worker: Worker, job: Job, assignment: Assignment) -> Yielded:
    """Plan or synthesise if that is what is asked and the author has a way of its own, else draft."""
    subtask = job.award.subtask
    made = None
    if PLAN in subtask.skills and isinstance(worker, Planner):
        made = await worker.plan(assignment)
    elif SYNTHESISE in subtask.skills and isinstance(worker, Synthesiser):
        made = await worker.synthesise(assignment)
    return Yielded(await worker.run(assignment) if made is None else made)


async def _round(worker: Worker, job: Job, assignment: Assignment) -> Yielded:
    """Critique the others' drafts, then (unless critiques alone are wanted) revise in view of them."""
    said: Mapping[str, Critique] = {}
    members = tuple(peer for peer in assignment.peers if not peer.guest)
    if isinstance(worker, Critic) and members:
        try:
            said = await worker.critique(assignment, job.draft, members)
        except (AgentFailed, Retry, Decline) as error:
            assignment.progress(0.0, f"no critique: {error}")
    outputs = None if job.critical else await worker.revise(assignment, job.draft, job.peers)
    words = {agent: one.text for agent, one in said.items() if one.text}
    scores = {agent: one.score for agent, one in said.items() if one.score is not None}
    return Yielded(outputs, critiques=words, scores=scores)


def _code(reason: str) -> str:
    """Return the word for a failure that discredits the agent rather than the subtask."""
    return "lies" if reason.startswith("lies") else "garbage" if reason.startswith("answered garbage") else "handler"


def assignment_of(job: Job, meter: Meter) -> Assignment:
    """Return what the author's code is given."""
    granted = job.award
    members = granted.team.members if granted.team is not None else ()
    return Assignment(
        text=granted.subtask.text,
        task=granted.task,
        subtask=granted.subtask.id,
        key=granted.key,
        attempt=granted.attempt,
        left_ms=job.left_ms,
        budget=granted.budget,
        policies=granted.policies,
        inputs=inputs_of(job.inputs),
        progress=meter.progress,
        round=job.round,
        stream=meter.stream,
        charge=meter.charge,
        confident=meter.confident,
        answers=tuple((each.value.body or b"").decode(errors="replace") for each in job.inputs if is_answer(each)),
        peers=tuple(
            Peer(
                one.agent,
                one.outputs,
                one.critiques.get(granted.agent, ""),
                one.confidence,
                one.agent not in members or one.subtask not in ("", granted.subtask.id),
            )
            for one in job.others
        ),
    )


class AgentHost(Host):
    """A host that also starts and closes the author's code."""

    def __init__(self, runner: Runner, settings: Settings) -> None:
        """Run what `runner` declares."""
        profile, topics = runner.profile, topics_of(settings)
        life = born(settings.node.state_dir, node_of(profile.agent))
        ring = ring_of(settings, profile.agent)
        sign = None if ring is None else ring.card
        program = AgentProgram(profile, life.number, settings, topics, runner.timeout_s, sign=sign)
        self.handling = Handling(runner, self._tell, self._keep)
        self._runner = runner
        self._drain_s = settings.agent.drain_s
        services: dict[str, Service] = {"handler": self.handling.handler, "cancel": self.handling.cancel}
        place = Place(profile.agent, node_of(profile.agent), will_of(program.context))
        super().__init__(place, program, services, settings, ring)

    def _tell(self, key: Key, message: Any) -> None:
        self.driver.tell(key, message)

    def _keep(self) -> bool:
        return self.driver.settle()

    async def __aenter__(self) -> Self:
        """Make the author's code ready before anybody can find the agent."""
        await self._runner.start()
        return await super().__aenter__()

    async def __aexit__(self, *exc: object) -> None:
        """Take nothing new, let what runs finish for a while, then say goodbye."""
        if self.driver.online:
            self.driver.tell(announce.KEY, "leave")
        await self.handling.finish(self._drain_s)
        await super().__aexit__(*exc)
        await self._runner.close()


def will_of(context: Context) -> Will:
    """Return the will of an agent: its card again, marked offline."""
    return Will(frame_of(showing.card(context, "offline", "lwt")))
