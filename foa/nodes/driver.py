"""The whole shell of a node: frames in, machines stepped, effects out. The simulator runs this very class.

A frame is parsed and decoded once, becomes an event for the machine it belongs to, and the machine's effects
wait until the turn ends. Then, in this order: the journal is committed, frames are published, and only now
are the frames that caused all this acknowledged to the broker. A process killed anywhere in between gets
them again. Nothing here waits: time, bus and services all call back.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from random import Random
from typing import Any, Final, Protocol

from foa.bus.port import Bus, Clock, Delivery, Facts, Handle, Subscription
from foa.core import effects as fx
from foa.core.effects import Effect, Event, Key, Step
from foa.errors import BusError, WireError
from foa.wire import codec
from foa.wire.envelope import Frame, from_properties, to_properties
from foa.wire.messages import AnyMessage, Blob, Dead
from foa.wire.topics import Topic, Topics

JSON_KINDS: Final = frozenset({"discovery", "door", "outcome"})
MAX_DEAD_PER_TURN: Final = 16
MAX_DEAD_HEAD: Final = 256
MAX_EVENTS_PER_TURN: Final = 100_000

Done = Callable[[Any, str], None]
Service = Callable[[Any, Done], None]


class Program(Protocol):
    """What makes a node of one kind: its machines, and which of them a frame belongs to."""

    roots: tuple[Key, ...]
    steps: Mapping[str, Step[Any]]

    def birth(self, key: Key) -> Any | None:
        """Return the first state of the machine `key`; None if there is no such machine."""

    def route(self, event: fx.Received | fx.Cleared, known: Callable[[Key], bool]) -> tuple[Key, ...]:
        """Return whose event it is; none if nobody's."""


class Journal(Protocol):
    """What a node keeps over restarts; see `foa.adapters.journal`."""

    def put(self, kind: str, ident: str, body: bytes | None) -> None:
        """Keep (or forget) a body; durable at the next `commit`."""

    def commit(self) -> None:
        """Make all that was put durable."""

    def load(self) -> Iterable[tuple[str, str, bytes]]:
        """Return all that is kept."""


class Sink(Protocol):
    """Where logs and measurements go; see `foa.adapters.telemetry`."""

    def log(self, name: str, level: str, fields: Mapping[str, Any]) -> None:
        """Write one line."""

    def measure(self, name: str, amount: float, seconds: float | None, label: str) -> None:
        """Count or observe."""


