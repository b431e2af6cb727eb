"""The ledger: what changed in the broker since it was last written down, and which answers wait for that.

Pure. Sessions, the router and the lifetimes note here what must survive; a shell takes the rows of a batch
(`take`), writes them, and says how that went (`written`). A delivery that is acknowledged before its batch is
taken leaves no trace, and a body that several queues share is one row. What waits here is bounded by what the
broker holds: a key has one place, whatever became of it meanwhile.
"""

from typing import Final

from foa.bus.mqtt import packets
from foa.bus.mqtt.broker.keeping import forms
from foa.bus.mqtt.broker.keeping.forms import Ident, Row
from foa.bus.mqtt.broker.records import Connection, Keeping, Message, Stats
from foa.bus.mqtt.broker.sessions import Grant, Item, Session

_Key = tuple[str, Ident]
_Kept = Session | Grant | Message | bytes | None


class Ledger:
    """Changes since the last batch."""

    def __init__(self, stats: Stats, keeping: Keeping) -> None:
        """Start with nothing noted."""
        self.stats = stats
        self.offset = keeping.offset
        self.changes = 0  # grows with each: so one can tell whether an act must be kept
        self.reading = False  # while the broker is filled from the store, nothing changes
        self._acks_wait = keeping.acks_wait
        self._rows: dict[_Key, _Kept] = {}
        self._items: dict[Item, str] = {}
        self._shown: dict[str, Message] = {}  # retained messages as written
        self._held: list[tuple[Connection, bytes]] = []
        self._leaving: list[tuple[Connection, bytes]] = []
        self._batch: list[Row] = []
        self._serial = 0

    @property
    def pending(self) -> int:
        """How many changes wait to be written."""
        return len(self._rows) + len(self._items)

    @property
    def idle(self) -> bool:
        """Whether nothing waits, be it to be written or to be answered: what came may have gone again meanwhile."""
        return not (self._rows or self._items or self._held)

    # What the broker notes.

    def session(self, session: Session) -> None:
        """Note that `session` changed."""
        self._note((forms.SESSION, session.client_id), session)

    def ended(self, session: Session) -> None:
        """Note that `session` ended; its deliveries and subscriptions are noted by themselves."""
        self._note((forms.SESSION, session.client_id), None)

    def granted(self, grant: Grant) -> None:
        """Note a subscription."""
        self._note((forms.SUBSCRIPTION, _grant_ident(grant)), grant)

    def revoked(self, grant: Grant) -> None:
        """Note its end."""
        self._note((forms.SUBSCRIPTION, _grant_ident(grant)), None)

    def retained(self, topic: str, message: Message | None) -> None:
        """Note what is retained for `topic` now."""
        self._note((forms.RETAINED, topic), message)

    def delivery(self, client_id: str, item: Item, packet_id: int) -> None:
        """Note that `item` waits for `client_id` ("" for any of its group), or is in flight as `packet_id`."""
        if self.reading:
            return
        if not item.number:
            self._serial += 1
            item.number = self._serial
        item.packet_id = packet_id
        self._items[item] = client_id
        self.changes += 1

    def delivered(self, item: Item) -> None:
        """Note that `item` needs no more delivery."""
        if not item.number:
            return
        self._items.pop(item, None)
        if item.kept:
            self._note((forms.DELIVERY, item.number), None)
            self._release(item.message)
        item.number, item.kept = 0, False

    def hold(self, connection: Connection, answer: bytes) -> None:
        """Send `answer` once all that was noted so far is written, or cannot be."""
        if self._acks_wait and not self.stats.store_failing:
            self._held.append((connection, answer))
        else:
            connection.send(answer)

    # What the shell does.

    def take(self) -> list[Row]:
        """Return the rows of the next batch; `written` must follow before the next `take`."""
        rows: list[Row] = []
        noted, self._rows = self._rows, {}
        items, self._items = self._items, {}
        for (kind, ident), kept in noted.items():
            if kind == forms.RETAINED:
                self._show(str(ident), kept, rows)
            else:
                rows.append((kind, ident, kept if kept is None or isinstance(kept, bytes) else self._form(kept)))
        for item, client_id in items.items():
            rows.append((forms.DELIVERY, item.number, self._delivery(client_id, item, rows)))
        for kind, ident in self._rows:  # messages that lost their last mention just now
            rows.append((kind, ident, None))
        self._rows.clear()
        self._leaving, self._held = self._held, []
        self._batch = rows
        return rows

    def written(self, *, done: bool) -> None:
        """Take how the batch went. If it failed its rows wait again; the answers are sent in both cases."""
        rows, self._batch = self._batch, []
        self.stats.store_failing = not done
        if done:
            self.stats.stored += len(rows)
        else:
            again: dict[_Key, _Kept] = {(kind, ident): body for kind, ident, body in rows}
            again.update(self._rows)
            self._rows = again
            self._leaving += self._held
            self._held = []
        for connection, answer in self._leaving:
            connection.send(answer)
        self._leaving = []

    # For restoring.

    def known(self, number: int, message: Message) -> None:
        """Take that `message` is written under `number`."""
        message.number = number
        self._serial = max(self._serial, number)

    def known_delivery(self, number: int, item: Item, packet_id: int) -> None:
        """Take that `item` is written under `number`."""
        item.number, item.kept, item.packet_id = number, True, packet_id
        item.message.mentions += 1
        self._serial = max(self._serial, number)

    def known_retained(self, topic: str, message: Message) -> None:
        """Take that `message` is written as what is retained for `topic`."""
        message.mentions += 1
        self._shown[topic] = message

    def unknown(self, kind: str, ident: Ident) -> None:
        """Note that a row is of no use."""
        self._rows[kind, ident] = None

    # Inside.

    def _note(self, key: _Key, kept: _Kept) -> None:
        if not self.reading:
            self._rows[key] = kept
            self.changes += 1

    def _show(self, topic: str, kept: _Kept, rows: list[Row]) -> None:
        """Add the rows of a retained message in place of the one written before."""
        if isinstance(kept, bytes):  # of a batch that failed: the same as shown
            rows.append((forms.RETAINED, topic, kept))
            return
        last = self._shown.pop(topic, None)
        if isinstance(kept, Message):
            rows.append((forms.RETAINED, topic, forms.encode(self._mention(kept, rows))))
            self._shown[topic] = kept
        else:
            rows.append((forms.RETAINED, topic, None))
        if last is not None:
            self._release(last)

    def _delivery(self, client_id: str, item: Item, rows: list[Row]) -> bytes:
        number = item.message.number
        if not item.kept:
            item.kept, number = True, self._mention(item.message, rows)
        group = "" if item.group is None else item.group.pattern
        form = forms.DeliveryForm(client_id, group, number, item.qos, item.retain, item.ids, item.packet_id)
        return forms.encode(form)

    def _mention(self, message: Message, rows: list[Row]) -> int:
        """Return the number of `message`, which is mentioned once more; with its own row at the first time."""
        message.mentions += 1
        if not message.number:
            self._serial += 1
            message.number = self._serial
            rows.append((forms.MESSAGE, message.number, forms.encode(self._message(message))))
        return message.number

    def _release(self, message: Message) -> None:
        """Take one mention back; the last takes the row with it."""
        message.mentions -= 1
        if not message.mentions:
            self._rows[forms.MESSAGE, message.number] = None
            message.number = 0

    def _message(self, message: Message) -> forms.MessageForm:
        return forms.MessageForm(message.arrived_at + self.offset, message.origin, packets.stored(message.packet))

    def _form(self, kept: Session | Grant | Message) -> bytes:
        if isinstance(kept, Session):
            return forms.encode(self._session(kept))
        if isinstance(kept, Grant):
            return forms.encode(
                forms.SubscriptionForm(
                    kept.session.client_id,
                    kept.pattern,
                    kept.qos,
                    kept.no_local,
                    kept.retain_as_published,
                    kept.identifiers,
                    kept.granted_at + self.offset,
                )
            )
        return forms.encode(self._message(kept))

    def _session(self, session: Session) -> forms.SessionForm:
        return forms.SessionForm(
            session.identity.account,
            session.begun_at + self.offset,
            session.connection is not None,
            session.expiry_s,
            self._wall(session.expires_at),
            None if session.will is None else self._message(session.will),
            session.will_delay_s,
            self._wall(session.will_at),
        )

    def _wall(self, when: float | None) -> float | None:
        return None if when is None else when + self.offset


NUL: Final = "\0"  # in no Client ID


def _grant_ident(grant: Grant) -> str:
    return f"{grant.session.client_id}{NUL}{grant.pattern}"
