"""What leaves a node, in an order that loses nothing: frames, then the journal's commit, then acknowledgements.

Frames of a turn go to the bus at its end. What was to be persisted is committed a moment later (`SETTLE_S`), for
many turns at once, while the broker already works; only after that is a promise made (`Publish.promise`) and are
the frames that caused it all acknowledged, along with the next frame that leaves. A process killed in between is
sent them again, finds its journal a moment old, and what it had already said is on record at the broker.

A disk that takes nothing is asked again for a moment, in which nothing is promised or acknowledged; then the node ends,
and what it did not acknowledge is somebody else's.
"""

from collections.abc import Callable
from typing import Final

from foa.bus.port import Bus, Clock, Delivery, Handle, Subscription
from foa.core import effects as fx
from foa.core.effects import Effect, Event, Key
from foa.errors import BusError, DiskError, TooLarge
from foa.nodes.ports import Journal, Sink
from foa.nodes.window import frame_of
from foa.wire import codec
from foa.wire.envelope import Frame
from foa.wire.messages import Message, Result, State

SETTLE_S: Final = 0.005
TARDY_S: Final = 0.02
"""How long an acknowledgement waits for a frame to travel with, unless `MANY` of them wait."""

MANY: Final = 64
FULL_RETRY_S: Final = 0.1
FULL_S: Final = 1.0
"""How long a disk that takes nothing is asked again before the node ends."""
PART: Final = "#"
"""Between a machine's id and the name of a part in the journal; no id has it."""

REFUSED: Final = 0x95
"""MQTT's reason code Packet too large: what a machine hears of a frame that can never be sent."""


