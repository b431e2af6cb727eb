"""Rewards: counted once, corrected by feedback, published in shelves, heard from peers."""

from typing import Final

from foa.core.effects import Effect, Log, Measure, Persist, Publish, Received, Wake
from foa.core.learn.features import PRICE, SCALE, M, unpacked
from foa.core.learn.kinds import D
from foa.core.learn.policies.change import Watch
from foa.core.learn.reward import utility
from foa.core.machines.match.memory import corrected, finished
from foa.core.machines.match.state import MAX_AWARDS, MAX_WATCHED, Match
from foa.core.machines.match.trust import judged
from foa.core.routing.exchange import Awarded, Concluded
from foa.wire.ids import Epoch, idempotency_key
from foa.wire.lessons import Counted
from foa.wire.messages import Accepted, Feedback, Learned, Rejected

PUBLISH: Final = "publish"
DERIVE: Final = "derive"
MEND: Final = "mend"
MEND_PEERS: Final = "mend-peers"
MEND_S: Final = 2.0
"""After a (re)connection, how long the broker may take to show what it keeps."""


def awarded(state: Match, told: Awarded) -> None:
    """Count an award in flight as load of its agent."""
    if told.award not in state.awards:
        state.awards[told.award] = told.agent
        state.loads[told.agent] += 1
    while len(state.awards) > MAX_AWARDS:
        _unload(state, next(iter(state.awards)))


def _unload(state: Match, award: str) -> None:
    agent = state.awards.pop(award, None)
    if agent is not None:
        state.loads[agent] -= 1
        if state.loads[agent] <= 0:
            del state.loads[agent]


def concluded(state: Match, told: Concluded, now: float) -> list[Effect]:
    """Count what an award was worth; one that another owner concluded only if that owner did not write it down."""
    _unload(state, told.award)
    ledger = state.ledger
    if told.score is None or ledger is None or not told.context:
        return []
    if told.owner != state.setup.node and (
        ledger.named(told.award, told.agent) or ledger.wrote(told.owner, told.agent) >= told.ended
    ):
        return []
    v = unpacked(told.context, M, D)
    if v is None:
        return [Measure("foa_rewards_unreadable_total")]
    rules = state.setup.rules
    price = float(v[PRICE]) / SCALE
    ratio = price * told.cost / told.price if told.price > 0.0 else 0.0
    reward = utility(told.score, max(0.0, ratio), told.used, cost_weight=rules.cost, latency_weight=rules.latency)
    at = now + state.setup.wall if told.owner == state.setup.node else told.ended
    counted = Counted(
        told.award, told.task, told.agent, told.context, told.score, reward, at, told.ms, told.cost, told.price
    )
    verdict, written = ledger.count(counted)
    effects: list[Effect] = [Measure("foa_rewards_total", label=verdict)]
    if written is None:
        return effects
    if state.model is not None and verdict == "counted":
        expected = state.model.observe(told.agent, v[:M], v[M:], reward, 1.0)
        state.standings.pop(told.agent, None)
        ledger.changed.discard(told.agent)
        effects += _watched(state, told.agent, reward, expected, at)
    effects += finished(state, told, now)
    return [*effects, *_kept(state, written), *soon(state, now)]


def _watched(state: Match, agent: str, reward: float, expected: float, at: float) -> list[Effect]:
    """Notice an agent that is not what it was: from here on it is judged by what it did since that began."""
    watch, began = state.watches.pop(agent, (Watch(), at))
    began = began if watch.g > 0.0 else at
    if watch.saw(reward, expected) and state.ledger is not None:
        state.ledger.void(agent, began)
        return [Measure("foa_agents_changed_total"), Log("agent_changed", {"agent": agent, "rewards": watch.length})]
    state.watches[agent] = (watch, began)
    while len(state.watches) > MAX_WATCHED:
        state.watches.popitem(last=False)
    return []


def _kept(state: Match, written: Counted) -> list[Effect]:
    """Make one reward durable by itself; its shelf is written whole later."""
    assert state.ledger is not None
    record = Learned(state.setup.node, 0, state.ledger.features, written.at, (), (written,))
    return [Persist(record, part=_part(written))]


def _part(written: Counted) -> str:
    return f"reward:{written.award}.{written.change}"


def soon(state: Match, now: float) -> list[Effect]:
    """See to it that shelves are published, and the model derived anew where sums changed beneath it."""
    assert state.ledger is not None
    effects: list[Effect] = []
    if not state.publishing:
        state.publishing = True
        effects.append(Wake(PUBLISH, now + state.setup.rules.publish_s))
    if state.ledger.changed and not state.deriving:
        state.deriving = True
        effects.append(Wake(DERIVE, now + state.setup.rules.derive_s))
    return effects


