"""What comes from agents: capability vectors, cards, and cards of strangers who publish no vector."""

from typing import Final

from foa.core.effects import Cleared, Effect, Log, Measure, Received, Request, Returned, Subscribe, Unsubscribe, Wake
from foa.core.learn.evidence_vector import is_sound
from foa.core.machines.shard import spotting
from foa.core.machines.shard.holding import announce_soon
from foa.core.machines.shard.serving import enqueue
from foa.core.machines.shard.state import (
    MAX_CARD,
    MAX_STRANGERS,
    MAX_VCV,
    Derivation,
    Job,
    Refused,
    Setup,
    Shard,
    Stepped,
    Stranger,
    index,
    refuse,
)
from foa.core.routing.exchange import Remember
from foa.core.routing.rendezvous import holders
from foa.core.vcv.bloom import may_have
from foa.core.vcv.build import build_vcv, texts_of
from foa.core.vcv.profile import Profile
from foa.core.vcv.terms import unpacked
from foa.core.vcv.vector import is_unit
from foa.wire.codec import encode
from foa.wire.ids import Version, digest_of, partition_of
from foa.wire.messages import Blob, Evidence, Vcv
from foa.wire.topics import Topic

STRANGERS: Final = "strangers"
CARD: Final = "card:"
DERIVED: Final = Version(0, 0)


def flaw(setup: Setup, topic: Topic, vcv: Vcv) -> tuple[str, str] | None:
    """Return what is wrong with a published vector, as reason and detail; None if nothing is."""
    size = len(encode(vcv))
    if size > MAX_VCV:
        return "size", f"{size} bytes, at most {MAX_VCV} are read"
    if vcv.agent != topic.agent:
        return "identity", f"{topic.agent} may not speak for {vcv.agent[:200]}"
    if topic.partition != partition_of(vcv.agent, setup.topics.partitions):
        return "partition", f"{vcv.agent} does not belong in partition {topic.partition}"
    if vcv.model != setup.model:
        return "model", f"vectors of {vcv.model!r}, here {setup.model!r} is spoken"
    if not all(is_unit(body, setup.dim) for body in (vcv.c, vcv.e, *vcv.views.values())):
        return "vector", f"vectors must be {setup.dim} float16 numbers of norm 1"
    if not may_have(vcv.s, vcv.skills):
        return "bloom", "the filter denies a skill that is listed"
    try:
        unpacked(vcv.terms)
    except ValueError as error:
        return "terms", str(error)
    return None


def on_vcv(state: Shard, event: Received, now: float) -> Stepped:
    """Take in an agent's vector if it is sound and newer; refuse it aloud otherwise."""
    setup, topic, vcv = state.setup, event.topic, event.message
    holding = state.holdings.get(topic.partition)
    if holding is None:
        return state, [Unsubscribe((setup.topics(f"vcv/{topic.partition}/#"),))]
    if holding.replays and event.retained:
        holding.quiet_since = now
        holding.unseen.discard(topic.agent)
    path = setup.topics.vcv(topic.partition, topic.agent)
    foremost = holders(topic.partition, state.nodes, 1) == (setup.node,)
    if not isinstance(vcv, Vcv):
        what = Refused(path, event.message, "kind", "no capability vector")
        return state, refuse(state, what, now, tell=foremost)
    if vcv.agent == topic.agent and state.catalogue.is_known(vcv, topic.partition):
        return state, []
    wrong = flaw(setup, topic, vcv)
    if wrong is not None:
        return state, refuse(state, Refused(path, vcv, *wrong), now, tell=foremost)
    if spotting.is_known_lie(state, vcv.agent, vcv.version):
        return state, [Measure("shard_refused", label="words")]
    verdict, calls = state.catalogue.put(vcv, topic.partition)
    if verdict != "newer":
        reason = verdict or "full"
        detail = f"{vcv.agent} {vcv.version.epoch}.{vcv.version.counter} is not taken: {reason}"
        what = Refused(path, vcv, reason, detail)
        return state, refuse(state, what, now, tell=foremost and not event.retained)
    stranger = state.strangers.pop(vcv.agent, None)
    state, effects = announce_soon(state, now)
    if stranger is not None and stranger.asked:
        effects.append(Unsubscribe((path,)))
    if stranger is not None:
        effects += spotting.begin(state, vcv.agent, vcv.version, stranger.card, now)
    return state, [*index(calls), *effects, Measure("shard_vectors")]


def on_evidence(state: Shard, event: Received, now: float) -> Stepped:
    """Have the index remember an agent's finished tasks; vectors of another model, or none, are left out."""
    topic, said = event.topic, event.message
    if topic.partition not in state.holdings:
        return state, [Unsubscribe((state.setup.topics(f"evidence/{topic.partition}/#"),))]
    if not isinstance(said, Evidence) or said.agent != topic.agent or said.model != state.setup.model:
        return state, [Measure("shard_evidence_refused")]
    exemplars = tuple(each for each in said.exemplars if is_sound(each.vector, state.setup.dim))
    return state, [
        Request("index", "", Remember(topic.agent, exemplars, now + state.setup.wall)),
        Measure("shard_evidence"),
    ]


def on_evidence_cleared(state: Shard, event: Cleared) -> Stepped:
    """Forget what an agent was seen to do."""
    return state, [Request("index", "", Remember(event.topic.agent, (), 0.0))]


