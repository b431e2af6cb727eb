"""The matchmaker: what it puts in which order, what it counts, and what it lets nobody see."""

from collections.abc import Sequence
from random import Random
from typing import Any, Final

import msgspec
import numpy as np
import pytest

from foa.core import effects as fx
from foa.core.effects import Effect, Key
from foa.core.learn import features, kinds
from foa.core.learn.evidence_vector import shortened
from foa.core.machines import match
from foa.core.machines.match import Rules
from foa.core.routing.exchange import Answer, Asked, Awarded, Concluded, Weigh, Weighed, Weighing, Weighted
from foa.core.routing.ownership import Holds
from foa.core.routing.score import Weights
from foa.core.vcv.vector import pack
from foa.wire.ids import NO_EPOCH, Version, partition_of
from foa.wire.lessons import Exemplar
from foa.wire.messages import Accepted, Embed, Evidence, Feedback, Learned, Rejected, Vectors
from foa.wire.records import Hit, Prefer, Query, Resources
from foa.wire.topics import Topic, Topics

TASK: Final = Key("task", "t1")
RNG: Final = np.random.default_rng(5)
VECTOR: Final = pack(RNG.normal(size=16))


class Maker:
    """One matchmaker that is told things and asked; time goes on by itself."""

    def __init__(self, node: str = "c1", **rules: Any) -> None:
        self.setup = match.Setup(topics=Topics(), node=node, wall=1_000_000.0, rules=Rules(**rules))
        self.state = match.new(self.setup)
        self.now = 0.0
        self.awards = 0
        self.step(fx.Online(resumed=False))

    def step(self, event: fx.Event) -> list[Effect]:
        self.now += 0.01
        self.state, effects = match.step(self.state, event, self.now, Random(1))
        return effects

    def tell(self, message: Any, sender: Key = TASK) -> list[Effect]:
        return self.step(fx.Told(sender, message))

    def begin(self) -> "Maker":
        vectors = tuple(pack(np.random.default_rng(at).normal(size=16)) for at in range(len(kinds.TEXTS)))
        self.tell(Answer(match.KINDS, Vectors("test", vectors)), Key("lookup"))
        return self

    def weigh(self, hits: Sequence[Hit], prefer: Prefer = "balanced", query: Query | None = None) -> Weighted:
        item = Weighing("main", query or Query("say it"), tuple(hits), VECTOR, 60_000.0)
        (told,) = self.tell(Weigh("place:0", Weights(), (item,), prefer))
        assert isinstance(told, fx.Tell)
        assert isinstance(told.message, Weighed)
        return told.message.items[0]

    def reward(self, agent: str, order: Weighted, score: float | None, **more: Any) -> list[Effect]:
        self.awards += 1
        context = order.contexts[agent]
        ended = self.now + self.setup.wall
        award = f"w{self.awards}"
        self.tell(Awarded(award, agent))
        told = Concluded(award, more.pop("task", "t1"), agent, context, score, ended, self.setup.node, **more)
        return self.tell(told)

    def play(self, hits: Sequence[Hit], scores: dict[str, float], times: int) -> list[str]:
        """Place and reward so many tasks; return who led each time."""
        led = []
        for _ in range(times):
            order = self.weigh(hits)
            led.append(order.candidates[0].agent)
            self.reward(led[-1], order, scores[led[-1]])
        return led


def evidence(effects: Sequence[Effect]) -> list[Evidence]:
    """Return the evidence that is published."""
    return [e.message for e in effects if isinstance(e, fx.Publish) and isinstance(e.message, Evidence)]


def mean(order: Weighted) -> float:
    """Return what is expected of the first."""
    found = order.candidates[0].mean
    assert found is not None
    return found


def hit(name: str, cosine: float = 0.5, **resources: Any) -> Hit:
    return Hit(f"o/u/{name}", Version(1, 1), cosine, 0.8, resources=Resources(**resources))


GOOD, BAD = hit("good", 0.5), hit("bad", 0.6)
SCORES: Final = {"o/u/good": 1.0, "o/u/bad": 0.0}


