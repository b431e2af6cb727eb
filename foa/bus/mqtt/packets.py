"""The border to the codec: the only module that builds or reads MQTT packets from bytes.

Client and broker machines call it. It frames the stream (a packet may arrive in many pieces, or many in
one), turns whatever a peer did wrong into a `Fault` value, and builds PUBLISH so that one encoding serves
every receiver of a fan-out: only the packet identifier between `Template.head` and `Template.tail` differs.
"""

from collections.abc import Iterator
from typing import Final

import mqtt5
import msgspec

from foa.bus.mqtt import strings
from foa.errors import BusError
from foa.wire.envelope import Frame

Packet = mqtt5.Packet
PublishPacket = mqtt5.PublishPacket

QOS: Final = (mqtt5.QoS.AT_MOST_ONCE, mqtt5.QoS.AT_LEAST_ONCE, mqtt5.QoS.EXACTLY_ONCE)
MAX_TOPIC_BYTES: Final = 65_535
PUBLISH: Final = 0x30
PUBACK: Final = 0x40
YES: Final = 2  # the length of a PUBACK without reason code or properties
DUP: Final = 0x08
PINGREQ: Final = mqtt5.PingReqPacket().write()
PINGRESP: Final = mqtt5.PingRespPacket().write()

MALFORMED: Final = 0x81
PROTOCOL_ERROR: Final = 0x82
PACKET_TOO_LARGE: Final = 0x95

_BARE: Final = bytes((PUBLISH | 0x02,))
_YES: Final = bytes((PUBACK, YES))

PANIC: Final = "PanicException"
"""What a fault inside the codec, which is written in Rust, raises: no `Exception`, it would end the process."""
_VARINT_BYTES: Final = 4
_SOME_ID: Final = b"\0\1"  # a packet identifier that stands for none
_NO_PIECES: Final = b""


class Fault(msgspec.Struct, frozen=True):
    """What a peer did wrong: the DISCONNECT reason code, and a sentence for people."""

    code: int
    detail: str


class Template(msgspec.Struct, frozen=True):
    """A PUBLISH without its packet identifier, which belongs between `head` and `tail` if QoS is 1."""

    head: bytes
    tail: bytes
    size: int
    """How many bytes the packet takes on the wire."""


class Reader:
    """Cuts a stream into packets. Holds at most one incomplete packet of at most ``limit`` bytes.

    A PUBACK that says nothing but yes is half of all packets: it comes as its packet identifier alone.
    """

    __slots__ = ("_have", "_need", "_pieces", "limit", "raws")

    def __init__(self, limit: int, raws: list[bytes] | None = None) -> None:
        """Refuse packets of more than `limit` bytes; `raws`, if given, gets the bytes of each packet of a `feed`."""
        self.limit = limit
        self.raws = raws
        self._pieces: list[bytes] = []
        self._have = 0
        self._need = 0

    @property
    def idle(self) -> bool:
        """Whether the next byte begins a packet."""
        return not self._pieces

    def feed(self, data: bytes) -> tuple[list[Packet | int], Fault | None]:
        """Return the packets that `data` completes, then what was wrong after them, if anything."""
        if self.raws is not None:
            self.raws.clear()
        if self._pieces:
            # Pieces are joined once the packet is whole: a peer that sends byte by byte costs no copying.
            self._pieces.append(data)
            self._have += len(data)
            if self._have < self._need:
                return [], None
            data = b"".join(self._pieces)
            self._pieces.clear()
        return self._cut(data)

    def _cut(self, data: bytes) -> tuple[list[Packet | int], Fault | None]:
        view, at, end, raws = memoryview(data), 0, len(data), self.raws
        packets: list[Packet | int] = []
        plain = data.isascii()
        try:
            while at < end:
                if data[at] == PUBACK and data[at + 1] == YES:
                    packet: Packet | int = data[at + 2] << 8 | data[at + 3]
                    size = 4
                elif not plain and not strings.readable(data, at):
                    return packets, Fault(MALFORMED, "a string is not UTF-8")
                else:
                    packet, size = mqtt5.read(view[at:])
                    if size > self.limit:
                        return packets, _too_large(size, self.limit)
                packets.append(packet)
                if raws is not None:
                    raws.append(data[at : at + size])
                at += size
        except IndexError:
            return packets, self._keep(data[at:])
        except (ValueError, OverflowError) as error:
            return packets, Fault(MALFORMED, str(error))
        except BaseException as error:
            if type(error).__name__ == PANIC:
                return packets, Fault(MALFORMED, "the codec cannot read it")
            raise
        return packets, None

    def _keep(self, rest: bytes) -> Fault | None:
        """Keep the incomplete `rest`, unless its header already tells that it can never be taken."""
        size = announced_size(rest)
        if size is None:
            size = len(rest) + 1
        elif size > self.limit:
            return _too_large(size, self.limit)
        elif size <= len(rest):
            return Fault(MALFORMED, "a field reaches beyond its packet")
        self._pieces.append(rest)
        self._have, self._need = len(rest), size
        return None


def _too_large(size: int, limit: int) -> Fault:
    return Fault(PACKET_TOO_LARGE, f"a packet of {size} bytes, at most {limit} are taken")


def announced_size(data: bytes | memoryview) -> int | None:
    """Return the whole size of the packet that `data` begins with; None while its header is incomplete."""
    value = 0
    for index in range(1, min(len(data), 1 + _VARINT_BYTES)):
        byte = data[index]
        value |= (byte & 0x7F) << (7 * (index - 1))
        if byte < 0x80:  # noqa: PLR2004 - the top bit says that another byte follows
            return 1 + index + value
    return None


