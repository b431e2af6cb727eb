"""Leases as they are seen from outside: none ends before its time, and none outlives it.

An owner waits `accept_s` for the first sign of life of an award and `lease_s` after each, both longer by `grace_s`.
A process that stood still gives the bus a moment first (`foa.nodes.timers`).
"""

from typing import Any, Final, NamedTuple

from foa.core import effects as fx
from foa.core.machines.task.state import Live, active
from foa.nodes.timers import THAW_S
from foa.settings import Settings
from foa.testing.sim.observing.laws import Fault
from foa.testing.world import Seen
from foa.wire.messages import Progress, Taken

SLACK_S: Final = 0.5
"""How late a lease may be ended: a node handles what waited for it first."""

ROUNDING_S: Final = 1e-6
_LEASE: Final = "lease:"


class _Lease(NamedTuple):
    """Until when an award may not be taken back for silence, and from when it must have been."""

    soonest: float
    latest: float


class Leases:
    """All leases of a run, by the node that holds them and its life."""

    def __init__(self, settings: Settings) -> None:
        rules = settings.coordinator
        self._grace = rules.grace_ms / 1000
        self._accept = rules.accept_ms / 1000 + self._grace
        self._lease = rules.lease_ms / 1000 + self._grace
        self._held: dict[tuple[str, int, str], dict[str, _Lease]] = {}

    def step(self, seen: Seen, now: float) -> list[Fault]:
        """Return which leases one step of a task broke. ``now`` is the world's time."""
        before, after = seen.state, seen.after
        task = after.task.id if isinstance(after, Live) else before.task.id if isinstance(before, Live) else ""
        if not task:
            return []
        key = (seen.node.seat.name, seen.node.lives, task)
        if not isinstance(after, Live):
            self._held.pop(key, None)
            return []
        held = self._held.setdefault(key, {})
        if not isinstance(before, Live):
            held.clear()
        found = self._ended(held, seen.event, after, now)
        self._renewed(held, seen.event, now)
        self._begun(held, after, now, inherited=not isinstance(before, Live))
        late = max(now - SLACK_S, 0.0)
        if now - seen.node.thawed_at > THAW_S + SLACK_S:
            for award, lease in held.items():
                if lease.latest < late:
                    found.append(Fault("lease", f"{task}: {award} runs {now - lease.latest:.3f} s beyond its lease"))
                    held[award] = lease._replace(latest=float("inf"))
        return found

    def _ended(self, held: dict[str, _Lease], event: Any, after: Live, now: float) -> list[Fault]:
        """Forget what runs no longer; what was taken back for silence must have been silent long enough."""
        if not held:
            return []
        runs = _running(after)
        found: list[Fault] = []
        for award in [award for award in held if award not in runs]:
            lease = held.pop(award)
            silent = isinstance(event, fx.Elapsed) and event.timer == _LEASE + award
            if silent and now < lease.soonest - ROUNDING_S:
                found.append(
                    Fault("early-lease", f"{after.task.id}: {award} was taken back {lease.soonest - now:.3f} s early")
                )
        return found

    def _renewed(self, held: dict[str, _Lease], event: Any, now: float) -> None:
        if isinstance(event, fx.Received) and isinstance(event.message, Taken | Progress):
            lease = held.get(event.message.award)
            if lease is not None:
                held[event.message.award] = _Lease(now + self._lease, now + self._lease)

    def _begun(self, held: dict[str, _Lease], after: Live, now: float, *, inherited: bool) -> None:
        for award in _running(after):
            if award not in held:
                soonest = now if inherited else now + self._accept
                held[award] = _Lease(soonest, now + (self._lease if inherited else self._accept))


def _running(live: Live) -> dict[str, None]:
    return {seat.award: None for work in active(live) for seat in work.seats if seat.phase == "running"}
