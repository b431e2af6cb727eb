"""``foa doctor`` and ``foa config``: is the broker what a federation needs, who is there, and what is set."""

import asyncio
import platform
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import typer

from foa.cli import output
from foa.cli.ending import FAILED, run_async
from foa.cli.loading import QUIET, options_of

if TYPE_CHECKING:
    from foa.bus.port import Delivery, Facts
    from foa.settings import Settings
    from foa.wire.envelope import Frame

EXAMPLES: Final = """\b
Examples:
  foa doctor
  foa doctor --broker mqtt://broker.lan:1883 --json
"""
CONFIG_EXAMPLES: Final = """\b
Examples:
  foa config show
  FOA_LOG_LEVEL=debug foa config show --json | jq '.[] | select(.source != "default")'
"""
MANY: Final = 1000
WAIT_S: Final = 5.0
EXPIRY_S: Final = 30
REFUSED: Final = 0x80
"""From here on a reason code says no."""
_PACKAGES: Final = ("mqtt5", "msgspec", "numpy", "sentence-transformers", "hnswlib", "pandas", "scikit-learn")
_MARKS: Final = {"ok": "✓", "note": "·", "problem": "✗"}

config = typer.Typer(help="Look at the settings.", no_args_is_help=True, rich_markup_mode=None)


class Finding(NamedTuple):
    """What one check found: fine, worth knowing, or a problem with its mend."""

    check: str
    verdict: Literal["ok", "note", "problem"]
    text: str


def doctor(ctx: typer.Context, as_json: output.Json = False) -> None:
    """Check the broker, the nodes and this machine; exit 1 if something is wrong, 3 without a broker."""
    options = options_of(ctx)
    silent = as_json or options.json
    found = run_async(_examine(options.load(QUIET).settings, None if silent else _show))
    if silent:
        output.as_json([each._asdict() for each in found])
    if any(each.verdict == "problem" for each in found):
        raise typer.Exit(FAILED)


def _show(finding: Finding) -> None:
    print(f"{_MARKS[finding.verdict]} {finding.check:<22} {finding.text}", flush=True)


async def _examine(settings: "Settings", show: Callable[[Finding], None] | None) -> list[Finding]:
    found = []
    async for each in _checks(settings):
        found.append(each)
        if show is not None:
            show(each)
    return found


async def _checks(settings: "Settings") -> AsyncIterator[Finding]:
    yield _versions()
    yield _model(settings)
    probe = Probe(settings)
    try:
        yield await probe.open()
        for check in (probe.read_back, probe.reply, probe.dollar, probe.shared, probe.retained, probe.depth):
            yield await check()
    finally:
        await probe.close()
    for each in await _alive(settings):
        yield each


def _versions() -> Finding:
    from foa import __version__

    found = [f"foa {__version__}", f"Python {platform.python_version()}"]
    for package in _PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"no {package}")
    return Finding("versions", "ok", ", ".join(found))


def _model(settings: "Settings") -> Finding:
    """Look for the model without loading it."""
    from importlib.util import find_spec

    from foa.adapters.embed import HASH, packaged

    name = settings.index.model
    if name == HASH:
        return Finding("model", "note", "hash: no model, words alone; for trials only")
    if find_spec("sentence_transformers") is None:
        return Finding("model", "note", f"index nodes cannot run here: {name} needs federation-of-agents[embed]")
    path = packaged(name)
    if path is None:
        return Finding("model", "note", f"{name} is not installed; an index node would fetch it from the model hub")
    return Finding("model", "ok", f"{name} in {path}")


