"""One node in one process: its bus, driver, journal, telemetry and health page, started and ended in order.

Every kind of node is run by this class. It ends by itself only when the bus refuses it for good (wrong
credentials, its identity taken by another process), and says so.
"""

import asyncio
import secrets
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import msgspec

from foa.adapters.journal import MemoryJournal, SqliteJournal
from foa.adapters.telemetry import Measure, Telemetry, nowhere
from foa.bus.mqtt.client import MqttBus
from foa.bus.port import Listener, Options, Session, Tls, Will
from foa.core.effects import Key
from foa.errors import ConfigError
from foa.nodes.driver import Driver
from foa.nodes.ports import Program, Service
from foa.settings import Settings
from foa.wire import codec
from foa.wire.envelope import Frame
from foa.wire.messages import NodeKind, Presence
from foa.wire.topics import Topics

if TYPE_CHECKING:
    from foa.adapters.keys.ring import Ring
    from foa.adapters.outbox import Outbox
    from foa.adapters.telemetry.health import HealthServer

PORT, TLS_PORT = 1883, 8883
DRAINED = "drained"
"""Why a node stopped that was told to leave: no fault of anybody's."""

TLS = ("mqtts", "ssl")


class Place(msgspec.Struct, frozen=True):
    """Who a node is on the bus: its Client ID, its one-segment name, its will, and how long its session is kept."""

    client_id: str
    node: str
    will: Will | None = None
    session_s: int | None = None
    keeps_journal: bool = True


def topics_of(settings: Settings) -> Topics:
    """Return the topics of the federation these settings name."""
    return Topics(settings.wire.root, settings.wire.partitions)


def ring_of(settings: Settings, client_id: str) -> "Ring | None":
    """Return who seals and admits for a node; None, and no cryptography loaded, if `security.*` asks for nothing.

    In a folder of keys a node's is called as its account, which is its Client ID unless `broker.username` says else.
    """
    chosen = settings.security
    if not (chosen.key or chosen.trust or chosen.rate):
        return None
    from foa.adapters.keys.ring import Ring  # noqa: PLC0415 - only where it is asked for

    return Ring(settings, topics_of(settings), settings.broker.username or client_id)


def options_of(settings: Settings, place: Place) -> Options:
    """Return how a node connects; ConfigError if the settings contradict each other or name a file that is none."""
    broker = settings.broker
    url = urlsplit(broker.url)
    tls = tls_of(settings)
    account, password = credentials(settings, place.client_id)
    session = broker.session_expiry_s if place.session_s is None else place.session_s
    return Options(
        place.client_id,
        url.hostname or "127.0.0.1",
        url.port or (PORT if tls is None else TLS_PORT),
        account or None,
        password or None,
        place.will,
        clean_start=session == 0,
        session_expiry_s=session,
        keep_alive_s=broker.keep_alive_s,
        receive_maximum=broker.receive_maximum,
        maximum_packet_size=broker.packet_limit,
        max_queued=broker.max_queued,
        connect_timeout_s=broker.connect_timeout_s,
        backoff_min_s=broker.backoff_min_s,
        backoff_max_s=broker.backoff_max_s,
        tls=tls,
    )


def tls_of(settings: Settings) -> Tls | None:
    """Return the files of an encrypted connection, None for a plain one; ConfigError if a plain one has such files."""
    broker = settings.broker
    if urlsplit(broker.url).scheme in TLS:
        if broker.key and not broker.cert:
            raise ConfigError(f"broker.key = {broker.key}: without broker.cert it is of no use; name its certificate")
        return Tls(broker.ca, broker.cert, broker.key)
    named = next((name for name in ("ca", "cert", "key") if getattr(broker, name)), None)
    if named is not None:
        mend = f"begin broker.url = {broker.url!r} with mqtts://, or leave broker.{named} out"
        raise ConfigError(f"broker.{named} = {getattr(broker, named)}: nothing is encrypted; {mend}")
    return None


