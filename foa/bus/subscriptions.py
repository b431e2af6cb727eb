"""What a client is subscribed to, and its requests to subscribe and unsubscribe that are unanswered.

`wanted` outlives connections: when the broker has lost the session, everything in it is asked for again.
How a request travels is the subclass's: packets of the codec, or calls of a library.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final

import msgspec

from foa.bus.output import Granted, Output
from foa.bus.port import Facts, Subscription
from foa.errors import BusError

FILTERS_PER_PACKET: Final = 100
MAX_UNANSWERED: Final = 10_000
MAX_WANTED: Final = 50_000

Answered = Callable[[tuple[int, ...]], None]


class _Call:
    """One call of `subscribe`: it may need several packets, and is answered when all of them are."""

    __slots__ = ("codes", "granted", "missing")

    def __init__(self, size: int, granted: Answered) -> None:
        self.codes = [0] * size
        self.missing = size
        self.granted = granted


class Request:
    """One packet's worth: ``subscriptions`` to make or ``patterns`` to give up; ``at`` is its place in the call."""

    __slots__ = ("at", "call", "patterns", "subscriptions")

    def __init__(
        self, subscriptions: Sequence[Subscription], patterns: Sequence[str], call: _Call | None, at: int
    ) -> None:
        self.subscriptions = subscriptions
        self.patterns = patterns
        self.call = call
        self.at = at


class Subscriptions:
    """The client's side of SUBSCRIBE: wanted filters, and requests until they are answered."""

    def __init__(self, output: Output) -> None:
        """Tell `output` what was granted; send once `up` was called."""
        self.wanted: dict[str, Subscription] = {}
        self._output = output
        self._waiting: list[Request] = []
        self._unanswered: dict[int, Request] = {}
        self._facts = Facts()
        self._open = False

    def subscribe(self, subscriptions: Sequence[Subscription], granted: Answered | None) -> None:
        """Ask for `subscriptions`; raises BusError if one cannot be written or there are too many."""
        self._check(subscriptions)
        call = _Call(len(subscriptions), granted) if granted else None
        if call and not subscriptions:
            self._output.tell(Granted(call.granted, ()))
        at = 0
        for chunk in _chunks(subscriptions):
            self._ask(Request(chunk, (), call, at))
            at += len(chunk)
        self.wanted.update((one.pattern, one) for one in subscriptions)

    def unsubscribe(self, patterns: Sequence[str]) -> None:
        """Give up `patterns`."""
        for pattern in patterns:
            self.wanted.pop(pattern, None)
        for start in range(0, len(patterns), FILTERS_PER_PACKET):
            self._ask(Request((), tuple(patterns[start : start + FILTERS_PER_PACKET]), None, 0))

    def up(self, facts: Facts) -> None:
        """Send what is unanswered, and before it all that stood: a broker may keep a session and forget a part of it.

        Where it says that it kept the session, it sends retained frames only for what is new to it after all.
        """
        self._facts, self._open = facts, True
        again = [*self._unanswered.values(), *self._waiting]
        for number in self._unanswered:
            self._free(number)
        self._unanswered.clear()
        self._waiting.clear()
        asked = {one.pattern for request in again for one in request.subscriptions}
        stood = [one for one in self.wanted.values() if one.pattern not in asked]
        if facts.session_present:
            stood = [msgspec.structs.replace(one, retained=max(one.retained, 1)) for one in stood]
        for chunk in _chunks(stood):
            self._send(Request(chunk, (), None, 0))
        for request in again:
            self._send(request)

    def down(self) -> None:
        """Let requests wait for the next connection."""
        self._open = False

    def answered(self, number: int, codes: Sequence[int]) -> None:
        """Take the answer to request `number`; one for nothing asked changes nothing."""
        request = self._unanswered.pop(number, None)
        if request is None:
            return
        self._free(number)
        call = request.call
        if call is None:
            return
        call.codes[request.at : request.at + len(request.subscriptions)] = codes
        call.missing -= len(request.subscriptions)
        if call.missing <= 0:
            self._output.tell(Granted(call.granted, tuple(call.codes)))

    def _check(self, subscriptions: Sequence[Subscription]) -> None:
        if len(self.wanted) + len(subscriptions) > MAX_WANTED:
            raise BusError(f"more than {MAX_WANTED} subscriptions in one session")
        for one in subscriptions:
            if not 0 <= one.qos <= 1 or not 0 <= one.retained <= 2:  # noqa: PLR2004 - MQTT's own values
                raise BusError(f"subscription {one.pattern!r}: QoS is 0 or 1, retained is 0, 1 or 2")
            self._check_one(one)

    def _ask(self, request: Request) -> None:
        if len(self._waiting) + len(self._unanswered) >= MAX_UNANSWERED:
            raise BusError(f"{MAX_UNANSWERED} subscription requests are unanswered already")
        if self._open:
            self._send(request)
        else:
            self._waiting.append(request)

    def _send(self, request: Request) -> None:
        number = self._number()
        self._unanswered[number] = request
        identifier = None
        if request.subscriptions and self._facts.subscription_identifiers:
            identifier = request.subscriptions[0].identifier
        self._ask_broker(number, request, identifier)

    # How a request travels.

    def _number(self) -> int:
        """Return a number for a new request, not that of any unanswered one."""
        raise NotImplementedError

    def _free(self, number: int) -> None:
        """Take back a number."""
        raise NotImplementedError

    def _check_one(self, one: Subscription) -> None:
        """Raise BusError if `one` cannot be written."""
        raise NotImplementedError

    def _ask_broker(self, number: int, request: Request, identifier: int | None) -> None:
        """Send `request`; its codes are told to `answered`. All its subscriptions share `identifier`."""
        raise NotImplementedError


def _chunks(subscriptions: Iterable[Subscription]) -> Iterator[list[Subscription]]:
    """Cut at every change of the identifier (one packet carries one) and at `FILTERS_PER_PACKET`."""
    for _, group in groupby(subscriptions, key=lambda one: one.identifier):
        same = list(group)
        for start in range(0, len(same), FILTERS_PER_PACKET):
            yield same[start : start + FILTERS_PER_PACKET]