def split(data: bytes) -> Iterator[bytes]:
    """Yield the packets of `data`, which holds only whole ones (our own output), undecoded."""
    view, at = memoryview(data), 0
    while at < len(data):
        size = announced_size(view[at : at + 5])
        assert size is not None
        yield data[at : at + size]
        at += size


def topic_span(packet: bytes) -> tuple[int, int]:
    """Return where the topic of an encoded PUBLISH begins and ends; the packet identifier, if any, follows."""
    start = 2
    while packet[start - 1] & 0x80:
        start += 1
    length = packet[start] << 8 | packet[start + 1]
    return start + 2, start + 2 + length


def encode(frame: Frame, packet_id: int, *, duplicate: bool = False, expiry_s: int | None = None) -> bytes:
    """Return the PUBLISH for `frame`. Raises BusError if MQTT cannot carry it."""
    if not 0 <= frame.qos <= 1:
        raise BusError(f"frame on {frame.topic!r} has QoS {frame.qos}, this bus carries 0 and 1")
    try:
        return mqtt5.PublishPacket(
            frame.topic,
            frame.payload,
            qos=QOS[frame.qos],
            retain=frame.retain,
            packet_id=packet_id if frame.qos else None,
            duplicate=duplicate,
            message_expiry_interval=expiry_s,
            content_type=frame.content_type,
            response_topic=frame.response_topic,
            correlation_data=frame.correlation,
            user_properties=list(frame.properties) if frame.properties else None,
        ).write()
    except (ValueError, OverflowError, TypeError) as error:
        raise BusError(f"frame on {frame.topic[:200]!r} cannot be encoded: {error}") from error


def frame_of(packet: mqtt5.PublishPacket) -> Frame:
    """Return what `packet` publishes."""
    return Frame(
        packet.topic,
        packet.payload,
        packet.qos.value,
        packet.retain,
        packet.message_expiry_interval,
        packet.response_topic,
        packet.correlation_data,
        packet.content_type,
        tuple(packet.user_properties),
    )


def forward(
    packet: mqtt5.PublishPacket, qos: int, *, retain: bool, expiry_s: int | None, ids: tuple[int, ...]
) -> Template:
    """Return `packet` as a broker passes it on, everything but the delivery options unchanged."""
    data = mqtt5.PublishPacket(
        packet.topic,
        packet.payload,
        qos=QOS[qos],
        retain=retain,
        packet_id=0 if qos else None,
        payload_format_indicator=packet.payload_format_indicator,
        message_expiry_interval=expiry_s,
        content_type=packet.content_type,
        response_topic=packet.response_topic,
        correlation_data=packet.correlation_data,
        subscription_ids=list(ids) if ids else None,
        user_properties=packet.user_properties,
    ).write()
    if not qos:
        return Template(data, _NO_PIECES, len(data))
    _, cut = topic_span(data)
    return Template(data[:cut], data[cut + 2 :], len(data))


def stored(packet: mqtt5.PublishPacket) -> bytes:
    """Return `packet` as it is kept: what `read_stored` reads."""
    expiry_s = packet.message_expiry_interval
    template = forward(packet, packet.qos.value, retain=packet.retain, expiry_s=expiry_s, ids=())
    return template.head + (_SOME_ID if packet.qos.value else b"") + template.tail


def read_stored(data: bytes) -> mqtt5.PublishPacket:
    """Return the publication that `stored` wrote. Raises BusError for anything else."""
    found, fault = Reader(len(data)).feed(data)
    if fault is not None or len(found) != 1 or not isinstance(found[0], mqtt5.PublishPacket):
        raise BusError("no stored publication")
    return found[0]


def bare_cut(raw: bytes) -> int:
    """Return where the packet identifier stands in `raw`, a QoS 1 PUBLISH without properties; 0 for any other packet.

    Also 0 if its length is written in more bytes than it takes: such a packet is not to be passed on as it is.
    """
    if raw[0] & 0x36 != PUBLISH | 0x02:
        return 0
    at = 2
    while raw[at - 1] & 0x80:
        at += 1
    if at > 2 and not raw[at - 1]:  # noqa: PLR2004 - a length of several bytes
        return 0
    cut = at + 2 + (raw[at] << 8 | raw[at + 1])
    return 0 if raw[cut + 2] else cut


def forward_bare(raw: bytes, cut: int) -> Template:
    """Return `raw`, for which `bare_cut` found `cut`, as a broker passes on what was not kept: without a codec."""
    return Template(_BARE + raw[1:cut], raw[cut + 2 :], len(raw))


def puback(packet_id: int, code: int = 0) -> bytes:
    """Return a PUBACK; written by hand because it is half of all packets."""
    if code:
        return bytes((PUBACK, 3, packet_id >> 8, packet_id & 0xFF, code))
    return _YES + packet_id.to_bytes(2, "big")


def marked_duplicate(head: bytes) -> bytes:
    """Return an encoded PUBLISH, or the head of one, with DUP set."""
    return bytes((head[0] | DUP,)) + head[1:]


def disconnect(code: int, reason: str | None = None) -> bytes:
    """Return a DISCONNECT."""
    return mqtt5.DisconnectPacket(reason_code=mqtt5.DisconnectReasonCode(code), reason_str=reason).write()


def _names() -> dict[int, str]:
    """Return the standard's word for every reason code of CONNACK and DISCONNECT."""
    names: dict[int, str] = {}
    for kind in (mqtt5.ConnAckReasonCode, mqtt5.DisconnectReasonCode):
        for name in filter(str.isupper, dir(kind)):
            names[int(getattr(kind, name))] = name.lower().replace("_", " ")
    return names


_WORDS: Final = _names()


def words(code: int) -> str:
    """Return a reason code for people: ``bad user name or password (0x86)``."""
    return f"{_WORDS.get(code, 'reason')} (0x{code:02X})"