def credentials(settings: Settings, client_id: str) -> tuple[str, str]:
    """Return the account and the password that `client_id` connects with; ConfigError if a file has none for it."""
    broker = settings.broker
    if not broker.password_file:
        return broker.username, broker.password
    if broker.password:
        raise ConfigError("broker.password and broker.password_file are both set: leave one out")
    account = broker.username or client_id
    try:
        lines = Path(broker.password_file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "is not UTF-8"
        raise ConfigError(f"broker.password_file = {broker.password_file}: cannot be read: {why}") from None
    for line in lines:
        name, colon, password = line.partition(":")
        if colon and name == account:
            return account, password
    if not lines or not lines[0] or (len(lines) > 1 and all(":" in line for line in lines)):
        mend = f"its first line is the password, or it has a line {account}:PASSWORD"
        raise ConfigError(f"broker.password_file = {broker.password_file}: holds none for {account!r}; {mend}")
    return account, lines[0]


def exposed(settings: Settings) -> list[str]:
    """Return a line of warning for each secret file that other users of this machine may read."""
    broker, found = settings.broker, []
    for name, path in (("broker.password_file", broker.password_file), ("broker.key", broker.key or broker.cert)):
        try:
            open_to_others = bool(path) and Path(path).stat().st_mode & 0o077
        except OSError:
            continue
        if open_to_others:
            found.append(f"{name} = {path}: others on this machine may read it; chmod 600 {path}")
    return found


def session(client: str, options: Options, listener: Listener, loop: asyncio.AbstractEventLoop) -> Session:
    """Return the bus of `broker.client`; ConfigError if its library is not installed."""
    if client == "foa":
        return MqttBus(options, listener, loop)
    try:
        from foa.bus.aiomqtt.client import AiomqttBus  # noqa: PLC0415 - an extra that few install
    except ModuleNotFoundError as error:
        mend = "pip install 'federation-of-agents[aiomqtt]', or broker.client = \"foa\""
        raise ConfigError(f"broker.client = {client!r}: {error.name} is not installed; {mend}") from error
    return AiomqttBus(options, listener, loop)


class Host:
    """A node that runs in this process; an async context manager."""

    def __init__(
        self,
        place: Place,
        program: Program,
        services: Mapping[str, Service],
        settings: Settings,
        ring: "Ring | None" = None,
        *,
        journal: "Outbox | None" = None,
    ) -> None:
        """Wire the node together; nothing happens before it is entered. ``ring``: what `ring_of` returned.

        ``journal`` is that of a client, which has one only while something waits in it.
        """
        if ring is not None and place.will is not None:
            will = Will(ring.seal_will(place.will.frame), place.will.delay_s)
            place = msgspec.structs.replace(place, will=will)
        self.place = place
        self._settings = settings
        loop = asyncio.get_running_loop()
        self._health: HealthServer | None = None
        measure = self._shown() if settings.http.port else nowhere
        self.telemetry = Telemetry(place.node, settings.log.level, as_json=settings.log.json, measure=measure)
        for line in exposed(settings):
            self.telemetry.log("secret_exposed", "warning", {"detail": line})
        if ring is not None:
            ring.tell(self.telemetry.log)
        self.stopped: asyncio.Future[str] = loop.create_future()
        self._journal = journal or self._open_journal()
        self.driver = Driver(
            place.node,
            program,
            topics_of(settings),
            clock=loop,
            rng=SystemRandom(),
            journal=self._journal,
            sink=self.telemetry,
            services=services,
            stopped=self.stop,
            guard=ring,
        )
        self._bus = session(settings.broker.client, options_of(settings, place), self.driver, loop)

    def _shown(self) -> Measure:
        """Prepare what is shown over HTTP; its libraries are loaded only for that."""
        from foa.adapters.telemetry.health import HealthServer  # noqa: PLC0415 - 8 MB that most agents never need
        from foa.adapters.telemetry.metrics import Metrics  # noqa: PLC0415

        metrics = Metrics()
        self._health = HealthServer(metrics.registry, lambda: self.driver.online)
        return metrics.measure

    def _open_journal(self) -> SqliteJournal | MemoryJournal:
        if not self.place.keeps_journal:
            return MemoryJournal()
        return SqliteJournal(Path(self._settings.node.state_dir) / f"{self.place.node}.sqlite")

    def begin(self) -> "asyncio.Task[None]":
        """Connect without waiting for it: the task that is returned ends once the broker is there, or says no."""
        self.driver.start(self._bus)
        return asyncio.get_running_loop().create_task(self._bus.open(None))

    async def __aenter__(self) -> Self:
        """Connect; raises Refused or BusError if that cannot be."""
        if self._health is not None:
            self._health.start(self._settings.http.host, self._settings.http.port)
        self.driver.start(self._bus)
        async with AsyncExitStack() as stack:
            stack.push_async_exit(self.__aexit__)
            await self._bus.open(self._settings.broker.connect_timeout_s)
            stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Say goodbye in good order."""
        self.driver.close()
        fault = self.stopped.done() and self.stopped.result() != DRAINED
        await self._bus.close(will=fault)  # whoever ends by a fault of its own is to be missed at once
        self._journal.close()
        if self._health is not None:
            self._health.close()

    def stop(self, reason: str) -> None:
        """End the node; `reason` is shown to the user."""
        if not self.stopped.done():
            self.stopped.set_result(reason)

    async def leave(self, key: Key, seconds: float) -> None:
        """Tell the node's machine to leave, and give peers time to take over: until it stops, at most `seconds`."""
        if self.driver.online:
            self.driver.tell(key, "leave")
            await asyncio.wait((self.stopped,), timeout=seconds)


def named(settings: Settings, role: str) -> str:
    """Return the node's name: the one set, else one made up (such a node finds no journal of an earlier life)."""
    return settings.node.name or f"{role}-{secrets.token_hex(4)}"


def presence_will(topics: Topics, role: NodeKind, node: str, born: int) -> Will:
    """Return the will that tells of a node's death; it names the life that ended."""
    message = Presence(node, role, born, alive=False)
    return Will(Frame(topics.presence(role, node), codec.encode(message), retain=True, expiry_s=60))
