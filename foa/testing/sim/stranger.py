"""A hostile stranger on the bus: repeats real frames in a mutilated form that no honest node would ever send.

Only what the window refuses is sent (`foa.nodes.window`): who may speak at all is the broker's to say, and the
well-formed lie of somebody who may is no malformed frame. Where frames are sealed, lies are sent too, under the seal
of what was mutilated. Nothing of it is retained: that is the owners' right.
"""

from random import Random
from typing import Final

from foa.bus.mqtt.broker.records import Message
from foa.bus.port import Delivery, Facts, Options
from foa.errors import BusError, WireError
from foa.nodes.window import event_of
from foa.testing.world import World
from foa.wire.envelope import Frame

CLIENT: Final = "evil/tools/x"
DELAY_S: Final = 0.01
LONGEST: Final = 64


class Stranger:
    """Listens to nothing and speaks into everything. ``sent`` counts what it said."""

    def __init__(self, world: World, share: float) -> None:
        self.sent = 0
        self.active = False
        self._share = share
        self._world = world
        self._rng = Random(f"{world.seed}/stranger")
        self._bus = world.network.attach(Options(CLIENT, "memory", session_expiry_s=0), self) if share else None

    def witness(self, message: Message) -> None:
        """See a publication; now and then say something like it."""
        if self._bus is None or not self.active or message.origin == CLIENT:
            return
        if self._rng.random() >= self._share:
            return
        packet = message.packet
        frame = Frame(packet.topic, self._mutilated(packet.payload), properties=tuple(packet.user_properties or ()))
        if self._world.notary is not None and frame.payload != packet.payload:
            self._world.clock.call_at(self._world.clock.time() + DELAY_S, lambda: self._say(frame))
            return
        try:
            event_of(frame, self._world.topics)
        except WireError:
            self._world.clock.call_at(self._world.clock.time() + DELAY_S, lambda: self._say(frame))

    def _say(self, frame: Frame) -> None:
        if self._bus is None:
            return
        try:
            self._bus.publish(frame)
        except BusError:
            return
        self.sent += 1

    def _mutilated(self, payload: bytes) -> bytes:
        """Cut it, lengthen it, turn bits over, or say something else altogether."""
        rng, body = self._rng, bytearray(payload)
        match rng.randrange(4):
            case 0:
                return bytes(body[: rng.randrange(len(body) + 1)])
            case 1:
                return bytes(body) + rng.randbytes(rng.randrange(1, LONGEST))
            case 2 if body:
                for _ in range(rng.randrange(1, 8)):
                    body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
                return bytes(body)
            case _:
                return rng.randbytes(rng.randrange(LONGEST))

    # What a bus wants of its listener.

    def connected(self, facts: Facts) -> None:
        """Nothing to do."""

    def disconnected(self, reason: str, *, final: bool) -> None:
        """Nothing to do."""

    def delivered(self, delivery: Delivery) -> None:
        """Nothing is subscribed to."""

    def turned(self) -> None:
        """Nothing to do."""

    def drained(self) -> None:
        """Nothing to do."""