class Probe:
    """A session that tries out a broker below a Response Topic of its own, and clears up after itself."""

    def __init__(self, settings: "Settings") -> None:
        """Nothing happens before `open`."""
        from foa.bus.mqtt.client import MqttBus
        from foa.nodes.host import Place, options_of, topics_of

        self._node = f"doctor-{secrets.token_hex(6)}"
        self._place = Place(self._node, self._node, session_s=0)
        self._topics = topics_of(settings)
        self._url = settings.broker.url
        self._timeout = settings.broker.connect_timeout_s
        self._frames: asyncio.Queue[Frame] = asyncio.Queue()
        self._facts: Facts | None = None
        self._bus = MqttBus(options_of(settings, self._place), self)

    # What the bus tells its listener.

    def connected(self, facts: "Facts") -> None:
        """Keep what the broker announced."""
        self._facts = facts

    def delivered(self, delivery: "Delivery") -> None:
        """Keep a frame."""
        delivery.ack()
        self._frames.put_nowait(delivery.frame)

    def disconnected(self, reason: str, *, final: bool) -> None:
        """Nothing: checks that wait say so themselves."""

    def turned(self) -> None:
        """Nothing: frames are queued as they come."""

    def drained(self) -> None:
        """Nothing: far less is queued than may be."""

    # The checks.

    async def open(self) -> Finding:
        """Connect and look at the CONNACK; BusError if that is not possible."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        await self._bus.open(self._timeout)
        facts = self._facts
        assert facts is not None
        limits = f"receive maximum {facts.receive_maximum}, packets up to {facts.maximum_packet_size or 'any size'}"
        if not facts.retain_available:
            return Finding("broker", "problem", f"{self._url}: keeps no retained messages; foa lives by them")
        return Finding("broker", "ok", f"{self._url} speaks MQTT 5, {(loop.time() - began) * 1000:.0f} ms, {limits}")

    async def close(self) -> None:
        """Disconnect."""
        if self._facts is not None:
            await self._bus.close()

    def _topic(self, name: str) -> str:
        return self._topics.reply(self._node, name)

    async def _subscribed(self, pattern: str) -> int:
        from foa.bus.port import Subscription

        granted: asyncio.Future[tuple[int, ...]] = asyncio.get_running_loop().create_future()
        self._bus.subscribe([Subscription(pattern)], granted.set_result)
        async with asyncio.timeout(WAIT_S):
            return (await granted)[0]

    async def _sent(self, frames: Sequence["Frame"]) -> list[int]:
        """Publish `frames` and return their receipts."""
        loop = asyncio.get_running_loop()
        receipts: list[asyncio.Future[int]] = [loop.create_future() for _ in frames]
        for frame, receipt in zip(frames, receipts, strict=True):
            self._bus.publish(frame, receipt.set_result)
        async with asyncio.timeout(WAIT_S):
            return list(await asyncio.gather(*receipts))

    async def _arrived(self, count: int) -> "list[Frame]":
        """Return what arrives, `count` frames at most, as long as they keep coming."""
        found: list[Frame] = []
        try:
            while len(found) < count:
                async with asyncio.timeout(WAIT_S if not found else 1.0):
                    found.append(await self._frames.get())
        except TimeoutError:
            pass
        return found

    async def _echo(self, pattern: str, frame: "Frame") -> tuple[int, "list[Frame]"]:
        """Subscribe, publish, and return the reason code of whichever was refused, and what came back."""
        try:
            code = await self._subscribed(pattern)
            if code < REFUSED:
                code = max(await self._sent([frame]))
        except TimeoutError:
            return REFUSED, []
        found = await self._arrived(1) if code < REFUSED else []
        self._bus.unsubscribe([pattern])
        return code, found

    async def read_back(self) -> Finding:
        """Publish and receive a frame."""
        from foa.wire.envelope import Frame

        code, found = await self._echo(self._topic("echo"), Frame(self._topic("echo"), b"x" * 1000))
        if found:
            return Finding("publish and subscribe", "ok", f"read back below {self._topics.root}")
        return Finding("publish and subscribe", "problem", f"nothing came back (code {code:#x}): see the broker's ACL")

    async def reply(self) -> Finding:
        """See whether Response Topic, Correlation Data and user properties pass."""
        from foa.wire.envelope import Frame

        topic = self._topic("question")
        frame = Frame(topic, b"?", response_topic=self._topic("answer"), correlation=b"c-1", properties=(("k", "v"),))
        _, found = await self._echo(topic, frame)
        passed = bool(found) and (found[0].response_topic, found[0].correlation) == (frame.response_topic, b"c-1")
        if passed and ("k", "v") in found[0].properties:
            return Finding("request and reply", "ok", "Response Topic, Correlation Data and user properties pass")
        return Finding("request and reply", "problem", "Response Topic, Correlation Data or properties are dropped")

    async def dollar(self) -> Finding:
        """See whether ``$a2a`` topics are carried, as a root some like."""
        from foa.wire.envelope import Frame

        topic = f"$a2a/v1/reply/{self._node}/echo"
        _, found = await self._echo(topic, Frame(topic, b"x"))
        if found:
            return Finding("$ topics", "ok", "carried: the root $a2a/v1 is possible here")
        return Finding("$ topics", "note", "not carried: keep a root without $")

    async def shared(self) -> Finding:
        """See whether shared subscriptions are there: only the door for strangers gains by them."""
        assert self._facts is not None
        if not self._facts.shared_subscriptions:
            return Finding("shared subscriptions", "note", "not offered; nothing here needs them")
        code = await self._subscribed(f"$share/{self._node}/{self._topic('shared')}")
        verdict: Literal["ok", "note"] = "ok" if code < REFUSED else "note"
        return Finding("shared subscriptions", verdict, "granted" if code < REFUSED else f"refused (code {code:#x})")

    async def retained(self) -> Finding:
        """See whether a retained frame is kept, given, and cleared."""
        from foa.wire.envelope import Frame

        topic = self._topic("kept")
        await self._sent([Frame(topic, b"kept", retain=True, expiry_s=EXPIRY_S)])
        await self._subscribed(topic)
        found = await self._arrived(1)
        self._bus.unsubscribe([topic])
        await self._sent([Frame(topic, b"", retain=True)])
        if found and found[0].retain:
            return Finding("retained messages", "ok", "kept and given")
        return Finding("retained messages", "problem", "a retained message was not given; foa lives by them")

    async def depth(self) -> Finding:
        """See whether a subscriber is given many retained frames, or the broker's queue drops some silently."""
        from foa.wire.envelope import Frame

        topics = [self._topic(f"n{number}") for number in range(MANY)]
        await self._sent([Frame(topic, b"x", retain=True, expiry_s=EXPIRY_S) for topic in topics])
        try:
            await self._subscribed(self._topic("+"))
            found = {frame.topic for frame in await self._arrived(MANY)}
        finally:
            self._bus.unsubscribe([self._topic("+")])
            await self._sent([Frame(topic, b"", retain=True) for topic in topics])
        if len(found) == MANY:
            return Finding("queue depth", "ok", f"{MANY} retained messages arrive at once")
        mend = "raise max_queued_messages and max_inflight_messages (mosquitto) or what your broker calls them"
        return Finding("queue depth", "problem", f"{len(found)} of {MANY} retained messages arrived: {mend}")


