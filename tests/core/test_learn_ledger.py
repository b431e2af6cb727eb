"""The ledger: whatever happens to coordinators, the sums are those of one learner that saw each reward once."""

from typing import Final

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from foa.core.learn.features import packed
from foa.core.learn.ledger import MAX_RECENT, Ledger, bucket_of
from foa.core.learn.moments import Moments, decayed
from foa.wire import codec
from foa.wire.lessons import Counted
from foa.wire.messages import Learned

M_, D_ = 3, 2
TAU: Final = 1000.0
LAWS: Final = settings(max_examples=100, deadline=None, database=None, stateful_step_count=40)
AGENTS: Final = ("org/unit/a", "org/unit/b", "org/unit/c")


def reward(number: int, value: float = 0.5) -> Counted:
    """Return the reward of award `number`; the same number is the same award with the same context."""
    rng = np.random.default_rng(number)
    context = packed(rng.uniform(-1, 1, M_), rng.uniform(-1, 1, D_))
    return Counted(
        f"w{number}", "t", AGENTS[number % 3], context, value, value - 0.1, 5000.0 + number, ms=10.0 + number
    )


def ledger(node: str, landmark: float = 5000.0) -> Ledger:
    return Ledger(node, "test/1", M_, D_, TAU, landmark)


def travel(learned: Learned) -> Learned:
    """Return a record as it comes out of the codec."""
    back = codec.decode(codec.encode(learned))
    assert isinstance(back, Learned)
    return back


def truth(rewards: dict[int, float], landmark: float) -> dict[str, Moments]:
    """Return the sums of one learner that saw each of `rewards` once."""
    sums: dict[str, Moments] = {}
    for number, value in rewards.items():
        one = reward(number, value)
        v = np.frombuffer(one.context, "<f4").astype(np.float64)
        sums.setdefault(one.agent, Moments(M_, D_)).observe(v, one.reward, decayed(one.at, landmark, TAU))
    return sums


def linear(moments: Moments) -> np.ndarray:
    """Return the sums a linear model needs: all but the reward's square, which corrections do not keep."""
    return np.append(moments.gram()[:, :-1].ravel(), moments.gram()[:-1, -1])


def agree(seen: Ledger, expected: dict[str, Moments]) -> None:
    factor = decayed(5000.0, seen.landmark, TAU)
    for agent in AGENTS:
        tally = seen.tally(agent)
        mine = linear(tally.moments) if tally else np.zeros((M_ + D_ + 1) ** 2 - 1)
        theirs = linear(expected[agent]) * factor if agent in expected else np.zeros_like(mine)
        np.testing.assert_allclose(mine[: len(theirs)], theirs[: len(mine)], atol=2e-4)


class Coordinators(RuleBasedStateMachine):
    """Three coordinators; awards are concluded, told twice, corrected; owners die, heirs count again, all publish."""

    def __init__(self) -> None:
        super().__init__()
        self.names = ("n1", "n2", "n3")
        self.ledgers = {name: ledger(name) for name in self.names}
        self.journals: dict[str, dict[tuple[str, int] | str, Learned]] = {name: {} for name in self.names}
        self.broker: dict[tuple[str, str], Learned] = {}
        self.rewards: dict[int, float] = {}
        self.since: dict[str, int] = {}
        self.now = 6000.0

    def count(self, name: str, one: Counted) -> None:
        _, written = self.ledgers[name].count(one)
        if written is not None:
            record = Learned(name, 0, "test/1", one.at, (), (written,))
            self.journals[name][written.award, written.change] = travel(record)

    @rule(name=st.sampled_from(["n1", "n2", "n3"]), number=st.integers(0, 30))
    def conclude(self, name: str, number: int) -> None:
        """An award ends; only its owner counts it, and a repeated word changes nothing."""
        if number not in self.rewards:
            self.rewards[number] = 0.5
            self.count(name, reward(number))
            self.count(name, reward(number))

    @rule(number=st.integers(0, 30), heir=st.sampled_from(["n1", "n2", "n3"]))
    def inherit(self, number: int, heir: str) -> None:
        """An owner died: its heir, which has not heard that it was counted, counts it too."""
        if number in self.rewards and not self.ledgers[heir].named(f"w{number}", reward(number).agent):
            self.count(heir, reward(number))

    @rule(name=st.sampled_from(["n1", "n2", "n3"]), agent=st.sampled_from(AGENTS), since=st.integers(0, 30))
    def find_changed(self, name: str, agent: str, since: int) -> None:
        """A coordinator that saw an agent finds it changed: what it did before is void for all."""
        if self.ledgers[name].tally(agent) is not None:
            self.ledgers[name].void(agent, 5000.0 + since)
            self.publish(name)
            self.since[agent] = max(self.since.get(agent, 0), since)

    @rule(name=st.sampled_from(["n1", "n2", "n3"]))
    def publish(self, name: str) -> None:
        self.now += 1.0
        for bucket in self.ledgers[name].dirty():
            learned, pending = self.ledgers[name].write(bucket, self.now)
            self.broker[name, bucket] = travel(learned)
            self.journals[name][bucket] = travel(learned)
            for counted in pending:
                self.journals[name].pop((counted.award, counted.change), None)

    @rule(name=st.sampled_from(["n1", "n2", "n3"]))
    def hear(self, name: str) -> None:
        for (_, bucket), learned in self.broker.items():
            for counted in self.ledgers[name].hear(bucket, learned):
                self.journals[name].pop((counted.award, counted.change), None)

    @rule(name=st.sampled_from(["n1", "n2", "n3"]))
    def restart(self, name: str) -> None:
        """Killed and started again, some time later: the journal and what the broker keeps are all there is."""
        self.ledgers[name] = ledger(name, 5000.0 + len(self.broker))
        for key, kept in sorted(self.journals[name].items(), key=lambda item: str(item[0])):
            bucket = key if isinstance(key, str) else bucket_of(kept.recent[0].agent)
            self.ledgers[name].restore(bucket, kept)
        self.hear(name)

    @rule(name=st.sampled_from(["n1", "n2", "n3"]))
    def publish_and_die(self, name: str) -> None:
        """Killed between publishing and the journal's commit: the broker holds more than the journal says."""
        self.now += 1.0
        for bucket in self.ledgers[name].dirty():
            self.broker[name, bucket] = travel(self.ledgers[name].write(bucket, self.now)[0])
        self.restart(name)

    def teardown(self) -> None:
        for _ in range(3):
            for name in self.names:
                self.publish(name)
            for name in self.names:
                self.hear(name)
        counted = {n: r for n, r in self.rewards.items() if n >= self.since.get(reward(n).agent, 0)}
        expected = truth(counted, 5000.0)
        for name in self.names:
            agree(self.ledgers[name], expected)


