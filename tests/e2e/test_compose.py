"""docker-compose.yml without Docker: the commands of its services, run as they stand, make a federation."""

import asyncio
import os
import re
import shlex
import signal
import socket
import sys
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


def broker_command(command: str, folder: Path, port: int) -> list[str]:
    """Return the broker's command with its configuration on another port, and its state in `folder`."""
    program, flag, conf = shlex.split(command)
    text = re.sub(r"(?m)^listener 1883 ", f"listener {port} ", (ROOT / conf).read_text())
    assert f"listener {port} 127.0.0.1" in text
    copy = folder / "mosquitto.conf"
    user = "root" if os.geteuid() == 0 else "nobody"
    copy.write_text(f"user {user}\n{text}\npersistence_location {folder}/\n")
    assert program == "mosquitto"
    return [mosquitto_path(), flag, str(copy)]


def node_command(command: str) -> list[str]:
    program, *words = shlex.split(command)
    assert program == "foa"
    return [sys.executable, "-m", "foa", *words]


@asynccontextmanager
async def service(command: list[str], changes: dict[str, str], log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run one service as long as the block, ended as Docker does: SIGTERM to its first process."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=environment(changes), stdout=output, stderr=output, start_new_session=True
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


def test_the_services_make_a_federation(tmp_path: Path) -> None:
    async def main() -> None:
        port = free_port()
        known = services()
        (declared,) = {tuple(each["environment"]) for name, each in known.items() if name != "broker"}
        changes = {
            **dict.fromkeys(declared, ""),
            "FOA_BROKER_URL": f"mqtt://127.0.0.1:{port}",
            "FOA_NODE_STATE_DIR": str(tmp_path),
            "FOA_INDEX_MODEL": "hash",
        }
        assert set(declared) == {"FOA_BROKER_URL", "FOA_NODE_STATE_DIR"}
        async with running(known, changes, tmp_path, port):
            settings = foa.Settings.from_mapping({"broker.url": changes["FOA_BROKER_URL"], "log.level": "error"}, "")
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
async def running(known: dict[str, Any], changes: dict[str, str], folder: Path, port: int) -> AsyncIterator[None]:
    """Run all services: the broker first, as `depends_on` says; the others side by side."""
    names = [name for name in known if name != "broker"]
    assert all(known[name]["depends_on"] == ["broker"] for name in names)
    logs = {name: folder / f"{name}.log" for name in known}
    async with service(broker_command(known["broker"]["command"], folder, port), changes, logs["broker"]) as broker:
        await until(partial(listens, port))
        stack = [service(node_command(known[name]["command"]), changes, logs[name]) for name in names]
        processes = await asyncio.gather(*(each.__aenter__() for each in stack))
        try:
            for name in names:
                word = " agents run: " if name == "agents" else f"local/nodes/{name} {READY}"
                await until(partial(says, logs[name], word))
            yield
        finally:
            ended = await asyncio.gather(*(each.__aexit__(None, None, None) for each in stack), return_exceptions=True)
        assert ended == [False] * len(stack)
        assert [process.returncode for process in processes] == [130] * len(names)
        assert broker.returncode is None
