"""From a query to exact hits among the permitted: how an index node uses its catalogue and vector index.

Gated results never ruin recall, and gates never cost a look at everybody (decisions/0014). How many agents a query
permits is estimated; where they are few, all of them are gated first and searched exactly; else so many are fetched
that `k` of them should be permitted. Should that not suffice, all are gated and the search is repeated among the
permitted: at most two searches, the second exact. Where fewer than `k` are permitted the search among all
comes first, since the nearest refused are kept to explain a decision.
"""

from collections.abc import Sequence
from math import ceil
from typing import Final, NamedTuple

import msgspec

from foa.core.machines.shard.catalogue import Catalogue
from foa.core.routing.choose import refuse
from foa.core.routing.exchange import Near
from foa.core.routing.gate import gate
from foa.core.routing.merge import MAX_REFUSED
from foa.wire.records import Candidate, Hit, Query

OVERFETCH: Final = 1.5
"""How many times as many are fetched as should be needed for `k` permitted ones."""

LEAST_FETCH: Final = 16
FEW: Final = 1_024
"""So many or fewer are always searched exactly."""

FETCHED_US: Final = 18.0
ROW_US: Final = 0.25
"""What one more vector costs in a search of the graph that is to miss no more of them than of the first few, and what
one permitted agent costs in an exact search."""

DEEPEST: Final = 6
"""Where more than so many times `k` would have to be fetched, the permitted are searched exactly, whatever that costs:
what stands that far down is found by neither vectors nor words (recall .95 at a tenth permitted)."""

MANY: Final = 64
"""Of more found agents than this the permitted are told from the columns, not one by one."""


class Plan(NamedTuple):
    """How to search for one query: the `fetch` nearest, if given only `among` those slots (already gated)."""

    fetch: int
    among: bytes | None = None


class Yield(NamedTuple):
    """What a search came to: the hits, the near misses, and the second search where the first did not do."""

    hits: tuple[Hit, ...]
    refused: tuple[Candidate, ...]
    again: Plan | None = None


def plan(query: Query, k: int, catalogue: Catalogue) -> Plan:
    """Return the first search for `query`."""
    columns = catalogue.columns
    if columns.is_open(query):
        return Plan(max(LEAST_FETCH, k + len(query.exclude)))
    permitted = columns.estimate(query)
    fetch = ceil(OVERFETCH * k * len(columns) / max(1, permitted))
    if permitted > FEW and fetch <= DEEPEST * k and permitted * ROW_US > fetch * FETCHED_US:
        return Plan(max(LEAST_FETCH, fetch))
    among = columns.permitted(query)
    return Plan(k, columns.packed(among)) if len(among) >= k else Plan(LEAST_FETCH)


def gather(query: Query, k: int, tried: Plan, near: Sequence[Near], catalogue: Catalogue) -> Yield:
    """Gate what the search `tried` found; ``again`` is set where more permitted ones may be left."""
    hits: list[Hit] = []
    refused: list[Candidate] = []
    is_open = not query.exclude and catalogue.columns.is_open(query)
    for found in near if is_open or len(near) <= MANY else _telling(query, k, near, catalogue):
        if len(hits) == k:
            break
        entry = catalogue.entries.get(found.key)
        if entry is None:
            continue
        hit = msgspec.structs.replace(
            entry.hit,
            cosine=found.cosine,
            spec=found.spec,
            relevance=found.relevance,
            words=found.words,
            done=found.done,
            mass=found.mass,
        )
        refusal = None if is_open else gate(query, hit)
        if refusal is None:
            hits.append(hit)
        elif len(refused) < MAX_REFUSED:
            refused.append(refuse(hit, refusal))
    again = None
    if tried.among is None and len(hits) < k and len(near) == tried.fetch:
        permitted = catalogue.columns.permitted(query)
        again = Plan(k, catalogue.columns.packed(permitted)) if len(permitted) > len(hits) else None
    return Yield(tuple(hits), tuple(refused), again)


def _telling(query: Query, k: int, near: Sequence[Near], catalogue: Catalogue) -> list[Near]:
    """Return those of `near` that matter, in order: the first `k` permitted, the first few refused."""
    columns = catalogue.columns
    there = [found for found in near if found.key in columns.slot_of]
    passed = columns.passing(query, columns.slots(found.key for found in there)).tolist()
    left = {True: k, False: MAX_REFUSED}
    kept: list[Near] = []
    for found, permitted in zip(there, passed, strict=True):
        if left[permitted]:
            left[permitted] -= 1
            kept.append(found)
    return kept
