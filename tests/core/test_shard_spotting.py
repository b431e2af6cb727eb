"""A vector that is not of its card's words is refused by whoever has the model; an honest one never is."""

import msgspec
import pytest

from foa.core.effects import Publish
from foa.core.machines.shard import spotting
from foa.core.machines.shard.state import Spots
from foa.wire.envelope import Envelope
from foa.wire.ids import digest_of
from foa.wire.messages import Ask, Blob, Dead
from foa.wire.records import Query
from tests.core.index_net import TOPICS, Net, profile_of, vcv_of, vcv_topic

SHOWN = Envelope(status="online")


def _net(count: int = 8) -> Net:
    net = Net()
    for number in range(count):
        _show(net, number, number)
    net.shard("i1")
    net.run(3.0)
    net.lookup()
    return net


def _show(net: Net, who: int, vector_of: int, counter: int = 1, *, card_first: bool = True) -> str:
    """Show the card of profile `who` with the vector of profile `vector_of`; return the agent."""
    profile = profile_of(who)
    card = f"{profile.agent} {counter}".encode()
    net.profiles[card] = profile
    vector = vcv_of(profile_of(vector_of), counter)
    vector = msgspec.structs.replace(vector, agent=profile.agent, card=digest_of(card))
    frames = [
        Publish(TOPICS.discovery(profile.agent), Blob(body=card), SHOWN, retain=True),
        Publish(vcv_topic(profile.agent), vector, retain=True),
    ]
    for frame in frames if card_first else reversed(frames):
        net.publish(frame)
        net.run(0.1)
    return profile.agent


def _found(net: Net) -> set[str]:
    return {hit.agent for hit in net.found(Ask((Query("anything at all"),), 100)).hits[0]}


def _refusals(net: Net) -> list[str]:
    return [frame.message.detail for frame in net.sent if isinstance(frame.message, Dead)]


def _spots(net: Net) -> Spots:
    spots: Spots = net.nodes["i1"].state.spots
    return spots


def test_an_honest_newcomer_is_checked_and_kept() -> None:
    net = _net()
    agent = _show(net, 20, 20)
    assert agent in _found(net)
    assert agent in _spots(net).judged
    assert _spots(net).flying == {}
    assert _refusals(net) == []


def test_a_newcomer_with_anothers_vector_is_refused_and_told_why() -> None:
    net = _net()
    agent = _show(net, 20, 3)
    assert agent not in _found(net)
    (said,) = _refusals(net)
    assert agent in said
    assert "card's words" in said


def test_the_same_lie_is_not_taken_again_and_the_truth_is() -> None:
    net = _net()
    agent = _show(net, 20, 3)
    _show(net, 20, 3)
    assert agent not in _found(net)
    assert len(_refusals(net)) == 1, "the second time is only counted"
    _show(net, 20, 20, counter=2)
    assert agent in _found(net)


@pytest.mark.parametrize(("share", "checked"), [(1, True), (1 << 62, False)])
def test_of_those_whose_card_came_later_a_share_is_checked(
    monkeypatch: pytest.MonkeyPatch, share: int, *, checked: bool
) -> None:
    monkeypatch.setattr(spotting, "SHARE", share)
    net = _net()
    agent = _show(net, 20, 3, card_first=False)
    assert (agent not in _found(net)) is checked
    assert len(_refusals(net)) == checked


def test_a_version_is_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spotting, "SHARE", 1)
    net = _net()
    _show(net, 20, 20)
    embedded = len(net.embedded)
    for _ in range(3):
        net.publish(net.retained[TOPICS.discovery(profile_of(20).agent)])
        net.run(1.0)
    assert len(net.embedded) == embedded


def test_a_storm_of_newcomers_is_checked_a_few_at_a_time_and_all_are_taken() -> None:
    net = _net()
    _spots(net).most = 0
    newcomers = {_show(net, number, number) for number in range(20, 30)}
    assert not newcomers & set(_spots(net).judged)
    assert newcomers <= _found(net)


def test_a_card_that_cannot_be_read_says_nothing() -> None:
    net = _net()
    net.publish(Publish(TOPICS.discovery(profile_of(20).agent), Blob(body=b"?"), SHOWN, retain=True))
    net.publish(Publish(vcv_topic(profile_of(20).agent), vcv_of(profile_of(20)), retain=True))
    net.run(1.0)
    assert profile_of(20).agent in _found(net)
    assert _spots(net).flying == {}
