"""The retained messages: the last one of each topic, found by filter, gone when they expire.

The router stores and replays them. A tree by topic level keeps a replay of one branch
(``vcv/12/#``) independent of how much is stored elsewhere.
"""

import heapq
import random
from collections.abc import Iterator
from typing import Final

from foa.bus.mqtt.broker.records import Limits, Loss, Message
from foa.bus.mqtt.broker.sessions import Keeper

_STALE: Final = 1000  # entries of replaced messages in the expiry heap before it is rebuilt


class _Node:
    __slots__ = ("children", "message")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.message: Message | None = None


class RetainedStore:
    """At most ``max_retained`` messages of at most ``max_retained_bytes`` together."""

    def __init__(self, limits: Limits, keeper: Keeper | None = None) -> None:
        """Start empty. A `keeper` is told of every change."""
        self._keeper = keeper
        self._limits = limits
        self._root = _Node()
        self._expiries: list[tuple[float, int, Message]] = []
        self._serial = 0
        self.count = 0
        self.size = 0

    def put(self, message: Message) -> bool:
        """Store `message` in place of its topic's last one; an empty one deletes. False: no room."""
        levels = message.packet.topic.split("/")
        if not message.size:
            self._remove(levels)
            return True
        node = self._root
        for level in levels:
            child = node.children.get(level)
            if child is None:
                child = node.children[level] = _Node()
            node = child
        last = node.message
        freed = 0 if last is None else last.size
        full = last is None and self.count >= self._limits.max_retained
        if full or self.size + message.size - freed > self._limits.max_retained_bytes:
            if last is None:
                self._prune(levels)
            return False
        node.message = message
        self.count += last is None
        self.size += message.size - freed
        self._note_expiry(message)
        if self._keeper is not None:
            self._keeper.retained(message.packet.topic, message)
        return True

    def matching(self, pattern: str, now: float) -> Iterator[Message]:
        """Yield the messages whose topics match `pattern`, older topics first within each level."""
        levels = pattern.split("/")
        for message in self._walk(self._root, levels, 0):
            if not message.expired(now):
                yield message

    def lose(self, loss: Loss, rng: random.Random) -> None:
        """Forget what `loss` names."""
        for message in list(self._below(self._root, hidden=False)):
            late = loss.since is not None and message.arrived_at > loss.since
            if late or loss.retained >= 1 or (loss.retained > 0 and rng.random() < loss.retained):
                self._remove(message.packet.topic.split("/"))

    def deadline(self) -> float | None:
        """Return when the next message may expire; None if none will."""
        return self._expiries[0][0] if self._expiries else None

    def expire(self, now: float) -> None:
        """Forget what has expired."""
        while self._expiries and self._expiries[0][0] <= now:
            message = heapq.heappop(self._expiries)[2]
            levels = message.packet.topic.split("/")
            if self._find(levels) is message:
                self._remove(levels)

    def _note_expiry(self, message: Message) -> None:
        if message.expiry_s is None:
            return
        self._serial += 1
        heapq.heappush(self._expiries, (message.arrived_at + message.expiry_s, self._serial, message))
        if len(self._expiries) > 2 * self.count + _STALE:
            live = [entry for entry in self._expiries if self._find(entry[2].packet.topic.split("/")) is entry[2]]
            heapq.heapify(live)
            self._expiries = live

    def _walk(self, node: _Node, levels: list[str], depth: int) -> Iterator[Message]:
        if depth == len(levels):
            if node.message is not None:
                yield node.message
            return
        level = levels[depth]
        if level == "#":
            yield from self._below(node, hidden=depth == 0)
        elif level == "+":
            for name, child in node.children.items():
                if depth or not name.startswith("$"):
                    yield from self._walk(child, levels, depth + 1)
        elif level in node.children:
            yield from self._walk(node.children[level], levels, depth + 1)

    def _below(self, node: _Node, *, hidden: bool) -> Iterator[Message]:
        """Yield `node`'s message and all below it; `hidden` leaves out children that begin with ``$``."""
        if node.message is not None:
            yield node.message
        for name, child in node.children.items():
            if not (hidden and name.startswith("$")):
                yield from self._below(child, hidden=False)

    def _find(self, levels: list[str]) -> Message | None:
        node: _Node | None = self._root
        for level in levels:
            node = node.children.get(level) if node is not None else None
        return None if node is None else node.message

    def _remove(self, levels: list[str]) -> None:
        message = self._find(levels)
        if message is None:
            return
        if self._keeper is not None:
            self._keeper.retained(message.packet.topic, None)
        self.count -= 1
        self.size -= message.size
        node = self._root
        for level in levels:
            node = node.children[level]
        node.message = None
        self._prune(levels)

    def _prune(self, levels: list[str]) -> None:
        """Drop the empty nodes at the end of the path `levels`."""
        path = [self._root]
        for level in levels:
            path.append(path[-1].children[level])
        for level, parent, child in zip(reversed(levels), reversed(path[:-1]), reversed(path[1:]), strict=True):
            if child.children or child.message is not None:
                return
            del parent.children[level]
