"""Evidence of what agents do well, on its way from rewards to ``evidence/{partition}/{agent}``.

Any coordinator may write an agent's evidence, and all of it is one retained record; so whoever has something to add
listens to the record, merges what others wrote, and publishes while the broker's copy lacks something. Merging does
not mind order or repetition (`foa.core.learn.evidence`), so writers converge. A vector is remembered from the
placement by its text; after a take-over the index is asked for it. Without the switch ``learning.evidence``, or for a
private task, nothing is kept.
"""

from typing import Final

import msgspec

from foa.core.effects import Effect, Key, Measure, Publish, Received, Subscribe, Tell, Unsubscribe, Wake
from foa.core.learn.evidence import merge
from foa.core.learn.evidence_vector import shortened
from foa.core.learn.features import NAMES, SCALE, M, unpacked
from foa.core.learn.kinds import D
from foa.core.machines.match.state import Known, Match, Memory
from foa.core.routing.exchange import Asked, Concluded
from foa.core.vcv.vector import BYTES_PER_DIM, digest, is_unit
from foa.wire.ids import partition_of
from foa.wire.lessons import Counted, Exemplar
from foa.wire.messages import Embed, Evidence, Vectors

TIMER: Final = "evidence"
TOKEN: Final = "evidence:"  # noqa: S105 - a lookup's token, no secret
PAUSES: Final = 2.5
"""Between publications, and before the first, so many times the pause between shelves: the retained record has come."""

MAX_AGENTS: Final = 1_000
"""Agents whose evidence is held here (60 MB at most); the least recently rewarded goes first."""

_WORDS: Final = NAMES.index("words")

MAX_VECTORS: Final = 2_048
"""Texts whose vector is remembered, and as many whose shortened one is (3 MB together)."""

MAX_WAITING: Final = 256
MAX_FRESH: Final = 64
AT_ONCE: Final = 16


def placed(memory: Memory, text: str, vector: bytes) -> None:
    """Remember the vector of a text that is placed, for when it is done."""
    if vector:
        place = _place(text)
        memory.vectors[place] = vector
        memory.vectors.move_to_end(place)
        while len(memory.vectors) > MAX_VECTORS:
            memory.vectors.popitem(last=False)


def finished(state: Match, told: Concluded, now: float) -> list[Effect]:
    """Keep a rewarded award as evidence, once its vector is known."""
    memory = state.memory
    if not state.setup.rules.evidence or not told.text or told.score is None or not memory.model:
        return []
    known = memory.known.get(told.agent)
    if known is not None and known.texts.get(_place(told.text)) == told.score:
        return [Measure("foa_evidence_repeated_total")]  # the same again, which teaches nothing
    short = memory.short.get(_place(told.text))
    if short is not None:
        return _learned(state, told, told.score, short, now)
    vector = memory.vectors.get(_place(told.text))
    if vector is not None:
        return _learned(state, told, told.score, _short(memory, told.text, vector), now)
    memory.waiting[told.award] = told
    while len(memory.waiting) > MAX_WAITING:
        memory.waiting.popitem(last=False)
    return [Tell(Key("lookup"), Asked(TOKEN + told.award, Embed((told.text,))))]


def _place(text: str) -> bytes:
    """Return what stands for a text of whatever length in the tables; all their vectors are of one model."""
    return digest("", text)


def answered(state: Match, token: str, found: object, now: float) -> list[Effect]:
    """Go on with a finished task whose vector has come."""
    told = state.memory.waiting.pop(token.removeprefix(TOKEN), None)
    if told is None or told.score is None or not isinstance(found, Vectors) or found.model != state.memory.model:
        return []
    return _learned(state, told, told.score, _short(state.memory, told.text, found.vectors[0]), now)