class Driver:
    """Runs the machines of one `Program` over one bus. A `foa.bus.port.Listener`."""

    def __init__(
        self,
        node: str,
        program: Program,
        topics: Topics,
        *,
        clock: Clock,
        rng: Random,
        journal: Journal,
        sink: Sink,
        services: Mapping[str, Service],
        stopped: Callable[[str], None],
    ) -> None:
        """Wire the parts together; nothing happens before `start`."""
        self.node = node
        self._program = program
        self._topics = topics
        self._clock = clock
        self._rng = rng
        self._journal = journal
        self._sink = sink
        self._services = services
        self._stopped = stopped
        self._bus: Bus | None = None
        self._states: dict[Key, Any] = {}
        self._timers: dict[Key, dict[str, Handle]] = {}
        self._inbox: deque[tuple[Key, Event]] = deque()
        self._out: list[tuple[Key, Effect]] = []
        self._retained: dict[str, int] = {}
        self._acks: list[Delivery] = []
        self._dead = 0
        self._turning = False
        self._flushing: Handle | None = None
        self.online = False
        self._perform: dict[type, Callable[[Key, Any], None]] = {
            fx.Publish: self._queue,
            fx.Subscribe: self._hold,
            fx.Unsubscribe: self._hold,
            fx.Wake: self._wake,
            fx.Sleep: self._sleep,
            fx.Persist: self._persist,
            fx.Tell: self._tell,
            fx.TellAll: self._tell_all,
            fx.Request: self._request,
            fx.Log: self._log,
            fx.Measure: self._measure,
            fx.Retire: self._retire,
            fx.Stop: self._stop,
        }

    # --- what the host calls ---------------------------------------------------------------------------

    def start(self, bus: Bus) -> None:
        """Bring back what was kept and start the machines; frames published now wait in `bus`."""
        self._bus = bus
        for key in self._program.roots:
            self.feed(key, fx.Started())
        for kind, ident, body in self._journal.load():
            try:
                self.feed(Key(kind, ident), fx.Restored(codec.decode(body)))
            except WireError as error:
                self._sink.log("journal_unreadable", "warning", {"kind": kind, "id": ident, "error": error.detail})

    def close(self) -> None:
        """Call all timers off and make durable what is pending."""
        for key in list(self._timers):
            self._calm(key)
        self._flush()

    def tell(self, key: Key, message: Any) -> None:
        """Bring a message from outside the bus (a command line, a test) to a machine."""
        self.feed(key, fx.Told(Key("shell"), message))

    def feed(self, key: Key, event: Event) -> None:
        """Queue `event` for the machine `key` and let the turn run."""
        self._inbox.append((key, event))
        if not self._turning:
            self._turn()

    def state(self, key: Key) -> Any | None:
        """Return a machine's state, to be looked at."""
        return self._states.get(key)

    def states(self, kind: str) -> list[Any]:
        """Return the states of all machines of one kind."""
        return [state for key, state in self._states.items() if key.kind == kind]

    # --- what the bus calls ----------------------------------------------------------------------------

    def connected(self, facts: Facts) -> None:
        """Tell the roots that the bus is there."""
        self.online = True
        for key in self._program.roots:
            self.feed(key, fx.Online(facts.session_present))

    def disconnected(self, reason: str, *, final: bool) -> None:
        """Tell the roots that the bus is gone; end the node if for good."""
        self.online = False
        level = "info" if reason == "closed" else "warning"
        self._sink.log("bus_lost", level, {"reason": reason, "final": final})
        for key in self._program.roots:
            self.feed(key, fx.Offline())
        if final:
            self._stopped(reason)

    def drained(self) -> None:
        """Go on after the bus was full."""
        self._schedule()

    def delivered(self, delivery: Delivery) -> None:
        """Decode a frame and hand it to its machine."""
        self._acks.append(delivery)
        frame = delivery.frame
        try:
            event = self._decode(frame)
        except WireError as error:
            self._refuse(frame, error.reason, error.detail)
        else:
            for key in self._program.route(event, self._states.__contains__):
                self.feed(key, event)
        self._schedule()

    def _decode(self, frame: Frame) -> fx.Received | fx.Cleared:
        topic = self._topics.parse(frame.topic)
        if not frame.payload:
            return fx.Cleared(topic)
        message = Blob(frame.payload) if topic.kind in JSON_KINDS else self._placed(topic, frame.payload)
        return fx.Received(
            topic,
            message,
            from_properties(frame.properties),
            frame.retain,
            frame.response_topic or "",
            frame.correlation or b"",
        )

    def _placed(self, topic: Topic, payload: bytes) -> AnyMessage:
        """Decode a message, and refuse one that does not belong on its topic."""
        message = codec.decode(payload)
        if not isinstance(message, codec.CARRIES[topic.kind]):
            raise WireError("place", f"{type(message).__name__} does not belong on a topic of kind {topic.kind}")
        return message

    def _refuse(self, frame: Frame, reason: str, detail: str) -> None:
        """Count what cannot be read and show it to whoever watches ``dead/#``, at a bounded rate."""
        self._sink.measure("foa_dead_letters_total", 1.0, None, reason)
        self._dead += 1
        if self._dead <= MAX_DEAD_PER_TURN:
            dead = Dead(reason, detail[:500], frame.topic[:500], self.node, frame.payload[:MAX_DEAD_HEAD])
            self._out.append((Key("shell"), fx.Publish(self._topics.dead(reason), dead, qos=0)))
            self._sink.log("dead_letter", "warning", {"reason": reason, "detail": detail, "topic": frame.topic[:200]})

    # --- the turn --------------------------------------------------------------------------------------

    def _turn(self) -> None:
        self._turning = True
        try:
            for _ in range(MAX_EVENTS_PER_TURN):
                if not self._inbox:
                    break
                self._step(*self._inbox.popleft())
        finally:
            self._turning = False
        self._schedule()

    def _step(self, key: Key, event: Event) -> None:
        state = self._states.get(key)
        if state is None and (state := self._program.birth(key)) is None:
            return
        try:
            state, wanted = self._program.steps[key.kind](state, event, self._clock.time(), self._rng)
        except Exception as error:  # noqa: BLE001 - our own fault must cost one event, never the node
            self._sink.log("step_failed", "error", {"machine": key.kind, "id": key.id, "error": error})
            self._sink.measure("foa_step_failures_total", 1.0, None, key.kind)
            return
        self._states[key] = state
        for effect in wanted:
            self._perform[type(effect)](key, effect)

    def _tell(self, key: Key, effect: fx.Tell) -> None:
        self._inbox.append((effect.to, fx.Told(key, effect.message)))

    def _tell_all(self, key: Key, effect: fx.TellAll) -> None:
        event = fx.Told(key, effect.message)
        self._inbox.extend((other, event) for other in self._states if other.kind == effect.kind)

    def _request(self, key: Key, effect: fx.Request) -> None:
        self._services[effect.service](effect.argument, partial(self._returned, key, effect.token))

    def _persist(self, key: Key, effect: fx.Persist) -> None:
        self._journal.put(key.kind, key.id, None if effect.message is None else codec.encode(effect.message))

    def _log(self, _key: Key, effect: fx.Log) -> None:
        self._sink.log(effect.name, effect.level, effect.fields)

    def _measure(self, _key: Key, effect: fx.Measure) -> None:
        self._sink.measure(effect.name, effect.amount, effect.seconds, effect.label)

    def _hold(self, key: Key, effect: Effect) -> None:
        self._out.append((key, effect))

    def _stop(self, _key: Key, effect: fx.Stop) -> None:
        self._stopped(effect.reason)

    def _retire(self, key: Key, _effect: fx.Retire) -> None:
        self._states.pop(key, None)
        self._calm(key)

    def _calm(self, key: Key) -> None:
        for handle in self._timers.pop(key, {}).values():
            handle.cancel()

    def _wake(self, key: Key, effect: fx.Wake) -> None:
        timers = self._timers.setdefault(key, {})
        if (handle := timers.pop(effect.timer, None)) is not None:
            handle.cancel()
        timers[effect.timer] = self._clock.call_at(effect.at, partial(self._elapsed, key, effect.timer))

    def _sleep(self, key: Key, effect: fx.Sleep) -> None:
        if (handle := self._timers.get(key, {}).pop(effect.timer, None)) is not None:
            handle.cancel()

    def _elapsed(self, key: Key, timer: str) -> None:
        self._timers[key].pop(timer)
        self.feed(key, fx.Elapsed(timer))

    def _returned(self, key: Key, token: str, value: Any, error: str) -> None:
        if token:
            self.feed(key, fx.Returned(token, value, error))

    # --- the end of a turn -----------------------------------------------------------------------------

    def _queue(self, key: Key, effect: fx.Publish) -> None:
        """Queue a frame; of several retained ones to one topic in a turn only the last is worth sending."""
        if effect.retain and not effect.token:
            earlier = self._retained.get(effect.topic)
            if earlier is not None:
                self._out[earlier] = _NOTHING
            self._retained[effect.topic] = len(self._out)
        self._out.append((key, effect))

    def _schedule(self) -> None:
        if self._flushing is None and (self._out or self._acks):
            self._flushing = self._clock.call_at(self._clock.time(), self._flush)

    def _flush(self) -> None:
        self._flushing = None
        self._dead = 0
        self._journal.commit()
        self._retained.clear()
        out, self._out = self._out, []
        for at, (key, effect) in enumerate(out):
            try:
                self._send(key, effect)
            except BusError as error:
                if self._too_large(key, effect, error):
                    continue
                self._out = out[at:] + self._out  # full: `drained` comes, and nothing is acknowledged till then
                return
        acks, self._acks = self._acks, []
        for delivery in acks:
            delivery.ack()

    def _too_large(self, key: Key, effect: Effect, error: BusError) -> bool:
        """Tell whether a frame can never be sent; its machine hears of it as of a refusal by the broker."""
        assert self._bus is not None
        if self._bus.backlog > 0 or not isinstance(effect, fx.Publish):
            return False
        self._sink.log("frame_refused", "error", {"topic": effect.topic, "error": str(error)})
        if effect.token:
            self.feed(key, fx.Delivered(effect.token, 0x95))
        return True

    def _send(self, key: Key, effect: Effect) -> None:
        assert self._bus is not None
        match effect:
            case fx.Publish():
                token = effect.token
                receipt = (lambda code: self.feed(key, fx.Delivered(token, code))) if token else None
                self._bus.publish(frame_of(effect), receipt)
            case fx.Subscribe(patterns, no_local, qos):
                self._bus.subscribe([Subscription(pattern, qos, no_local) for pattern in patterns])
            case fx.Unsubscribe(patterns):
                self._bus.unsubscribe(patterns)


_NOTHING: Final[tuple[Key, Effect]] = (Key("shell"), fx.Retire())
"""Stands in the queue of frames for one that a later one made useless."""


def frame_of(effect: fx.Publish) -> Frame:
    """Return the frame that carries a `Publish`."""
    return Frame(
        effect.topic,
        body_of(effect.message),
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
