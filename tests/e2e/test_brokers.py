"""The same work through the embedded broker and through Mosquitto yields the same."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import foa
from tests.bus.brokers import Mosquitto
from tests.e2e.town import mosquitto, run, town
from tests.house.tree import ROOT

TABLE = b"city,people,area\n" + b"".join(b"c%d,%d,%d\n" % (row, row * 1000, row % 7) for row in range(3000))
"""Larger than what travels inline, so that blobs are part of the way."""


async def _worked(folder: Path, broker: Mosquitto | None) -> tuple[dict[str, Any], list[tuple[str, tuple[str, ...]]]]:
    plan = foa.Plan(
        (
            foa.Subtask("profile", "profile this data", skills=("profile-data",)),
            foa.Subtask("say", "say this back to me word for word", skills=("echo",)),
        )
    )
    agents = (ROOT / "agents" / "csv_profiler", ROOT / "agents" / "echo")
    async with town(folder, *agents, broker=broker, nodes=(2, 1)) as place, place.client() as client:
        inputs = {"table": foa.Value("text/csv", "text/csv", TABLE), "text": "word for word"}
        submitted = client.submit("profile this data and say this back", id="same", plan=plan, inputs=inputs)
        result = (await submitted.result()).checked().result
        outputs = {given.name: given.value for given in result.outputs}
        return outputs, sorted((part.subtask, part.agents) for part in result.parts)


def test_both_brokers_yield_the_same(tmp_path: Path) -> None:
    found = []
    for name, context in (("embedded", nullcontext()), ("mosquitto", mosquitto())):
        (tmp_path / name).mkdir()
        with context as broker:
            found.append(run(_worked(tmp_path / name, broker)))
    assert found[0] == found[1]
    assert [agents for _, agents in found[0][1]] == [("foa/data/csv-profiler",), ("foa/tools/echo",)]
