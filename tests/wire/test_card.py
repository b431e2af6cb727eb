"""Cards are A2A 1.0, round-trip, and come from strangers."""

import string
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foa.core.vcv.card import CONTRACT, VCV, card_of, profile_of
from foa.core.vcv.profile import Profile, Skill, Spec
from foa.errors import WireError
from foa.wire import card as cards
from foa.wire.ids import partition_of
from foa.wire.records import Port, Resources
from foa.wire.topics import Topics

TOPICS = Topics()
AGENT = "acme/data/it"
SHORT = st.text(min_size=1, max_size=20)
WORD = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=12)
WORDS = st.lists(WORD, max_size=3).map(tuple)
LINES = st.lists(SHORT, max_size=2).map(tuple)
PORTS = st.lists(st.builds(Port, WORD, st.sampled_from(["text/csv", "outliers"]), st.booleans()), max_size=3).map(tuple)
MONEY = st.floats(0, 1e9)

PROFILES = st.builds(
    Profile,
    agent=st.just(AGENT),
    name=SHORT,
    description=st.text(max_size=60),
    version=SHORT,
    skills=st.lists(st.builds(Skill, WORD, SHORT, SHORT, LINES, LINES), max_size=3).map(tuple),
    inputs=PORTS,
    outputs=PORTS,
    resources=st.builds(Resources, MONEY, MONEY, MONEY, MONEY, st.integers(1, 10_000), st.integers(0, 2**40)),
    holds=WORDS,
    requires=WORDS,
    effects=st.sampled_from(["none", "idempotent", "once"]),
    refines=st.booleans(),
    spec=st.builds(Spec, LINES, LINES, LINES, LINES, LINES, LINES),
)

STRANGER: dict[str, Any] = {
    "name": "Stranger",
    "description": "From elsewhere",
    "version": "2",
    "supportedInterfaces": [{"url": "https://x.org/a2a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}],
    "capabilities": {"streaming": True, "extensions": [{"uri": "https://x.org/ext", "required": False}]},
    "defaultInputModes": ["text/plain", "application/json", "text/plain"],
    "defaultOutputModes": ["text/markdown", "*/*"],
    "skills": [{"id": "s", "name": "S", "description": "d", "tags": ["t"]}],
    "provider": {"organization": "x", "url": "https://x.org"},
}


@given(PROFILES)
def test_cards_round_trip(profile: Profile) -> None:
    body = card_of(profile, TOPICS)
    assert profile_of(body, AGENT) == profile
    assert card_of(profile, TOPICS) == body
    assert len(cards.digest(body)) == 64


def test_the_card_is_a2a() -> None:
    profile = Profile(AGENT, "It", "Does it", skills=(Skill("s", "S", "d"),), inputs=(Port("table", "text/csv"),))
    card = msgspec.json.decode(card_of(profile, TOPICS))
    assert set(card) == set(STRANGER) - {"provider"}
    assert card["supportedInterfaces"] == [
        {"url": f"mqtt:foa/v1/request/{AGENT}", "protocolBinding": "MQTT5", "protocolVersion": "1.0"}
    ]
    assert (card["defaultInputModes"], card["defaultOutputModes"]) == (["text/csv"], ["text/plain"])
    assert set(card["skills"][0]) == {"id", "name", "description", "tags", "examples"}
    extensions = {each["uri"]: each for each in card["capabilities"]["extensions"]}
    assert set(extensions) == {VCV, CONTRACT}
    assert extensions[VCV]["params"] == {"topic": TOPICS.vcv(partition_of(AGENT), AGENT)}


def test_a_card_has_its_limit() -> None:
    big = Profile(AGENT, "It", "x" * 60_000, skills=(Skill("s", "S", "y" * 6_000),))
    with pytest.raises(WireError, match=r"card: It: the card is 66\d\d\d bytes, at most 65536 are allowed"):
        card_of(big, TOPICS)


def test_a_strangers_card() -> None:
    profile = profile_of(msgspec.json.encode(STRANGER), AGENT)
    assert (profile.agent, profile.name, profile.skills) == (AGENT, "Stranger", (Skill("s", "S", "d", ("t",)),))
    assert profile.inputs == (
        Port("plain", "text/plain", optional=True),
        Port("json", "application/json", optional=True),
        Port("plain_", "text/plain", optional=True),
    )
    assert [port.name for port in profile.outputs] == ["markdown", "any"]
    assert (profile.effects, profile.refines, profile.holds) == ("once", False, ())


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": None},
        {"skills": [{"id": "", "name": "S", "description": "d", "tags": []}]},
        {"skills": [{"id": "x" * 65, "name": "S", "description": "d", "tags": []}]},
        {"skills": [{"id": str(i), "name": "S", "description": "d", "tags": []} for i in range(129)]},
        {"defaultInputModes": "text/plain"},
        {"capabilities": []},
        {"capabilities": {"extensions": [{"uri": CONTRACT, "params": {"effects": "twice"}}]}},
        {"capabilities": {"extensions": [{"uri": CONTRACT, "params": {"resources": {"price_call": -1}}}]}},
        {"capabilities": {"extensions": [{"uri": CONTRACT, "params": {"holds": ["x" * 65]}}]}},
        {"capabilities": {"extensions": [{"uri": CONTRACT, "params": {"inputs": [{"name": "a"}]}}]}},
        {"description": "x" * 70_000},
    ],
)
def test_a_bad_card_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(WireError) as raised:
        profile_of(msgspec.json.encode(STRANGER | change), AGENT)
    assert raised.value.reason == "card"


@pytest.mark.parametrize("field", sorted(set(STRANGER) - {"provider"}))
def test_every_required_field_is_required(field: str) -> None:
    with pytest.raises(WireError, match=f"missing required field `{field}`"):
        profile_of(msgspec.json.encode({k: v for k, v in STRANGER.items() if k != field}), AGENT)


@given(st.binary(max_size=200))
def test_noise_is_refused(body: bytes) -> None:
    with pytest.raises(WireError):
        profile_of(body, AGENT)


def test_deep_noise_is_refused() -> None:
    deep = b'{"capabilities":{"extensions":[{"uri":"x","params":{"a":' + b"[" * 30_000
    with pytest.raises(WireError):
        profile_of(deep, AGENT)