class Outgoing:
    """The queue of effects for the bus, and the acknowledgements that wait for it."""

    def __init__(
        self,
        clock: Clock,
        journal: Journal,
        sink: Sink,
        feed: Callable[[Key, Event], None],
        seal: Callable[[Frame], Frame] | None = None,
        *,
        stopped: Callable[[str], None],
    ) -> None:
        """Queue nothing; `feed` takes receipts to their machines, `seal` signs what leaves, `stopped` ends the node."""
        self._seal = seal
        self._stopped = stopped
        self._full_since: float | None = None
        self._clock = clock
        self._journal = journal
        self._sink = sink
        self._feed = feed
        self._bus: Bus | None = None
        self._out: list[tuple[Key, Effect] | None] = []
        self._retained: dict[str, int] = {}
        self._promised: dict[tuple[Key, str], tuple[Key, fx.Publish]] = {}
        self._acks: list[Delivery] = []
        self._durable: list[Delivery] = []
        self._tardy: Handle | None = None
        self._dirty = False
        self._encoded: tuple[Message, bytes] | None = None
        self._settling: Handle | None = None

    def attach(self, bus: Bus) -> None:
        """Send through `bus`."""
        self._bus = bus

    def publish(self, key: Key, effect: fx.Publish) -> None:
        """Queue a frame; of several retained ones to one topic in a turn only the last is worth sending.

        A promise that waits, and whose receipt nobody waits for, is moot once its machine says more to that address.
        """
        if effect.promise:
            self._promised[key, effect.topic] = (key, effect)
            return
        waiting = self._promised.get((key, effect.topic))
        if waiting is not None and not waiting[1].token:
            del self._promised[key, effect.topic]
        if effect.retain:
            earlier = self._retained.get(effect.topic)
            if earlier is not None:
                effect = self._replacing(earlier, key, effect)
            self._retained[effect.topic] = len(self._out)
        self._out.append((key, effect))

    def _replacing(self, earlier: int, key: Key, effect: fx.Publish) -> fx.Publish:
        """Take the place of an earlier frame, with its request for a receipt."""
        before = self._out[earlier]
        assert before is not None
        asked = before[1]
        if not isinstance(asked, fx.Publish) or not asked.token:
            self._out[earlier] = None
        elif before[0] == key and not effect.token:
            self._out[earlier] = None
            return effect._replace(token=asked.token)
        return effect

    def hold(self, key: Key, effect: Effect) -> None:
        """Queue a subscription or its end, in order with the frames."""
        self._out.append((key, effect))

    def persist(self, key: Key, effect: fx.Persist) -> None:
        """Keep a message at the next commit; what is published as well is encoded once."""
        message = effect.message
        ident = f"{key.id}{PART}{effect.part}" if effect.part else key.id
        if message is None:
            self._journal.put(key.kind, ident, None)
        else:
            self._encoded = (message, codec.encode(message))
            self._journal.put(key.kind, ident, self._encoded[1])
        self._dirty = True

    def _frame(self, effect: fx.Publish) -> Frame:
        message = effect.message
        if isinstance(message, State | Result):
            if self._encoded is None or self._encoded[0] is not message:
                self._encoded = (message, codec.encode(message))
            return frame_of(effect, self._encoded[1])
        return frame_of(effect)

    def acknowledge(self, delivery: Delivery) -> None:
        """Acknowledge a frame once all that it caused is durable."""
        self._acks.append(delivery)

    def schedule(self) -> None:
        """Send what is queued, and see to it that the rest is settled soon."""
        if self._out:
            self.flush()
        if self._settling is None and (self._acks or self._dirty or self._promised):
            self._settling = self._clock.call_at(self._clock.time() + SETTLE_S, self.settle)

    def flush(self) -> None:
        """Give what is queued to the bus, and the acknowledgements that are due along with it.

        What the bus has no room for waits for `Listener.drained`, and nothing is acknowledged till then.
        """
        self._retained.clear()
        out, self._out = self._out, []
        self._send_all([entry for entry in out if entry is not None])
        if out and not self._out:
            self._acknowledge()

    @property
    def kept(self) -> bool:
        """Whether all that was to be kept is."""
        return not self._dirty

    def settle(self) -> None:
        """Commit, make good the promises; acknowledgements may wait a little for a frame to travel with."""
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        self.flush()
        if self._out or not self._committed():
            return
        self._durable += self._acks
        self._acks = []
        promised: list[tuple[Key, Effect]] = list(self._promised.values())
        self._promised = {}
        self._send_all(promised)
        if self._out:
            return
        if promised or len(self._durable) >= MANY:
            self._acknowledge()
        elif self._durable and self._tardy is None:
            self._tardy = self._clock.call_at(self._clock.time() + TARDY_S, self._acknowledge)

    def _committed(self) -> bool:
        """Commit what was to be kept; if the disk does not take it, see to it that it is tried again, or end."""
        if not self._dirty:
            return True
        try:
            self._journal.commit()
        except DiskError as error:
            now = self._clock.time()
            if self._full_since is None:
                self._full_since = now
                self._sink.log("not_kept", "error", {"reason": str(error)})
            if now - self._full_since >= FULL_S:
                self._stopped(str(error))
            self._settling = self._clock.call_at(now + FULL_RETRY_S, self.settle)
            return False
        self._dirty, self._full_since = False, None
        return True

    def close(self) -> None:
        """Send, commit and acknowledge all there is."""
        self.settle()
        self._acknowledge()

    def _acknowledge(self) -> None:
        if self._tardy is not None:
            self._tardy.cancel()
            self._tardy = None
        durable, self._durable = self._durable, []
        for delivery in durable:
            delivery.ack()

    def _send_all(self, out: list[tuple[Key, Effect]]) -> None:
        for at, (key, effect) in enumerate(out):
            try:
                self._send(key, effect)
            except TooLarge as error:
                self._refused(key, effect, error)
            except BusError:  # full: `Listener.drained` comes, and nothing is acknowledged till then
                self._out = [*out[at:], *self._out]
                self._retained.clear()  # it counted places that have moved
                return

    def _refused(self, key: Key, effect: Effect, error: TooLarge) -> None:
        """Tell a machine of a frame that can never be sent as of a refusal by the broker."""
        assert isinstance(effect, fx.Publish)
        self._sink.log("frame_refused", "error", {"topic": effect.topic, "error": str(error)})
        if effect.token:
            self._feed(key, fx.Delivered(effect.token, REFUSED))

    def _send(self, key: Key, effect: Effect) -> None:
        assert self._bus is not None
        match effect:
            case fx.Publish(token=token):
                receipt = (lambda code: self._feed(key, fx.Delivered(token, code))) if token else None
                frame = self._frame(effect)
                if len(frame.payload) > codec.MAX_PAYLOAD:
                    raise TooLarge(f"{len(frame.payload)} bytes, nobody reads more than {codec.MAX_PAYLOAD}")
                self._bus.publish(frame if self._seal is None else self._seal(frame), receipt)
            case fx.Subscribe(patterns, no_local, qos):
                self._bus.subscribe([Subscription(pattern, qos, no_local) for pattern in patterns])
            case fx.Unsubscribe(patterns):
                self._bus.unsubscribe(patterns)
