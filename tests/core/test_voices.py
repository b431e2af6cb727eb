"""Voices: agents of one key are one, who has no key works alone, and nothing changes without a trust file."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from foa.core.routing.choose import consider, decide, pick
from foa.core.routing.gate import gate
from foa.core.routing.score import Weights
from foa.core.routing.voices import heard, on_probation, one_each, teammates
from foa.wire.ids import Version
from foa.wire.messages import Found
from foa.wire.records import Hit, Port, Query
from foa.wire.trust.policy import PROBATION
from tests.wire.strategies import LAWS

VOICES = {"a/a/1": "acme", "a/a/2": "acme", "b/b/1": "bob", "c/c/1": "c/c/1", "x/x/1": PROBATION, "x/x/2": PROBATION}


def voice(agent: str) -> str:
    return VOICES[agent]


def hit(agent: str, cosine: float = 0.9) -> Hit:
    return Hit(
        agent, Version(1, 0), cosine, spec=0.9, holds=("pii",), outputs=(Port("text", "text/plain"),), refines=True
    )


HITS = tuple(hit(agent) for agent in VOICES)


def test_hits_are_given_their_voices() -> None:
    (found,) = heard(Found((HITS,)), voice).hits
    assert [one.voice for one in found] == ["acme", "acme", "bob", "", PROBATION, PROBATION]
    assert [one.agent for one in one_each(found)] == ["a/a/1", "b/b/1", "c/c/1"]


def test_a_claimed_policy_label_is_worth_nothing_on_probation() -> None:
    (found,) = heard(Found((HITS,)), voice).hits
    refused = [one.agent for one in found if gate(Query("x", policies=("pii",)), one) is not None]
    assert refused == ["x/x/1", "x/x/2"]


@LAWS
@given(st.permutations(list(VOICES)), st.integers(0, 8))
def test_a_team_has_one_seat_for_a_voice_and_none_for_strangers(order: list[str], team: int) -> None:
    (found,) = heard(Found((tuple(hit(agent) for agent in order),)), voice).hits
    known = {one.agent: one for one in found}
    candidates = consider(Query("x"), found, Weights())
    chosen, _ = pick(sorted(candidates, key=lambda c: order.index(c.agent)), found, team)
    seats = [known[agent] for agent in chosen]
    assert seats
    voices = [one.voice or one.agent for one in seats]
    assert len(set(voices)) == len(voices)
    assert len(seats) == 1 or not any(on_probation(one) for one in seats)


@LAWS
@given(st.permutations(list(VOICES)))
def test_without_a_trust_file_everybody_is_a_voice(order: list[str]) -> None:
    plain = [hit(agent) for agent in order]
    assert one_each(plain) == plain
    assert teammates(plain[0], plain[1:]) == plain[1:]


def test_of_equals_strangers_stand_last_and_the_better_first() -> None:
    (found,) = heard(Found((HITS,)), voice).hits
    assert [one.agent for one in consider(Query("x"), found, Weights())][-2:] == ["x/x/1", "x/x/2"]
    best = msgspec.structs.replace(found[4], cosine=0.99)
    assert decide(Query("x"), (best, *found[:4]), Weights(), subtask="main").chosen == ("x/x/1",)
