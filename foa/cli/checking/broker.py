"""Checks of the broker: does it do what a federation lives by, and how much of it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

from foa.adapters.certificates import days_left
from foa.bus import tls
from foa.cli.checking.findings import Finding, graded
from foa.cli.checking.probe import QUIET_S, REFUSED, WAIT_S, Probe
from foa.errors import BusError
from foa.nodes.host import exposed
from foa.settings import Settings
from foa.wire.codec import MAX_PAYLOAD
from foa.wire.envelope import Frame

MANY: Final = 5000
EXPIRY_S: Final = 60
"""How long the broker keeps what we leave behind if we are killed."""

SOON_DAYS: Final = 30
FEW: Final = 100
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
NOBODY: Final = 0x10


async def checks(settings: Settings, probe: Probe) -> AsyncIterator[Finding]:
    """Yield all findings about the broker that `probe` is connected to."""
    yield _reached(settings, probe)
    yield await _tls(probe)
    for finding in _secrets(settings, probe):
        yield finding
    for name, check in CHECKS:
        yield await _guarded(name, check(probe))
    yield await _guarded("sessions", _session(settings))
    yield await _guarded("take-over", _take_over(settings))


def _reached(settings: Settings, probe: Probe) -> Finding:
    facts, url = probe.facts, settings.broker.url
    if not facts.retain_available:
        return Finding("broker", "fail", f"{url}: keeps no retained messages", "foa lives by them: take another broker")
    size = facts.maximum_packet_size
    if size is not None and size < MAX_PAYLOAD:
        return Finding("broker", "fail", f"{url}: takes packets up to {size} bytes", f"raise that above {MAX_PAYLOAD}")
    limits = f"receive maximum {facts.receive_maximum}, packets up to {size or 'any size'}"
    words = f"{url} speaks MQTT 5, {probe.connecting_s * 1000:.0f} ms, {limits}"
    mend = "raise max_inflight_messages (mosquitto), max_inflight (EMQX)"
    return graded("broker", facts.receive_maximum >= FEW, words, words, mend, worst="warn")


async def _tls(probe: Probe) -> Finding:
    options = probe.options
    if options.tls is None:
        mend = "make it mqtts:// ('foa broker init', 'foa up --secure')"
        near = options.host in LOOPBACK
        words = "not encrypted" + (
            ", on this machine only" if near else ": everybody on the way reads and writes along"
        )
        return Finding("TLS", "warn" if near else "fail", words, mend)
    async with asyncio.timeout(WAIT_S):
        _, writer = await asyncio.open_connection(options.host, options.port, ssl=tls.context(options.tls))
    secured = writer.get_extra_info("ssl_object")
    writer.close()
    left = days_left(secured.getpeercert(binary_form=True), datetime.fromtimestamp(time.time_ns() / 1e9, UTC))
    words = f"{secured.version()}, {secured.cipher()[0]}, the certificate holds {left:.0f} more days"
    return graded("TLS", left > SOON_DAYS, words, words, "make a new one: 'foa broker renew'", worst="warn")


def _secrets(settings: Settings, probe: Probe) -> list[Finding]:
    name, cert = probe.options.username, settings.broker.cert
    words = f"account {name}" if name else f"certificate {cert}" if cert else "anonymous: everybody gets in"
    found = [
        graded("credentials", name or cert, words, words, "give processes accounts: 'foa broker init'", worst="warn")
    ]
    return found + [Finding("secrets", "warn", *line.split("; ", 1)) for line in exposed(settings)]


async def _read_back(probe: Probe) -> Finding:
    code, found = await probe.echo(Frame(probe.topic("echo"), b"x" * 1000))
    words = f"read back below {probe.topics.root}"
    return graded("publish and subscribe", found, words, f"nothing came back (code {code:#x})", "see the broker's ACL")


async def _reply(probe: Probe) -> Finding:
    frame = Frame(
        probe.topic("question"),
        b"?",
        response_topic=probe.topic("answer"),
        correlation=b"c-1",
        properties=(("k", "v"),),
    )
    _, found = await probe.echo(frame)
    passed = bool(found) and (found[0].response_topic, found[0].correlation) == (frame.response_topic, b"c-1")
    good = "Response Topic, Correlation Data and user properties pass"
    bad = "Response Topic, Correlation Data or properties are dropped"
    return graded("request and reply", passed and ("k", "v") in found[0].properties, good, bad, "it needs MQTT 5 whole")


async def _large(probe: Probe) -> Finding:
    frame = Frame(probe.topic("large"), bytes(MAX_PAYLOAD))
    code, found = await probe.echo(frame)
    bad = f"{MAX_PAYLOAD >> 10} KiB do not come back (code {code:#x})"
    return graded("large frames", found, f"{MAX_PAYLOAD >> 10} KiB pass", bad, "raise max_packet_size and queue bytes")


async def _dollar(probe: Probe) -> Finding:
    topic = f"$a2a/v1/reply/{probe.node}/echo"
    code = REFUSED
    try:
        code = await probe.subscribe(topic)
        if code < REFUSED:
            code = max(await probe.publish([Frame(topic, b"x")]))
    except TimeoutError:
        pass
    found = await probe.arrived(1, QUIET_S) if code < REFUSED else []
    return Finding("$ topics", "ok", "carried: the root $a2a/v1 is possible" if found else "not carried; not needed")


async def _shared(probe: Probe) -> Finding:
    if not probe.facts.shared_subscriptions:
        return Finding("shared subscriptions", "ok", "not offered; nothing here needs them")
    code = await probe.subscribe(f"$share/{probe.node}/{probe.topic('shared')}")
    return Finding(
        "shared subscriptions", "ok", "granted" if code < REFUSED else f"refused (code {code:#x}); not needed"
    )


async def _no_subscriber(probe: Probe) -> Finding:
    (code,) = await probe.publish([Frame(probe.topic("nobody"), b"x")])
    words = {
        NOBODY: "a publication nobody hears is told (0x10)",
        0: "not told that nobody hears (0x00): timeouts decide",
    }
    return graded("PUBACK reasons", code in words, words.get(code, ""), f"an unexpected code {code:#x}", worst="warn")


async def _retained(probe: Probe) -> Finding:
    topic = probe.topic("kept")
    await probe.publish([Frame(topic, b"kept", retain=True, expiry_s=EXPIRY_S)])
    await probe.subscribe(topic)
    found = await probe.arrived(1)
    probe.unsubscribe(topic)
    await probe.publish([Frame(topic, b"", retain=True)])
    fine = found and found[0].retain
    left = found[0].expiry_s if found else None
    good = f"kept and given, with its expiry ({left} s left)" if left else "kept and given, but without its expiry"
    return graded("retained messages", fine, good, "a retained message was not given", "foa lives by them")


async def _expiry(probe: Probe) -> Finding:
    topic = probe.topic("passing")
    await probe.publish([Frame(topic, b"soon gone", retain=True, expiry_s=1)])
    await asyncio.sleep(2.2)
    await probe.subscribe(topic)
    found = await probe.arrived(1, QUIET_S)
    probe.unsubscribe(topic)
    mend = "state and results would stay for ever: update the broker"
    return graded("message expiry", not found, "honoured", "a message outlived its expiry", mend)


async def _depth(probe: Probe) -> Finding:
    topics = [probe.topic(f"n{number}") for number in range(MANY)]
    codes = await probe.publish([Frame(topic, b"x" * 100, retain=True, expiry_s=EXPIRY_S) for topic in topics])
    stored = sum(code < REFUSED for code in codes)
    await probe.subscribe(probe.topic("+"))
    found = {frame.topic for frame in await probe.arrived(MANY)}
    probe.unsubscribe(probe.topic("+"))
    probe.clear()
    mend = "raise max_queued_messages and max_inflight_messages (mosquitto), max_mqueue_len (EMQX)"
    words = f"{len(found)} of {MANY} retained messages arrive at once"
    bad = words if stored == MANY else f"{words}, {stored} were stored"
    return graded("queue depth", len(found) == MANY, words, bad, mend)


async def _session(settings: Settings) -> Finding:
    async with Probe.opened(settings, session_expiry_s=EXPIRY_S) as probe:
        topic, node = probe.topic("away"), probe.node
        await probe.subscribe(topic)
    async with Probe.opened(settings) as other:
        await other.publish([Frame(topic, b"while you were away")])
    async with Probe.opened(settings, node, clean_start=False, session_expiry_s=0) as again:
        found = await again.arrived(1)
        fine = again.facts.session_present and found
    mend = "allow persistent sessions: what is sent to a process that reconnects is lost without them"
    return graded("sessions", fine, "kept, with what came meanwhile", "not kept over a reconnect", mend)


async def _take_over(settings: Settings) -> Finding:
    async with Probe.opened(settings) as first, Probe.opened(settings, first.node):
        try:
            async with asyncio.timeout(WAIT_S):
                reason = await first.ended
        except TimeoutError:
            reason = ""
    good, bad = "the older of two connections is told why (0x8E)", "the older of two connections is not told why"
    mend = "give no identity to two processes: they would take the session from each other without end"
    return graded(
        "take-over", "taken over" in reason, good, bad if reason else "both connections stay", mend, worst="warn"
    )


CHECKS: Final[tuple[tuple[str, Callable[[Probe], Awaitable[Finding]]], ...]] = (
    ("publish and subscribe", _read_back),
    ("request and reply", _reply),
    ("large frames", _large),
    ("retained messages", _retained),
    ("message expiry", _expiry),
    ("PUBACK reasons", _no_subscriber),
    ("$ topics", _dollar),
    ("shared subscriptions", _shared),
    ("queue depth", _depth),
)


async def _guarded(check: str, finding: Awaitable[Finding]) -> Finding:
    """Return a finding; that of a check whose answer never came is that."""
    try:
        return await finding
    except (TimeoutError, BusError) as error:
        return Finding(check, "fail", f"no answer: {error or 'time is out'}", "look at the broker's log")
