"""What this index node is asked: agents for queries, and vectors for texts.

Embedding is the slow part: at most `MAX_BATCHES` requests are with the embedder, what comes meanwhile waits and
goes together. Two, so that texts which the embedder has cached overtake a batch that waits for its model.
"""

from typing import Final

import msgspec

from foa.core.effects import Effect, Log, Measure, Publish, Received, Request, Returned
from foa.core.machines.shard.holding import covered
from foa.core.machines.shard.retrieve import Plan, Yield, gather, plan
from foa.core.machines.shard.state import MAX_JOBS, Job, Refused, Shard, Stepped, refuse
from foa.core.routing.exchange import Search
from foa.core.vcv.vector import is_unit
from foa.errors import WireError
from foa.wire.codec import encode
from foa.wire.envelope import Envelope
from foa.wire.messages import Ask, Embed, Found, Rejected, Vectors
from foa.wire.records import Query

EMBED: Final = "embed:"
SEARCH: Final = "search:"
MAX_BATCHES: Final = 2
MAX_BATCH: Final = 64
"""Texts per request to the embedder."""

MAX_HITS: Final = 1_024
"""Hits of one answer, shared by its queries."""

MAX_FOUND: Final = 192 * 1024
"""Bytes of one answer; hits with long lists of skills leave room for fewer."""

JOB_S: Final = 60.0
"""After this, a job is dropped: nobody waits for it any more."""


