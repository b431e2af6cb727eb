"""Who counted which reward: the sums of all coordinators, each reward in them once.

Every coordinator adds what it saw to shelves of its own, one per bucket of agents, and publishes them; the sum over all
shelves is what everybody knows. A reward is identified by its award, and shelves name the awards counted lately. Where
two coordinators counted one (an owner died with it in its journal, and its heir counted it too), the one whose name is
greater takes it out again: both see both names, so exactly one does. All sums are in forward decay from one landmark of
this node; on the wire they are weighed as of the instant they were written (`foa.core.learn.moments`).

An agent that is found changed (`foa.core.learn.policies.change`) is judged by what it did since: its sums are made
anew from the rewards that shelves still name. Whoever hears of the change does the same, and the latest change counts.

Mutable, and owned by the one machine that holds it (``Key("match")`` of a coordinator).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec
import numpy as np

from foa.core.learn.features import unpacked
from foa.core.learn.moments import Floats, Moments, decayed, size_of
from foa.core.learn.tally import Tally, tallies
from foa.wire.ids import partition_of
from foa.wire.lessons import Counted
from foa.wire.messages import Learned

BUCKETS: Final = 1024
MAX_RECENT: Final = 128
"""Rewards that a shelf names; the oldest goes first. One that comes twice after that is counted twice."""

MAX_SHELVES: Final = 16_384
"""Shelves of peers that are held; more are not heard."""

_LESSONS_BYTES: Final = 160 * 1024
_REBASE: Final = 50.0
"""Half-way to where weights would leave float64's range comfortably: the landmark is moved after so many tau."""

Verdict = Literal["counted", "corrected", "known", "unreadable"]
Name = tuple[str, int]


@dataclass(slots=True)
class Shelf:
    """What one coordinator counted of the agents of one bucket. ``pending``: counted since it was last written."""

    seq: int = 0
    until: float = 0.0
    tallies: dict[str, Tally] = field(default_factory=dict)
    recent: dict[Name, Counted] = field(default_factory=dict)
    pending: dict[Name, Counted] = field(default_factory=dict)
    ceded: bool = False


def bucket_of(agent: str) -> str:
    """Return the bucket that an agent's sums are kept in, the same on every node."""
    return str(partition_of(agent, BUCKETS))


