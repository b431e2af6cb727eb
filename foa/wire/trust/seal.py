"""What a seal is: the bytes it covers, and the three user properties that carry it.

A sealed frame has ``foa-key`` (the Ed25519 public key, base64url), ``foa-at`` (when it was sealed) and ``foa-sig``
(the signature). Covered are topic, payload, response topic, correlation data, and every user property that begins
with ``foa-`` or ``a2a-`` but the signature. Not covered is what brokers may change: retain and DUP flags, QoS,
message expiry; nor are traces, which observers may rewrite.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final, NamedTuple

import msgspec

from foa.errors import WireError
from foa.wire.envelope import MAX_PROPERTIES, Frame

KEY: Final = "foa-key"
AT: Final = "foa-at"
SIGNATURE: Final = "foa-sig"
COVERED: Final = ("foa-", "a2a-")

_DOMAIN: Final = b"foa-seal-1"
_KEY: Final = re.compile(r"[A-Za-z0-9_-]{43}\Z")
_SIGNATURE: Final = re.compile(r"[A-Za-z0-9_-]{86}\Z")
_AT: Final = re.compile(r"(0|[1-9][0-9]{0,16})\.(0|[1-9][0-9]{0,16})\Z")


class Stamp(NamedTuple):
    """When a frame was sealed: its signer's start in µs since 1970, and µs since that (0: a will, sealed beforehand).

    Stamps of one life are all different and grow.
    """

    life: int
    since: int

    @property
    def at(self) -> int:
        """The instant in µs since 1970, by the signer's clock."""
        return self.life + self.since


class Seal(NamedTuple):
    """A seal as read off a frame; nothing of it is verified yet."""

    key: str
    stamp: Stamp
    signature: bytes


def text_of(raw: bytes) -> str:
    """Return bytes as base64url without padding."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def bytes_of(text: str) -> bytes:
    """Return the bytes that `text`, base64url without padding, stands for."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def is_key(text: str) -> bool:
    """Tell whether `text` is a public key as we write it: 32 bytes, in the one way they can be written."""
    return _KEY.match(text) is not None and text_of(bytes_of(text)) == text


def stamped(frame: Frame, key: str, stamp: Stamp) -> Frame:
    """Return `frame` with its key and stamp in place of any it had: what is left to do is to sign `covered`."""
    own = {KEY, AT, SIGNATURE}
    kept = tuple(pair for pair in frame.properties if pair[0] not in own)
    properties = (*kept, (KEY, key), (AT, f"{stamp.life}.{stamp.since}"))
    return msgspec.structs.replace(frame, properties=properties)


def signed(frame: Frame, signature: bytes) -> Frame:
    """Return a `stamped` frame with its signature."""
    return msgspec.structs.replace(frame, properties=(*frame.properties, (SIGNATURE, text_of(signature))))


def seal_of(frame: Frame) -> Seal | None:
    """Return the seal of `frame`, None if it has none; WireError("seal") if it is broken, or one of several."""
    if len(frame.properties) > MAX_PROPERTIES:
        raise WireError("header", f"{len(frame.properties)} user properties, at most {MAX_PROPERTIES} are read")
    found = [pair for pair in frame.properties if pair[0] in {KEY, AT, SIGNATURE}]
    if not found:
        return None
    parts = dict(found)
    stamp = _AT.match(parts.get(AT, ""))
    key, signature = parts.get(KEY, ""), parts.get(SIGNATURE, "")
    if len(found) != len(parts) or stamp is None or not is_key(key) or _SIGNATURE.match(signature) is None:
        raise WireError("seal", f"{KEY}, {AT} and {SIGNATURE} must stand there once each, in their form")
    raw = bytes_of(signature)
    if text_of(raw) != signature:
        raise WireError("seal", f"{SIGNATURE} is not written as base64url writes it")
    return Seal(key, Stamp(int(stamp[1]), int(stamp[2])), raw)


def covered(frame: Frame) -> bytes:
    """Return the bytes that a seal of `frame` signs: every part after its length, so that no two frames share them."""
    pairs = [pair for pair in frame.properties if pair[0].startswith(COVERED) and pair[0] != SIGNATURE]
    parts = [
        frame.topic.encode(),
        frame.payload,
        (frame.response_topic or "").encode(),
        frame.correlation or b"",
        *(part.encode() for pair in pairs for part in pair),
    ]
    return b"".join((_DOMAIN, *(piece for part in parts for piece in (len(part).to_bytes(4, "big"), part))))
