import asyncio

from agents.planner.handler import run


def test_it_orders_what_the_request_orders() -> None:
    plan = asyncio.run(run("Count the words, then write a summary of the counts"))
    first, second = plan["subtask"]
    assert "Count the words" in first["text"]
    assert second["after"] == [first["id"]]
