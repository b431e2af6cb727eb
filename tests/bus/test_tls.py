"""TLS of both clients: what is right connects, and each thing that is wrong is one line that names its mend."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from foa.adapters.certificates import Pair, Term, authority, issue
from foa.bus import tls
from foa.bus.aiomqtt.client import AiomqttBus
from foa.bus.mqtt.broker.server import BrokerServer
from foa.bus.mqtt.client import MqttBus
from foa.bus.port import Delivery, Facts, Options, Subscription, Tls
from foa.errors import BusError, ConfigError
from foa.nodes.host import Place, credentials, exposed, options_of
from foa.settings import Settings
from foa.wire.envelope import Frame

pytestmark = pytest.mark.slow
BUSES = pytest.mark.parametrize("bus", [MqttBus, AiomqttBus])


class Files(NamedTuple):
    """An authority, a stranger's, and certificates of a server: right, for another host, expired; and a client's."""

    ca: str
    other: str
    right: Tls
    elsewhere: Tls
    expired: Tls
    client: Tls


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("tls")
    now = datetime.now(UTC)  # noqa: TID251 - certificates are held against the real clock
    term, past = Term(now, 2), Term(now - timedelta(days=9), 2)
    signer = authority("test", term)

    def write(name: str, pair: Pair) -> Tls:
        cert, key = folder / f"{name}.crt", folder / f"{name}.key"
        cert.write_bytes(pair.cert)
        key.write_bytes(pair.key)
        return Tls(str(folder / "ca.crt"), str(cert), str(key))

    return Files(
        write("ca", signer).ca,
        write("other", authority("other", term)).cert,
        write("right", issue(signer, "broker", ["localhost", "127.0.0.1"], term)),
        write("elsewhere", issue(signer, "broker", ["example.org"], term)),
        write("expired", issue(signer, "broker", ["127.0.0.1"], past)),
        write("client", issue(signer, "acme/lab/a", [], term)),
    )


class Ear:
    """A listener that keeps what arrived."""

    def __init__(self) -> None:
        self.arrived: asyncio.Queue[Frame] = asyncio.Queue()

    def connected(self, facts: Facts) -> None: ...

    def delivered(self, delivery: Delivery) -> None:
        delivery.ack()
        self.arrived.put_nowait(delivery.frame)

    def disconnected(self, reason: str, *, final: bool) -> None: ...

    def turned(self) -> None: ...

    def drained(self) -> None: ...


@asynccontextmanager
async def serving(secured: ssl.SSLContext | None) -> AsyncIterator[int]:
    server = BrokerServer(tls=secured)
    await server.start("127.0.0.1", 0)
    try:
        yield server.port
    finally:
        await server.stop()


async def attempt(bus: type[MqttBus | AiomqttBus], port: int, files: Tls | None, within_s: float = 1.5) -> None:
    one = bus(Options("a", port=port, tls=files), Ear())
    await one.open(within_s)
    await one.close()


def fails(bus: type[MqttBus | AiomqttBus], server: Tls | None, client: Tls | None) -> str:
    """Return the one line that a client hears."""

    async def main() -> str:
        async with serving(None if server is None else tls.serving(server.cert, server.key)) as port:
            with pytest.raises((BusError, ConfigError)) as caught:
                await attempt(bus, port, client)
            return str(caught.value)

    said = asyncio.run(asyncio.wait_for(main(), 30))
    assert "\n" not in said
    return said


@BUSES
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_an_encrypted_connection_carries_frames(bus: type[MqttBus | AiomqttBus], host: str, files: Files) -> None:
    async def main() -> None:
        async with serving(tls.serving(files.right.cert, files.right.key)) as port:
            ear = Ear()
            one = bus(Options("a", host=host, port=port, tls=Tls(files.ca)), ear)
            await one.open(20)
            one.subscribe([Subscription("t")])
            one.publish(Frame("t", b"x" * 300_000))
            assert len((await ear.arrived.get()).payload) == 300_000
            await one.close()

    asyncio.run(asyncio.wait_for(main(), 30))


# paho leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@BUSES
@pytest.mark.parametrize(
    ("server", "client", "wanted"),
    [
        ("right", "other", "no authority in broker.ca"),
        ("elsewhere", "ca", "is for another host.*broker.url"),
        ("expired", "ca", "has expired; make a new one"),
        (None, "ca", "no TLS is spoken there; use mqtt://"),
        ("right", None, "broker.url (must begin )?with mqtts://"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_mend(
    bus: type[MqttBus | AiomqttBus], server: str | None, client: str | None, wanted: str, files: Files
) -> None:
    theirs = None if server is None else getattr(files, server)
    ours = None if client is None else Tls(getattr(files, client))
    assert re.search(wanted, fails(bus, theirs, ours))


def test_a_certificate_nobody_can_trust_ends_the_start_at_once(files: Files) -> None:
    async def main() -> None:
        async with serving(tls.serving(files.right.cert, files.right.key)) as port:
            with pytest.raises(ConfigError):
                await attempt(MqttBus, port, Tls(files.other), within_s=25)

    asyncio.run(asyncio.wait_for(main(), 20))


def test_files_that_are_none_are_named(files: Files, tmp_path: Path) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("no certificate")
    for bad, wanted in [
        (Tls("/nowhere/ca.crt"), "broker.ca = /nowhere/ca.crt: cannot be read: No such file"),
        (Tls(str(junk)), "broker.ca = .* is no PEM"),
        (Tls(files.ca, str(junk)), "broker.cert = "),
        (Tls(files.ca, files.client.cert, files.right.key), "broker.cert, broker.key = .* do not belong together"),
    ]:
        with pytest.raises(ConfigError, match=wanted):
            tls.context(bad)


def test_old_tls_is_not_spoken(files: Files) -> None:
    for made in (tls.context(Tls(files.ca)), tls.context(Tls()), tls.serving(files.right.cert, files.right.key)):
        assert made.minimum_version is ssl.TLSVersion.TLSv1_2
    assert tls.context(Tls(files.ca)).check_hostname


def settings(**broker: object) -> Settings:
    return Settings.from_mapping({"broker": broker}, "test")


PLACE = Place("acme/lab/a", "a")


def test_settings_name_port_files_and_account(tmp_path: Path) -> None:
    assert options_of(settings(url="mqtts://h"), PLACE).port == 8883
    assert options_of(settings(url="mqtts://h:1", ca="x"), PLACE).tls == Tls("x")
    assert options_of(settings(url="mqtt://h"), PLACE).tls is None
    with pytest.raises(ConfigError, match=r"broker\.ca = x: nothing is encrypted; begin broker\.url"):
        options_of(settings(url="mqtt://h", ca="x"), PLACE)
    with pytest.raises(ConfigError, match=r"broker\.key = k: without broker\.cert"):
        options_of(settings(url="mqtts://h", key="k"), PLACE)


def test_a_password_file_holds_one_or_one_for_each_account(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("hush\n")
    assert credentials(settings(password_file=str(path), username="u"), "c") == ("u", "hush")
    assert credentials(settings(password_file=str(path)), "c") == ("c", "hush")
    path.write_text("a/b/c:one:1\nd:two\n")
    assert credentials(settings(password_file=str(path)), "a/b/c") == ("a/b/c", "one:1")
    with pytest.raises(ConfigError, match="holds none for 'x'") as caught:
        credentials(settings(password_file=str(path)), "x")
    assert "two" not in str(caught.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        credentials(settings(password_file="/nowhere"), "x")


def test_a_secret_that_others_may_read_is_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("hush\n")
    path.chmod(0o644)
    (line,) = exposed(settings(password_file=str(path)))
    assert "chmod 600" in line
    path.chmod(0o600)
    assert exposed(settings(password_file=str(path))) == []
