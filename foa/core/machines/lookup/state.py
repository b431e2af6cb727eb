"""The lookup's state: parameters, jobs and their legs, and the memory of vectors.

The tables belong to the one state that holds them and are mutable; what is small is frozen.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import count
from random import Random
from typing import Final, NamedTuple

import msgspec

from foa.core.effects import Effect, Key
from foa.core.routing.cover import Cover, cover
from foa.core.routing.exchange import Answer
from foa.core.routing.members import Members
from foa.core.routing.merge import merge_found
from foa.core.routing.voices import Voice, heard
from foa.core.vcv.vector import digest
from foa.wire.codec import encode
from foa.wire.messages import Ask, Embed, Found, Vectors
from foa.wire.topics import Topics

MAX_JOBS: Final = 4_096
MAX_VECTORS: Final = 4_096
"""Texts whose vectors are remembered (4 MB at 384 dimensions); the least recently used goes first."""

MAX_ANSWERS: Final = 512
"""Answers kept for the same question, for as long as they serve; the oldest goes first."""

MAX_TEXTS: Final = 64
"""What one `Embed` may carry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Parameters, in seconds.

    ``embed_s``: how long vectors may take (a model may be loading). ``answer_s``: how long a search may take.
    ``wait_s``: how long to wait for a first index node. ``ttl_s``: how long a presence is believed.
    ``reuse_s``: how long the answer to a question serves the same question again (0: never). ``voice`` says whose voice
    an agent has, where a trust file is configured.
    """

    topics: Topics
    node: str
    embed_s: float = 20.0
    answer_s: float = 2.0
    wait_s: float = 10.0
    ttl_s: float = 30.0
    reuse_s: float = 0.0
    voice: Voice | None = None


@dataclass(slots=True)
class Leg:
    """One question on its way: to whom, and for which partitions or else which texts; ``again``: sent once more."""

    node: str
    partitions: tuple[int, ...] = ()
    texts: tuple[str, ...] = ()
    again: bool = False


@dataclass(slots=True)
class Job:
    """One `Asked`: who wants it, what came so far, which nodes failed it."""

    caller: Key
    token: str
    ask: Ask | Embed
    began: float
    model: str = ""
    vectors: dict[str, bytes] = field(default_factory=dict)
    legs: dict[bytes, Leg] = field(default_factory=dict)
    found: list[Found] = field(default_factory=list)
    silent: set[str] = field(default_factory=set)
    retried: bool = False
    parked: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class Lookup:
    """Index nodes that live, and tables that belong to this state alone and are mutable.

    ``jobs`` by number, ``asked``: the job of each correlation in flight, ``loads``: how many are in flight per node,
    ``doubted``: live nodes that let a question time out and were not heard since, which are asked last,
    ``vectors`` by digest of model and text, ``answers`` by digest of the question with the instant until which they
    serve, ``whole`` at most one cover of everything that these members leave no choice in.
    """

    setup: Setup
    members: Members
    jobs: dict[int, Job] = field(default_factory=dict)
    asked: dict[bytes, int] = field(default_factory=dict)
    loads: Counter[str] = field(default_factory=Counter)
    doubted: set[str] = field(default_factory=set)
    vectors: dict[bytes, bytes] = field(default_factory=dict)
    answers: dict[bytes, tuple[float, Found]] = field(default_factory=dict)
    whole: list[tuple[Members, Cover]] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    opened: bool = False


Stepped = tuple[Lookup, list[Effect]]


class Moment(NamedTuple):
    """The clock and the dice of one step."""

    now: float
    rng: Random


def whom(state: Lookup, job: Job, salt: int) -> Cover | None:
    """Return which nodes to ask for everything that is served; None if there is no node.

    Where every partition has one holder there is nothing to choose, and the same members give the same cover. Of a
    doubted node only that is asked which no other serves.
    """
    if not job.silent and state.whole and state.whole[0][0] is state.members:
        return state.whole[0][1]
    nodes = {name: word for name, word in state.members.presences().items() if name not in job.silent}
    if not nodes:
        return None
    served = {p for word in nodes.values() for p in word.partitions}
    sound = {name: word for name, word in nodes.items() if name not in state.doubted} or nodes
    plan = cover(sound, served, loads=state.loads, salt=salt)
    if plan.missing and len(sound) < len(nodes):
        rest = cover(nodes, plan.missing, loads=state.loads, salt=salt, model=plan.model)
        plan = Cover(plan.model, (*plan.legs, *rest.legs), rest.missing)
    if not job.silent and served and sum(len(word.partitions) for word in nodes.values()) == len(served):
        state.whole[:] = [(state.members, plan)]
    return plan


def recall(state: Lookup, job: Job) -> tuple[str, ...]:
    """Look up the vectors of a job's texts; return the texts, each once, that have none yet."""
    missing: dict[str, None] = {}
    for text in texts_of(job):
        place = digest(job.model, text)
        known = state.vectors.pop(place, None)
        if known is not None:
            state.vectors[place] = job.vectors[text] = known
        elif text not in job.vectors:
            missing[text] = None
    return tuple(missing)