def test_before_anything_is_known_alpha_decides() -> None:
    """Before the kinds are embedded there is no context; after, and without rewards, the order is the same."""
    maker = Maker()
    before = maker.weigh([GOOD, BAD])
    after = maker.begin().weigh([GOOD, BAD])
    assert [c.agent for c in before.candidates] == [c.agent for c in after.candidates] == ["o/u/bad", "o/u/good"]
    assert (before.candidates[0].mean, dict(before.contexts)) == (None, {})
    assert after.candidates[0].mean == pytest.approx(after.candidates[0].score, abs=1e-5)


def test_who_fails_loses_its_traffic_and_one_that_mends_may_win_it_back() -> None:
    maker = Maker(tau_s=1.0).begin()
    assert maker.play([GOOD, BAD], SCORES, 12)[-6:] == ["o/u/good"] * 6
    swapped = {"o/u/good": 0.0, "o/u/bad": 1.0}
    maker.now += 3.0
    maker.step(fx.Elapsed("derive"))
    assert maker.play([GOOD, BAD], swapped, 60)[-10:].count("o/u/bad") >= 8


def test_nobody_refused_is_ever_put_in_order() -> None:
    maker = Maker().begin()
    maker.play([GOOD, BAD], SCORES, 5)
    order = maker.weigh([GOOD, BAD], query=Query("say it", skills=("fly",)))
    assert all(candidate.refused for candidate in order.candidates)
    assert not order.contexts


def test_newcomers_get_a_bounded_share_of_turns() -> None:
    """Forty newcomers as fit as the one that is known: the known one keeps nineteen decisions of twenty."""
    maker = Maker(explore=0.0, probe=0.05).begin()
    known = hit("known", 0.5)
    maker.play([known], {"o/u/known": 1.0}, 10)
    crowd = [known, *(hit(f"new-{n:02}", 0.5) for n in range(40))]
    scores = {each.agent: 0.4 for each in crowd} | {"o/u/known": 1.0}
    led = maker.play(crowd[:16], scores, 200)
    share = sum(agent != "o/u/known" for agent in led) / len(led)
    assert 0.03 <= share <= 0.05
    assert any(order.probe for order in (maker.weigh(crowd[:16]).candidates[0] for _ in range(40)))


def test_an_unfit_newcomer_gets_no_turn() -> None:
    maker = Maker(explore=0.0, probe=1.0).begin()
    known = hit("known", 0.6)
    maker.play([known], {"o/u/known": 1.0}, 10)
    assert set(maker.play([known, hit("new", 0.2)], {"o/u/known": 1.0}, 20)) == {"o/u/known"}


def test_declared_price_and_latency_move_to_what_was_measured() -> None:
    maker = Maker().begin()
    liar = hit("liar", price_call=0.01, latency_ms=10.0)
    prices = []
    for _ in range(20):
        order = maker.weigh([liar])
        prices.append(order.candidates[0].price)
        maker.reward("o/u/liar", order, 1.0, ms=2000.0, cost=0.05, price=0.01)
    (seen,) = maker.weigh([liar]).hits
    assert prices[0] == pytest.approx(0.01)
    assert prices == sorted(prices)
    assert seen.resources.price_call == pytest.approx(0.05, rel=0.25)
    assert seen.resources.latency_ms == pytest.approx(2000.0, rel=0.25)


def test_preferences_reach_the_learned_order() -> None:
    maker = Maker(explore=0.0, probe=0.0).begin()
    dear, slow = hit("dear", 0.55, price_call=1.0, latency_ms=10.0), hit("slow", 0.5, price_call=0.1, latency_ms=9000.0)
    for _ in range(15):
        for each, score in ((dear, 0.9), (slow, 0.85)):
            maker.reward(each.agent, maker.weigh([dear, slow]), score)
    wants: tuple[Prefer, ...] = ("cost", "latency", "quality")
    led = {prefer: maker.weigh([dear, slow], prefer).candidates[0].agent for prefer in wants}
    assert led == {"cost": "o/u/slow", "latency": "o/u/dear", "quality": "o/u/dear"}


