"""What is kept, as bytes: msgpack records under a kind and an identifier. Times are of the wall clock, in seconds."""

from typing import Final

import msgspec

MESSAGE: Final = "message"  # by number
DELIVERY: Final = "delivery"  # by number, which is the order
RETAINED: Final = "retained"  # by topic: the number of a message
SESSION: Final = "session"  # by Client ID
SUBSCRIPTION: Final = "subscription"  # by Client ID, a NUL, and the filter
KINDS: Final = (MESSAGE, RETAINED, SESSION, SUBSCRIPTION, DELIVERY)
"""In the order in which they are read: a record names only what comes before it."""

Ident = str | int
Row = tuple[str, Ident, bytes | None]
"""A kind, an identifier, and the record; None takes it away."""


class MessageForm(msgspec.Struct, frozen=True, array_like=True):
    """A publication."""

    arrived_at: float
    origin: str
    packet: bytes


class SessionForm(msgspec.Struct, frozen=True, array_like=True):
    """A session without its subscriptions and deliveries."""

    account: str
    begun_at: float
    connected: bool
    expiry_s: int
    expires_at: float | None
    will: MessageForm | None
    will_delay_s: int
    will_at: float | None


class SubscriptionForm(msgspec.Struct, frozen=True, array_like=True):
    """A granted subscription."""

    client_id: str
    pattern: str
    qos: int
    no_local: bool
    retain_as_published: bool
    ids: tuple[int, ...]
    granted_at: float


class DeliveryForm(msgspec.Struct, frozen=True, array_like=True):
    """A message for one session, or (`client_id` empty) for any member of a shared subscription."""

    client_id: str
    group: str
    message: int
    qos: int
    retain: bool
    ids: tuple[int, ...]
    packet_id: int  # 0: it waits in the queue


encode: Final = msgspec.msgpack.Encoder().encode
decode_number: Final = msgspec.msgpack.Decoder(int).decode
decode_message: Final = msgspec.msgpack.Decoder(MessageForm).decode
decode_session: Final = msgspec.msgpack.Decoder(SessionForm).decode
decode_subscription: Final = msgspec.msgpack.Decoder(SubscriptionForm).decode
decode_delivery: Final = msgspec.msgpack.Decoder(DeliveryForm).decode
