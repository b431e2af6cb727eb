"""Who and what gets in: pure checks of CONNECT and PUBLISH, for the broker machine."""

import hmac
from collections.abc import Mapping
from typing import Final

import mqtt5

from foa.bus.mqtt import packets
from foa.bus.mqtt.broker import topics
from foa.bus.mqtt.broker.records import Limits

MAX_CLIENT_ID: Final = 256
TOPIC_ALIAS_INVALID: Final = 0x94
QOS_NOT_SUPPORTED: Final = 0x9B

_ConnAck = mqtt5.ConnAckReasonCode


def refusal(
    packet: mqtt5.ConnectPacket, limits: Limits, users: Mapping[str, str] | None
) -> mqtt5.ConnAckReasonCode | None:
    """Return why `packet` is refused; None if it is welcome. With `users` None everybody may come."""
    if packet.authentication_method is not None:
        return _ConnAck.BAD_AUTHENTICATION_METHOD
    if len(packet.client_id) > MAX_CLIENT_ID or "\0" in packet.client_id:
        return _ConnAck.CLIENT_ID_NOT_VALID
    if users is not None and not _known(users, packet.username or "", packet.password or b""):
        return _ConnAck.BAD_USER_NAME_OR_PASSWORD
    return None if packet.will is None else _will_refusal(packet.will, limits)


def _known(users: Mapping[str, str], username: str, password: bytes) -> bool:
    expected = users.get(username)
    return hmac.compare_digest(password, (expected or "").encode()) and expected is not None


def _will_refusal(will: mqtt5.Will, limits: Limits) -> mqtt5.ConnAckReasonCode | None:
    if not topics.valid_topic(will.topic, limits.max_topic_bytes, limits.max_topic_levels):
        return _ConnAck.TOPIC_NAME_INVALID
    if will.qos is mqtt5.QoS.EXACTLY_ONCE:
        return _ConnAck.QUALITY_NOT_SUPPORTED
    return None if forwardable(will_packet(will)) else _ConnAck.PROTOCOL_ERROR


def forwardable(packet: mqtt5.PublishPacket) -> bool:
    """Tell whether the properties of `packet` may be passed on: the codec reads some that it will not write."""
    topic = packet.response_topic
    if packet.payload_format_indicator > 1:
        return False
    return topic is None or (topic != "" and not any(sign in topic for sign in "+#\0"))


def will_packet(will: mqtt5.Will) -> mqtt5.PublishPacket:
    """Return the publication that `will` asks for."""
    return mqtt5.PublishPacket(
        will.topic,
        will.payload or b"",
        qos=will.qos,
        retain=will.retain,
        packet_id=None if will.qos is mqtt5.QoS.AT_MOST_ONCE else 0,
        payload_format_indicator=will.payload_format_indicator,
        message_expiry_interval=will.message_expiry_interval,
        content_type=will.content_type,
        response_topic=will.response_topic,
        correlation_data=will.correlation_data,
        user_properties=will.user_properties,
    )


def unforwardable(packet: mqtt5.PublishPacket) -> int:
    """Return the DISCONNECT reason code for a PUBLISH that is none of ours to carry; 0 if it is."""
    if packet.qos is mqtt5.QoS.EXACTLY_ONCE:
        return QOS_NOT_SUPPORTED
    if packet.topic_alias is not None:
        return TOPIC_ALIAS_INVALID
    if packet.packet_id == 0 or packet.subscription_ids or not forwardable(packet):
        return packets.PROTOCOL_ERROR
    return 0
