"""What is seen at the broker: which work was whose when somebody was killed, and how soon it went on. Pure bookkeeping.

`observer` shows it every message; `faults` asks it for victims with work and tells it of each wound; `verdict`
reads it. Nothing here knows of time but what it is told.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from foa.bench.chaos.work.submitter import digest
from foa.wire.messages import (
    AnyMessage,
    Award,
    Dead,
    Declined,
    Done,
    Events,
    Failed,
    Progress,
    Result,
    Settled,
    State,
    Submit,
    Taken,
    Withdrawn,
)
from foa.wire.topics import Topic

FLIGHT_S: Final = 0.25
"""What a killed process had sent may still be on its way for so long: it is nobody's progress."""

FRESH_S: Final = 0.5
"""A task that waits for an answer of an index node became ready for its question at most so long before that came."""

PAUSE_S: Final = 5.0
"""A task without a step for longer has paused."""

Spot = tuple[str, str]
"""A task, and one of its subtasks or "" for all of it."""


@dataclass
class Seat:
    """An award as it was seen: to whom, for what."""

    agent: str
    spot: Spot


@dataclass
class Known:
    """A task on its way: who owns it, who asked for it, its awards that run, when it was last spoken of.

    ``stepped`` is when its work went on last: an award, an answer, a sign of life of a handler.
    """

    owner: str = ""
    submitter: str = ""
    spoken: float = 0.0
    stepped: float | None = None
    awards: dict[str, Seat] = field(default_factory=dict)


@dataclass
class Wound:
    """Something done to ``victim`` (a node, or an agent's identity) at ``at``, and what became of the work it held.

    ``affected`` counts the spots it held, ``waiting`` are those held up that had no progress so far, ``healed`` the
    seconds that the others took. ``link`` is the
    number of the observer's connection: over a broker's death only what comes over a later one counts.
    """

    kind: str
    victim: str
    at: float
    link: int = 0
    affected: int = 0
    waiting: set[Spot] = field(default_factory=set)
    healed: dict[Spot, float] = field(default_factory=dict)
    held: frozenset[str] = frozenset()


