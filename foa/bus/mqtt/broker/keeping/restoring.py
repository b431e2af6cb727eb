"""Fills a broker with what its store kept: aged by the time it was down, without what expired or cannot be read.

Whoever was connected when the broker ended counts as disconnected now, with `Limits.restart_grace_s` to come back
before its will is published: after a restart everybody is late at once.
"""

from collections import defaultdict
from collections.abc import Iterable

import msgspec

from foa.bus.mqtt import packets
from foa.bus.mqtt.broker import topics
from foa.bus.mqtt.broker.keeping import forms
from foa.bus.mqtt.broker.keeping.forms import Ident
from foa.bus.mqtt.broker.keeping.ledger import NUL, Ledger
from foa.bus.mqtt.broker.lifetimes import NEVER_S, Lifetimes
from foa.bus.mqtt.broker.ports import Identity
from foa.bus.mqtt.broker.records import Limits, Message
from foa.bus.mqtt.broker.routing.router import Router
from foa.bus.mqtt.broker.sessions import Grant, Item
from foa.errors import BusError


class Restoring:
    """One filling; `take` all rows."""

    def __init__(self, limits: Limits, router: Router, lifetimes: Lifetimes, ledger: Ledger, now: float) -> None:
        """Fill `router` and `lifetimes`, which are empty."""
        self._limits = limits
        self._router = router
        self._lifetimes = lifetimes
        self._ledger = ledger
        self._now = now
        self._messages: dict[int, Message] = {}

    def take(self, rows: Iterable[tuple[str, Ident, bytes]]) -> None:
        """Take what was kept; total, whatever the rows hold: what makes no sense is counted and taken away."""
        ledger, kinds = self._ledger, defaultdict[str, list[tuple[Ident, bytes]]](list)
        for kind, ident, body in rows:
            kinds[kind].append((ident, body))
        ledger.reading = True
        for kind in forms.KINDS:
            for ident, body in sorted(kinds[kind]):
                try:
                    wanted = self._put(kind, ident, body)
                except (msgspec.MsgspecError, BusError, LookupError):
                    ledger.stats.unreadable += 1
                    wanted = False
                if not wanted:
                    ledger.unknown(kind, ident)
        ledger.reading = False
        for number, message in self._messages.items():
            if not message.mentions:
                message.number = 0
                ledger.unknown(forms.MESSAGE, number)
        for session in list(self._lifetimes.sessions.values()):
            self._lifetimes.noted(session)  # when it expires counts from now on
            self._router.away(session, self._now)
            self._lifetimes.watch(session, self._now)

    def _put(self, kind: str, ident: Ident, body: bytes) -> bool:
        """Take one row; False if it is not needed any more."""
        if isinstance(ident, int):
            return self._message(ident, body) if kind == forms.MESSAGE else self._delivery(ident, body)
        if kind == forms.RETAINED:
            return self._retained(ident, body)
        return self._session(ident, body) if kind == forms.SESSION else self._subscription(ident, body)

    def _message(self, number: int, body: bytes) -> bool:
        message = self._read(forms.decode_message(body))
        self._messages[number] = message
        self._ledger.known(number, message)
        return True

    def _read(self, form: forms.MessageForm) -> Message:
        return Message(packets.read_stored(form.packet), form.arrived_at - self._ledger.offset, form.origin)

    def _retained(self, topic: str, body: bytes) -> bool:
        message = self._messages[forms.decode_number(body)]
        if message.packet.topic != topic or message.expired(self._now) or not self._router.retained.put(message):
            return False
        self._ledger.known_retained(topic, message)
        return True

    def _session(self, client_id: str, body: bytes) -> bool:
        form, now, offset = forms.decode_session(body), self._now, self._ledger.offset
        session = self._lifetimes.begin(Identity(form.account, client_id), form.begun_at - offset)
        if session is None:
            return False
        session.keeper = self._ledger
        session.will = None if form.will is None else self._read(form.will)
        session.will_delay_s, session.expiry_s = form.will_delay_s, form.expiry_s
        if form.connected:
            grace = self._limits.restart_grace_s
            lives = form.expiry_s or grace
            session.expires_at = None if form.expiry_s == NEVER_S else now + lives
            if session.will is not None:
                session.will_at = now + max(grace, min(form.will_delay_s, lives))
        else:
            session.expires_at = None if form.expires_at is None else form.expires_at - offset
            session.will_at = None if form.will_at is None else form.will_at - offset
        return True

    def _subscription(self, ident: str, body: bytes) -> bool:
        form = forms.decode_subscription(body)
        session = self._lifetimes.sessions[form.client_id]
        shared = form.pattern.startswith(topics.SHARE)
        split = topics.shared(form.pattern) if shared else ("", form.pattern)
        if split is None or ident != f"{form.client_id}{NUL}{form.pattern}":
            return False
        grant = Grant(session, form.pattern, form.qos, None, form.granted_at - self._ledger.offset)
        grant.identifiers = form.ids
        grant.no_local, grant.retain_as_published = form.no_local, form.retain_as_published
        self._router.enter(grant, *split)
        return True

    def _delivery(self, number: int, body: bytes) -> bool:
        form = forms.decode_delivery(body)
        message = self._messages[form.message]
        if message.expired(self._now) and not form.packet_id:
            self._ledger.stats.dropped_expired += 1
            return False
        group = self._router.group(form.group) if form.group else None
        if group is None and form.group:
            self._ledger.stats.dropped_unshared += 1
            return False
        item = Item(message, form.qos, form.ids, group, retain=form.retain)
        if form.client_id:
            self._lifetimes.sessions[form.client_id].restored(item, form.packet_id)
        elif group is not None:
            group.restored(item)
        self._ledger.known_delivery(number, item, form.packet_id)
        return True
