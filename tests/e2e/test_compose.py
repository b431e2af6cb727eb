"""docker-compose.yml without Docker: the commands of its services, run as they stand, make a federation."""

import asyncio
import os
import shlex
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import yaml

import foa
from foa.nodes.federation import READY
from tests.bus.brokers import free_port, mosquitto_path
from tests.e2e.town import environment, nothing_left, run, until
from tests.house.tree import ROOT

TABLE = b"name,age\nann,31\nbob,42\ncyd,27\n"


def services() -> dict[str, dict[str, Any]]:
    document = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return dict(document["services"])


def broker_command(command: str) -> list[str]:
    program, flag, conf = shlex.split(command)
    assert program == "mosquitto"
    return [mosquitto_path(), flag, conf]


def node_command(command: str) -> list[str]:
    program, *words = shlex.split(command)
    assert program == "foa"
    return [sys.executable, "-m", "foa", *words]


@asynccontextmanager
async def service(
    command: list[str], changes: dict[str, str], folder: Path, log: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run one service as long as the block, ended as Docker does: SIGTERM to its first process."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=folder, env=environment(changes), stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            os.killpg(process.pid, signal.SIGKILL)
            raise


def init(command: str, folder: Path, port: int) -> None:
    """Make the secured folder by the command of its service, on ports that are free; twice, as at a second start."""
    words = [*node_command(command), "--port", str(port)]
    (folder / "agents").symlink_to(ROOT / "agents")
    for _ in range(2):
        done = subprocess.run(words, cwd=folder, env=environment({}), capture_output=True, check=False, text=True)
        assert done.returncode == 0, done.stderr


def test_the_services_make_a_federation(tmp_path: Path) -> None:
    async def main() -> None:
        port = free_port()
        known = services()
        init(known["init"]["command"], tmp_path, port)
        names = [name for name in known if name not in {"broker", "init", "submit"}]
        (declared,) = {tuple(known[name]["environment"].items()) for name in names}
        assert dict(declared) == {"FOA_CONFIG": "secured/local.toml", "FOA_NODE_STATE_DIR": "/var/lib/foa"}
        changes = {**dict(declared), "FOA_NODE_STATE_DIR": str(tmp_path / "state"), "FOA_INDEX_MODEL": "hash"}
        async with running(known, names, changes, tmp_path, port):
            person = tmp_path / known["submit"]["environment"]["FOA_CONFIG"]
            settings = foa.Settings.from_mapping(
                {**tomllib.loads(person.read_text()), "log": {"level": "error"}}, person.name
            )
            async with foa.Client(settings) as client:
                table = foa.Value("text/csv", "text/csv", TABLE)
                submitted = client.submit("Profile this data", skills=["profile-data"], inputs={"table": table})
                outcome = (await submitted.result()).checked()
                assert outcome.output["rows"] == 3
                assert outcome.result.parts[0].agents == ("foa/data/csv-profiler",)

    with nothing_left(tmp_path):
        run(main())


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def says(log: Path, word: str) -> bool:
    return word in log.read_text()


@asynccontextmanager
async def running(
    known: dict[str, Any], names: list[str], changes: dict[str, str], folder: Path, port: int
) -> AsyncIterator[None]:
    """Run all services: the broker first, as `depends_on` says; the others side by side."""
    assert all(known[name]["depends_on"] == ["broker"] for name in names)
    assert known["broker"]["depends_on"] == {"init": {"condition": "service_completed_successfully"}}
    logs = {name: folder / f"{name}.log" for name in known}
    async with service(broker_command(known["broker"]["command"]), changes, folder, logs["broker"]) as broker:
        await until(partial(listens, port))
        stack = [service(node_command(known[name]["command"]), changes, folder, logs[name]) for name in names]
        processes = await asyncio.gather(*(each.__aenter__() for each in stack))
        try:
            for name in names:
                word = " agents run: " if name == "agents" else f"{name} {READY}"
                await until(partial(says, logs[name], word))
            yield
        finally:
            ended = await asyncio.gather(*(each.__aexit__(None, None, None) for each in stack), return_exceptions=True)
        assert ended == [False] * len(stack)
        assert [process.returncode for process in processes] == [130] * len(names)
        assert broker.returncode is None
