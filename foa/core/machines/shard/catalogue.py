"""What an index node knows of the agents in its partitions: all but the vectors' search, which is a service.

A `Catalogue` is mutable and belongs to the one state that holds it: a shard has up to a hundred thousand
agents, and a copy per message would be absurd. Nobody keeps an earlier state, so nothing is seen to change.

An agent is findable while its card says that it is online; exactly the findable ones are in the vector
index, so that a search needs no filter for them. Every change returns the calls that keep the index so.
"""

from collections.abc import Iterable
from typing import Final

from foa.core.machines.shard.columns import Columns
from foa.core.machines.shard.lives import Lives
from foa.core.routing.exchange import Entry, IndexCall, Keep, Remember, Remove, Upsert
from foa.core.vcv.build import Verdict, fingerprint, rank
from foa.core.vcv.vector import cosine
from foa.wire.ids import stable_hash
from foa.wire.messages import Vcv
from foa.wire.records import Hit

MAX_AGENTS: Final = 250_000
MAX_CARDS: Final = 1_000_000
"""Above these, newcomers are refused and counted; those known stay."""

SAME: Final = 0.9995
"""A view as near as this to ``c`` is not told apart from it."""

Calls = list[IndexCall | Keep]


class Catalogue:
    """Agents by id and partition, their online status, and a running digest per partition.

    ``columns`` are the findable ones as gates see them. Nothing here costs more when there are more agents.
    """

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.online: dict[str, bool] = {}
        self.columns = Columns()
        self.doubted: dict[str, int] = {}
        self.lives = Lives()
        self.carded_at = float("-inf")
        self._members: dict[int, dict[str, None]] = {}
        self._digests: dict[int, int] = {}
        self._carded: dict[int, dict[str, None]] = {}
        self._lacking: dict[int, dict[str, None]] = {}
        self._cardless: dict[int, dict[str, None]] = {}

    def restore(self, kept: Iterable[Keep]) -> None:
        """Take in what was kept over a restart, into an empty catalogue. What cards said is doubted."""
        for agent, entry, online in kept:
            if entry is None or len(self.entries) >= MAX_AGENTS:
                continue
            if online is not None:
                self.online[agent] = online
                self._carded.setdefault(entry.partition, {})[agent] = None
            self.entries[agent] = entry
            self._list(entry)
            self._review(agent, entry.partition)
        self.doubt()

    def put(self, vcv: Vcv, partition: int, *, derived: bool = False) -> tuple[Verdict | None, Calls]:
        """Take in a checked vector if it is newer; the verdict is None where the catalogue is full."""
        print_ = fingerprint(vcv)
        old = self.entries.get(vcv.agent)
        verdict = self._rank(old, vcv, print_, derived=derived)
        if verdict != "newer":
            return verdict, []
        if old is None and len(self.entries) >= MAX_AGENTS:
            return None, []
        if old is not None:
            self._unlist(old)
        entry = Entry(_hit(vcv), vcv.c, vcv.e, partition, print_, vcv.card, derived, _others(vcv), vcv.terms)
        self.entries[vcv.agent] = entry
        self._list(entry)
        self._review(vcv.agent, partition)
        kept = Keep(vcv.agent, entry, self.online.get(vcv.agent))
        return verdict, [self._upsert(entry), kept] if self.is_findable(vcv.agent) else [kept]

    def is_known(self, vcv: Vcv, partition: int) -> bool:
        """Tell whether this very record is here already: cheaper than to check it anew."""
        old = self.entries.get(vcv.agent)
        if old is None or old.hit.version != vcv.version or old.partition != partition:
            return False
        return old.print == fingerprint(vcv)

    @staticmethod
    def _rank(old: Entry | None, vcv: Vcv, print_: str, *, derived: bool) -> Verdict:
        if old is None or old.derived:
            return "newer"
        return "stale" if derived else rank((old.hit.version, old.print), (vcv.version, print_))

    def drop(self, agent: str) -> Calls:
        """Forget an agent's vector."""
        entry = self.entries.get(agent)
        if entry is None:
            return []
        calls: Calls = [Remove((agent,))] if self.is_findable(agent) else []
        calls += [Remember(agent, (), 0.0), Keep(agent, None)]
        self._unlist(entry)
        del self.entries[agent]
        self._review(agent, entry.partition)
        return calls

    def release(self, partition: int) -> Calls:
        """Forget a whole partition."""
        return [call for agent in self.members(partition) for call in self.drop(agent)]

    def mark(self, agent: str, partition: int, *, online: bool | None) -> Calls:
        """Note what the card of an agent of `partition` says: online, offline, or (None) that there is none now."""
        was, before = self.is_findable(agent), self.online.get(agent)
        self.doubted.pop(agent, None)
        if online is None:
            self.lives.forget(agent)
            self.online.pop(agent, None)
            self._carded.get(partition, {}).pop(agent, None)
        elif agent in self.online or len(self.online) < MAX_CARDS:
            self.online[agent] = online
            self._carded.setdefault(partition, {})[agent] = None
        self._review(agent, partition)
        entry = self.entries.get(agent)
        if entry is None or before == self.online.get(agent):
            return []
        kept = Keep(agent, entry, self.online.get(agent))
        if was == self.is_findable(agent):
            return [kept]
        if was:
            self.columns.remove(entry.hit)
            return [Remove((agent,)), kept]
        self.columns.add(entry.hit)
        return [self._upsert(entry), kept]

    def doubt(self) -> None:
        """Note that every card may have gone unseen; `mark` takes the doubt away, `disbelieve` draws the conclusion."""
        self.doubted = {agent: partition for partition, agents in self._carded.items() for agent in agents}

    def disbelieve(self) -> Calls:
        """Forget the cards that were not shown again since `doubt`."""
        doubted, self.doubted = self.doubted, {}
        return [call for agent, partition in doubted.items() for call in self.mark(agent, partition, online=None)]

    def is_findable(self, agent: str) -> bool:
        """Tell whether queries may find an agent: it has a vector, and a card that says online."""
        return agent in self.entries and self.online.get(agent, False)

    def members(self, partition: int) -> tuple[str, ...]:
        """Return the agents with a vector in a partition."""
        return tuple(self._members.get(partition, ()))

    def partitions(self) -> tuple[int, ...]:
        """Return the partitions that have agents with a vector, ascending."""
        return tuple(sorted(self._members))

    def lacking(self, partition: int) -> Iterable[str]:
        """Return the agents of a partition that are online by their card but have no vector."""
        return self._lacking.get(partition, {}).keys()

    def cardless(self, partition: int) -> Iterable[str]:
        """Return the agents of a partition that have a vector, and no card that was seen."""
        return self._cardless.get(partition, {}).keys()

    def digest(self, partition: int, without: Iterable[str] = ()) -> int:
        """Return the digest over (agent, version) of what agents published in a partition, 64 bits, 0 if empty.

        It is an XOR of hashes, so that order does not matter and one change costs one hash.
        """
        digest = self._digests.get(partition, 0)
        for agent in without:
            digest ^= _mark_of(self.entries[agent]) if agent in self.entries else 0
        return digest

    def _upsert(self, entry: Entry) -> Upsert:
        agent = entry.hit.agent
        return Upsert(agent, entry.c, entry.e, entry.others, entry.terms, self.columns.slot_of[agent])

    def _list(self, entry: Entry) -> None:
        agent = entry.hit.agent
        self._members.setdefault(entry.partition, {})[agent] = None
        self._digests[entry.partition] = self._digests.get(entry.partition, 0) ^ _mark_of(entry)
        if self.is_findable(agent):
            self.columns.add(entry.hit)

    def _unlist(self, entry: Entry) -> None:
        agent = entry.hit.agent
        if self.is_findable(agent):
            self.columns.remove(entry.hit)
        self._digests[entry.partition] ^= _mark_of(entry)
        members = self._members[entry.partition]
        del members[agent]
        if not members:
            del self._members[entry.partition], self._digests[entry.partition]

    def _review(self, agent: str, partition: int) -> None:
        """Note whether an agent lacks a vector or a card now."""
        has_vector, status = agent in self.entries, self.online.get(agent)
        _list_if(self._lacking, partition, agent, listed=not has_vector and status is True)
        _list_if(self._cardless, partition, agent, listed=has_vector and status is None)


def _list_if(lists: dict[int, dict[str, None]], partition: int, agent: str, *, listed: bool) -> None:
    if listed:
        lists.setdefault(partition, {})[agent] = None
    elif partition in lists:
        lists[partition].pop(agent, None)


def _mark_of(entry: Entry) -> int:
    version = entry.hit.version
    return 0 if entry.derived else stable_hash(f"{entry.hit.agent}\x00{version.epoch}.{version.counter}")


def _others(vcv: Vcv) -> tuple[bytes, ...]:
    """Return the views that say something else than ``c``, each once, by name."""
    views = dict.fromkeys(vcv.views[name] for name in sorted(vcv.views))
    return tuple(view for view in views if view != vcv.c and cosine(view, vcv.c) < SAME)


def _hit(vcv: Vcv) -> Hit:
    return Hit(
        agent=vcv.agent,
        version=vcv.version,
        cosine=0.0,
        skills=vcv.skills,
        holds=vcv.holds,
        requires=vcv.requires,
        inputs=vcv.inputs,
        outputs=vcv.outputs,
        resources=vcv.r,
        effects=vcv.effects,
        refines=vcv.refines,
        name=vcv.name,
        speaks=vcv.speaks,
    )
