"""From a query to exact hits among the permitted: how an index node uses its catalogue and vector index.

Gated results never ruin recall: where the named skills and labels leave few agents, those are gated first and
searched exactly; else more than `k` are fetched and gated, and should that not suffice, all are gated and
the search repeated among the permitted. At most two searches, the second exact. The nearest refused are kept to
explain a decision.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from foa.core.machines.shard.catalogue import Catalogue, Entry
from foa.core.routing.choose import refuse
from foa.core.routing.exchange import Near
from foa.core.routing.gate import gate
from foa.core.routing.merge import MAX_REFUSED
from foa.wire.records import Candidate, Hit, Query

OVERFETCH: Final = 4
LEAST_FETCH: Final = 32


class Plan(NamedTuple):
    """How to search for one query: the `fetch` nearest, if given only `among` those (already gated)."""

    fetch: int
    among: tuple[str, ...] | None = None


class Yield(NamedTuple):
    """What a search came to: the hits, the near misses, and the second search where the first did not do."""

    hits: tuple[Hit, ...]
    refused: tuple[Candidate, ...]
    again: Plan | None = None


def plan(query: Query, k: int, catalogue: Catalogue) -> Plan:
    """Return the first search for `query`."""
    few = catalogue.few(query)
    if few is None:
        return Plan(max(LEAST_FETCH, OVERFETCH * k))
    permitted = _permitted(query, (catalogue.entries[agent] for agent in few))
    return Plan(k, permitted) if permitted else Plan(MAX_REFUSED)


def gather(query: Query, k: int, tried: Plan, near: Sequence[Near], catalogue: Catalogue) -> Yield:
    """Gate what the search `tried` found; ``again`` is set where more permitted ones may be left."""
    hits: list[Hit] = []
    refused: list[Candidate] = []
    for found in near:
        if len(hits) == k:
            break
        entry = catalogue.entries.get(found.key)
        if entry is None:
            continue
        hit = msgspec.structs.replace(entry.hit, cosine=found.cosine, spec=found.spec)
        refusal = gate(query, hit)
        if refusal is None:
            hits.append(hit)
        elif len(refused) < MAX_REFUSED:
            refused.append(refuse(hit, refusal))
    again = None
    if tried.among is None and len(hits) < k and len(near) == tried.fetch:
        permitted = _permitted(query, catalogue.findable())
        again = Plan(k, permitted) if len(permitted) > len(hits) else None
    return Yield(tuple(hits), tuple(refused), again)


def _permitted(query: Query, entries: Iterable[Entry]) -> tuple[str, ...]:
    return tuple(entry.hit.agent for entry in entries if gate(query, entry.hit) is None)
