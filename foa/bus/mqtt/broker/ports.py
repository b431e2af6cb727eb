"""What a broker is given beside its limits: who may do what (`Access`), and where it keeps what survives (`Store`)."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import mqtt5
import msgspec


class Identity(msgspec.Struct, frozen=True):
    """Whom a connection speaks for: its account ("" if nobody asked for one) and its Client ID."""

    account: str
    client_id: str


class Access(Protocol):
    """Who gets in, and who may write and hear what. Pure and quick: asked on the hot path, cached by the broker."""

    def refusal(self, packet: mqtt5.ConnectPacket, certified: str = "") -> mqtt5.ConnAckReasonCode | None:
        """Return why `packet` is not let in, None if it is. ``certified`` is the name in the client's certificate."""

    def may_write(self, who: Identity, topic: str) -> bool:
        """Tell whether `who` may publish on `topic`, its will among it."""

    def may_hear(self, who: Identity, topic: str) -> bool:
        """Tell whether a publication on `topic` may be delivered to `who`."""

    def may_ask(self, who: Identity, pattern: str) -> bool:
        """Tell whether `who` may subscribe to `pattern` at all: False if nothing it could match may be heard."""


class Store(Protocol):
    """Where rows survive the broker: (kind, identifier, record), see `keeping.forms`. Used by one thread at a time."""

    def load(self) -> Iterable[tuple[str, str | int, bytes]]:
        """Return all that is kept. Raises ConfigError if it cannot be read."""

    def write(self, rows: Sequence[tuple[str, str | int, bytes | None]]) -> None:
        """Keep (or, None, take away) all of `rows` or, raising BusError, none; kept when it returns."""

    def probe(self) -> None:
        """Raise BusError if a small write would fail."""

    def close(self) -> None:
        """Let go of it."""