def publish(state: Match, now: float) -> list[Effect]:
    """Publish and keep every shelf that holds something new; the records of single rewards are then moot."""
    state.publishing = False
    ledger = state.ledger
    if ledger is None:
        return []
    effects: list[Effect] = []
    for bucket in ledger.dirty():
        learned, pending = ledger.write(bucket, now + state.setup.wall)
        effects.append(Publish(topic(state, bucket), learned, retain=True))
        effects.append(Persist(learned, part=f"shelf:{bucket}"))
        effects += [Persist(None, part=_part(counted)) for counted in pending]
    return effects


def doubt(state: Match, now: float) -> list[Effect]:
    """Suppose that the broker has forgotten every shelf; what it shows again is believed, the rest is mended."""
    if state.ledger is None:
        return []
    state.unseen = set(state.ledger.shelves())
    return [Wake(MEND, now + MEND_S), Wake(MEND_PEERS, now + 2 * MEND_S)] if state.unseen else []


def mend(state: Match, *, ours: bool) -> list[Effect]:
    """Say shelves again that the broker does not show: our own, and later those of peers who are not there to do it."""
    if state.ledger is None:
        return []
    lost = sorted(name for name in state.unseen if (name[0] == state.setup.node) is ours)
    state.unseen.difference_update(lost)
    return [
        Publish(state.setup.topics(f"learn/{node}/{bucket}"), learned, retain=True)
        for node, bucket in lost
        if (learned := state.ledger.shelf(node, bucket)) is not None
    ]


def topic(state: Match, bucket: str) -> str:
    """Return where a shelf of ours stands."""
    return state.setup.topics(f"learn/{state.setup.node}/{bucket}")


def heard(state: Match, event: Received, now: float) -> list[Effect]:
    """Take in a shelf: a peer's, or our own of an earlier life. What a peer counted as well we may have to give up."""
    learned = event.message
    if not isinstance(learned, Learned) or learned.node != event.topic.node or not learned.seq:
        return [Measure("foa_lessons_refused_total")]
    if state.ledger is None:
        state.kept.append((event.topic.name, learned))
        return []
    if learned.seq >= state.ledger.number(learned.node, event.topic.name):
        state.unseen.discard((learned.node, event.topic.name))
    elif learned.node == state.setup.node:  # somebody said an old one of ours
        held = state.ledger.shelf(learned.node, event.topic.name)
        return [Publish(topic(state, event.topic.name), held, retain=True)]
    ceded = state.ledger.hear(event.topic.name, learned)
    effects: list[Effect] = [Persist(None, part=_part(counted)) for counted in ceded]
    if ceded:
        effects.append(Measure("foa_rewards_ceded_total", float(len(ceded))))
    return [*effects, *soon(state, now)] if state.ledger.changed or ceded else effects


def feedback(state: Match, event: Received, now: float) -> list[Effect]:
    """Let a person's score replace what a task's awards were held to be worth; only the task's owner does."""
    said = event.message
    if event.topic.partition not in state.owned or not isinstance(said, Feedback) or said.task != event.topic.task:
        return []
    ledger = state.ledger
    counted = ledger.of_task(said.task) if ledger is not None else ()
    if said.subtask:
        prefix = idempotency_key(said.task, said.subtask)[:16]
        counted = tuple(one for one in counted if one.award.startswith(prefix))
    effects: list[Effect] = []
    for one in counted:
        assert ledger is not None
        before = ledger.named(one.award, one.agent)
        reward = sum(c.reward for c in before) + said.score - sum(c.score for c in before)
        _, written = ledger.correct(before, said.score, reward)
        if written is not None:
            effects += [*_kept(state, written), *corrected(state, one, said.score, now)]
        effects += judged(state, one.agent, said.score, now)
    if counted:
        effects += [*soon(state, now), Measure("foa_feedback_total")]
        fields = {"task": said.task, "score": said.score, "awards": len(counted)}
        effects.append(Log("feedback", fields))
    return [*effects, *_answer(state, event, said, len(counted))]


def _answer(state: Match, event: Received, said: Feedback, awards: int) -> list[Effect]:
    if not event.reply_to:
        return []
    if awards:
        word: Accepted | Rejected = Accepted(said.task, Epoch(0, state.setup.node))
    else:
        which = f"subtask {said.subtask} of task {said.task}" if said.subtask else f"task {said.task}"
        word = Rejected(said.task, "feedback", f"no reward of {which} is remembered; give feedback soon after its end")
    return [Publish(event.reply_to, word, correlation=event.correlation)]
