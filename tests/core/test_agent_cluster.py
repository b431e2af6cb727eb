"""Clusters of production agents in virtual time: they end, each member answers once, and little is said."""

from collections.abc import Mapping
from random import Random
from types import MappingProxyType

import pytest

from foa.bus.memory import Faults
from foa.core.effects import Key
from foa.core.machines.agent.state import Agent
from foa.wire.messages import Done, Failed
from foa.wire.records import Subtask, Team
from tests.core.cluster_bench import LEFT_MS, TEMPERS, Cluster, Frame, words

STRATEGIES = ("", "majority", "weighted", "medoid", "quadratic", "anchor")


def names(*tempers: str) -> dict[str, str]:
    return {f"acme/tools/a{n}": temper for n, temper in enumerate(tempers, 1)}


def chance(seed: int, faults: Faults | None = None) -> Cluster:
    """Return a cluster of two to five members of any temper, awarded at once or over four seconds."""
    rng = Random(seed)
    tempers = names(*(rng.choice(TEMPERS) for _ in range(rng.randint(2, 5))))
    made = Cluster(seed, tempers, faults=faults, strategy=rng.choice(STRATEGIES), rounds=rng.randint(0, 4))
    for agent in tempers:
        made.award(agent, 1.0 + rng.choice([0.0, 0.0, rng.uniform(0.0, 4.0)]))
    made.run()
    return made


def held(made: Cluster, anew: Mapping[str, str] = MappingProxyType({})) -> None:
    """Assert what holds for every cluster: all end in time, each member once, a draft a round at most.

    ``anew`` are awards that died with their agent (which says so once it is back), and those that came in their place.
    """
    present = [agent for agent, temper in made.tempers.items() if temper != "absent"]
    ended = made.ended()
    died = {award: end for award, end in ended.items() if isinstance(end, Failed) and end.code == "crashed"}
    assert died.keys() <= anew.keys()
    ended = {award: end for award, end in ended.items() if award not in died}
    given = {f"w-{agent.rpartition('/')[2]}" for agent in present}
    assert set(ended) == {anew.get(award, award) for award in given}
    mute = {f"w-{agent.rpartition('/')[2]}" for agent, temper in made.tempers.items() if temper == "mute"}
    assert {award for award, end in ended.items() if isinstance(end, Failed)} == mute
    said = [(frame.draft.agent, frame.draft.round) for frame in made.drafts if frame.draft.award not in anew]
    rounds, size = made.team.rounds, len(made.tempers)
    assert len(set(said)) <= rounds * size + size
    for agent in present:
        mine = list(dict.fromkeys(number for name, number in said if name == agent))
        assert mine == sorted(mine)
        assert len(mine) <= rounds + 1
    assert all(frame.retain and frame.expiry_s for frame in made.drafts)
    assert all(frame.at <= 5.0 + LEFT_MS / 1000 + 0.1 for frame in made.drafts)


def once(made: Cluster) -> None:
    """Assert that nothing was said twice: holds where no link breaks."""
    said = [(frame.draft.agent, frame.draft.round) for frame in made.drafts]
    assert len(said) == len(set(said))
    assert len(said) <= made.team.rounds * len(made.tempers) + len(made.tempers)


@pytest.mark.parametrize("seed", range(8))
def test_any_cluster_ends_and_says_little(seed: int) -> None:
    made = chance(seed)
    held(made)
    once(made)


@pytest.mark.slow
def test_hundreds_of_clusters_end_and_say_little() -> None:
    for seed in range(1_000, 1_500):
        made = chance(seed)
        held(made)
        once(made)


@pytest.mark.slow
def test_they_end_over_a_bad_network_too() -> None:
    faults = Faults(drop=0.03, duplicate=0.05, delay_s=(0.0, 0.3), reorder=0.05, disconnect=0.01)
    broken = 0
    for seed in range(2_000, 2_150):
        made = chance(seed, faults)
        held(made)
        broken += made.world.network.injected.disconnected + made.world.network.injected.dropped
    assert broken > 100


def test_the_same_seed_says_the_same() -> None:
    def story(frames: list[Frame]) -> list[tuple[float, str, int, str]]:
        return [(one.at, one.draft.agent, one.draft.round, words(one.draft.outputs)) for one in frames]

    assert story(chance(11).drafts) == story(chance(11).drafts) != []


