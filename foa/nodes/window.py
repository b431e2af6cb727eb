"""The one window of a node: frames to typed events, effects to frames, and what cannot be read to dead letters."""

from collections.abc import Callable
from typing import Final

from foa.core import effects as fx
from foa.errors import WireError
from foa.wire import codec
from foa.wire.envelope import Frame, from_properties, to_properties
from foa.wire.messages import AnyMessage, Blob, Dead
from foa.wire.topics import Topic, Topics

JSON_KINDS: Final = frozenset({"discovery", "door", "outcome"})
MAX_DEAD_HEAD: Final = 256
UNKNOWN: Final = frozenset({"kind", "version"})
NEWS_S: Final = 60.0
MAX_NEWS: Final = 256
"""Unknown kinds remembered; the one met longest ago goes first."""


NAMES_AGENT: Final = frozenset({"answer", "channel", "vcv"})
"""Topics of one agent whose messages name it too: the two must agree, or one could speak as another."""

Admit = Callable[[Topic, Frame], None]


def event_of(frame: Frame, topics: Topics, admit: Admit | None = None) -> fx.Received | fx.Cleared:
    """Return what `frame` means; WireError names the reason for its dead letter.

    ``admit`` raises what is not to be believed, before anything of it is decoded.
    """
    topic = topics.parse(frame.topic)
    if admit is not None:
        admit(topic, frame)
    if not frame.payload:
        return fx.Cleared(topic)
    message = Blob(frame.payload) if topic.kind in JSON_KINDS else _placed(topic, frame.payload)
    return fx.Received(
        topic,
        message,
        from_properties(frame.properties),
        frame.retain,
        frame.response_topic or "",
        frame.correlation or b"",
        frame.expiry_s,
    )


def _placed(topic: Topic, payload: bytes) -> AnyMessage:
    """Decode a message, and refuse one that does not belong on its topic."""
    message = codec.decode(payload)
    if not isinstance(message, codec.CARRIES[topic.kind]):
        raise WireError("place", f"{type(message).__name__} does not belong on a topic of kind {topic.kind}")
    if topic.kind in NAMES_AGENT and getattr(message, "agent", topic.agent) != topic.agent:
        raise WireError("place", f"{type(message).__name__} of another agent stands on a topic of {topic.agent}")
    return message


class News:
    """Which words of a newer release were met lately: each is shown once, not once a frame.

    A federation is upgraded node by node, so the older ones hear kinds they do not know; that is no attack, and what
    must be heard by all is written as all can read it (decisions/0025).
    """

    def __init__(self) -> None:
        self._met: dict[str, float] = {}

    def is_old(self, error: WireError, now: float) -> bool:
        """Tell whether an unknown kind or version was shown within `NEWS_S`; note it if not."""
        if error.reason not in UNKNOWN:
            return False
        if now - self._met.get(error.detail, float("-inf")) < NEWS_S:
            return True
        self._met.pop(error.detail, None)
        self._met[error.detail] = now
        while len(self._met) > MAX_NEWS:
            del self._met[next(iter(self._met))]
        return False


def dead_letter(frame: Frame, error: WireError, node: str, topics: Topics) -> fx.Publish:
    """Return what is shown of a frame that could not be read."""
    dead = Dead(error.reason, error.detail[:500], frame.topic[:500], node, frame.payload[:MAX_DEAD_HEAD])
    return fx.Publish(topics.dead(error.reason), dead, qos=0)


def frame_of(effect: fx.Publish, body: bytes | None = None) -> Frame:
    """Return the frame that carries a `Publish`; ``body`` if its message was encoded already."""
    return Frame(
        effect.topic,
        body_of(effect.message) if body is None else body,
        effect.qos,
        effect.retain,
        effect.expiry_s,
        effect.reply_to or None,
        effect.correlation or None,
        None,
        to_properties(effect.envelope),
    )


def body_of(message: AnyMessage | bytes | None) -> bytes:
    """Return the payload of a message: nothing for None, JSON as it is, msgpack for the rest."""
    if message is None:
        return b""
    return message if isinstance(message, bytes) else codec.encode(message)
