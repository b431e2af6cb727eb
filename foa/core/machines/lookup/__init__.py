"""Finding agents: the asking side of the index, in every node that routes.

Another machine tells it `Asked(token, Ask | Embed)` and is told `Answer`. An ask goes out once: with its
vectors if they are known, as text if one index node covers everything, else after one leg for the vectors.
Who does not answer in time is asked again elsewhere, once; then the answer says what it covered. Until such a node is
heard again others are asked before it: it may be dead, and its will not be there yet.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from random import Random
from typing import Final

from foa.core.effects import (
    Cleared,
    Effect,
    Elapsed,
    Event,
    Key,
    Measure,
    Online,
    Publish,
    Received,
    Sleep,
    Subscribe,
    Tell,
    Told,
    Wake,
)
from foa.core.machines.lookup.state import (
    MAX_JOBS,
    MAX_TEXTS,
    MAX_VECTORS,
    Job,
    Leg,
    Lookup,
    Moment,
    Setup,
    Stepped,
    answer,
    close,
    keep_answer,
    recall,
    remember,
    reusable,
    texts_of,
    whom,
    with_vectors,
)
from foa.core.routing.cover import cover
from foa.core.routing.exchange import Answer, Asked
from foa.core.routing.members import Members
from foa.wire.messages import Ask, Embed, Found, Presence, Rejected, Vectors

__all__ = ["KEY", "MAX_VECTORS", "Lookup", "Setup", "new", "step"]

KEY: Final = Key("lookup")
_TIDY: Final = "tidy"
_JOB: Final = "job:"


def new(setup: Setup) -> Lookup:
    """Return a lookup that knows nobody yet."""
    return Lookup(setup, Members(setup.ttl_s))


def step(state: Lookup, event: Event, now: float, rng: Random) -> Stepped:
    """Decide what follows from `event`."""
    at = Moment(now, rng)
    match event:
        case Told(sender, Asked() as asked):
            return state, _begin(state, sender, asked, at)
        case Received(topic, message) if topic.kind == "reply":
            return state, _answered(state, event.correlation, message, at)
        case Received(topic, Presence(role="index") as word) if topic.kind == "presence" and topic.node == word.node:
            again = [] if event.retained else _heard_of(state, word.node, rng)
            state, effects = _membership(state, state.members.heard(word, now), at)
            return state, again + effects
        case Cleared(topic) if topic.kind == "presence" and topic.name == "index":
            return _membership(state, state.members.cleared(topic.node), at)
        case Elapsed(timer) if timer.startswith(_JOB):
            return state, _late(state, int(timer.removeprefix(_JOB)), at)
        case Elapsed(timer) if timer == _TIDY:
            state, effects = _membership(state, state.members.expired(now), at)
            return state, [*effects, Wake(_TIDY, now + state.setup.ttl_s / 3)]
        case Online():
            return _online(state, now, rng)
        case _:
            return state, []


def _online(state: Lookup, now: float, rng: Random) -> Stepped:
    setup = state.setup
    touched = replace(state, members=state.members.touched(now), opened=True)
    if state.opened:
        return touched, _ask_again(touched, rng)
    patterns = (setup.topics.reply(setup.node, "lookup"), setup.topics("presence/index/+"))
    return touched, [Subscribe(patterns), Wake(_TIDY, now + setup.ttl_s / 3)]


def _ask_again(state: Lookup, rng: Random) -> list[Effect]:
    """Send again what was in flight when the connection was lost: questions travel without a receipt."""
    return [
        _send(state, number, leg, "embed" if leg.texts else "ask", rng)
        for number, job in list(state.jobs.items())
        for leg in close(state, job, tuple(job.legs))
    ]


def _heard_of(state: Lookup, node: str, rng: Random) -> list[Effect]:
    """Send again, once, what is in flight to a node that shows itself: it may come back from a lost connection."""
    state.doubted.discard(node)
    effects: list[Effect] = []
    for number, job in list(state.jobs.items()):
        asked = [key for key, leg in job.legs.items() if leg.node == node and not leg.again]
        for leg in close(state, job, asked):
            leg.again = True
            effects.append(_send(state, number, leg, "embed" if leg.texts else "ask", rng))
    return effects


def _membership(state: Lookup, members: Members, at: Moment) -> Stepped:
    """Go on with what waits for nodes, and ask others what was asked of one that died."""
    gone = set(state.members.live) - set(members.live)
    if set(state.members.live) != set(members.live):
        state.answers.clear()
        state.doubted.intersection_update(members.live)
    state = replace(state, members=members)
    effects: list[Effect] = []
    for number, job in list(state.jobs.items()):
        if job.parked:
            effects += _go(state, number, job, at)
        elif gone and any(leg.node in gone for leg in job.legs.values()):
            effects += _retry(state, number, job, gone, at)
    return state, effects


def _begin(state: Lookup, caller: Key, asked: Asked, at: Moment) -> list[Effect]:
    known = reusable(state, asked.ask, at.now)
    if known is not None:
        return [Tell(caller, Answer(asked.token, known)), Measure("lookup_reused")]
    if len(state.jobs) >= MAX_JOBS:
        return [Tell(caller, Answer(asked.token, None, f"{MAX_JOBS} lookups are in flight")), Measure("lookup_busy")]
    number = next(state.numbers)
    job = state.jobs[number] = Job(caller, asked.token, asked.ask, at.now)
    return _go(state, number, job, at)


def _go(state: Lookup, number: int, job: Job, at: Moment) -> list[Effect]:
    """Do what a job needs next: wait for the index, get vectors, fan out; or it is done already."""
    plan = whom(state, job, number)
    if plan is None or (isinstance(job.ask, Ask) and not plan.legs):
        return _park(state, number, job, at)
    job.parked, job.model = False, plan.model
    unknown = recall(state, job)
    if unknown and (isinstance(job.ask, Embed) or len(plan.legs) > 1):
        return _embed(state, number, job, unknown, at)
    if isinstance(job.ask, Embed):
        return _conclude(state, number, job, at)
    return _fan_out(state, number, job, plan.legs, at)


def _park(state: Lookup, number: int, job: Job, at: Moment) -> list[Effect]:
    """Wait for an index node, within bounds."""
    until = job.began + state.setup.wait_s
    if job.retried or at.now >= until:
        return _conclude(state, number, job, at)
    job.parked = True
    return [Wake(f"{_JOB}{number}", until)]


def _embed(state: Lookup, number: int, job: Job, texts: tuple[str, ...], at: Moment) -> list[Effect]:
    """Ask the least loaded node of the model for vectors."""
    loads, words = state.loads, state.members.presences()
    able = [name for name, word in words.items() if word.model == job.model and name not in job.silent]
    node = min(able, key=lambda name: (name in state.doubted, words[name].load + loads[name], name))
    effects = [
        _send(state, number, Leg(node, texts=texts[first : first + MAX_TEXTS]), "embed", at.rng)
        for first in range(0, len(texts), MAX_TEXTS)
    ]
    return [*effects, Wake(f"{_JOB}{number}", at.now + _patience(state, job))]


def _fan_out(
    state: Lookup, number: int, job: Job, legs: Iterable[tuple[str, tuple[int, ...]]], at: Moment
) -> list[Effect]:
    effects = [_send(state, number, Leg(node, partitions), "ask", at.rng) for node, partitions in legs]
    return [*effects, Wake(f"{_JOB}{number}", at.now + _patience(state, job))]


def _patience(state: Lookup, job: Job) -> float:
    """Return how long an answer may take: a node that is given text may have to load its model first.

    Of several such nodes the first is not waited for so long: it may as well be dead.
    """
    known = isinstance(job.ask, Ask) and all(text in job.vectors for text in texts_of(job))
    return state.setup.answer_s if known or (not job.retried and _others(state, job)) else state.setup.embed_s


def _others(state: Lookup, job: Job) -> bool:
    """Tell whether what was asked in vain could be asked of others: vectors of any node of the model, the rest of all.

    A job that is given text asks one node at a time.
    """
    taken = {leg.node for leg in job.legs.values()}
    words = state.members.presences()
    able = {name: word for name, word in words.items() if name not in taken | job.silent and word.model == job.model}
    wanted = {p for leg in job.legs.values() for p in leg.partitions}
    return bool(able) and not cover(able, wanted, model=job.model).missing


def _send(state: Lookup, number: int, leg: Leg, leaf: str, rng: Random) -> Effect:
    """Ask one node; the correlation is new for each try, so that a late answer to an earlier one is told apart."""
    topics, correlation = state.setup.topics, rng.getrandbits(96).to_bytes(12, "big")
    job = state.jobs[number]
    job.legs[correlation] = leg
    state.asked[correlation] = number
    state.loads[leg.node] += 1
    return Publish(
        topics.index(leg.node, leaf),
        Embed(leg.texts) if leg.texts else with_vectors(job),
        qos=0,
        expiry_s=max(1, round(_patience(state, job))),
        reply_to=topics.reply(state.setup.node, "lookup"),
        correlation=correlation,
    )


def _answered(state: Lookup, correlation: bytes, message: object, at: Moment) -> list[Effect]:
    """Take in an answer; one that is late, foreign or of another model counts as none."""
    number = state.asked.get(correlation)
    if number is None:
        return []
    job = state.jobs[number]
    leg = job.legs[correlation]
    state.doubted.discard(leg.node)
    match message:
        case Vectors(model, vectors) if model == job.model and leg.texts and len(vectors) == len(leg.texts):
            remember(state, job, leg.texts, vectors)
        case Found(hits) if message.model == job.model and not leg.texts and len(hits) == _count(job):
            job.found.append(message)
            if len(message.vectors) == len(hits):
                assert isinstance(job.ask, Ask)
                remember(state, job, (query.text for query in job.ask.queries), message.vectors)
        case Rejected(_, code, reason):
            job.error = f"{leg.node}: {code}: {reason}"
            return _retry(state, number, job, {leg.node}, at)
        case _:
            job.error = f"{leg.node}: an answer that does not fit the question"
            return _retry(state, number, job, {leg.node}, at)
    close(state, job, (correlation,))
    uncovered = set(leg.partitions).difference(message.covered) if isinstance(message, Found) else set()
    if uncovered and not job.retried:
        return _elsewhere(state, number, job, uncovered, {leg.node}, at)
    if job.legs:
        return []
    return _go(state, number, job, at) if leg.texts else _conclude(state, number, job, at)


def _count(job: Job) -> int:
    return len(job.ask.queries) if isinstance(job.ask, Ask) else 0


def _late(state: Lookup, number: int, at: Moment) -> list[Effect]:
    """Ask others than the silent, or conclude without them."""
    job = state.jobs.get(number)
    if job is None:
        return []
    if job.parked:
        return _conclude(state, number, job, at)
    silent = {leg.node for leg in job.legs.values()}
    state.doubted.update(silent.intersection(state.members.live))
    job.error = f"no answer in time from {', '.join(sorted(silent))}"
    return _retry(state, number, job, silent, at)


def _retry(state: Lookup, number: int, job: Job, failed: Collection[str], at: Moment) -> list[Effect]:
    """Ask once more, elsewhere, what was asked of `failed`; the second time do without."""
    lost = close(state, job, [key for key, leg in job.legs.items() if leg.node in failed])
    if not job.retried and any(leg.texts for leg in lost):
        job.retried = True
        job.silent.update(failed)
        return _go(state, number, job, at)
    return _elsewhere(state, number, job, {p for leg in lost for p in leg.partitions}, failed, at)


def _elsewhere(
    state: Lookup, number: int, job: Job, partitions: Collection[int], failed: Collection[str], at: Moment
) -> list[Effect]:
    """Ask other holders for `partitions`, unless that was done before; conclude if nothing is in flight then."""
    again = not job.retried
    job.retried = True
    job.silent.update(failed)
    if again:
        nodes = {name: word for name, word in state.members.presences().items() if name not in job.silent}
        plan = cover(nodes, partitions, loads=state.loads, salt=number, model=job.model)
        if plan.legs:
            return [Measure("lookup_retried"), *_fan_out(state, number, job, plan.legs, at)]
    return [] if job.legs else _conclude(state, number, job, at)


def _conclude(state: Lookup, number: int, job: Job, at: Moment) -> list[Effect]:
    """Answer with what there is, and forget the job."""
    del state.jobs[number]
    close(state, job, tuple(job.legs))
    took = Measure("lookup_answered", label="embed" if isinstance(job.ask, Embed) else "ask")
    told = answer(job, state.setup.voice)
    keep_answer(state, job, told.found, at.now)
    return [Sleep(f"{_JOB}{number}"), Tell(job.caller, told), took]
