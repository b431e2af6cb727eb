"""Signed Agent Cards: ours verify with another library, its with ours, and whatever changes breaks them."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foa.core.vcv.card import card_of, profile_of
from foa.core.vcv.profile import Profile, Skill
from foa.errors import WireError
from foa.wire.trust import jcs
from foa.wire.trust.jws import card_signers, signed_card
from foa.wire.trust.seal import bytes_of, text_of
from tests.trust.holders import ALICE, BOB, STRANGER, TOPICS, TRUST, VERIFY, admit, frame, guard
from tests.wire.strategies import LAWS

PROFILE = Profile(
    agent="acme/sales/bot", name="Bot", description="Sells — things", skills=(Skill("sell", "Sell", "Sells"),)
)
CARD = card_of(PROFILE, TOPICS)
SIGNED = signed_card(CARD, ALICE.key, ALICE.sign)
KEYS = {ALICE.key: 1, BOB.key: 2}


def _signers(body: bytes) -> list[str]:
    return list(card_signers(body, KEYS, VERIFY))


def test_a_signed_card_is_the_card_and_names_its_signer() -> None:
    assert _signers(SIGNED) == [ALICE.key]
    assert _signers(CARD) == []
    assert profile_of(SIGNED, PROFILE.agent) == profile_of(CARD, PROFILE.agent) == PROFILE
    header = json.loads(bytes_of(json.loads(SIGNED)["signatures"][0]["protected"]))
    assert header == {"alg": "EdDSA", "kid": ALICE.key, "typ": "JOSE"}


def test_signatures_add_up() -> None:
    assert _signers(signed_card(SIGNED, BOB.key, BOB.sign)) == [ALICE.key, BOB.key]
    assert _signers(signed_card(CARD, STRANGER.key, STRANGER.sign)) == []


def test_whitespace_and_order_do_not_matter_and_words_do() -> None:
    card = json.loads(SIGNED)
    assert _signers(json.dumps(dict(reversed(card.items())), indent=3).encode()) == [ALICE.key]
    assert _signers(json.dumps({**card, "description": "Buys things"}).encode()) == []
    assert _signers(json.dumps({**card, "more": 1}).encode()) == []
    assert _signers(json.dumps({**card, "iconUrl": ""}).encode()) == [ALICE.key], "an empty optional field is none"


@LAWS
@given(st.integers(0, len(SIGNED) - 1), st.integers(0, 255))
def test_no_changed_byte_makes_another_card_of_the_same_signer(at: int, byte: int) -> None:
    changed = SIGNED[:at] + bytes([byte]) + SIGNED[at + 1 :]
    if _signers(changed):
        card, other = json.loads(SIGNED), json.loads(changed)
        card.pop("signatures")
        other.pop("signatures")
        assert other == card


@pytest.mark.parametrize(
    "signatures",
    [
        "x",
        {},
        [1],
        [{}],
        [{"protected": 1, "signature": "x"}],
        [{"protected": "!", "signature": "x"}],
        [{"protected": "e30", "signature": "é"}],
        [{"protected": text_of(b'{"alg":"none","kid":"x"}'), "signature": ""}],
        [{"protected": text_of(b"[" * 3000), "signature": ""}],
    ],
)
def test_nonsense_is_no_signature(signatures: Any) -> None:
    assert _signers(json.dumps({**json.loads(CARD), "signatures": signatures}).encode()) == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"1", b"[" * 100_000, b'{"a":' * 90 + b"1" + b"}" * 90])
def test_what_is_no_card_has_no_signer(body: bytes) -> None:
    assert _signers(body) == []


def test_a_critical_header_that_we_do_not_know_is_not_passed_over() -> None:
    protected = text_of(jcs.canonical({"alg": "EdDSA", "kid": ALICE.key, "typ": "JOSE", "crit": ["exp"], "exp": 1}))
    card = json.loads(CARD)
    signature = ALICE.sign(f"{protected}.{text_of(jcs.canonical(card))}".encode())
    card["signatures"] = [{"protected": protected, "signature": text_of(signature)}]
    assert _signers(json.dumps(card).encode()) == []


def test_a_card_that_is_no_json_object_cannot_be_signed() -> None:
    for body in (b"[]", b"{"):
        with pytest.raises(WireError):
            signed_card(body, ALICE.key, ALICE.sign)


def _refused(body: bytes, agent: str) -> str:
    with pytest.raises(WireError) as caught:
        admit(guard(trust=TRUST), frame(f"discovery/{agent}", body))
    return caught.value.reason


def test_a_strangers_signed_card_needs_no_seal() -> None:
    """Any A2A agent can publish one: it knows nothing of our seals."""
    admit(guard(trust=TRUST), frame("discovery/acme/sales/bot", SIGNED))
    assert _refused(SIGNED, "acme/books/bob") == "unsigned"
    assert _refused(CARD, "acme/sales/bot") == "unsigned"
    assert _refused(SIGNED.replace(b"Sells", b"Gives"), "acme/sales/bot") == "unsigned"


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # A2A names it; RFC 9864 would say Ed25519
class TestAnotherLibrary:
    """joserfc knows JWS and nothing of us."""

    @staticmethod
    def _key(private: bool) -> Any:
        keys = pytest.importorskip("joserfc.jwk")
        words = {"kty": "OKP", "crv": "Ed25519", "x": ALICE.key}
        if private:
            words["d"] = text_of(b"alice".ljust(32))
        return keys.OKPKey.import_key(words)

    def test_it_verifies_ours(self) -> None:
        key, jws = self._key(private=False), pytest.importorskip("joserfc.jws")
        card = json.loads(SIGNED)
        (signature,) = card.pop("signatures")
        payload = jcs.canonical(card)
        compact = f"{signature['protected']}..{signature['signature']}"
        detached: Callable[..., Any] = jws.detach_content
        found = jws.deserialize_compact(_attached(compact, payload), key, algorithms=["EdDSA"])
        assert found.payload == payload
        assert detached(_attached(compact, payload)) == compact
        with pytest.raises(Exception, match="signature"):
            jws.deserialize_compact(_attached(compact, payload + b" "), key, algorithms=["EdDSA"])

    def test_we_verify_its(self) -> None:
        key, jws = self._key(private=True), pytest.importorskip("joserfc.jws")
        card = json.loads(CARD)
        header = {"alg": "EdDSA", "typ": "JOSE", "kid": ALICE.key}
        compact = jws.serialize_compact(header, jcs.canonical(card), key, algorithms=["EdDSA"])
        protected, _, signature = compact.split(".")
        card["signatures"] = [{"protected": protected, "signature": signature}]
        assert _signers(json.dumps(card).encode()) == [ALICE.key]


def _attached(compact: str, payload: bytes) -> str:
    protected, _, signature = compact.split(".")
    return f"{protected}.{text_of(payload)}.{signature}"
