"""Bytes to messages and back: msgpack, typed, capped. The one door through which a stranger's bytes come."""

from typing import Final, get_args

import msgspec

from foa.errors import WireError
from foa.wire import messages as m
from foa.wire.messages import AnyMessage, Message
from foa.wire.topics import TopicKind

MAX_PAYLOAD: Final = 256 * 1024
MAX_JSON: Final = 256 * 1024

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final[msgspec.msgpack.Decoder[AnyMessage]] = msgspec.msgpack.Decoder(AnyMessage)
_tag: Final = msgspec.msgpack.Decoder(dict[str, msgspec.Raw])

MESSAGES: Final[tuple[type[Message], ...]] = get_args(AnyMessage)
TAGS: Final = {str(kind.__struct_config__.tag): kind for kind in MESSAGES}
SPEAKS: Final = tuple(sorted(tag for tag in TAGS if not tag.endswith(".1")))
"""What a node says in presence or vector that it reads beyond the first version of everything (decisions/0025)."""
_NAMES: Final = frozenset(tag.rpartition(".")[0] for tag in TAGS)

# What may stand on which topic; nothing else is heard there. Empty where the body is JSON or none is spoken yet.
CARRIES: Final[dict[TopicKind, tuple[type[Message], ...]]] = {
    "discovery": (),
    "vcv": (m.Vcv,),
    "presence": (m.Presence,),
    "own": (m.Own,),
    "submit": (m.Submit,),
    "cancel": (m.Cancel,),
    "state": (m.State,),
    "event": (m.Events,),
    "result": (m.Result,),
    "request": (m.Award, m.Settled, m.Withdrawn),
    "answer": (m.Taken, m.Declined, m.Progress, m.Asking, m.Done, m.Failed),
    "reply": (m.Accepted, m.Rejected, m.Required, m.Result, m.Found, m.Vectors, m.Presence),
    "ask": (m.Ask,),
    "embed": (m.Embed,),
    "channel": (m.Draft,),
    "blob": (m.Blob,),
    "evidence": (m.Evidence,),
    "learn": (m.Learned,),
    "feedback": (m.Feedback,),
    "input": (m.Input,),
    "dead": (m.Dead,),
    "control": (m.Control,),
    "door": (),
    "outcome": (),
    "letter": (m.Letter,),
    "ack": (m.Acknowledged,),
}


def encode(message: Message) -> bytes:
    """Return `message` as msgpack."""
    return _encoder.encode(message)


def decode(payload: bytes) -> AnyMessage:
    """Return the message in `payload`.

    Raises WireError whose reason is ``size`` (over `MAX_PAYLOAD`), ``version`` (a kind we know in a version
    we do not), ``kind`` (unknown) or ``shape`` (not msgpack, or a field missing, mistyped or over its cap).
    """
    if len(payload) > MAX_PAYLOAD:
        raise WireError("size", f"{len(payload)} bytes, at most {MAX_PAYLOAD} are read")
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _explain(payload, error) from error


def _explain(payload: bytes, error: Exception) -> WireError:
    """Tell an unknown kind and an unknown version from a broken body."""
    try:
        tag = msgspec.msgpack.decode(_tag.decode(payload)["kind"], type=str)
    except (msgspec.DecodeError, KeyError, RecursionError, UnicodeDecodeError):
        return WireError("shape", str(error)[:400])
    if tag in TAGS:
        return WireError("shape", f"{tag}: {error}"[:400])
    name = tag.rpartition(".")[0]
    if name in _NAMES:
        known = ", ".join(sorted(known for known in TAGS if known.startswith(name + ".")))
        return WireError("version", f"{tag[:64]!r} is not spoken here, {known} is")
    return WireError("kind", f"{tag[:64]!r} is no message of the federation")
