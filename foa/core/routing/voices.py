"""Whose voice an agent has where voices count: what a coordinator adds to hits where a trust file is configured.

Agents of one key are one voice (or as many as the file says), so that nobody gains by many names. An agent that no
key stands for is on probation: it works alone, never in a team and never as a planner, holds no policy label however
many it claims, and of equals stands last. Probation ends by the trust file alone.
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from foa.wire.messages import Found
from foa.wire.records import Hit
from foa.wire.trust.policy import PROBATION

Voice = Callable[[str], str]


def heard(found: Found, voice: Voice) -> Found:
    """Return `found` with the voice of every agent; whoever is on probation holds no policy label."""
    return msgspec.structs.replace(found, hits=tuple(tuple(_heard(hit, voice) for hit in hits) for hits in found.hits))


def _heard(hit: Hit, voice: Voice) -> Hit:
    whose = voice(hit.agent)
    if whose == PROBATION:
        return msgspec.structs.replace(hit, voice=whose, holds=())
    return msgspec.structs.replace(hit, voice="" if whose == hit.agent else whose)


def on_probation(hit: Hit) -> bool:
    """Tell whether no key stands for the agent."""
    return hit.voice == PROBATION


def one_each(hits: Iterable[Hit]) -> list[Hit]:
    """Return the first hit of every voice, in order; none of who is on probation."""
    found: dict[str, Hit] = {}
    for hit in hits:
        if not on_probation(hit):
            found.setdefault(hit.voice or hit.agent, hit)
    return list(found.values())


def teammates(lead: Hit, others: Sequence[Hit]) -> list[Hit]:
    """Return those of `others` who may sit in a team with `lead`: a voice each, and none on probation."""
    return [] if on_probation(lead) else one_each((lead, *others))[1:]
