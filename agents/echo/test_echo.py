import asyncio

from agents.echo.handler import run


def test_it_repeats() -> None:
    assert asyncio.run(run("hello")) == "hello"