def test_awards_in_flight_are_load() -> None:
    maker = Maker().begin()
    for award in ("w1", "w1", "w2"):
        maker.tell(Awarded(award, "o/u/bad"))
    order = maker.weigh([GOOD, hit("bad", 0.6, concurrency=2)])
    assert [c.refused[:4] for c in order.candidates if c.agent == "o/u/bad"] == ["busy"]
    maker.tell(Concluded("w1", "t1", "o/u/bad", b"", None, 0.0, "c1"))
    assert not maker.weigh([GOOD, hit("bad", 0.6, concurrency=2)]).candidates[-1].refused


def test_what_was_counted_survives_a_restart() -> None:
    """Single rewards are durable in the step that counts them, whole shelves once they are published."""
    maker, kept = Maker().begin(), {}
    for _ in range(6):
        order = maker.weigh([GOOD, BAD])
        for effect in maker.reward("o/u/bad", order, 0.0):
            if isinstance(effect, fx.Persist):
                kept[effect.part] = effect.message
    for effect in maker.step(fx.Elapsed("publish")):
        if isinstance(effect, fx.Persist):
            kept[effect.part] = effect.message
    maker.reward("o/u/bad", order, 0.0)
    again = Maker()
    for part in sorted(kept):
        if (record := kept[part]) is not None:
            again.step(fx.Restored(record))
    again.begin()
    first = again.weigh([GOOD, BAD]).candidates[0]
    assert (first.agent, sum(part is not None for part in kept.values())) == ("o/u/good", 1)


def test_a_peers_rewards_count_here_too_once() -> None:
    one, two = Maker("c1").begin(), Maker("c2").begin()
    one.play([BAD], SCORES, 6)
    said = [e for e in one.step(fx.Elapsed("publish")) if isinstance(e, fx.Publish)]
    for _ in range(2):
        for each in said:
            assert isinstance(each.message, Learned)
            bucket = each.topic.rpartition("/")[2]
            two.step(fx.Received(Topic("learn", node="c1", name=bucket), each.message, retained=True))
    two.step(fx.Elapsed("derive"))
    candidates = {c.agent: c for c in two.weigh([GOOD, BAD]).candidates}
    assert candidates["o/u/bad"].seen == pytest.approx(6.0, rel=1e-3)
    inherited = Concluded("w3", "t1", "o/u/bad", b"\0" * 4 * (len(features.NAMES) + kinds.D), 0.0, 0.0, "c1")
    assert not any(isinstance(e, fx.Persist) for e in two.tell(inherited))


def test_a_record_under_a_foreign_name_is_refused() -> None:
    maker = Maker().begin()
    forged = Learned("c9", 1, "test/1", 1.0)
    effects = maker.step(fx.Received(Topic("learn", node="c1", name="7"), forged))
    assert effects == [fx.Measure("foa_lessons_refused_total")]


def test_only_the_owner_of_a_task_takes_feedback_on_it() -> None:
    maker = Maker().begin()
    order = maker.weigh([GOOD])
    maker.reward("o/u/good", order, 1.0, task="t1")
    partition = partition_of("t1")
    said = fx.Received(Topic("feedback", partition, "t1"), Feedback("t1", 0.0), reply_to="foa/v1/reply/u/feedback")
    assert maker.step(said) == []
    maker.tell(Holds(partition, NO_EPOCH), Key("ownership"))
    replies = [e.message for e in maker.step(said) if isinstance(e, fx.Publish) and e.topic.endswith("feedback")]
    assert isinstance(replies[0], Accepted)
    maker.step(fx.Elapsed("derive"))
    assert mean(maker.weigh([GOOD])) < mean(order)
    unknown = said._replace(topic=Topic("feedback", partition, "t2"), message=Feedback("t2", 0.0))
    assert any(isinstance(e.message, Rejected) for e in maker.step(unknown) if isinstance(e, fx.Publish))


@pytest.mark.parametrize("text", ["say it", ""])
def test_finished_tasks_become_evidence_unless_they_are_private(text: str) -> None:
    maker = Maker().begin()
    effects = maker.reward("o/u/good", maker.weigh([GOOD]), 1.0, text=text)
    effects += maker.step(fx.Elapsed("evidence"))
    assert [len(each.exemplars) for each in evidence(effects)] == ([1] if text else [])