def test_members_that_agree_say_one_draft_each() -> None:
    made = Cluster(1, names("unsure", "unsure", "unsure"))
    for agent in made.tempers:
        made.award(agent, 1.0)
    made.run()
    assert [words(frame.draft.outputs) for frame in made.drafts] == ["no"] * 3
    assert all(isinstance(end, Done) and end.agreed for end in made.ended().values())


@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_members_that_never_agree_say_exactly_the_most(rounds: int) -> None:
    made = Cluster(2, names("contrary", "contrary", "contrary"), rounds=rounds)
    for agent in made.tempers:
        made.award(agent, 1.0, budget=9.0)
    made.run()
    held(made)
    assert len(made.drafts) == rounds * 3 + 3


def test_who_comes_late_has_what_the_others_said_last_and_nobody_repeats_it() -> None:
    made = Cluster(3, names("contrary", "contrary", "swayed"), rounds=8)
    made.award("acme/tools/a1", 1.0)
    made.award("acme/tools/a2", 1.0)
    made.award("acme/tools/a3", 3.0)
    made.run()
    held(made)
    once(made)
    (first, *later) = [frame for frame in made.drafts if frame.draft.agent == "acme/tools/a3"]
    assert first.draft.round > 0, "a late member begins in the round the others are in"
    assert later, "and still takes part"
    assert set(later[0].draft.critiques) == {"acme/tools/a1", "acme/tools/a2"}
    assert any(frame.draft.agent != "acme/tools/a3" and frame.at < 3.0 for frame in made.drafts)


def test_drafts_of_an_earlier_cluster_do_no_harm() -> None:
    made = Cluster(4, names("steady", "steady"), rounds=2, round_ms=30_000)
    made.award("acme/tools/a1", 1.0)
    made.run(until=5.0)
    (stale,) = made.drafts
    assert stale.expiry_s
    assert stale.expiry_s > 10
    team = Team("main.2", made.team.members, 2, 1000)
    made.award("acme/tools/a2", 6.0, award="x-a2", team=team, attempt=2)
    made.run(until=12.0)
    (end,) = [end for award, end in made.ended().items() if award == "x-a2"]
    assert isinstance(end, Done)
    assert not end.agreed
    assert [frame.draft.cluster for frame in made.drafts if frame.draft.agent == "acme/tools/a2"] != []
    assert all(not frame.draft.critiques for frame in made.drafts)


def test_a_member_awarded_anew_is_heard_anew() -> None:
    made = Cluster(5, names("slow", "contrary"), rounds=2, round_ms=4_000)
    made.award("acme/tools/a2", 1.0, again=())
    made.award("acme/tools/a1", 1.0)
    made.world.clock.call_at(1.45, made.world.nodes["acme.tools.a2"].kill)
    made.world.clock.call_at(2.0, made.world.nodes["acme.tools.a2"].start)
    made.award("acme/tools/a2", 2.5, award="x-a2")
    made.run()
    held(made, anew={"w-a2": "x-a2"})
    assert all(isinstance(end, Done) for award, end in made.ended().items() if award != "w-a2")


def test_guests_are_shown_and_never_waited_for() -> None:
    made = Cluster(6, names("swayed", "contrary"), rounds=2)
    team = Team("c", ("acme/tools/a1",), 2, 1000, guests=("acme/tools/a2",))
    host = Team("c", ("acme/tools/a2",), 2, 1000, guests=("acme/tools/a1",))
    made.award("acme/tools/a2", 1.0, team=host, subtask=Subtask("other", "no"))
    made.award("acme/tools/a1", 1.5, team=team)
    made.run(until=3.0)
    ended = made.ended()
    assert set(ended) == {"w-a1", "w-a2"}
    end = ended["w-a1"]
    assert isinstance(end, Done)
    assert next(frame.draft.subtask for frame in made.drafts if frame.draft.agent == "acme/tools/a2") == "other"
    assert max(frame.draft.round for frame in made.drafts if frame.draft.agent == "acme/tools/a1") == 1


def test_nothing_is_left_behind() -> None:
    made = chance(7)
    for agent, temper in made.tempers.items():
        if temper != "absent":
            driver = made.world.nodes[agent.replace("/", ".")].driver
            assert driver.states("award") == []
            agent_state = driver.state(Key("agent"))
            assert isinstance(agent_state, Agent)
            assert agent_state.clusters == {}
