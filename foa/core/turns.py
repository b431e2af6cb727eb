"""Whose turn it is where several wait for one agent: urgent before less urgent, submitters in turn, nobody for ever.

Two laws, for two queues:

* An agent's own queue (`turn`): an award stands as if it had come `AGE_S` earlier for each step of priority. One of
  priority p is overtaken only by those of priority q > p that come within (q - p) * `AGE_S` after it.
* A coordinator's queue for one agent (`Queue`) is start-time fair queueing (Goyal, Vin & Cheng 1996) in two levels.
  While both wait, a priority gets twice the turns of the one below it; within a priority, submitters get turns in
  proportion to their weights, however much each has waiting; of one submitter's, the first come goes first. So no
  priority and no submitter starves: of n others that wait, one of weight w waits at most ceil(total weight / w) turns.

Called by the `agent` and `match` machines.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

AGE_S: Final = 10.0
"""So many seconds of waiting count as much as one step of priority, in an agent's own queue."""

DEFAULT: Final = 5

K = TypeVar("K", bound=Hashable)


def turn(priority: int, since: float) -> float:
    """Return the place in an agent's queue of what waits there `since` then: the least goes first."""
    return since - priority * AGE_S


@dataclass(slots=True)
class _Lanes(Generic[K]):
    """Lanes that take turns: the one with the least ``due`` goes next. One that comes anew joins this round's end."""

    due: dict[K, tuple[float, int]] = field(default_factory=dict)
    at: float = 0.0
    came: int = 0

    def enter(self, lane: K, step: float) -> None:
        if lane not in self.due:
            self.came += 1
            self.due[lane] = (self.at + step, self.came)

    def next(self) -> K:
        return min(self.due, key=self.due.__getitem__)

    def took(self, lane: K, step: float, *, empty: bool) -> None:
        due, came = self.due.pop(lane)
        self.at = max(self.at, due)
        if not empty:
            self.due[lane] = (due + step, came)

    def gone(self, lane: K) -> None:
        self.due.pop(lane, None)


@dataclass(slots=True)
class _Level(Generic[K]):
    """One priority: items by submitter in the order of coming, each submitter with its weight."""

    turns: _Lanes[str] = field(default_factory=_Lanes)
    items: dict[str, OrderedDict[K, float]] = field(default_factory=dict)


@dataclass(slots=True)
class Queue(Generic[K]):
    """What waits for one agent. Mutable; a taken or removed item leaves nothing behind."""

    turns: _Lanes[int] = field(default_factory=_Lanes)
    levels: dict[int, _Level[K]] = field(default_factory=dict)
    where: dict[K, tuple[int, str]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self.where)

    def add(self, item: K, priority: int = DEFAULT, submitter: str = "", weight: float = 1.0) -> None:
        """Have `item` wait; one that waits already keeps its place. ``weight`` > 0 is its submitter's."""
        if item in self.where:
            return
        self.where[item] = (priority, submitter)
        level = self.levels.setdefault(priority, _Level())
        self.turns.enter(priority, 2.0**-priority)
        level.turns.enter(submitter, 1.0 / weight)
        level.items.setdefault(submitter, OrderedDict())[item] = weight

    def take(self) -> K:
        """Return the item whose turn it is, which waits no longer. KeyError if none does."""
        if not self.where:
            raise KeyError("nothing waits")
        priority = self.turns.next()
        level = self.levels[priority]
        submitter = level.turns.next()
        item, weight = level.items[submitter].popitem(last=False)
        del self.where[item]
        empty = not level.items[submitter]
        level.turns.took(submitter, 1.0 / weight, empty=empty)
        if empty:
            del level.items[submitter]
        self.turns.took(priority, 2.0**-priority, empty=not level.items)
        if not level.items:
            del self.levels[priority]
        return item

    def remove(self, item: K) -> None:
        """Have `item` wait no longer; that costs nobody a turn."""
        known = self.where.pop(item, None)
        if known is None:
            return
        priority, submitter = known
        level = self.levels[priority]
        del level.items[submitter][item]
        if not level.items[submitter]:
            del level.items[submitter]
            level.turns.gone(submitter)
        if not level.items:
            del self.levels[priority]
            self.turns.gone(priority)