class Witness:
    """All that was seen. ``wounds`` are those done, in order."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self.tasks: dict[str, Known] = {}
        self.accepted: set[str] = set()
        self.results: dict[str, list[str]] = {}
        self.settled: dict[Spot, float] = {}
        self.dead: Counter[str] = Counter()
        self.deaths: list[tuple[float, Dead]] = []
        self.wounds: list[Wound] = []
        self.pauses: dict[str, float] = {}
        self.messages = 0
        self.link = 0
        self._awards: dict[str, Seat] = {}
        self._asks: dict[bytes, tuple[str, str, float]] = {}
        self._open: list[Wound] = []

    # --- what comes -------------------------------------------------------------------------------------------

    def see(self, topic: Topic, message: AnyMessage | None, now: float) -> None:
        """Take a message; None is an empty one."""
        self.messages += 1
        spot = self._spot(topic, message)
        for wound in self._open:
            self._judge(wound, spot, message, now)
        self._open = [wound for wound in self._open if wound.waiting]
        if isinstance(message, _STEPS) and topic.task in self.tasks:
            self._step(topic.task, now)
        elif isinstance(message, Award) and message.task in self.tasks:
            self._step(message.task, now)
        self._learn(topic, message, now)
        if topic.task in self.tasks:
            self.tasks[topic.task].spoken = now

    def _step(self, task: str, now: float) -> None:
        """Note that the work of a task went on, and for how long it had not."""
        known = self.tasks[task]
        if known.stepped is not None and now - known.stepped > max(PAUSE_S, self.pauses.get(task, 0.0)):
            self.pauses[task] = now - known.stepped
        known.stepped = now

    def ask(self, node: str, asker: str, correlation: bytes, now: float) -> None:
        """See a coordinator ask an index node."""
        if len(self._asks) < _MANY:
            self._asks[correlation] = (node, asker, now)

    def told(self, correlation: bytes) -> None:
        """See an answer of an index node."""
        self._asks.pop(correlation, None)

    def _spot(self, topic: Topic, message: AnyMessage | None) -> Spot:
        match message:
            case Award():
                return (message.task, message.subtask.id)
            case Settled() | Withdrawn() | Taken() | Declined() | Progress() | Done() | Failed():
                seat = self._awards.get(message.award)
                return seat.spot if seat is not None else (message.task, "")
            case _:
                return (topic.task, "")

    def _learn(self, topic: Topic, message: AnyMessage | None, now: float) -> None:
        match message:
            case Submit():
                self._known(message.task.id).submitter = message.task.submitter
            case State():
                self.accepted.add(message.task.id)
                self._known(message.task.id).owner = message.epoch.node
                self._known(message.task.id).submitter = message.task.submitter
            case Award():
                seat = self._awards[message.award] = Seat(topic.agent, (message.task, message.subtask.id))
                self._known(message.task).awards[message.award] = seat
            case Done() | Failed() | Declined() | Withdrawn():
                self._known(message.task).awards.pop(message.award, None)
            case Settled():
                self._known(message.task).awards.pop(message.award, None)
                if message.used and message.award in self._awards:
                    self.settled.setdefault(self._awards[message.award].spot, now)
            case Result():
                self.tasks.pop(message.task, None)
                said = self.results.setdefault(message.task, [])
                if digest(message) not in said:
                    said.append(digest(message))
            case Dead():
                self.dead[message.reason] += 1
                self.deaths.append((now, message))
            case _:
                pass

    def _known(self, task: str) -> Known:
        """Return what is known of a task; of one that ended, nothing that lasts."""
        if task in self.results:
            return Known()
        return self.tasks.setdefault(task, Known())

    # --- whose work it was ------------------------------------------------------------------------------------

    def owned(self, node: str) -> set[Spot]:
        """Return the tasks that a coordinator owns."""
        return {(task, "") for task, known in self.tasks.items() if known.owner == node}

    def awarded(self, agent: str) -> set[Spot]:
        """Return the subtasks that an agent has."""
        return {seat.spot for known in self.tasks.values() for seat in known.awards.values() if seat.agent == agent}

    def asked(self, node: str) -> set[Spot]:
        """Return the tasks that may wait for an answer of an index node.

        Those of who asked it that nobody works on, and that were spoken of just before it was asked: which task a
        question is for is not in it, but a step that became ready was said so.
        """
        asks = [(asker, since) for at, asker, since in self._asks.values() if at == node]
        return {
            (task, "")
            for task, known in self.tasks.items()
            if not known.awards
            and any(known.owner == asker and abs(since - known.spoken) < FRESH_S for asker, since in asks)
        }

    def submitted(self, node: str) -> set[Spot]:
        """Return the tasks that a submitter has on their way."""
        return {(task, "") for task, known in self.tasks.items() if known.submitter == node}

    def all(self) -> set[Spot]:
        """Return all tasks on their way."""
        return {(task, "") for task in self.tasks}

    # --- wounds -----------------------------------------------------------------------------------------------

    def wound(self, kind: str, victim: str, now: float, spots: Iterable[Spot]) -> Wound:
        """Note that something was done to `victim`, which held `spots`.

        Of a submitter's tasks only those are held up that nobody had accepted: the others go on without it.
        """
        waiting = spots = set(spots)
        if _role(kind) == "client":
            waiting = {spot for spot in spots if spot[0] not in self.accepted}
        held = frozenset(
            award for known in self.tasks.values() for award, seat in known.awards.items() if seat.agent == victim
        )
        found = Wound(kind, victim, now, self.link, len(spots), waiting, held=held)
        self.wounds.append(found)
        if waiting:
            self._open.append(found)
        return found

    def _judge(self, wound: Wound, spot: Spot, message: AnyMessage | None, now: float) -> None:
        """See whether a message is progress of what `wound` held up."""
        spots = [one for one in (spot, (spot[0], "")) if one in wound.waiting]
        if isinstance(message, Result):
            spots = [one for one in wound.waiting if one[0] == message.task]
        if not spots:
            return
        verdict = _verdict(wound, message, now, self.link)
        if verdict is None:
            return
        for one in spots:
            wound.waiting.discard(one)
            if verdict:
                wound.healed[one] = now - wound.at
            else:
                wound.affected -= 1


def _verdict(wound: Wound, message: Any, now: float, link: int) -> bool | None:
    """Return True if `message` is progress, None if it tells nothing, False if it shows that nothing was held up."""
    fresh = now - wound.at < FLIGHT_S
    who = _author(message)
    match _role(wound.kind):
        case "broker":
            return True if link > wound.link else None
        case "coordinator":
            if fresh and who == wound.victim:
                return False if isinstance(message, Result) else None
            return True if who else None
        case "agent":
            if fresh and getattr(message, "award", "") in wound.held and getattr(message, "agent", "") == wound.victim:
                return False if isinstance(message, Done | Failed | Declined) else None
            return None if isinstance(message, Progress | State | Events) else True
        case _:
            return True


def _role(kind: str) -> str:
    return kind.partition("-")[2] or kind


def _author(message: Any) -> str:
    """Return the coordinator that says this, "" if none or it does not tell."""
    epoch = getattr(message, "epoch", None)
    return "" if epoch is None else str(getattr(epoch, "node", ""))


_MANY: Final = 10_000
_STEPS: Final = (Taken, Progress, Done, Failed, Declined, Result)