class Ledger:
    """Our shelves and those of our peers. Instants are seconds since 1970; ``tau`` seconds, inf: no decay."""

    def __init__(self, node: str, features: str, m: int, d: int, tau: float, landmark: float) -> None:
        self.node = node
        self.features = features
        self.m = m
        self.d = d
        self.tau = tau
        self.landmark = landmark
        self.changed: set[str] = set()
        self._own: dict[str, Shelf] = {}
        self._peers: dict[str, dict[str, Shelf]] = {}
        self._shelves = 0
        self._since: dict[str, float] = {}
        self._most = max(1, _LESSONS_BYTES // (4 * size_of(m, d) + 200))

    # --- what is known -----------------------------------------------------------------------------------

    def tally(self, agent: str) -> Tally | None:
        """Return the sums of an agent over all coordinators, None if nobody saw it."""
        bucket = bucket_of(agent)
        since = self._since.get(agent, 0.0)
        shelves = [shelf for shelf in self._shelves_of(bucket) if agent in shelf.tallies]
        found = [shelf.tallies[agent] for shelf in shelves if shelf.tallies[agent].since >= since]
        if not found:
            return None
        total = found[0]
        for other in found[1:]:
            total = total.plus(other)
        return total

    def sums(self, agent: str) -> tuple[float, Floats] | None:
        """Return the weight of all rewards of an agent and its sums (5,): cheaper than its `tally`."""
        since = self._since.get(agent, 0.0)
        found = [shelf.tallies[agent] for shelf in self._shelves_of(bucket_of(agent)) if agent in shelf.tallies]
        whole = [tally for tally in found if tally.since >= since]
        return (sum(t.weight for t in whole), np.sum([t.sums for t in whole], axis=0)) if whole else None

    def agents(self) -> tuple[str, ...]:
        """Return every agent that somebody saw, sorted."""
        shelves = [*self._own.values(), *(shelf for peers in self._peers.values() for shelf in peers.values())]
        return tuple(sorted({agent for shelf in shelves for agent in shelf.tallies}))

    def scale(self, now: float) -> float:
        """Return the factor that makes a reward of `now` weigh 1: what `Hybrid.load` takes beside these sums."""
        return decayed(self.landmark, now, self.tau)

    def named(self, award: str, agent: str) -> tuple[Counted, ...]:
        """Return what shelves name of one award: its reward, then its corrections."""
        shelves = list(self._shelves_of(bucket_of(agent)))
        found: list[Counted] = []
        while (
            more := next((s.recent[name] for s in shelves if (name := (award, len(found))) in s.recent), None)
        ) is not None:
            found.append(more)
        return tuple(found)

    def of_task(self, task: str) -> tuple[Counted, ...]:
        """Return the rewards counted lately for the awards of one task, no corrections, by award."""
        shelves = [*self._own.values(), *(shelf for peers in self._peers.values() for shelf in peers.values())]
        found = {c.award: c for shelf in shelves for c in shelf.recent.values() if c.task == task and not c.change}
        return tuple(found[award] for award in sorted(found))

    def wrote(self, node: str, agent: str) -> float:
        """Return until when all that `node` counted of `agent`'s bucket is in what we hold of it."""
        bucket = bucket_of(agent)
        shelf = self._own.get(bucket) if node == self.node else self._peers.get(bucket, {}).get(node)
        return shelf.until if shelf is not None else 0.0

    # --- counting ----------------------------------------------------------------------------------------

    def count(self, counted: Counted) -> tuple[Verdict, Counted | None]:
        """Count a reward; one counted before is corrected if we counted it ourselves, else left alone.

        Returned beside the verdict is what was written down, which is to be made durable.
        """
        before = self.named(counted.award, counted.agent)
        if not before:
            return ("counted", counted) if self._write(counted) else ("unreadable", None)
        own = self._own.get(bucket_of(counted.agent))
        if own is None or (counted.award, 0) not in own.recent:
            return "known", None
        return self.correct(before, counted.score, counted.reward)

    def correct(self, before: tuple[Counted, ...], score: float, reward: float) -> tuple[Verdict, Counted | None]:
        """Make an award's last word `score` and `reward`; ``before`` is what is `named` of it.

        The correction weighs as the reward did, so it keeps its instant.
        """
        first = before[0]
        more = msgspec.structs.replace(
            first,
            score=score - sum(c.score for c in before),
            reward=reward - sum(c.reward for c in before),
            ms=0.0,
            cost=0.0,
            price=0.0,
            change=before[-1].change + 1,
        )
        if abs(more.reward) <= 1e-12 and abs(more.score) <= 1e-12:  # noqa: PLR2004 - rounding
            return "known", None
        return ("corrected", more) if self._write(more) else ("unreadable", None)

    def void(self, agent: str, since: float) -> None:
        """Judge an agent by what it did since that instant (seconds since 1970): it was found changed then.

        An earlier change than the one known changes nothing. The shelf says so even if we counted nothing since.
        """
        if since > self._since.get(agent, 0.0):
            self._tally(self._own.setdefault(bucket_of(agent), Shelf()), agent)
            self._void(agent, since)

    def _void(self, agent: str, since: float) -> None:
        if since <= self._since.get(agent, 0.0):
            return
        self._since[agent] = since
        self.changed.add(agent)
        shelf = self._own.get(bucket_of(agent))
        if shelf is None or agent not in shelf.tallies:
            return
        shelf.ceded = True
        tally = shelf.tallies[agent] = Tally(Moments(self.m, self.d), since=since)
        for counted in shelf.recent.values():
            v = unpacked(counted.context, self.m, self.d)
            if counted.agent == agent and counted.at >= since and v is not None:
                tally.take(counted, v, self._weight(counted.at))

    def _write(self, counted: Counted) -> bool:
        v = unpacked(counted.context, self.m, self.d)
        if v is None:
            return False
        shelf = self._own.setdefault(bucket_of(counted.agent), Shelf())
        name = (counted.award, counted.change)
        tally = self._tally(shelf, counted.agent)
        if counted.at >= tally.since:
            tally.take(counted, v, self._weight(counted.at))
        shelf.recent[name] = shelf.pending[name] = counted
        self._trim(shelf)
        self.changed.add(counted.agent)
        return True

    def _tally(self, shelf: Shelf, agent: str) -> Tally:
        """Return an agent's tally on a shelf; when too many are there, whoever weighs least makes room."""
        tally = shelf.tallies.get(agent)
        if tally is None:
            if len(shelf.tallies) >= self._most:
                least = min(shelf.tallies, key=lambda other: (shelf.tallies[other].moments.weight, other))
                del shelf.tallies[least]
                self.changed.add(least)
            tally = shelf.tallies[agent] = Tally(Moments(self.m, self.d), since=self._since.get(agent, 0.0))
        return tally

    def _trim(self, shelf: Shelf) -> None:
        while len(shelf.recent) > MAX_RECENT:
            oldest = next(iter(shelf.recent))
            del shelf.recent[oldest]

    def _weight(self, at: float) -> float:
        return decayed(at, self.landmark, self.tau)

    # --- shelves to and from elsewhere -------------------------------------------------------------------

    def dirty(self) -> tuple[str, ...]:
        """Return the buckets of ours that hold what was not written yet."""
        return tuple(bucket for bucket, shelf in self._own.items() if shelf.pending or shelf.ceded)

    def write(self, bucket: str, now: float) -> tuple[Learned, tuple[Counted, ...]]:
        """Return a shelf of ours as it is published, and what no longer needs records of its own."""
        shelf = self._own[bucket]
        pending = tuple(shelf.pending.values())
        shelf.pending, shelf.ceded = {}, False
        shelf.seq += 1
        shelf.until = now
        return self._written(self.node, shelf), pending

    def shelves(self) -> Iterator[tuple[str, str]]:
        """Yield node and bucket of every shelf that was written."""
        yield from ((self.node, bucket) for bucket, shelf in self._own.items() if shelf.seq)
        yield from ((node, bucket) for bucket, peers in self._peers.items() for node in peers)

    def number(self, node: str, bucket: str) -> int:
        """Return the number under which a shelf was last written; 0 if there is none."""
        found = self._own.get(bucket) if node == self.node else self._peers.get(bucket, {}).get(node)
        return found.seq if found is not None else 0

    def shelf(self, node: str, bucket: str) -> Learned | None:
        """Return a shelf as it is published; of ours what was counted since is in it, under the number last written."""
        found = self._own.get(bucket) if node == self.node else self._peers.get(bucket, {}).get(node)
        return self._written(node, found) if found is not None and found.seq else None

    def _written(self, node: str, shelf: Shelf) -> Learned:
        factor = decayed(self.landmark, shelf.until, self.tau)
        lessons = tuple(tally.lesson(agent, factor) for agent, tally in shelf.tallies.items())
        return Learned(node, shelf.seq, self.features, shelf.until, lessons, tuple(shelf.recent.values()))

    def hear(self, bucket: str, learned: Learned) -> tuple[Counted, ...]:
        """Take a published shelf, of a peer or of our earlier life; return what we cede, since a peer counts it.

        Records of other features, and moments that cannot be, are left out.
        """
        if learned.features != self.features:
            return ()
        if learned.node == self.node:
            return self._recall(bucket, learned)
        peers = self._peers.setdefault(bucket, {})
        old = peers.get(learned.node)
        if old is not None and learned.seq <= old.seq and learned.until <= old.until:
            return ()
        if old is None and self._shelves >= MAX_SHELVES:
            return ()
        self._shelves += old is None
        shelf = peers[learned.node] = self._read(learned)
        self.changed.update(shelf.tallies, old.tallies if old is not None else ())
        for agent, tally in shelf.tallies.items():
            self._void(agent, tally.since)
        return self._cede(bucket, shelf) if self.node > learned.node else ()

    def _cede(self, bucket: str, theirs: Shelf) -> tuple[Counted, ...]:
        own = self._own.get(bucket)
        if own is None:
            return ()
        twice = [name for name in own.recent if name in theirs.recent]
        ceded = [own.recent.pop(name) for name in twice]
        for counted in ceded:
            own.pending.pop((counted.award, counted.change), None)
            v, tally = unpacked(counted.context, self.m, self.d), own.tallies.get(counted.agent)
            if v is not None and tally is not None and counted.at >= tally.since:
                tally.take(counted, v, self._weight(counted.at), -1)
            self.changed.add(counted.agent)
            own.ceded = True
        return tuple(ceded)

    def restore(self, bucket: str, kept: Learned) -> None:
        """Take back what we kept ourselves: a shelf as written, or (``seq`` 0) single rewards written since."""
        if kept.features != self.features or kept.node != self.node:
            return
        if kept.seq:
            self._recall(bucket, kept)
            return
        for counted in kept.recent:
            shelf = self._own.get(bucket_of(counted.agent))
            if shelf is None or (counted.award, counted.change) not in shelf.recent:
                self._write(counted)

    def _recall(self, bucket: str, written: Learned) -> tuple[Counted, ...]:
        """Go on from what we wrote in an earlier life, adding what was counted since and is not in it.

        Returns what is in it and was counted by a peer as well, to whom it is ceded.
        """
        before = self._own.get(bucket, Shelf())
        if written.seq <= before.seq:
            return ()
        shelf = self._own[bucket] = self._read(written)
        self.changed.update(shelf.tallies, before.tallies)
        for agent, tally in shelf.tallies.items():
            known, self._since[agent] = self._since.get(agent, 0.0), tally.since
            self._void(agent, known)
        for name, counted in before.pending.items():
            if name not in shelf.recent:
                self._write(counted)
        lesser = [peer for node, peer in sorted(self._peers.get(bucket, {}).items()) if node < self.node]
        return tuple(counted for peer in lesser for counted in self._cede(bucket, peer))

    def _read(self, learned: Learned) -> Shelf:
        factor = decayed(learned.until, self.landmark, self.tau)
        found = dict(tallies(learned.lessons, self.m, self.d, factor))
        recent = {(counted.award, counted.change): counted for counted in learned.recent}
        return Shelf(learned.seq, learned.until, found, recent)

    def rebase(self, now: float) -> None:
        """Move the landmark to `now` if it is so long ago that weights grow large. Weighs all anew: rare."""
        if now - self.landmark <= _REBASE * self.tau:
            return
        factor = self.scale(now)
        self.landmark = now
        for shelf in [*self._own.values(), *(one for peers in self._peers.values() for one in peers.values())]:
            shelf.tallies = {agent: tally.scaled(factor) for agent, tally in shelf.tallies.items()}

    def _shelves_of(self, bucket: str) -> Iterator[Shelf]:
        own = self._own.get(bucket)
        if own is not None:
            yield own
        peers = self._peers.get(bucket, {})
        yield from (peers[node] for node in sorted(peers))