def test_without_the_vector_the_index_is_asked_for_it() -> None:
    maker = Maker().begin()
    order = maker.weigh([GOOD])
    effects = maker.reward("o/u/good", order, 1.0, text="inherited words")
    (asked,) = [e.message for e in effects if isinstance(e, fx.Tell) and isinstance(e.message, Asked)]
    assert asked.ask == Embed(("inherited words",))
    maker.tell(Answer(asked.token, Vectors("test", (VECTOR,))), Key("lookup"))
    (said,) = evidence(maker.step(fx.Elapsed("evidence")))
    assert said.exemplars[0].vector == shortened(VECTOR)


@pytest.mark.parametrize("vector", [b"", b"\0", bytes(32), b"\x00\x7c" * 16])
def test_a_vector_without_a_direction_leaves_no_evidence(vector: bytes) -> None:
    maker = Maker().begin()
    effects = maker.reward("o/u/good", maker.weigh([GOOD]), 1.0, text="inherited words")
    (asked,) = [e.message for e in effects if isinstance(e, fx.Tell) and isinstance(e.message, Asked)]
    maker.tell(Answer(asked.token, Vectors("test", (vector,))), Key("lookup"))
    assert not evidence(maker.step(fx.Elapsed("evidence")))


def test_evidence_says_how_much_the_words_were_the_agents() -> None:
    maker = Maker().begin()
    order = maker.weigh([msgspec.structs.replace(GOOD, words=0.25)])
    maker.reward("o/u/good", order, 1.0, text="say it")
    (said,) = evidence(maker.step(fx.Elapsed("evidence")))
    assert said.exemplars[0].words == pytest.approx(0.25)


def test_a_stray_vector_in_the_record_does_not_outlive_ours() -> None:
    """Of two lengths the longer one is kept by a merge; what the broker keeps must not use that against us."""
    maker = Maker().begin()
    maker.reward("o/u/good", maker.weigh([GOOD]), 1.0, text="say it")
    stray = Evidence("o/u/good", "test", (Exemplar("stray", bytes(64), 1.0, 9e9),))
    topic = Topic("evidence", partition_of("o/u/good"), "o/u/good")
    maker.step(fx.Received(topic, stray, retained=True))
    (said,) = evidence(maker.step(fx.Elapsed("evidence")))
    assert [each.vector for each in said.exemplars] == [shortened(VECTOR)]


def test_with_the_switch_off_nothing_is_kept_of_what_tasks_were_about() -> None:
    maker = Maker(evidence=False).begin()
    maker.reward("o/u/good", maker.weigh([GOOD]), 1.0, text="say it")
    assert maker.step(fx.Elapsed("evidence")) == []


def test_an_agent_that_breaks_is_found_out_and_judged_by_what_it_does_since() -> None:
    """A hundred successes would outweigh a dozen failures for long; the change is noticed, and told to peers."""
    maker = Maker(probe=0.0).begin()
    best, next_best = hit("best", 0.6), hit("next", 0.5)
    maker.play([best, next_best], {"o/u/best": 1.0, "o/u/next": 0.8}, 100)
    led = maker.play([best, next_best], {"o/u/best": 0.0, "o/u/next": 0.8}, 40)
    assert led[-20:].count("o/u/next") >= 18
    said = [e.message for e in maker.step(fx.Elapsed("publish")) if isinstance(e, fx.Publish)]
    lessons = {each.agent: each.since for one in said if isinstance(one, Learned) for each in one.lessons}
    assert lessons["o/u/best"] > 0.0 == lessons["o/u/next"]


def test_curiosity_is_for_the_plausible() -> None:
    """What is not known of an agent is a reason to try it only where its words come near the best."""
    maker = Maker(explore=5.0, probe=0.0).begin()
    near, far = hit("near", 0.6), hit("far", 0.25)
    assert set(maker.play([near, far], {"o/u/near": 1.0, "o/u/far": 1.0}, 20)) == {"o/u/near"}
    tried = set(maker.play([hit("a", 0.2), hit("b", 0.05)], {"o/u/a": 0.5, "o/u/b": 0.5}, 30))
    assert tried == {"o/u/a", "o/u/b"}, "where profiles say nothing, trying tells"
