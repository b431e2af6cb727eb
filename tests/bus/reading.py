"""Packets as tests compare them: also a plain PUBACK, of which the reader tells only the identifier, as a packet."""

import mqtt5

from foa.bus.mqtt import packets


def cut(reader: packets.Reader, data: bytes) -> tuple[list[packets.Packet], packets.Fault | None]:
    """Return what `reader` finds in `data`."""
    found, fault = reader.feed(data)
    return [mqtt5.PubAckPacket(one) if isinstance(one, int) else one for one in found], fault