def on_vcv_cleared(state: Shard, event: Cleared, now: float) -> Stepped:
    """Forget the vector of an agent that emptied its topic."""
    calls = state.catalogue.drop(event.topic.agent)
    state, effects = announce_soon(state, now)
    return state, [*index(calls), *effects]


def on_card(state: Shard, event: Received, now: float) -> Stepped:
    """Follow an agent's status; keep the card of one that has no vector, to derive it."""
    agent = event.topic.agent
    partition = partition_of(agent, state.setup.topics.partitions)
    online = event.envelope.status != "offline"
    state.catalogue.carded_at = now
    lives, life = state.catalogue.lives, event.envelope.epoch.n if event.envelope.epoch is not None else 0
    if lives.is_late(agent, life, online=online):
        return state, [Measure("shard_late_wills")]
    effects = index(state.catalogue.mark(agent, partition, online=online))
    if agent in state.catalogue.online:
        lives.note(agent, life, event.expiry_s, now)
    if not online:
        state.strangers.pop(agent, None)
        return state, effects
    body = event.message.body if isinstance(event.message, Blob) else b""
    if partition in state.holdings and body and len(body) <= MAX_CARD and _is_strange(state, agent, body):
        effects += _meet(state, agent, body, now)
    elif partition in state.holdings and body:
        effects += spotting.sampled(state, agent, body, now)
    return state, effects


def _is_strange(state: Shard, agent: str, body: bytes) -> bool:
    entry = state.catalogue.entries.get(agent)
    return entry is None or (entry.derived and entry.card != digest_of(body))


def _meet(state: Shard, agent: str, body: bytes, now: float) -> list[Effect]:
    """Keep a stranger's card; the oldest makes room when there are too many."""
    due = now + state.setup.stranger_s
    is_timed = any(not stranger.busy for stranger in state.strangers.values())
    known = state.strangers.pop(agent, None)
    while len(state.strangers) >= MAX_STRANGERS:
        del state.strangers[next(iter(state.strangers))]
    state.strangers[agent] = Stranger(body, known.due if known else due, asked=known is not None and known.asked)
    return [] if is_timed else [Wake(STRANGERS, due)]


def on_card_cleared(state: Shard, event: Cleared) -> Stepped:
    """Find an agent no more that took its card away."""
    agent = event.topic.agent
    state.strangers.pop(agent, None)
    calls = state.catalogue.mark(agent, partition_of(agent, state.setup.topics.partitions), online=None)
    entry = state.catalogue.entries.get(agent)
    if entry is not None and entry.derived:
        calls += state.catalogue.drop(agent)
    return state, index(calls)


def forget_silent(state: Shard, now: float) -> list[Effect]:
    """Find agents no more that did not say in time that they are still there."""
    effects: list[Effect] = []
    for agent in state.catalogue.lives.over(now):
        state.strangers.pop(agent, None)
        partition = partition_of(agent, state.setup.topics.partitions)
        effects += index(state.catalogue.mark(agent, partition, online=None))
        effects.append(Measure("shard_silent_agents"))
    return effects


def on_strangers(state: Shard, now: float) -> Stepped:
    """Ask for the vectors of those who published none in time; if there is none, have their cards read."""
    effects: list[Effect] = []
    later: list[float] = []
    for agent, stranger in state.strangers.items():
        path = state.setup.topics.vcv(partition_of(agent, state.setup.topics.partitions), agent)
        if stranger.busy:
            continue
        if now < stranger.due:
            later.append(stranger.due)
        elif not stranger.asked:
            stranger.asked, stranger.due = True, now + state.setup.pace.heal_s
            effects.append(Subscribe((path,)))
            later.append(stranger.due)
        else:
            stranger.busy = True
            effects += [Unsubscribe((path,)), Request("card", CARD + agent, (agent, stranger.card))]
    if later:
        effects.append(Wake(STRANGERS, min(later)))
    return state, effects


def on_profile(state: Shard, event: Returned, now: float) -> Stepped:
    """Go on with a stranger whose card was read: its texts are to be embedded."""
    agent = event.token.removeprefix(CARD)
    stranger = state.strangers.get(agent)
    if stranger is None:
        return state, []
    profile = event.value
    if event.error or not isinstance(profile, Profile) or profile.agent != agent:
        del state.strangers[agent]
        detail = event.error or "the card is not of the agent on whose topic it is"
        path = state.setup.topics.discovery(agent)
        return state, refuse(state, Refused(path, Blob(body=stranger.card[:512]), "card", detail), now)
    texts = texts_of(profile)
    job = Job(
        tuple(texts.values()), stranger=Derivation(profile, tuple(texts), digest_of(stranger.card))
    )  # fmt: skip
    return enqueue(state, job, now)


def on_derived(state: Shard, job: Job) -> Stepped:
    """Keep the vector derived from a stranger's card, unless the stranger has spoken for itself meanwhile."""
    derivation = job.stranger
    assert derivation is not None
    profile = derivation.profile
    partition = partition_of(profile.agent, state.setup.topics.partitions)
    if state.strangers.pop(profile.agent, None) is None or partition not in state.holdings or not job.vectors:
        return state, []
    vectors = dict(zip(derivation.names, job.vectors, strict=True))
    vcv = build_vcv(profile, DERIVED, state.setup.model, vectors, derivation.card)
    _, calls = state.catalogue.put(vcv, partition, derived=True)
    return state, [*index(calls), Log("shard.derived", {"agent": profile.agent}), Measure("shard_derived")]
