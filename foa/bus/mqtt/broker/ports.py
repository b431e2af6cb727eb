"""What a broker is given beside its limits: who may do what (`Access`), and where it keeps what survives (`Store`)."""

from collections.abc import Iterable
from typing import Any, Protocol

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
    """Where sessions, subscriptions, queues and retained messages survive the broker."""

    def put(self, kind: str, ident: str, body: bytes | None) -> None:
        """Keep (or forget) a body; durable at the next `commit`."""

    def commit(self) -> None:
        """Make all that was put durable."""

    def load(self) -> Iterable[tuple[str, str, bytes]]:
        """Return all that is kept."""

    def close(self) -> Any:
        """Commit and close."""
