"""What an index node knows of the agents in its partitions: all but the vectors' search, which is a service.

A `Catalogue` is mutable and belongs to the one state that holds it: a shard has up to a hundred thousand
agents, and a copy per message would be absurd. Nobody keeps an earlier state, so nothing is seen to change.

An agent is findable while its card says that it is online; exactly the findable ones are in the vector
index, so that a search needs no filter for them. Every change returns the calls that keep the index so.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from foa.core.routing.exchange import IndexCall, Remove, Upsert
from foa.core.vcv.build import Verdict, fingerprint, rank
from foa.wire.ids import stable_hash
from foa.wire.messages import Vcv
from foa.wire.records import Hit, Query

MAX_AGENTS: Final = 250_000
MAX_CARDS: Final = 1_000_000
"""Above these, newcomers are refused and counted; those known stay."""

FEW: Final = 1_024
"""So many agents or fewer are gated one by one before the search, which is then exact."""


class Entry(NamedTuple):
    """One agent: the hit it would be (similarities 0), its vectors, and what its record hashes to.

    ``derived`` entries were made here from a card; whatever the agent publishes itself replaces them.
    """

    hit: Hit
    c: bytes
    e: bytes
    partition: int
    print: str
    card: str = ""
    derived: bool = False


class Catalogue:
    """Agents by id and partition, their online status, and a running digest per partition."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.online: dict[str, bool] = {}
        self._members: dict[int, dict[str, None]] = {}
        self._digests: dict[int, int] = {}
        self._terms: dict[str, set[str]] = {}
        self._carded: dict[int, dict[str, None]] = {}
        self.doubted: dict[str, int] = {}

    def put(self, vcv: Vcv, partition: int, *, derived: bool = False) -> tuple[Verdict | None, list[IndexCall]]:
        """Take in a checked vector if it is newer; the verdict is None where the catalogue is full."""
        print_ = fingerprint(vcv)
        old = self.entries.get(vcv.agent)
        verdict: Verdict = "newer"
        if old is not None and not old.derived:
            verdict = "stale" if derived else rank((old.hit.version, old.print), (vcv.version, print_))
        if verdict != "newer":
            return verdict, []
        if old is None and len(self.entries) >= MAX_AGENTS:
            return None, []
        if old is not None:
            self._unlist(old)
        entry = Entry(_hit(vcv), vcv.c, vcv.e, partition, print_, vcv.card, derived)
        self.entries[vcv.agent] = entry
        self._list(entry)
        return verdict, [_upsert(entry)] if self.is_findable(vcv.agent) else []

    def drop(self, agent: str) -> list[IndexCall]:
        """Forget an agent's vector."""
        entry = self.entries.get(agent)
        if entry is None:
            return []
        calls: list[IndexCall] = [Remove((agent,))] if self.is_findable(agent) else []
        self._unlist(entry)
        del self.entries[agent]
        return calls

    def release(self, partition: int) -> list[IndexCall]:
        """Forget a whole partition."""
        return [call for agent in self.members(partition) for call in self.drop(agent)]

    def mark(self, agent: str, partition: int, *, online: bool | None) -> list[IndexCall]:
        """Note what the card of an agent of `partition` says: online, offline, or (None) that there is none now."""
        was = self.is_findable(agent)
        self.doubted.pop(agent, None)
        if online is None:
            self.online.pop(agent, None)
            self._carded.get(partition, {}).pop(agent, None)
        elif agent in self.online or len(self.online) < MAX_CARDS:
            self.online[agent] = online
            self._carded.setdefault(partition, {})[agent] = None
        entry = self.entries.get(agent)
        if entry is None or was == self.is_findable(agent):
            return []
        if was:
            self._unterm(entry)
            return [Remove((agent,))]
        self._term(entry)
        return [_upsert(entry)]

    def doubt(self) -> None:
        """Note that every card may have gone unseen; `mark` takes the doubt away, `disbelieve` draws the conclusion."""
        self.doubted = {agent: partition for partition, agents in self._carded.items() for agent in agents}

    def disbelieve(self) -> list[IndexCall]:
        """Forget the cards that were not shown again since `doubt`."""
        doubted, self.doubted = self.doubted, {}
        return [call for agent, partition in doubted.items() for call in self.mark(agent, partition, online=None)]

    def is_findable(self, agent: str) -> bool:
        """Tell whether queries may find an agent: it has a vector, and a card that says online."""
        return agent in self.entries and self.online.get(agent, False)

    def members(self, partition: int) -> tuple[str, ...]:
        """Return the agents with a vector in a partition."""
        return tuple(self._members.get(partition, ()))

    def lacking(self, partition: int) -> tuple[str, ...]:
        """Return the agents of a partition that are online by their card but have no vector."""
        carded = self._carded.get(partition, ())
        return tuple(agent for agent in carded if agent not in self.entries and self.online[agent])

    def cardless(self, partition: int) -> tuple[str, ...]:
        """Return the agents of a partition that have a vector, and no card that was seen."""
        return tuple(agent for agent in self.members(partition) if agent not in self.online)

    def digest(self, partition: int, without: Iterable[str] = ()) -> int:
        """Return the digest over (agent, version) of what agents published in a partition, 64 bits, 0 if empty.

        It is an XOR of hashes, so that order does not matter and one change costs one hash.
        """
        digest = self._digests.get(partition, 0)
        for agent in without:
            digest ^= _mark_of(self.entries[agent]) if agent in self.entries else 0
        return digest

    def few(self, query: Query) -> tuple[str, ...] | None:
        """Return the findable agents that have the skills and labels which `query` names, if they are at most `FEW`."""
        terms = [f"skill:{skill}" for skill in query.skills] + [f"label:{label}" for label in query.policies]
        if not terms:
            return None
        groups = sorted((self._terms.get(term, set()) for term in terms), key=len)
        found = groups[0].intersection(*groups[1:])
        return tuple(sorted(found)) if len(found) <= FEW else None

    def findable(self) -> list[Entry]:
        """Return all entries that queries may find."""
        return [entry for agent, entry in self.entries.items() if self.online.get(agent, False)]

    def _list(self, entry: Entry) -> None:
        agent = entry.hit.agent
        self._members.setdefault(entry.partition, {})[agent] = None
        self._digests[entry.partition] = self._digests.get(entry.partition, 0) ^ _mark_of(entry)
        if self.is_findable(agent):
            self._term(entry)

    def _unlist(self, entry: Entry) -> None:
        self._unterm(entry)
        self._digests[entry.partition] ^= _mark_of(entry)
        members = self._members[entry.partition]
        del members[entry.hit.agent]
        if not members:
            del self._members[entry.partition], self._digests[entry.partition]

    def _term(self, entry: Entry) -> None:
        for term in _terms_of(entry.hit):
            self._terms.setdefault(term, set()).add(entry.hit.agent)

    def _unterm(self, entry: Entry) -> None:
        for term in _terms_of(entry.hit):
            agents = self._terms.get(term)
            if agents is not None:
                agents.discard(entry.hit.agent)
                if not agents:
                    del self._terms[term]


def _mark_of(entry: Entry) -> int:
    version = entry.hit.version
    return 0 if entry.derived else stable_hash(f"{entry.hit.agent}\x00{version.epoch}.{version.counter}")


def _terms_of(hit: Hit) -> list[str]:
    return [f"skill:{skill}" for skill in hit.skills] + [f"label:{label}" for label in hit.holds]


def _upsert(entry: Entry) -> Upsert:
    return Upsert(entry.hit.agent, entry.c, entry.e)


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
    )
