"""Shared subscriptions: each message goes to one connected member of its group, in turn.

Brokers differ in what becomes of a message whose member leaves. Here it never strands: what a member had
not acknowledged when its connection ended goes to another one at once, as MQTT 5 allows (4.8.2), or waits
in the group until a member connects. Only a group without members loses it, counted.
"""

from collections import deque
from collections.abc import Callable

from foa.bus.mqtt.broker.records import Limits, Message, Stats
from foa.bus.mqtt.broker.sessions import Grant, Item, Keeper, Session


class Group:
    """The members of one ``$share/name/filter``, and the messages that wait for any of them."""

    def __init__(
        self,
        pattern: str,
        limits: Limits,
        stats: Stats,
        may_hear: Callable[[Session, str], bool] | None,
        keeper: Keeper | None,
    ) -> None:
        """Start without members. With `may_hear` a member is given only what it may hear.

        A `keeper` is told what waits here.
        """
        self.pattern = pattern
        self._keeper = keeper
        self.members: list[Grant] = []
        self._waiting: deque[Item] = deque()
        self._turn = 0
        self._limits = limits
        self._stats = stats
        self._may_hear = may_hear

    def heard(self, topic: str) -> bool:
        """Tell whether any member may hear `topic`."""
        return self._may_hear is None or any(self._may_hear(member.session, topic) for member in self.members)

    @property
    def empty(self) -> bool:
        """Whether it has no members."""
        return not self.members

    def join(self, grant: Grant) -> None:
        """Add a member, in place of its own earlier grant."""
        self.members = [member for member in self.members if member.session is not grant.session]
        self.members.append(grant)

    def leave(self, session: Session) -> None:
        """Remove a member; the last one to leave takes what waits with it."""
        self.members = [member for member in self.members if member.session is not session]
        if not self.members:
            self._stats.dropped_unshared += len(self._waiting)
            for item in self._waiting:
                self.done(item)
            self._waiting.clear()

    def deliver(self, message: Message, now: float) -> bool:
        """Give `message` to the next member; False if it was dropped (counted)."""
        member = self._next(message.packet.topic)
        if member is not None:
            qos = min(int(message.packet.qos), member.qos)
            return member.session.deliver(Item(message, qos, member.identifiers, self, retain=False), now)
        if not self.members or not int(message.packet.qos):
            self._stats.dropped_unshared += 1
            return False
        if len(self._waiting) >= self._limits.max_queued:
            self._stats.dropped_full += 1
            return False
        item = Item(message, 1, (), self, retain=False)
        self._waiting.append(item)
        self.noted(item)
        return True

    def flush(self, now: float) -> None:
        """Deliver what waits, now that a member is connected."""
        waiting, self._waiting = self._waiting, deque()
        for item in waiting:
            self.done(item)
            if item.message.expired(now):
                self._stats.dropped_expired += 1
            else:
                self.deliver(item.message, now)

    def restored(self, item: Item) -> None:
        """Take back, in order, what waited before the broker ended."""
        self._waiting.append(item)

    def noted(self, item: Item) -> None:
        """Note that `item` waits for any member."""
        if self._keeper is not None:
            self._keeper.delivery("", item, 0)

    def done(self, item: Item) -> None:
        """Note that `item` waits no more."""
        if self._keeper is not None:
            self._keeper.delivered(item)

    def _next(self, topic: str) -> Grant | None:
        """Return the next connected member that can take more; else the next connected one; else None."""
        may_hear = self._may_hear
        members, count = self.members, len(self.members)
        fallback: Grant | None = None
        for step in range(count):
            index = (self._turn + step) % count
            session = members[index].session
            if may_hear is not None and not may_hear(session, topic):
                continue
            if session.ready:
                self._turn = index + 1
                return members[index]
            if fallback is None and session.connection is not None:
                fallback = members[index]
        self._turn += 1
        return fallback