TestCoordinators = Coordinators.TestCase
TestCoordinators.settings = LAWS


@given(st.lists(st.tuples(st.integers(0, 12), st.floats(0, 1)), max_size=30))
@LAWS
def test_the_last_word_on_an_award_counts(words: list[tuple[int, float]]) -> None:
    """Corrections, in whatever number, leave what one learner would have that was told the last word only."""
    one, last = ledger("n1"), {}
    for number, value in words:
        one.count(reward(number, value))
        last[number] = value
    agree(one, truth(last, 5000.0))


def test_what_a_peer_counted_is_not_counted_again() -> None:
    one, two = ledger("n1"), ledger("n2")
    one.count(reward(1))
    bucket = bucket_of(reward(1).agent)
    two.hear(bucket, travel(one.write(bucket, 6000.0)[0]))
    assert two.count(reward(1))[0] == "known"
    assert two.wrote("n1", reward(1).agent) == 6000.0
    agree(two, truth({1: 0.5}, 5000.0))


def test_of_two_that_counted_one_reward_the_greater_name_cedes() -> None:
    one, two = ledger("n1"), ledger("n2")
    bucket = bucket_of(reward(1).agent)
    for each in (one, two):
        each.count(reward(1))
    first, second = travel(one.write(bucket, 6000.0)[0]), travel(two.write(bucket, 6000.0)[0])
    assert one.hear(bucket, second) == ()
    assert [counted.award for counted in two.hear(bucket, first)] == ["w1"]
    agree(two, truth({1: 0.5}, 5000.0))


def test_a_shelf_names_a_bounded_number_of_awards() -> None:
    one = ledger("n1")
    for number in range(0, 3 * (MAX_RECENT + 10), 3):
        one.count(reward(number))
    learned, _ = one.write(bucket_of(AGENTS[0]), 6000.0)
    assert len(learned.recent) == MAX_RECENT


def test_other_features_and_impossible_moments_are_left_out() -> None:
    one, two = ledger("n1"), Ledger("n2", "other/1", M_, D_, TAU, 5000.0)
    two.count(reward(1))
    bucket = bucket_of(reward(1).agent)
    one.hear(bucket, two.write(bucket, 6000.0)[0])
    assert one.tally(reward(1).agent) is None
    bad = reward(2)
    assert one.count(Counted("w", "t", bad.agent, b"\0" * 7, 1.0, 1.0, 0.0))[0] == "unreadable"


def test_moving_the_landmark_changes_no_sum() -> None:
    one = ledger("n1")
    one.count(reward(1))
    one.rebase(5000.0 + 60 * TAU)
    assert one.landmark > 5000.0
    agree(one, truth({1: 0.5}, 5000.0))