def on_ask(state: Shard, event: Received, now: float) -> Stepped:
    """Take a query or texts to embed; the asker hears `Rejected` if that cannot be."""
    asked = event.message
    if not _is_reply(state, event.reply_to) or not isinstance(asked, Ask | Embed):
        path = state.setup.topics.index(state.setup.node, event.topic.kind)
        return state, refuse(state, Refused(path, asked, "ask", "no question with a reply topic of ours"), now)
    if len(state.work.jobs) >= MAX_JOBS:
        busy = Rejected("", "busy", f"{MAX_JOBS} questions are waiting here")
        return state, [Publish(event.reply_to, busy, correlation=event.correlation), Measure("shard_busy")]
    if isinstance(asked, Embed):
        return enqueue(
            state, Job(asked.texts, event.reply_to, event.correlation, trace=event.envelope.trace_parent), now
        )
    given = tuple(query.vector if _has_vector(state, query) else b"" for query in asked.queries)
    texts = tuple(query.text for query, vector in zip(asked.queries, given, strict=True) if not vector)
    ask = Ask(asked.queries, min(asked.k, max(1, MAX_HITS // len(asked.queries))))
    job = Job(texts, event.reply_to, event.correlation, trace=event.envelope.trace_parent, ask=ask, given=given)
    return enqueue(state, job, now)


def _is_reply(state: Shard, reply_to: str) -> bool:
    """Tell whether we may answer there: a stranger must not make us write elsewhere."""
    try:
        return state.setup.topics.parse(reply_to).kind == "reply"
    except WireError:
        return False


def _has_vector(state: Shard, query: Query) -> bool:
    return query.model == state.setup.model and is_unit(query.vector, state.setup.dim)


def enqueue(state: Shard, job: Job, now: float) -> Stepped:
    """Begin a job: search at once if all vectors are there, else wait for the embedder."""
    number = state.work.number()
    state.work.jobs[number] = job
    job.due = now + JOB_S
    if not job.texts:
        return state, _search(state, number, job)
    state.work.waiting.append(number)
    return state, _pump(state)


def _pump(state: Shard) -> list[Effect]:
    """Send waiting texts to the embedder, as many jobs together as fit."""
    work = state.work
    effects: list[Effect] = []
    while work.waiting and len(work.batches) < MAX_BATCHES:
        numbers: list[int] = []
        texts: list[str] = []
        while work.waiting and (not texts or len(texts) + len(_texts(state, work.waiting[0])) <= MAX_BATCH):
            number = work.waiting.popleft()
            if number in work.jobs:
                numbers.append(number)
                texts += work.jobs[number].texts
        if numbers:
            token = f"{EMBED}{work.number()}"
            work.batches[token] = tuple(numbers)
            effects.append(Request("embed", token, tuple(texts)))
    return effects


def _texts(state: Shard, number: int) -> tuple[str, ...]:
    job = state.work.jobs.get(number)
    return job.texts if job is not None else ()


def on_vectors(state: Shard, event: Returned) -> tuple[Shard, list[Effect], list[Job]]:
    """Hand a batch's vectors to its jobs. Returned last are the strangers' jobs, to be finished by the caller."""
    work = state.work
    jobs = [(number, work.jobs[number]) for number in work.batches.pop(event.token, ()) if number in work.jobs]
    value, error = event.value, event.error
    wanted = sum(len(job.texts) for _, job in jobs)
    if not error and not (isinstance(value, Vectors) and len(value.vectors) == wanted):
        error = "the embedder did not answer with one vector per text"
    effects: list[Effect] = []
    strangers: list[Job] = []
    at = 0
    for number, job in jobs:
        if error:
            effects += _fail(state, number, job, error)
        else:
            job.vectors = list(value.vectors[at : at + len(job.texts)])
            at += len(job.texts)
            effects += _continue(state, number, job)
        if job.stranger is not None:
            strangers.append(job)
    return state, effects + _pump(state), strangers


def _continue(state: Shard, number: int, job: Job) -> list[Effect]:
    if job.ask is not None:
        return _search(state, number, job)
    if job.stranger is not None:
        del state.work.jobs[number]
        return []
    return _reply(state, number, job, Vectors(state.setup.model, tuple(job.vectors)))


def _fail(state: Shard, number: int, job: Job, error: str) -> list[Effect]:
    line = Log("shard.embedding_failed", {"error": error}, "warning")
    if not job.reply_to:
        del state.work.jobs[number]
        return [line]
    return [line, *_reply(state, number, job, Rejected("", "embed", error[:512]))]


def _reply(state: Shard, number: int, job: Job, message: Found | Vectors | Rejected) -> list[Effect]:
    del state.work.jobs[number]
    envelope = Envelope(trace_parent=job.trace)
    return [Publish(job.reply_to, message, envelope, qos=0, correlation=job.correlation)]


def _search(state: Shard, number: int, job: Job) -> list[Effect]:
    """Plan and send the first searches of a job whose vectors are all known."""
    assert job.ask is not None
    made = iter(job.vectors)
    job.vectors = [vector or next(made) for vector in job.given]
    job.plans = [plan(query, job.ask.k, state.catalogue) for query in job.ask.queries]
    job.yields = [None] * len(job.plans)
    return _request(state, number, job, range(len(job.plans)))


def _request(state: Shard, number: int, job: Job, which: range | list[int]) -> list[Effect]:
    """Ask the index for queries `which`; those with one plan go together."""
    groups: dict[Plan, list[int]] = {}
    for at in which:
        groups.setdefault(job.plans[at], []).append(at)
    effects: list[Effect] = []
    for how, members in groups.items():
        token = f"{SEARCH}{state.work.number()}"
        state.work.searches[token] = (number, tuple(members))
        job.searching += 1
        vectors = tuple(job.vectors[at] for at in members)
        assert job.ask is not None
        texts = tuple(job.ask.queries[at].text for at in members)
        effects.append(Request("index", token, Search(vectors, how.fetch, how.among, texts)))
    return effects


def on_near(state: Shard, event: Returned) -> Stepped:
    """Gate what the index found; search again among the permitted where too few are, else answer."""
    number, members = state.work.searches.pop(event.token, (0, ()))
    job = state.work.jobs.get(number)
    if job is None or job.ask is None:
        return state, []
    job.searching -= 1
    if event.error:
        job.searching = 0
        line = Log("shard.search_failed", {"error": event.error}, "error")
        return state, [line, *_reply(state, number, job, Rejected("", "index", event.error[:512]))]
    again: list[int] = []
    for at, near in zip(members, event.value, strict=True):
        if _gathered(state, job, job.ask, at, near):
            again.append(at)
    effects = _request(state, number, job, again)
    if job.searching:
        return state, effects
    return state, [*effects, *_reply(state, number, job, _found(state, job))]


def _gathered(state: Shard, job: Job, ask: Ask, at: int, near: object) -> bool:
    """Keep what one search came to; tell whether a second one is needed."""
    assert isinstance(near, tuple)
    first = job.yields[at]
    found = gather(ask.queries[at], ask.k, job.plans[at], near, state.catalogue)
    job.yields[at] = Yield(found.hits, first.refused) if first is not None else found
    if found.again is None:
        return False
    job.plans[at] = found.again
    return True


def _found(state: Shard, job: Job) -> Found:
    yields = [one for one in job.yields if one is not None]
    refused = tuple(one.refused for one in yields)
    found = Found(
        hits=tuple(one.hits for one in yields),
        covered=covered(state),
        model=state.setup.model,
        vectors=tuple(job.vectors) if job.texts else (),
        refused=refused if any(refused) else (),
    )
    kept = max(map(len, found.hits))
    while kept and len(encode(found)) > MAX_FOUND:
        kept //= 2
        found = msgspec.structs.replace(found, hits=tuple(hits[:kept] for hits in found.hits))
    return found


def sweep(state: Shard, now: float) -> None:
    """Drop jobs, searches and batches that nobody waits for any more."""
    work = state.work
    for number in [number for number, job in work.jobs.items() if job.due <= now]:
        del work.jobs[number]
    for token in [token for token, (number, _) in work.searches.items() if number not in work.jobs]:
        del work.searches[token]
    for token in [token for token, numbers in work.batches.items() if not any(n in work.jobs for n in numbers)]:
        del work.batches[token]
