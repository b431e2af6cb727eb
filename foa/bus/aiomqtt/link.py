"""One `aiomqtt.Client` for all connections of a bus, and the callbacks of the paho client inside it.

aiomqtt does not pass on all that paho tells, so its callbacks are listened to beside it: ``on_message`` for the
DUP flag that aiomqtt's messages lack and for acknowledging by hand, ``on_connect`` for what the broker
announces, ``on_publish`` for reason codes, ``on_disconnect`` for the broker's last word.
"""

import asyncio
import contextlib
import logging
import socket
import threading
from typing import Any, Final, Protocol

import aiomqtt
from paho.mqtt.client import Client as Paho
from paho.mqtt.client import ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from foa.bus import tls
from foa.bus.aiomqtt import properties as convert
from foa.bus.port import Options
from foa.errors import BusError

NORMAL: Final = 0x00
WITH_WILL: Final = 0x04
MAX_STRING: Final = 65_535

# All that happens is told to the listener; paho's own words about it would only come twice.
_QUIET: Final = logging.getLogger("foa.bus.aiomqtt")
_QUIET.setLevel(logging.CRITICAL + 1)


class Hears(Protocol):
    """Who is told what paho tells."""

    def dialed(self) -> bool:
        """Hear, in aiomqtt's connecting thread, that a socket is open; False if nobody wants it any more."""

    def answered(self, flags: ConnectFlags, code: ReasonCode, properties: Properties | None) -> None:
        """Hear the CONNACK."""

    def arrived(self, message: MQTTMessage) -> None:
        """Hear a PUBLISH."""

    def settled(self, mid: int, code: int) -> None:
        """Hear a PUBACK, or that a QoS 0 packet was written."""

    def written(self) -> None:
        """Hear that nothing is left to write."""

    def gone(self, flags: DisconnectFlags, code: ReasonCode, properties: Properties | None) -> None:
        """Hear that the connection is over."""


def make(options: Options) -> aiomqtt.Client:
    """Return a client for `options`; BusError if no CONNECT can say them, ConfigError if a TLS file is no use."""
    will = options.will
    try:
        for text in (options.client_id, options.username or "", options.password or ""):
            if len(text.encode()) > MAX_STRING:
                raise BusError(f"client {options.client_id[:200]!r}: CONNECT cannot be encoded: a string is too long")
        connect = convert.of_connect(options)
        connect.pack()
        last = None
        if will is not None:
            frame, properties = will.frame, convert.of_will(will)
            properties.pack()
            convert.check_topic(frame.topic)
            last = aiomqtt.Will(frame.topic, frame.payload, frame.qos, frame.retain, properties)
        return aiomqtt.Client(
            options.host,
            options.port,
            username=options.username,
            password=options.password,
            logger=_QUIET,
            identifier=options.client_id,
            protocol=aiomqtt.ProtocolVersion.V5,
            will=last,
            timeout=options.connect_timeout_s,
            keepalive=options.keep_alive_s,
            clean_start=options.clean_start,
            max_inflight_messages=0,  # the outbox keeps to the window that the broker announces
            properties=connect,
            tls_context=None if options.tls is None else tls.context(options.tls),
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )
    except convert.PACK_ERRORS as error:
        raise BusError(f"client {options.client_id[:200]!r}: CONNECT cannot be encoded: {error}") from error


class Link:
    """The library's client, and what has to be asked of paho."""

    def __init__(self, options: Options, hears: Hears, loop: asyncio.AbstractEventLoop) -> None:
        """Tell `hears` everything, in the loop's thread but for `Hears.dialed`."""
        self.client = make(options)
        self.paho: Paho = self.client._client  # noqa: SLF001 - see this module's docstring
        self._hears = hears
        self._loop = loop
        self._thread = threading.get_ident()
        paho = self.paho
        paho.manual_ack_set(True)  # aiomqtt has no option for it, as for the next
        paho.connect_timeout = options.connect_timeout_s
        self._theirs: dict[str, Any] = {
            name: getattr(paho, name)
            for name in (
                "on_connect",
                "on_disconnect",
                "on_socket_open",
                "on_socket_register_write",
                "on_socket_unregister_write",
            )
        }
        paho.on_connect = self._on_connect
        paho.on_disconnect = self._on_disconnect
        paho.on_message = self._on_message
        paho.on_publish = self._on_publish
        paho.on_socket_open = self._on_socket_open
        paho.on_socket_register_write = self._on_register_write
        paho.on_socket_unregister_write = self._on_unregister_write

    def resume(self) -> None:
        """Ask for the session from now on; aiomqtt would start clean again at every connection of one client."""
        self.client._clean_start = False  # noqa: SLF001

    def acknowledge(self, mid: int) -> None:
        """Send a PUBACK."""
        self.paho.ack(mid, 1)

    def say_goodbye(self, *, will: bool) -> None:
        """Send a DISCONNECT after all else and close; aiomqtt's own, at its exit, cannot ask for the will."""
        code = WITH_WILL if will else NORMAL
        self.paho.disconnect(ReasonCode(PacketTypes.DISCONNECT, identifier=code))

    def cut(self) -> None:
        """Close the socket without a word; aiomqtt only knows how to say goodbye."""
        paho = self.paho
        opened = paho.socket()
        if isinstance(opened, socket.socket):
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
        while paho.socket() is not None:
            paho.loop_read()  # finds the end at once, and then closes in good order

    # What paho tells: aiomqtt's own handlers first, where it has a use for it.

    def _on_connect(
        self, paho: Paho, data: Any, flags: ConnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        self._theirs["on_connect"](paho, data, flags, code, properties)
        self._hears.answered(flags, code, properties)

    def _on_disconnect(
        self, paho: Paho, data: Any, flags: DisconnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        self._theirs["on_disconnect"](paho, data, flags, code, properties)
        ended = self.client._disconnected  # noqa: SLF001 - asyncio would complain of a failure that nobody looked at
        if ended.done() and not ended.cancelled():
            ended.exception()
        self._hears.gone(flags, code, properties)

    def _on_message(self, _paho: Paho, _data: Any, message: MQTTMessage) -> None:
        self._hears.arrived(message)

    def _on_publish(self, _paho: Paho, _data: Any, mid: int, code: ReasonCode, _properties: Properties | None) -> None:
        self._hears.settled(mid, code.value)

    def _on_socket_open(self, paho: Paho, data: Any, opened: Any) -> None:
        if not self._hears.dialed():
            opened.close()
            raise ConnectionAbortedError
        self._theirs["on_socket_open"](paho, data, opened)

    def _on_register_write(self, paho: Paho, data: Any, opened: Any) -> None:
        """Watch the socket at once: a turn later, as aiomqtt does, it may be closed, or all written (then it spins)."""
        if threading.get_ident() == self._thread:
            self._loop.add_writer(opened.fileno(), paho.loop_write)
        else:
            self._theirs["on_socket_register_write"](paho, data, opened)

    def _on_unregister_write(self, paho: Paho, data: Any, opened: Any) -> None:
        self._theirs["on_socket_unregister_write"](paho, data, opened)
        self._hears.written()
