"""How long sessions live: the timers of the broker, the sessions by Client ID, their ends and their wills.

The machine tells it when a session loses its connection; it publishes the will and ends the session when they
are due. It publishes nothing that the will's own client may not write.
"""

import heapq
from collections.abc import Callable
from typing import Final

from foa.bus.mqtt.broker.ports import Identity
from foa.bus.mqtt.broker.records import Limits, Loss, Stats
from foa.bus.mqtt.broker.routing.router import Router
from foa.bus.mqtt.broker.sessions import Keeper, Session

NEVER_S: Final = 0xFFFFFFFF  # a session expiry interval that means for ever


class Timers:
    """What is due when."""

    def __init__(self) -> None:
        """Start with nothing due."""
        self._heap: list[tuple[float, int, Callable[[float], None]]] = []
        self._serial = 0

    @property
    def next(self) -> float | None:
        """When the first is due; None if nothing is."""
        return self._heap[0][0] if self._heap else None

    def at(self, when: float, callback: Callable[[float], None]) -> None:
        """Call `callback` with the time, at `when` or later."""
        self._serial += 1
        heapq.heappush(self._heap, (when, self._serial, callback))

    def run(self, now: float) -> None:
        """Call what is due."""
        while self._heap and self._heap[0][0] <= now:
            heapq.heappop(self._heap)[2](now)


class Lifetimes:
    """All sessions of a broker."""

    def __init__(self, limits: Limits, stats: Stats, router: Router, timers: Timers, keeper: Keeper | None) -> None:
        """Start without sessions. A `keeper` is told of those that are to survive the broker."""
        self._keeper = keeper
        self.sessions: dict[str, Session] = {}
        self._limits = limits
        self._stats = stats
        self._router = router
        self._timers = timers

    def begin(self, identity: Identity, now: float) -> Session | None:
        """Return a new session; None if there is no room for it."""
        if len(self.sessions) >= self._limits.max_sessions:
            return None
        session = self.sessions[identity.client_id] = Session(identity, now, self._limits, self._stats)
        return session

    def noted(self, session: Session) -> None:
        """Note that `session` changed, if it must survive the broker: it outlives its connection, or has a will."""
        if session.keeper is None and (session.expiry_s or session.will is not None):
            session.keeper = self._keeper
        if session.keeper is not None:
            session.keeper.session(session)

    def left(self, session: Session, now: float, *, will: bool) -> None:
        """Take that the connection of `session` ended; without `will`, that will is never published."""
        session.connection = None
        if not will:
            session.will = None
        if session.will is not None:
            session.will_at = now + min(session.will_delay_s, session.expiry_s)
        session.expires_at = None if session.expiry_s == NEVER_S else now + session.expiry_s
        self.noted(session)
        self._router.away(session, now)
        self.watch(session, now)

    def watch(self, session: Session, now: float) -> None:
        """Do what is due for a session without connection, and see to it that the next due time is met."""
        if session.connection is not None or self.sessions.get(session.client_id) is not session:
            return
        if session.will_at is not None and now >= session.will_at:
            self._publish_will(session, now)
        if gone(session, now):
            self.end(session, now)
            return
        due = [when for when in (session.will_at, session.expires_at) if when is not None]
        if due and (session.watched_at is None or min(due) < session.watched_at):
            session.watched_at = min(due)
            self._timers.at(session.watched_at, lambda late: self._watched(session, late))

    def end(self, session: Session, now: float) -> None:
        """Forget `session`; its will, if it still has one, is due now."""
        self._stats.sessions_ended += 1
        del self.sessions[session.client_id]
        if session.keeper is not None:
            session.keeper.ended(session)
        self._router.forget(session, now)
        self._publish_will(session, now)

    def lose(self, loss: Loss, now: float) -> None:
        """Forget the sessions that `loss` names, and every will."""
        for session in list(self.sessions.values()):
            session.will = session.will_at = None
            late = loss.since is not None and session.begun_at > loss.since
            if late or loss.sessions == "all" or session.client_id in loss.sessions:
                self.end(session, now)
            elif loss.since is not None:
                session.lose(loss.since)
                for grant in list(session.grants.values()):
                    if grant.granted_at > loss.since:
                        self._router.unsubscribe(session, grant.pattern)

    def _watched(self, session: Session, now: float) -> None:
        session.watched_at = None
        self.watch(session, now)

    def _publish_will(self, session: Session, now: float) -> None:
        will, session.will, session.will_at = session.will, None, None
        if will is None:
            return
        if self.sessions.get(session.client_id) is session:
            self.noted(session)
        if not self._router.may_write(session, will.packet.topic):
            self._stats.denied_wills += 1  # what it might have written when it connected
            return
        self._stats.wills += 1
        will.arrived_at = now  # its expiry counts from its publication
        self._router.publish(will, now)


def gone(session: Session, now: float) -> bool:
    """Tell whether `session` has expired."""
    return session.expires_at is not None and now >= session.expires_at
