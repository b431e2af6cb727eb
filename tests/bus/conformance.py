"""How a conformance test is written: an async body that is given a world, run once per kind of world."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from foa.bus.mqtt.broker.records import Limits
from tests.bus.worlds import WORLDS, World

Body = Callable[[Any], Awaitable[None]]


def feature(
    name: str, *, seconds: bool = False, limits: Limits | None = None, users: dict[str, str] | None = None
) -> Callable[[Body], Callable[[str], None]]:
    """Mark `body` as the test of one row of the matrix; `seconds`: over sockets it takes longer than 0.25 s."""

    def decorate(body: Body) -> Callable[[str], None]:
        @pytest.mark.feature(name, seconds)
        @pytest.mark.parametrize("kind", list(WORLDS))
        def test(kind: str) -> None:
            asyncio.run(_run(body, WORLDS[kind](limits=limits, users=users)))

        test.__name__ = body.__name__
        test.__doc__ = body.__doc__
        return test

    return decorate


async def _run(body: Body, world: World) -> None:
    await world.start()
    try:
        await body(world)
    finally:
        await world.stop()
