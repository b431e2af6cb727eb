"""What a run has met: every transition of a machine, crossed with what was wrong in the world at that time.

A transition is (machine, state before, event, state after), each in one word. What is counted costs one dictionary
entry per step; words are put together when the run is over.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from foa.core import effects as fx
from foa.core.effects import Event
from foa.core.machines.task.state import JOINING, Ended, Live, Shadow, active

CALM: Final = "calm"
"""What is said of a time at which nothing was wrong."""


class Transition(NamedTuple):
    """One kind of step."""

    machine: str
    before: str
    event: str
    after: str

    def __str__(self) -> str:
        return f"{self.machine}: {self.before} --{self.event}--> {self.after}"


class Coverage:
    """Counts transitions under the faults that are active. ``active`` may hold a fault several times."""

    def __init__(self) -> None:
        self.active: Counter[str] = Counter()
        self.steps: Counter[tuple[str, str, type, Any, str, tuple[str, ...]]] = Counter()
        self._now: tuple[str, ...] = (CALM,)

    def begin(self, fault: str) -> None:
        """Let a fault be there from now on."""
        self.active[fault] += 1
        self._now = tuple(sorted(self.active))

    def end(self, fault: str) -> None:
        """End it, unless it was there more than once."""
        self.active[fault] -= 1
        if self.active[fault] <= 0:
            del self.active[fault]
        self._now = tuple(sorted(self.active)) or (CALM,)

    def count(self, kind: str, before: str, event: Event, after: str) -> None:
        """Count one step."""
        self.steps[kind, before, type(event), _marked(event), after, self._now] += 1

    def pairs(self) -> Counter[tuple[Transition, str]]:
        """Return how often each transition was met under each fault."""
        found: Counter[tuple[Transition, str]] = Counter()
        for (kind, before, event, mark, after, faults), times in self.steps.items():
            transition = Transition(kind, before, _worded(event, mark), after)
            for fault in faults:
                found[transition, fault] += times
        return found


def report(pairs: Mapping[tuple[Transition, str], int]) -> dict[str, Any]:
    """Return the table of pairs, with its total, and how many of those that can be were met.

    What can be met is every transition that was met at all, under every fault that was there at all.
    """
    table: dict[str, dict[str, int]] = {}
    faults: set[str] = set()
    for (transition, fault), times in sorted(pairs.items()):
        table.setdefault(str(transition), {})[fault] = times
        faults.add(fault)
    met, reachable = len(pairs), len(table) * len(faults)
    return {
        "total": sum(pairs.values()),
        "transitions": len(table),
        "faults": sorted(faults),
        "pairs_met": met,
        "pairs_reachable": reachable,
        "share": round(met / reachable, 4) if reachable else 0.0,
        "pairs": table,
    }


def never(found: Mapping[str, Any]) -> Iterable[str]:
    """Yield the pairs of a `report` that were never met, as lines."""
    for transition, faults in found["pairs"].items():
        lacking = [fault for fault in found["faults"] if fault not in faults]
        if lacking:
            yield f"{transition}  never under {', '.join(lacking)}"


def _marked(event: Event) -> Any:
    """Return what tells two events of one type apart, as little as possible: this runs in every step."""
    match event:
        case fx.Received():
            return type(event.message)
        case fx.Told():
            return event.message if isinstance(event.message, str) else type(event.message)
        case fx.Elapsed():
            return event.timer.partition(":")[0]
        case fx.Delivered(token, code):
            return token.rstrip("0123456789"), code >= 0x80  # noqa: PLR2004 - MQTT 5: a refusal
        case fx.Returned():
            return type(event.value)
        case _:
            return None


@lru_cache(maxsize=1024)
def _worded(event: type, mark: Any) -> str:
    match mark:
        case None:
            return event.__name__
        case (token, bool() as refused):
            return f"{event.__name__} {token.partition(':')[0]}{' refused' if refused else ''}"
        case type():
            return f"{event.__name__} {mark.__name__}"
        case _:
            return f"{event.__name__} {mark}"


# --- states in a word ---------------------------------------------------------------------------------------


def word(kind: str, state: Any) -> str:
    """Return the state of a machine in a word."""
    match kind:
        case "task":
            return _task(state)
        case "agent":
            return _agent(state)
        case "ownership":
            return _ownership(state)
        case _:
            busy = _BUSY.get(kind)
            if busy is None:
                return type(state).__name__.lower()
            return "busy" if busy(state) else "idle"


_BUSY: Final = {
    "lookup": lambda state: bool(state.jobs),
    "match": lambda state: bool(state.awards),
    "memory": lambda state: bool(state.ended),
    "cases": lambda state: bool(state.cases),
    "blobs": lambda state: bool(state.wanted),
    "shard": lambda state: bool(state.work.jobs),
}


def _task(state: Any) -> str:
    match state:
        case Shadow():
            known = "heir" if state.snapshot is not None else "knowing" if state.submit is not None else "blank"
            return f"{known}, owner" if state.epoch is not None else known
        case Ended():
            return "ended, doubtful" if state.doubtful else "ended, confirmed" if state.confirmed else "ended"
        case Live():
            return doing(state)
        case _:
            return type(state).__name__.lower()


def _agent(state: Any) -> str:
    if not state.online:
        return "offline"
    if state.draining:
        return "draining"
    return "full" if state.waiting else "busy" if state.running else "idle"


def _ownership(state: Any) -> str:
    if state.leaving:
        return "leaving"
    if not state.settled:
        return "settling"
    roles = set(state.roles.values())
    return next((role for role in ("claiming", "owner", "heir") if role in roles), "none")


def doing(live: Live) -> str:
    """Return what a task is at, the rarest word of those that fit."""
    if not live.accepted:
        return "unaccepted"
    if live.records > 1:
        return "large"
    if JOINING in live.works:
        return "joining"
    if live.sessions:
        return "replanning" if any(live.sessions) else "planning"
    if any(pool.refined for pool in live.pools.values()):
        return "refining"
    if live.edits:
        return "redone" if any(edit.kind == "withdraw" for edit in live.edits) else "edited"
    return "awarded" if active(live) else live.stage
