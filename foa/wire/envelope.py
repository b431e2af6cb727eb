"""Frames and their headers: what goes into MQTT 5 properties rather than into the body.

A `Frame` is one publication as the bus carries it. An `Envelope` is what our user properties mean. The
machines read and write envelopes; only this module knows the property names. Unknown properties are kept
out of the envelope and never refused, so that strangers may add their own.
"""

from typing import Final

import msgspec

from foa.errors import WireError
from foa.wire.ids import Epoch, is_segment

MAX_PROPERTIES: Final = 32
MAX_HOPS: Final = 16
MAX_DIGITS: Final = 15

_EPOCH: Final = "foa-epoch"
_ATTEMPT: Final = "foa-attempt"
_DEADLINE: Final = "foa-deadline"
_BUDGET: Final = "foa-budget"
_HOPS: Final = "foa-hops"
_TRACE_PARENT: Final = "traceparent"
_TRACE_STATE: Final = "tracestate"
_STATUS: Final = "a2a-status"
_SOURCE: Final = "a2a-status-source"


class Frame(msgspec.Struct, frozen=True):
    """One publication: what a bus is given to publish and what it delivers.

    ``expiry_s`` is MQTT's Message Expiry Interval in whole seconds (None: never). ``properties`` are the
    user properties in order.
    """

    topic: str
    payload: bytes = b""
    qos: int = 1
    retain: bool = False
    expiry_s: int | None = None
    response_topic: str | None = None
    correlation: bytes | None = None
    content_type: str | None = None
    properties: tuple[tuple[str, str], ...] = ()


class Envelope(msgspec.Struct, frozen=True, omit_defaults=True):
    """The headers of one message, typed.

    ``deadline_ms`` is what remains, never an instant (clocks differ); ``budget`` is in USD; ``hops`` are
    the agents a task has come through, oldest first; ``status`` is A2A's ``online`` or ``offline``, ``source`` who
    says so (``agent``, or ``lwt``: its will).
    """

    epoch: Epoch | None = None
    attempt: int = 0
    deadline_ms: int | None = None
    budget: float | None = None
    hops: tuple[str, ...] = ()
    trace_parent: str | None = None
    trace_state: str | None = None
    status: str | None = None
    source: str | None = None


EMPTY: Final = Envelope()


def to_properties(envelope: Envelope) -> tuple[tuple[str, str], ...]:
    """Return the user properties that carry `envelope`; nothing for what has its default."""
    if envelope is EMPTY:
        return ()
    pairs: list[tuple[str, str]] = []
    if envelope.epoch is not None:
        pairs.append((_EPOCH, f"{envelope.epoch.n}:{envelope.epoch.node}"))
    if envelope.attempt:
        pairs.append((_ATTEMPT, str(envelope.attempt)))
    if envelope.deadline_ms is not None:
        pairs.append((_DEADLINE, str(envelope.deadline_ms)))
    if envelope.budget is not None:
        pairs.append((_BUDGET, repr(envelope.budget)))
    if envelope.hops:
        pairs.append((_HOPS, ",".join(envelope.hops)))
    words = (
        (_TRACE_PARENT, envelope.trace_parent),
        (_TRACE_STATE, envelope.trace_state),
        (_STATUS, envelope.status),
        (_SOURCE, envelope.source),
    )
    return (*pairs, *((name, word) for name, word in words if word is not None))


def from_properties(properties: tuple[tuple[str, str], ...]) -> Envelope:
    """Read the envelope out of user properties.

    Raises WireError("header") if one of ours cannot be read or there are more than `MAX_PROPERTIES`.
    """
    if not properties:
        return EMPTY
    if len(properties) > MAX_PROPERTIES:
        raise WireError("header", f"{len(properties)} user properties, at most {MAX_PROPERTIES} are read")
    found = dict(properties)
    try:
        return Envelope(
            epoch=_epoch(found.get(_EPOCH)),
            attempt=_number(found.get(_ATTEMPT, "0")),
            deadline_ms=_optional_number(found.get(_DEADLINE)),
            budget=_budget(found.get(_BUDGET)),
            hops=_hops(found.get(_HOPS)),
            trace_parent=found.get(_TRACE_PARENT),
            trace_state=found.get(_TRACE_STATE),
            status=found.get(_STATUS),
            source=found.get(_SOURCE),
        )
    except ValueError as error:
        raise WireError("header", f"a foa-* user property cannot be read: {error}") from error


def _number(text: str) -> int:
    """Read plain ASCII digits; what else `int` takes (signs, spaces, underscores, other scripts) is refused."""
    if not (text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS):
        message = f"{text[:40]!r} is no number of 1 to {MAX_DIGITS} digits"
        raise ValueError(message)
    return int(text)


def _optional_number(text: str | None) -> int | None:
    return None if text is None else _number(text)


def _epoch(text: str | None) -> Epoch | None:
    if text is None:
        return None
    number, _, node = text.partition(":")
    if not is_segment(node):
        message = f"foa-epoch is {text[:80]!r}, it must be a number, a colon and a node"
        raise ValueError(message)
    return Epoch(_number(number), node)


def _budget(text: str | None) -> float | None:
    if text is None:
        return None
    value = float(text)
    if not 0.0 <= value < float("inf"):
        message = f"foa-budget is {text[:40]!r}, it must be a finite amount of USD, 0 or more"
        raise ValueError(message)
    return value


def _hops(text: str | None) -> tuple[str, ...]:
    hops = tuple(text.split(",")) if text else ()
    if len(hops) > MAX_HOPS:
        message = f"foa-hops names {len(hops)} agents, at most {MAX_HOPS} are allowed"
        raise ValueError(message)
    if not all(is_segment(level) for hop in hops for level in hop.split("/")):
        message = f"foa-hops {text!r:.200} must be agents, separated by commas"
        raise ValueError(message)
    return hops
