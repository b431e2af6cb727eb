"""Answers of several shards as one: top-k of the shards = top-k of the whole. Commutative, idempotent."""

from collections.abc import Iterable, Sequence
from typing import Final

from foa.wire.messages import Found
from foa.wire.records import Candidate, Hit

MAX_REFUSED: Final = 3
"""Near misses kept per query to explain a decision."""


def merge(lists: Iterable[Iterable[Hit]], k: int) -> tuple[Hit, ...]:
    """Return the `k` nearest of all `lists`, each agent once and in its highest version; ties by id."""
    kept: dict[str, Hit] = {}
    for hits in lists:
        for hit in hits:
            old = kept.get(hit.agent)
            if old is None or (hit.version, relevance(hit)) > (old.version, relevance(old)):
                kept[hit.agent] = hit
    return tuple(sorted(kept.values(), key=lambda hit: (-relevance(hit), hit.agent))[:k])


def relevance(hit: Hit) -> float:
    """Return what hits are ranked by: what the index made of all its evidence, or the cosine alone."""
    return hit.cosine if hit.relevance is None else hit.relevance


def merge_refused(lists: Iterable[Iterable[Candidate]], found: Iterable[Hit]) -> tuple[Candidate, ...]:
    """Return the nearest few refused of all `lists`, but for those that another shard `found` permitted."""
    permitted = {hit.agent for hit in found}
    kept: dict[str, Candidate] = {}
    for candidates in lists:
        for candidate in candidates:
            old = kept.get(candidate.agent)
            if candidate.agent not in permitted and (old is None or _near(candidate) < _near(old)):
                kept[candidate.agent] = candidate
    return tuple(sorted(kept.values(), key=_near)[:MAX_REFUSED])


def _near(candidate: Candidate) -> tuple[float, str, str]:
    return (-candidate.cosine, candidate.agent, candidate.refused)


def merge_found(answers: Sequence[Found], queries: int, k: int, vectors: tuple[bytes, ...] = ()) -> Found:
    """Return the answers of several index nodes, all of one model, to the same `queries` as one answer."""
    whole = [answer for answer in answers if len(answer.hits) == queries]
    hits = tuple(merge((answer.hits[at] for answer in whole), k) for at in range(queries))
    refused = tuple(
        merge_refused((answer.refused[at] for answer in whole if len(answer.refused) == queries), hits[at])
        for at in range(queries)
    )
    return Found(
        hits=hits,
        covered=tuple(sorted({p for answer in whole for p in answer.covered})),
        model=whole[0].model if whole else "",
        vectors=vectors,
        refused=refused if any(refused) else (),
    )
