"""The federation both benches burden: two coordinators, two index nodes and an echo agent, a process each.

Its defences are those of ``foa broker init``: ``seals``, signatures alone over a broker that is open to all; ``full``,
TLS, accounts and access control as well; ``none``.
"""

import asyncio
import os
import sys
import tomllib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from foa.adapters.keys import keyfile, trustfile
from foa.bench.brokers import free_port, running
from foa.errors import ConfigError, FoaError
from foa.nodes.client import Client
from foa.nodes.federation import Federation, Member
from foa.settings import Settings
from foa.wire.trust.policy import Entry, Grant

Defence = Literal["none", "seals", "full"]

ECHO: Final = Path(__file__).parents[3] / "agents" / "echo"
KINDS: Final = ("coordinator", "index")
SUBMITTER: Final = "submitter.seal"
EVIL: Final = "evil/corp/mallory"
"""The attacker: in a full defence an agent with an account of its own, and no key that anybody trusts."""


class Town(NamedTuple):
    """A running federation: its processes by name, a client of it, and the environment an outsider joins it with."""

    federation: Federation
    client: Client
    outside: Mapping[str, str]
    metrics: Mapping[str, int]

    @property
    def pids(self) -> dict[str, int]:
        """The processes whose memory is watched."""
        return self.federation.pids


@asynccontextmanager
async def town(broker: str, defence: Defence, folder: Path, say: Callable[[str], None]) -> AsyncIterator[Town]:
    """Run one over `broker`; FoaError if it does not come up."""
    async with AsyncExitStack() as stack:
        port = free_port() if defence == "full" else await stack.enter_async_context(running(broker, folder))
        secured = await _secured(folder / "secured") if defence != "none" else None
        url = f"mqtt{'s' if defence == 'full' else ''}://127.0.0.1:{port}"
        common = {"broker.url": url, "index.model": "hash", "log.level": "error"}
        inside, client, outside = common, common, common
        if secured is not None:
            seals = {"security.trust": f"{secured}/trust.toml"}
            inside = {**common, **seals, "security.key": f"{secured}/clients"}
            client = {**common, **seals, "security.key": f"{secured}/{SUBMITTER}"}
        if defence == "full":
            inside, client, outside = _accounts(broker, Path(str(secured)), inside, client, outside)
        environment = _environment(inside, folder)
        federation = await stack.enter_async_context(Federation(environment, folder, say))
        if defence == "full":
            await federation.start([Member("broker", ("broker", "--port", str(port), "--secured", str(secured)), True)])
        members, metrics = _members()
        await federation.start(members)
        one = await stack.enter_async_context(Client(Settings.from_mapping(client, "bench")))
        yield Town(federation, one, _environment(outside, folder), metrics)


def _accounts(
    broker: str, secured: Path, inside: dict[str, str], client: dict[str, str], outside: dict[str, str]
) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Return the settings with accounts: of the processes, of who submits, and of the attacker."""
    if broker != "embedded":
        raise ConfigError(f"--broker {broker}: the full defence is measured over the embedded broker")
    tls = {"broker.ca": f"{secured}/ca.crt"}

    def of(name: str) -> dict[str, str]:
        known: dict[str, Any] = tomllib.loads((secured / "clients" / f"{name}.toml").read_text())["broker"]
        return {**tls, "broker.username": known["username"], "broker.password": known["password"]}

    inside = {**inside, **tls, "broker.password_file": f"{secured}/credentials"}
    return inside, {**client, **of("submitter")}, {**outside, **of(EVIL.replace("/", "."))}


async def _secured(folder: Path) -> Path:
    """Make keys, accounts and rules as a user would."""
    await _foa("broker", "init", str(folder), "--agents", str(ECHO))
    await _foa("broker", "account", "add", str(folder), EVIL, "--role", "agent")
    seal = keyfile.of_account(folder / "clients", EVIL)  # an account brings a key that is trusted: this one is not
    trustfile.remove(folder / "trust.toml", keyfile.load(seal).key)
    ours = keyfile.new(folder / SUBMITTER)  # else whoever has the broker may submit, under an id of ours too
    trustfile.append(folder / "trust.toml", Entry("submitter", ours, (Grant("submitter"),)))
    return folder


async def _foa(*arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "foa", *arguments, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    if process.returncode:
        raise FoaError(said.decode(errors="replace").strip())


def _environment(settings: Mapping[str, str], folder: Path) -> dict[str, str]:
    ours = {f"FOA_{key.replace('.', '_').upper()}": value for key, value in settings.items()}
    return {**os.environ, **ours, "FOA_NODE_STATE_DIR": str(folder / "state")}


def _members() -> tuple[list[Member], dict[str, int]]:
    """Return the processes, and the port at which each shows its metrics."""
    nodes = {f"{kind}-{number}": ("node", kind, "--name", f"{kind}-{number}") for kind in KINDS for number in (1, 2)}
    wanted = {**nodes, "echo": ("agent", "run", str(ECHO))}
    ports = {name: free_port() for name in wanted}
    return [Member(name, (*words, "--set", f"http.port={ports[name]}")) for name, words in wanted.items()], ports
