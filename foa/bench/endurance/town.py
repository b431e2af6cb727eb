"""The federation both benches burden: two coordinators, two index nodes and an echo agent, a process each."""

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from foa.bench.brokers import running
from foa.nodes.client import Client
from foa.nodes.federation import Federation, Member
from foa.settings import Settings

ECHO = Path(__file__).parents[3] / "agents" / "echo"


class Town(NamedTuple):
    """A running federation: its processes by name, a client of it, and the environment to join it with."""

    federation: Federation
    client: Client
    environment: Mapping[str, str]

    @property
    def pids(self) -> dict[str, int]:
        """The processes whose memory is watched."""
        return self.federation.pids


@asynccontextmanager
async def town(broker: str, folder: Path, say: Callable[[str], None]) -> AsyncIterator[Town]:
    """Run one over `broker`; FoaError if it does not come up."""
    async with running(broker, folder) as port:
        settings = {"broker.url": f"mqtt://127.0.0.1:{port}", "index.model": "hash", "log.level": "error"}
        environment = _environment(settings, folder)
        async with Federation(environment, folder, say) as federation:
            await federation.start(_members())
            async with Client(Settings.from_mapping(settings, "bench")) as client:
                yield Town(federation, client, environment)


def _environment(settings: Mapping[str, str], folder: Path) -> dict[str, str]:
    ours = {f"FOA_{key.replace('.', '_').upper()}": value for key, value in settings.items()}
    return {**os.environ, **ours, "FOA_NODE_STATE_DIR": str(folder / "state")}


def _members() -> list[Member]:
    nodes = [(kind, f"{kind}-{number}") for kind in ("coordinator", "index") for number in (1, 2)]
    return [
        *(Member(name, ("node", kind, "--name", name)) for kind, name in nodes),
        Member("echo", ("agent", "run", str(ECHO))),
    ]