async def _alive(settings: "Settings") -> list[Finding]:
    """Look who is there."""
    from foa.cli.agents import seen
    from foa.nodes.client import Client
    from foa.wire.messages import Presence

    async with Client(settings) as client:
        received = await client.collect(["presence/+/+"])
        agents = await seen(client)
    nodes = {"coordinator": set[str](), "index": set[str]()}
    for each in received:
        if isinstance(each.message, Presence) and each.message.alive and each.message.role in nodes:
            nodes[each.message.role].add(each.message.node)
    found = [_present(role, sorted(names)) for role, names in nodes.items()]
    online = [each for each in agents if each.status == "online"]
    hidden = [each.profile.agent for each in online if not each.findable]
    found.append(_agents(len(online), len(agents) - len(online), hidden))
    return found


def _present(role: str, names: list[str]) -> Finding:
    if names:
        return Finding(f"{role} nodes", "ok", f"{len(names)}: {', '.join(names[:10])}")
    return Finding(f"{role} nodes", "problem", f"none; start one with 'foa node {role}', or all with 'foa up'")


def _agents(online: int, offline: int, hidden: list[str]) -> Finding:
    if hidden:
        return Finding("agents", "problem", f"{', '.join(hidden[:5])} cannot be found: no capability vector yet")
    if not online:
        return Finding("agents", "note", f"none online, {offline} offline; start one with 'foa agent run'")
    return Finding("agents", "ok", f"{online} online, {offline} offline")


@config.command("show", epilog=CONFIG_EXAMPLES)
def show(ctx: typer.Context, as_json: output.Json = False) -> None:
    """Show every setting: key, value, where it came from, what it means."""
    from foa.settings import entries

    options = options_of(ctx)
    rows: list[dict[str, Any]] = [entry._asdict() for entry in entries(*options.load())]
    if as_json or options.json:
        output.as_json(rows)
        return
    output.table(rows, ("key", "value", "source", "meaning"), "")