def texts_of(job: Job) -> tuple[str, ...]:
    """Return the texts of a job that travel without a vector of the index's model."""
    if isinstance(job.ask, Embed):
        return job.ask.texts
    return tuple(query.text for query in job.ask.queries if query.model != job.model or not query.vector)


def remember(state: Lookup, job: Job, texts: Iterable[str], vectors: Iterable[bytes]) -> None:
    """Keep the vectors of texts for this job and for later ones, within `MAX_VECTORS`."""
    for text, vector in zip(texts, vectors, strict=True):
        place = digest(job.model, text)
        state.vectors.pop(place, None)
        state.vectors[place] = job.vectors[text] = vector
    while len(state.vectors) > MAX_VECTORS:
        del state.vectors[next(iter(state.vectors))]


def with_vectors(job: Job) -> Ask:
    """Return a job's ask with the vectors that are known put in."""
    assert isinstance(job.ask, Ask)
    queries = tuple(
        msgspec.structs.replace(query, vector=job.vectors[query.text], model=job.model)
        if query.text in job.vectors and (query.model != job.model or not query.vector)
        else query
        for query in job.ask.queries
    )
    return Ask(queries, job.ask.k)


def close(state: Lookup, job: Job, correlations: Collection[bytes]) -> list[Leg]:
    """Forget legs of a job, answered or given up; return them."""
    legs = [job.legs.pop(correlation) for correlation in correlations]
    for correlation in correlations:
        del state.asked[correlation]
    for leg in legs:
        state.loads[leg.node] -= 1
        if not state.loads[leg.node]:
            del state.loads[leg.node]
    return legs


def answer(job: Job, voice: Voice | None = None) -> Answer:
    """Return what there is to say about a job: an ask always has an answer, if an empty one."""
    if isinstance(job.ask, Ask):
        queries = with_vectors(job).queries
        known = all(query.vector and query.model == job.model for query in queries)
        vectors = tuple(query.vector for query in queries) if known else ()
        found = merge_found(job.found, len(queries), job.ask.k, vectors)
        return Answer(job.token, found if voice is None else heard(found, voice))
    if all(text in job.vectors for text in job.ask.texts):
        return Answer(job.token, Vectors(job.model, tuple(job.vectors[text] for text in job.ask.texts)))
    return Answer(job.token, None, job.error or "no index node is there to embed texts")


def reusable(state: Lookup, ask: Ask | Embed, now: float) -> Found | None:
    """Return a fresh enough answer to the very same question."""
    if not state.answers or isinstance(ask, Embed):
        return None
    until, found = state.answers.get(_question(ask), (0.0, None))
    return found if now < until else None


def keep_answer(state: Lookup, job: Job, found: Found | Vectors | None, now: float) -> None:
    """Keep a complete answer for the same question, for a moment: load and newcomers change."""
    if state.setup.reuse_s <= 0.0 or job.retried or job.error or not isinstance(found, Found) or not found.covered:
        return
    question = _question(job.ask)
    state.answers.pop(question, None)
    while state.answers:
        oldest = next(iter(state.answers))
        if len(state.answers) < MAX_ANSWERS and state.answers[oldest][0] > now:
            break
        del state.answers[oldest]
    state.answers[question] = (now + state.setup.reuse_s, found)


def _question(ask: Ask | Embed) -> bytes:
    return blake2b(encode(ask), digest_size=16).digest()
