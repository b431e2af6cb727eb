import asyncio
from typing import Any

import pytest

import foa
from agents.planner_typed.handler import run


def offer(agent: str, needs: list[str], yields: str) -> dict[str, Any]:
    ports = [{"name": f"i{at}", "type": kind} for at, kind in enumerate(needs)]
    return {"agent": agent, "text": f"runs {agent}", "inputs": ports, "outputs": [{"name": "x", "type": yields}]}


AGENTS = [
    offer("o/u/report", ["text/csv", "table-profile"], "text/html"),
    offer("o/u/profile", ["text/csv"], "table-profile"),
    offer("o/u/draw", ["table-profile"], "charts"),
]


def test_it_goes_from_what_is_given_to_what_is_asked_for() -> None:
    plan = asyncio.run(run("Write an HTML report on this", AGENTS, ["text/csv"]))
    first, second = plan["subtask"]
    assert first["produces"] == ("table-profile",)
    assert second["needs"] == ("text/csv", "table-profile")
    assert second["after"] == [first["id"]]


def test_it_declines_where_types_lead_nowhere() -> None:
    with pytest.raises(foa.Decline):
        asyncio.run(run("Write an HTML report on this", AGENTS))
    with pytest.raises(foa.Decline):
        asyncio.run(run("Say hello", [7, None, {}], ["text/plain"]))
