"""The whole shell of a node: frames in, machines stepped, effects out. The simulator runs this very class.

A frame is parsed and decoded once (`window`), becomes an event for the machine it belongs to, and the machine's
effects are performed in order: timers (`timers`), messages to other machines, services, and what leaves the
node (`outgoing`, which keeps the order that loses nothing). The trace a frame came with goes along: with what one
machine tells another, and with every frame that a machine sends for it. Nothing here waits: time, bus and
services all call back. Called by `foa.nodes.host` and `foa.testing`.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from random import Random
from typing import Any, Final

import msgspec

from foa.bus.port import Bus, Clock, Delivery, Facts
from foa.core import effects as fx
from foa.core.effects import Event, Key
from foa.errors import WireError
from foa.nodes.outgoing import PART, Outgoing
from foa.nodes.ports import Guard, Journal, Program, Service, Sink
from foa.nodes.timers import Timers
from foa.nodes.window import News, dead_letter, event_of
from foa.wire import codec
from foa.wire.envelope import Frame
from foa.wire.topics import Topics
from foa.wire.trust.guard import QUIET

MAX_DEAD_PER_TURN: Final = 16
MAX_EVENTS_PER_TURN: Final = 100_000


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
        guard: Guard | None = None,
    ) -> None:
        """Wire the parts together; nothing happens before `start`. Without `guard` all is believed, nothing sealed."""
        self.node = node
        self.online = False
        self._program = program
        self._topics = topics
        self._clock = clock
        self._rng = rng
        self._journal = journal
        self._sink = sink
        self._services = services
        self._stopped = stopped
        self._states: dict[Key, Any] = {}
        self._inbox: deque[tuple[Key, Event, str]] = deque()
        self._traces: dict[Key, str] = {}
        self._trace = ""
        self._timers = Timers(clock, self._elapsed)
        self._admit = None if guard is None else guard.admit
        seal = None if guard is None else guard.seal
        self._outgoing = Outgoing(clock, journal, sink, self.feed, seal, stopped=stopped)
        self._dead = 0
        self._news = News()
        self._turning = False
        self._hearing = False
        self._perform: dict[type, Callable[[Key, Any], None]] = {
            fx.Publish: self._publish,
            fx.Subscribe: self._outgoing.hold,
            fx.Unsubscribe: self._outgoing.hold,
            fx.Wake: lambda key, wake: self._timers.wake(key, wake.timer, wake.at),
            fx.Sleep: lambda key, sleep: self._timers.sleep(key, sleep.timer),
            fx.Persist: self._outgoing.persist,
            fx.Tell: lambda key, tell: self._inbox.append((tell.to, fx.Told(key, tell.message), self._trace)),
            fx.TellAll: self._tell_all,
            fx.Request: self._request,
            fx.Log: lambda _, log: sink.log(log.name, log.level, log.fields),
            fx.Measure: lambda _, seen: sink.measure(seen.name, seen.amount, seen.seconds, seen.label),
            fx.Retire: lambda key, _: self._retire(key),
            fx.Stop: lambda _, stop: self._stopped(stop.reason),
        }

    # --- what the host calls ---------------------------------------------------------------------------

    def start(self, bus: Bus) -> None:
        """Bring back what was kept and start the machines; frames published now wait in `bus`."""
        self._outgoing.attach(bus)
        for key in self._program.roots:
            self.feed(key, fx.Started())
        self.restore(self._journal.load())

    def restore(self, kept: Iterable[tuple[str, str, bytes, float]]) -> None:
        """Bring back what this node, or one whose work it takes over, had kept."""
        for kind, ident, body, age_s in kept:
            try:
                self.feed(Key(kind, ident.partition(PART)[0]), fx.Restored(codec.decode(body), age_s))
            except WireError as error:
                self._sink.log("journal_unreadable", "warning", {"kind": kind, "id": ident, "error": error.detail})

    def close(self) -> None:
        """Call all timers off, send and make durable what is pending."""
        self._timers.close()
        self._outgoing.close()

    def tell(self, key: Key, message: Any) -> None:
        """Bring a message from outside the bus (a command line, a test) to a machine."""
        self.feed(key, fx.Told(Key("shell"), message))

    def feed(self, key: Key, event: Event) -> None:
        """Queue `event` for the machine `key` and let the turn run."""
        trace = event.envelope.trace_parent if isinstance(event, fx.Received) else None
        self._inbox.append((key, event, trace or ""))
        if not self._turning:
            self._turn()
            if not self._hearing:
                self._outgoing.schedule()

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
        level = "debug" if final else "warning"  # of the end the host speaks
        self._sink.log("bus_lost", level, {"reason": reason, "final": final})
        for key in self._program.roots:
            self.feed(key, fx.Offline())
        if final:
            self._stopped(reason)

    def delivered(self, delivery: Delivery) -> None:
        """Decode a frame and hand it to its machine."""
        self._hearing = True
        if delivery.frame.qos:  # else nothing waits for a receipt, and no timer is needed to give it
            self._outgoing.acknowledge(delivery)
        try:
            event = event_of(delivery.frame, self._topics, self._admit)
        except WireError as error:
            self._refuse(delivery.frame, error)
        else:
            for key in self._program.route(event, self._states.__contains__):
                self.feed(key, event)

    def turned(self) -> None:
        """Send what the deliveries of this turn led to in the bus's own write."""
        self._dead = 0
        self._hearing = False
        self._outgoing.schedule()

    def settle(self) -> bool:
        """Send, make durable and acknowledge what is pending, now rather than in a moment; tell whether all is kept."""
        self._outgoing.settle()
        return self._outgoing.kept

    def drained(self) -> None:
        """Go on after the bus was full."""
        self._outgoing.settle()

    # --- inside ----------------------------------------------------------------------------------------

    def _refuse(self, frame: Frame, error: WireError) -> None:
        """Count what cannot be read and show it to whoever watches ``dead/#``, at a bounded rate."""
        self._sink.measure("foa_dead_letters_total", 1.0, None, error.reason)
        if error.reason in QUIET or self._news.is_old(error, self._clock.time()):
            return
        self._dead += 1
        if self._dead <= MAX_DEAD_PER_TURN:
            self._outgoing.publish(Key("shell"), dead_letter(frame, error, self.node, self._topics))
            fields = {"reason": error.reason, "detail": error.detail, "topic": frame.topic[:200]}
            self._sink.log("dead_letter", "warning", fields)

    def _turn(self) -> None:
        self._turning = True
        try:
            for _ in range(MAX_EVENTS_PER_TURN):
                if not self._inbox:
                    break
                self._step(*self._inbox.popleft())
        finally:
            self._turning = False

    def _step(self, key: Key, event: Event, trace: str) -> None:
        if trace and key.id:
            self._traces[key] = trace
        self._trace = trace or self._traces.get(key, "")
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

    def _tell_all(self, key: Key, effect: fx.TellAll) -> None:
        event = fx.Told(key, effect.message)
        self._inbox.extend((other, event, "") for other in self._states if other.kind == effect.kind)

    def _publish(self, key: Key, effect: fx.Publish) -> None:
        if self._trace and effect.envelope.trace_parent is None:
            effect = effect._replace(envelope=msgspec.structs.replace(effect.envelope, trace_parent=self._trace))
        self._outgoing.publish(key, effect)

    def _request(self, key: Key, effect: fx.Request) -> None:
        self._services[effect.service](effect.argument, partial(self._returned, key, effect.token))

    def _returned(self, key: Key, token: str, value: Any, error: str) -> None:
        if token:
            self.feed(key, fx.Returned(token, value, error))

    def _retire(self, key: Key) -> None:
        self._states.pop(key, None)
        self._traces.pop(key, None)
        self._timers.calm(key)

    def _elapsed(self, key: Key, timer: str) -> None:
        self.feed(key, fx.Elapsed(timer))
