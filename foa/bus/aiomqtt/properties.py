"""Frames and options as paho's objects, both ways."""

import struct
from typing import Any, Final

from paho.mqtt.client import MQTTMessage
from paho.mqtt.exception import MQTTException
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from foa.bus.port import Facts, Options, Will
from foa.wire.envelope import Frame

MAX_TOPIC_BYTES: Final = 65_535
PACK_ERRORS: Final = (ValueError, OverflowError, TypeError, struct.error, MQTTException)
"""What paho raises for values that MQTT cannot carry."""


def of_frame(frame: Frame, kind: int = PacketTypes.PUBLISH) -> Properties | None:
    """Return the properties that `frame` travels with; None if it has none. Raises what paho raises."""
    said = (frame.expiry_s, frame.content_type, frame.response_topic, frame.correlation)
    if said == (None, None, None, None) and not frame.properties:
        return None
    properties = Properties(kind)
    if frame.expiry_s is not None:
        properties.MessageExpiryInterval = frame.expiry_s
    if frame.content_type is not None:
        properties.ContentType = frame.content_type
    if frame.response_topic is not None:
        properties.ResponseTopic = frame.response_topic
    if frame.correlation is not None:
        properties.CorrelationData = frame.correlation
    if frame.properties:
        properties.UserProperty = list(frame.properties)
    return properties


def of_will(will: Will) -> Properties:
    """Return the properties of `will`."""
    properties = of_frame(will.frame, PacketTypes.WILLMESSAGE) or Properties(PacketTypes.WILLMESSAGE)
    properties.WillDelayInterval = will.delay_s
    return properties


def of_connect(options: Options) -> Properties:
    """Return the properties of the CONNECT that `options` ask for."""
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = options.session_expiry_s
    properties.ReceiveMaximum = options.receive_maximum
    properties.MaximumPacketSize = options.maximum_packet_size
    return properties


def size_of(frame: Frame, properties: Properties | None) -> int:
    """Return how many bytes the PUBLISH of `frame` takes. Raises what paho raises if it cannot be written."""
    inner = 2 + len(frame.topic.encode()) + len(frame.payload)
    inner += 2 if frame.qos else 0
    inner += len(properties.pack()) if properties is not None else 1
    length = 1
    while inner >= 128**length:
        length += 1
    return 1 + length + inner


def frame_of(message: MQTTMessage) -> Frame:
    """Return what `message` publishes."""
    properties = message.properties
    return Frame(
        message.topic,
        bytes(message.payload),
        message.qos,
        message.retain,
        getattr(properties, "MessageExpiryInterval", None),
        getattr(properties, "ResponseTopic", None),
        getattr(properties, "CorrelationData", None),
        getattr(properties, "ContentType", None),
        tuple(getattr(properties, "UserProperty", ())),
    )


def ids_of(message: MQTTMessage) -> tuple[int, ...]:
    """Return the subscription identifiers that came with `message`."""
    return tuple(getattr(message.properties, "SubscriptionIdentifier", ()))


def facts_of(session_present: Any, properties: Properties | None, keep_alive_s: int) -> Facts:
    """Return what a CONNACK announced; `keep_alive_s` is what we asked for."""
    return Facts(
        session_present=bool(session_present),
        receive_maximum=getattr(properties, "ReceiveMaximum", 65_535),
        maximum_packet_size=getattr(properties, "MaximumPacketSize", None),
        shared_subscriptions=bool(getattr(properties, "SharedSubscriptionAvailable", 1)),
        subscription_identifiers=bool(getattr(properties, "SubscriptionIdentifierAvailable", 1)),
        retain_available=bool(getattr(properties, "RetainAvailable", 1)),
        keep_alive_s=getattr(properties, "ServerKeepAlive", keep_alive_s),
    )


def words(code: ReasonCode) -> str:
    """Return a reason code for people: ``bad user name or password (0x86)``."""
    return f"{code.getName().lower()} (0x{code.value:02X})"


def check_topic(topic: str) -> None:
    """Raise ValueError if nothing can be published to `topic`: paho lets some of them pass."""
    size = len(topic.encode())
    if not 0 < size <= MAX_TOPIC_BYTES or any(sign in topic for sign in "+#\0"):
        message = f"a topic has 1 to {MAX_TOPIC_BYTES} bytes, none of them + # or zero"
        raise ValueError(message)
