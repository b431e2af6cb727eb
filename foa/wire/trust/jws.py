"""Signatures of A2A 1.0 Agent Cards: a detached JWS (RFC 7515, EdDSA) over the card in JCS form without `signatures`.

The protected header is ``{"alg":"EdDSA","kid":…,"typ":"JOSE"}``; our key id is the public key itself. Optional fields
that are empty are left out of what is signed, and of our cards before they are signed: some implementations drop
them and some do not, and a card without them is the same to both.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from foa.errors import WireError
from foa.wire.card import MAX_CARD
from foa.wire.trust import jcs
from foa.wire.trust.seal import bytes_of, text_of

FIELD: Final = "signatures"
MAX_SIGNATURES: Final = 4
"""Signatures of one card that are looked at."""

_REQUIRED: Final = frozenset(
    {"name", "description", "version", "supportedInterfaces", "capabilities", "defaultInputModes", "defaultOutputModes",
     "skills", "id", "tags", "url", "protocolBinding", "protocolVersion", "uri"}
)  # fmt: skip

Verify = Callable[[str, bytes, bytes], bool]


def signed_card(body: bytes, key: str, sign: Callable[[bytes], bytes]) -> bytes:
    """Return the card in `body` with one more signature, by `key`; WireError("card") if that makes it too large."""
    card = jcs.parsed(body)
    if not isinstance(card, dict):
        raise WireError("card", "a card is a JSON object")
    others = card.pop(FIELD, [])
    card = _without_empty(card)
    protected = text_of(jcs.canonical({"alg": "EdDSA", "kid": key, "typ": "JOSE"}))
    made = {"protected": protected, "signature": text_of(sign(_input(protected, card)))}
    signed = msgspec.json.encode({**card, FIELD: [*others, made]}, order="sorted")
    if len(signed) > MAX_CARD:
        raise WireError("card", f"the signed card is {len(signed)} bytes, at most {MAX_CARD} are allowed")
    return signed


def card_signers(body: bytes, keys: Mapping[str, Any], verify: Verify) -> Iterator[str]:
    """Yield those of `keys` that signed the card in `body`; none for what is no card. Raises nothing."""
    if len(body) > MAX_CARD:
        return
    try:
        card = jcs.parsed(body)
        signatures = card.pop(FIELD, None) if isinstance(card, dict) else None
        forms = (card, _without_empty(card)) if isinstance(signatures, list) and signatures else ()
        inputs = [jcs.canonical(form) for form in forms]
    except WireError:
        return
    for each in (signatures or [])[:MAX_SIGNATURES] if inputs else ():
        read = _read(each)
        if read is None or read[0] not in keys:
            continue
        key, protected, signature = read
        if any(verify(key, signature, _joined(protected, form)) for form in inputs):
            yield key


def _read(signature: Any) -> tuple[str, str, bytes] | None:
    """Return key, protected header and signature of one entry; None if it is none of the kind we know."""
    match signature:
        case {"protected": str(protected), "signature": str(text)}:
            pass
        case _:
            return None
    try:
        header = jcs.parsed(bytes_of(protected))
        raw = bytes_of(text)
    except (WireError, ValueError):
        return None
    match header:
        case {"alg": "EdDSA" | "Ed25519", "kid": str(key)} if "crit" not in header:
            return key, protected, raw
        case _:
            return None


def _input(protected: str, card: Any) -> bytes:
    return _joined(protected, jcs.canonical(card))


def _joined(protected: str, form: bytes) -> bytes:
    return f"{protected}.{text_of(form)}".encode()


def _without_empty(value: Any, depth: int = 0) -> Any:
    """Return `value` without optional fields that are empty; what an extension holds is its own affair."""
    if depth > jcs.MAX_DEPTH:
        raise WireError("json", f"nested deeper than {jcs.MAX_DEPTH} levels")
    if isinstance(value, list):
        return [_without_empty(each, depth + 1) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {key: each if key == "params" else _without_empty(each, depth + 1) for key, each in value.items()}
    return {key: each for key, each in kept.items() if key in _REQUIRED or each not in (None, "", [], {})}