def _short(memory: Memory, text: str, vector: bytes) -> bytes:
    """Return a text's vector as evidence has it, made once; empty where it is none."""
    made = shortened(vector) if is_unit(vector, len(vector) // BYTES_PER_DIM) else b""
    memory.short[_place(text)] = made
    while len(memory.short) > MAX_VECTORS:
        memory.short.popitem(last=False)
    return made


def _learned(state: Match, told: Concluded, score: float, short: bytes, now: float) -> list[Effect]:
    """Keep a shortened vector with its reward, and what was known of the words when the award was made."""
    if not short:
        return []
    row = unpacked(told.context, M, D)
    words = 0.0 if row is None else min(1.0, max(0.0, float(row[_WORDS]) / SCALE))
    return _keep(state, told.agent, Exemplar(told.award, short, score, told.ended, words), now, told.text)


def corrected(state: Match, counted: Counted, score: float, now: float) -> list[Effect]:
    """Let a later word on an award change the evidence that it left, if it left any here."""
    known = state.memory.known.get(counted.agent)
    at = now + state.setup.wall
    for exemplar in (*known.fresh, *known.exemplars) if known is not None else ():
        if exemplar.award == counted.award:
            return _keep(state, counted.agent, msgspec.structs.replace(exemplar, reward=score, at=at), now)
    return []


def _keep(state: Match, agent: str, exemplar: Exemplar, now: float, text: str = "") -> list[Effect]:
    memory = state.memory
    effects: list[Effect] = []
    known = memory.known.get(agent)
    if known is None:
        known = memory.known[agent] = Known()
        effects.append(Subscribe((_topic(state, agent),)))
        effects += _evicted(state)
    memory.known.move_to_end(agent)
    if text:
        place = _place(text)
        known.texts.pop(place, None)
        known.texts[place] = exemplar.reward
        while len(known.texts) > MAX_FRESH:
            del known.texts[next(iter(known.texts))]
    known.fresh.append(exemplar)
    known.ahead = True
    if len(known.fresh) >= MAX_FRESH:
        _settle(known)
    return [*effects, *_soon(state, now)]


def _settle(known: Known) -> None:
    """Merge what was gathered: once for many, since merging costs more than gathering."""
    known.exemplars = merge(known.exemplars, known.fresh)
    known.fresh.clear()


def _evicted(state: Match) -> list[Effect]:
    memory = state.memory
    if len(memory.known) <= MAX_AGENTS:
        return []
    agent, known = memory.known.popitem(last=False)
    lost = [Measure("foa_evidence_lost_total")] if known.ahead else []
    return [Unsubscribe((_topic(state, agent),)), *lost]


def _topic(state: Match, agent: str) -> str:
    topics = state.setup.topics
    return topics(f"evidence/{partition_of(agent, topics.partitions)}/{agent}")


def _soon(state: Match, now: float) -> list[Effect]:
    if state.memory.due:
        return []
    state.memory.due = True
    return [Wake(TIMER, now + PAUSES * state.setup.rules.publish_s)]


def heard(state: Match, event: Received, now: float) -> list[Effect]:
    """Merge what the broker keeps of an agent we have evidence of; say ours again if it lacks any."""
    said, memory = event.message, state.memory
    known = memory.known.get(event.topic.agent)
    if known is None or not isinstance(said, Evidence) or said.agent != event.topic.agent or said.model != memory.model:
        return []
    _settle(known)
    known.exemplars = merge(known.exemplars, _alike(known, said))
    known.ahead = set(known.exemplars) != set(said.exemplars)
    return _soon(state, now) if known.ahead else []


def _alike(known: Known, said: Evidence) -> list[Exemplar]:
    """Return what was said in vectors as long as ours: a merge keeps the longer of two lengths, even a stray's."""
    ours = {len(each.vector) for each in known.exemplars}
    return [each for each in said.exemplars if not ours or len(each.vector) in ours]


def online(state: Match, now: float, *, resumed: bool) -> list[Effect]:
    """Say again what a broker may have forgotten."""
    memory = state.memory
    if resumed or not memory.known:
        return []
    for known in memory.known.values():
        known.ahead = True
    return _soon(state, now)


def elapsed(state: Match, timer: str, now: float) -> list[Effect]:
    """Publish what the broker lacks, a few agents at a time."""
    memory = state.memory
    if timer != TIMER:
        return []
    memory.due = False
    ahead = [agent for agent, known in memory.known.items() if known.ahead]
    effects: list[Effect] = [_said(state, agent) for agent in ahead[:AT_ONCE]]
    if len(ahead) > AT_ONCE:
        effects += _soon(state, now)
    return effects


def _said(state: Match, agent: str) -> Publish:
    known = state.memory.known[agent]
    _settle(known)
    known.ahead = False
    return Publish(_topic(state, agent), Evidence(agent, state.memory.model, known.exemplars), retain=True)
