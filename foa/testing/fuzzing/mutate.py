"""Real frames made hostile: bytes damaged, values swapped for their worst relatives, topics and headers of others.

Pure: what is done is read off a `Tape`. Used by the fuzz targets, the simulator's hostile client and the flood bench.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from foa.testing.fuzzing.tape import Tape
from foa.wire.envelope import Frame

MOST_DEEP: Final = 64
MOST_BYTES: Final = 4096

WORST: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1, 2**31, 2**63 - 1, -(2**63), 2**64 - 1, 0.0, -0.0, 1e308, -1e308, float("nan"),
    float("inf"), 5e-324, "", "a", "\0", "\u202e", "a" * 65, "a" * 513, "a/b/c", "../..", "+", "#", "foa/v1/own/0",
    b"", b"\0", b"\xff" * 64, b"\x00\x7e" * 4, b"\x00\x7c" * 384, [], [[]], {}, {"": None}, {"kind": "task.1"},
)  # fmt: skip
"""Values at the edges of what types and arithmetic allow."""

HEADERS: Final[tuple[tuple[str, str], ...]] = (
    ("foa-epoch", "999999999999999:c1"), ("foa-epoch", "-1:c1"), ("foa-epoch", "1"), ("foa-epoch", "1:a/b"),
    ("foa-attempt", "1e9"), ("foa-attempt", "\u0661"), ("foa-deadline", "-1"), ("foa-deadline", "999999999999999"),
    ("foa-budget", "nan"), ("foa-budget", "inf"), ("foa-budget", "-0"), ("foa-hops", "a/b/c,a/b/c"), ("foa-hops", ","),
    ("a2a-status", "offline"), ("a2a-status", ""), ("traceparent", "x" * 200), ("x", "y"),
)  # fmt: skip


def hostile(tape: Tape, frames: Sequence[Frame]) -> Frame:
    """Return one of `frames` (at least one) made hostile in one to three ways."""
    frame = tape.choice(frames)
    for _ in range(1 + tape.number(3)):
        frame = tape.choice(_WAYS)(tape, frame, frames)
    return frame


def damaged(tape: Tape, data: bytes, others: Sequence[bytes] = ()) -> bytes:
    """Return `data` with bytes flipped, cut, repeated, inserted, or grafted from one of `others`."""
    body = bytearray(data)
    for _ in range(1 + tape.number(4)):
        at = tape.number(len(body) + 1)
        match tape.number(6):
            case 0 if body:
                body[at % len(body)] ^= 1 << tape.number(8)
            case 1 if body:
                body[at % len(body)] = tape.number(256)
            case 2:
                del body[at:]
            case 3:
                del body[at : at + 1 + tape.number(16)]
            case 4:
                body[at:at] = tape.bytes(1 + tape.number(16))
            case _:
                other = tape.choice(others) if others else bytes(body)
                body[at:at] = other[tape.number(len(other) + 1) :][:MOST_BYTES]
    return bytes(body)


def _damage(tape: Tape, frame: Frame, frames: Sequence[Frame]) -> Frame:
    return _with(frame, payload=damaged(tape, frame.payload, [other.payload for other in frames]))


def _value(tape: Tape, frame: Frame, frames: Sequence[Frame]) -> Frame:
    """Swap one value in a body that can be read; a body that cannot is damaged."""
    decode, encode = _CODECS[frame.payload[:1] == b"{"]
    try:
        body = decode(frame.payload)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return _damage(tape, frame, frames)
    changed = _swapped(tape, body, 0)
    try:
        return _with(frame, payload=encode(changed))
    except (TypeError, OverflowError, ValueError, RecursionError):
        return _damage(tape, frame, frames)


def _swapped(tape: Tape, value: Any, depth: int) -> Any:
    """Return `value` with one value in it, found by going down by chance, swapped for another, gone or doubled."""
    if depth < MOST_DEEP and isinstance(value, dict) and value and not tape.chance(6):
        key = tape.choice(sorted(value, key=str))
        match tape.number(8):
            case 0:
                return {name: one for name, one in value.items() if name != key}
            case 1:
                return value | {tape.choice(("", "x", "kind", "id", "a" * 200)): tape.choice(WORST)}
            case _:
                return value | {key: _swapped(tape, value[key], depth + 1)}
    if depth < MOST_DEEP and isinstance(value, list) and value and not tape.chance(6):
        at = tape.number(len(value))
        match tape.number(6):
            case 0:
                return value[:at] + value[at + 1 :]
            case 1:
                return value * (1 + tape.number(40))
            case _:
                return [*value[:at], _swapped(tape, value[at], depth + 1), *value[at + 1 :]]
    if isinstance(value, int | float) and not isinstance(value, bool) and tape.chance(3):
        return value + tape.choice((-1, 1, 1000, 0.5))
    return tape.choice(WORST)


def _topic(tape: Tape, frame: Frame, frames: Sequence[Frame]) -> Frame:
    """Say it where another was said, or change a level of where it was said."""
    if tape.chance(2):
        return _with(frame, topic=tape.choice(frames).topic)
    levels = frame.topic.split("/")
    other = tape.choice(frames).topic.split("/")
    at = tape.number(len(levels))
    level = other[at] if at < len(other) and not tape.chance(4) else tape.choice(("0", "63", "999", "x", "a" * 64))
    return _with(frame, topic="/".join([*levels[:at], level, *levels[at + 1 :]]))


def _body(tape: Tape, frame: Frame, frames: Sequence[Frame]) -> Frame:
    """Say what another said, or nothing, which empties a retained topic."""
    return _with(frame, payload=b"" if tape.chance(8) else tape.choice(frames).payload)


def _header(tape: Tape, frame: Frame, _frames: Sequence[Frame]) -> Frame:
    """Change, drop or double a header."""
    said = tape.choice(HEADERS)
    kept = tuple(pair for pair in frame.properties if pair[0] != said[0] or tape.chance(4))
    many = 40 if tape.chance(16) else 1
    return _with(frame, properties=(*kept, *[said] * many), retain=frame.retain or tape.chance(8))


def _reply(tape: Tape, frame: Frame, frames: Sequence[Frame]) -> Frame:
    """Ask for the answer somewhere else, under another correlation."""
    topic = tape.choice((*(other.topic for other in frames[:8]), "x", "foa/v1/dead/x"))
    return _with(frame, response_topic=topic, correlation=tape.bytes(tape.number(80)))


def _same(_tape: Tape, frame: Frame, _frames: Sequence[Frame]) -> Frame:
    """Say it again as it was: a replay."""
    return frame


def _with(frame: Frame, **changes: Any) -> Frame:
    return msgspec.structs.replace(frame, **changes)


_CODECS: Final[dict[bool, tuple[Callable[[bytes], Any], Callable[[Any], bytes]]]] = {
    False: (msgspec.msgpack.decode, msgspec.msgpack.encode),
    True: (msgspec.json.decode, msgspec.json.encode),
}
_WAYS: Final = (_damage, _value, _value, _value, _topic, _topic, _body, _header, _reply, _same)
