"""Which nodes of one kind are alive, by their presence: birth, refresh, will, and silence.

Used by everyone who follows ``presence/{kind}/+``. Bounded: above `MAX_MEMBERS` strangers are not taken in.
"""

from typing import Final, NamedTuple

from foa.wire.messages import Presence

MAX_MEMBERS: Final = 1_024


class Member(NamedTuple):
    """A live node: its last presence and when that came."""

    presence: Presence
    seen: float


class Members(NamedTuple):
    """Live nodes by name, and the epochs of dead ones; a value, every change returns another.

    The will of an old process that arrives after the birth of a new one is recognised by its epoch. With the same
    epoch the later word holds: a node whose connection broke, so that its will was sent, is born again with it.
    """

    ttl_s: float
    live: dict[str, Member] = {}  # noqa: RUF012 - never mutated
    dead: dict[str, int] = {}  # noqa: RUF012

    def heard(self, presence: Presence, now: float) -> "Members":
        """Take in a birth, a refresh or a will; what is older than what is known changes nothing."""
        known = self.live.get(presence.node)
        if known is not None and presence.epoch < known.presence.epoch:
            return self
        if not presence.alive:
            return self._bury(presence.node, presence.epoch)
        if presence.epoch < self.dead.get(presence.node, -1) or (known is None and len(self.live) >= MAX_MEMBERS):
            return self
        return self._replace(live={**self.live, presence.node: Member(presence, now)})

    def cleared(self, node: str) -> "Members":
        """Forget a node whose presence was emptied."""
        return self._without((node,)) if node in self.live else self

    def expired(self, now: float) -> "Members":
        """Forget those not heard of for `ttl_s`."""
        silent = tuple(node for node, member in self.live.items() if now - member.seen > self.ttl_s)
        return self._without(silent) if silent else self

    def touched(self, now: float) -> "Members":
        """Give everyone a new term: after our own absence their silence says nothing."""
        return self._replace(live={node: Member(member.presence, now) for node, member in self.live.items()})

    def names(self) -> tuple[str, ...]:
        """Return the live nodes in order."""
        return tuple(sorted(self.live))

    def presences(self) -> dict[str, Presence]:
        """Return the last presence of each live node, by name in order."""
        return {node: self.live[node].presence for node in self.names()}

    def _without(self, nodes: tuple[str, ...]) -> "Members":
        return self._replace(live={node: member for node, member in self.live.items() if node not in nodes})

    def _bury(self, node: str, epoch: int) -> "Members":
        dead = {**self.dead, node: max(epoch, self.dead.get(node, -1))}
        while len(dead) > MAX_MEMBERS:
            dead.pop(next(iter(dead)))
        return self._without((node,))._replace(dead=dead)
