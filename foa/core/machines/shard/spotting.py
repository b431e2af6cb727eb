"""Holds a published vector against the words of its agent's card: an index node has the model, so it can make its own.

Every newcomer whose card came first (as agents of ours show it) is checked, and of those known already one in `SHARE`.
A vector that is not of these words is refused, said so, and the same version of it is not taken again.
"""

from collections import OrderedDict
from typing import Final

from foa.core.effects import Effect, Measure, Request, Returned
from foa.core.machines.shard.serving import JOB_S, enqueue
from foa.core.machines.shard.state import Derivation, Job, Refused, Shard, Stepped, index, refuse
from foa.core.routing.rendezvous import holders
from foa.core.vcv.build import build_vcv, texts_of
from foa.core.vcv.profile import Profile
from foa.core.vcv.vector import cosine
from foa.wire.ids import Version, digest_of, partition_of, stable_hash
from foa.wire.messages import Blob

SPOT: Final = "spot:"
AGREES: Final = 0.7
"""A vector this near to one made of the card's words is of them: other ways to put words together stay above it."""

SHARE: Final = 64
MAX_JUDGED: Final = 10_000
"""Agents of whom it is remembered which version was checked, or was a lie; the oldest is forgotten first."""


def begin(state: Shard, agent: str, version: Version, card: bytes, now: float) -> list[Effect]:
    """Have the card read that the vector of `version` came with, unless enough are being read already."""
    spots = state.spots
    for other in [one for one, (_, since) in spots.flying.items() if now - since > JOB_S]:
        del spots.flying[other]
    if not card or len(spots.flying) >= spots.most:
        return []
    spots.flying[agent] = (version, now)
    return [Request("card", SPOT + agent, (agent, card))]


def sampled(state: Shard, agent: str, card: bytes, now: float) -> list[Effect]:
    """Check one in `SHARE` of those whose vector names this card, once for each version."""
    entry = state.catalogue.entries.get(agent)
    if entry is None or entry.derived or stable_hash(f"{state.setup.node}/{agent}") % SHARE:
        return []
    if state.spots.judged.get(agent) == entry.hit.version or entry.card != digest_of(card):
        return []
    return begin(state, agent, entry.hit.version, card, now)


def is_known_lie(state: Shard, agent: str, version: Version) -> bool:
    """Tell whether this vector was found not to be of its words."""
    return state.spots.lies.get(agent) == version


def on_profile(state: Shard, event: Returned, now: float) -> Stepped:
    """Go on with a card that was read: its texts are to be embedded. One that cannot be read says nothing."""
    agent, profile = event.token.removeprefix(SPOT), event.value
    flying = state.spots.flying.get(agent)
    if flying is None or event.error or not isinstance(profile, Profile) or profile.agent != agent:
        state.spots.flying.pop(agent, None)
        return state, []
    texts = texts_of(profile)
    return enqueue(state, Job(tuple(texts.values()), stranger=Derivation(profile, tuple(texts), "", flying[0])), now)


def on_vectors(state: Shard, job: Job, now: float) -> Stepped:
    """Compare, and forget the agent's vector if it is not of its card's words."""
    derivation = job.stranger
    assert derivation is not None
    agent, spots = derivation.profile.agent, state.spots
    spots.flying.pop(agent, None)
    entry = state.catalogue.entries.get(agent)
    if entry is None or entry.derived or entry.hit.version != derivation.version or not job.vectors:
        return state, []
    vectors = dict(zip(derivation.names, job.vectors, strict=True))
    made = build_vcv(derivation.profile, entry.hit.version, state.setup.model, vectors, entry.card)
    _note(spots.judged, agent, entry.hit.version)
    likeness = cosine(made.c, entry.c)
    if likeness >= AGREES:
        return state, [Measure("shard_spotted")]
    _note(spots.lies, agent, entry.hit.version)
    calls = state.catalogue.drop(agent)
    partition = partition_of(agent, state.setup.topics.partitions)
    detail = f"the vector of {agent} is not of its card's words: cosine {likeness:.2f}, at least {AGREES} is wanted"
    what = Refused(state.setup.topics.vcv(partition, agent), Blob(body=made.c[:64]), "words", detail)
    foremost = holders(partition, state.nodes, 1) == (state.setup.node,)
    return state, [*index(calls), *refuse(state, what, now, tell=foremost)]


def _note(table: "OrderedDict[str, Version]", agent: str, version: Version) -> None:
    table.pop(agent, None)
    table[agent] = version
    if len(table) > MAX_JUDGED:
        table.popitem(last=False)
