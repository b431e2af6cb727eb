"""The same work through the embedded broker and through Mosquitto, with either client, yields the same."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import foa
from tests.bus.brokers import Mosquitto
from tests.e2e.town import mosquitto, run, town
from tests.house.tree import ROOT

TABLE = b"city,people,area\n" + b"".join(b"c%d,%d,%d\n" % (row, row * 1000, row % 7) for row in range(3000))
"""Larger than what travels inline, so that blobs are part of the way."""


async def _worked(
    folder: Path, broker: Mosquitto | None, client: str = "foa"
) -> tuple[dict[str, Any], list[tuple[str, tuple[str, ...]]]]:
    plan = foa.Plan(
        (
            foa.Subtask("profile", "profile this data", skills=("profile-data",)),
            foa.Subtask("say", "say this back to me word for word", skills=("echo",)),
        )
    )
    agents = (ROOT / "agents" / "csv_profiler", ROOT / "agents" / "echo")
    async with (
        town(folder, *agents, broker=broker, nodes=(2, 1), BROKER_CLIENT=client) as place,
        place.client(**{"broker.client": client}) as submitter,
    ):
        inputs = {"table": foa.Value("text/csv", "text/csv", TABLE), "text": "word for word"}
        submitted = submitter.submit("profile this data and say this back", id="same", plan=plan, inputs=inputs)
        result = (await submitted.result()).checked().result
        outputs = {given.name: given.value for given in result.outputs}
        return outputs, sorted((part.subtask, part.agents) for part in result.parts)


def test_a_federation_on_the_other_client(tmp_path: Path) -> None:
    """Coordinators, index, agents and the client itself on aiomqtt: the same work, the same result."""
    (tmp_path / "aiomqtt").mkdir()
    outputs, parts = run(_worked(tmp_path / "aiomqtt", None, client="aiomqtt"))
    assert outputs["text"].body == b"word for word"
    assert [agents for _, agents in parts] == [("foa/data/csv-profiler",), ("foa/tools/echo",)]


def test_both_brokers_yield_the_same(tmp_path: Path) -> None:
    found = []
    for name, context in (("embedded", nullcontext()), ("mosquitto", mosquitto())):
        (tmp_path / name).mkdir()
        with context as broker:
            found.append(run(_worked(tmp_path / name, broker)))
    assert found[0] == found[1]
    assert [agents for _, agents in found[0][1]] == [("foa/data/csv-profiler",), ("foa/tools/echo",)]
