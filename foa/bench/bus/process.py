"""One load process: ``python -m foa.bench.bus.process CLIENT NAME PORT``, told what to do a line at a time.

It has a loop of its own, so that no load shares one with a broker, or with the load at the other end. A line
is JSON: ``{"do": "publish", "topic": "t", "messages": 9}``; the answer is a JSON line as well. It ends when its
standard input closes.
"""

import asyncio
import json
import sys
from typing import Any, Final

from foa.bench.bus import work
from foa.errors import ConfigError

LASTING_S: Final = 300


async def _load(client: str, name: str, port: int) -> work.Load:
    if client in {"foa", "lasting"}:
        from foa.bench.bus.ours import OurLoad

        ours = OurLoad(name, port, LASTING_S if client == "lasting" else 0)
        await ours.open()
        return ours
    from foa.bench.bus.theirs import TheirLoad

    theirs = TheirLoad(name, port)
    await theirs.open()
    return theirs


def _say(**words: Any) -> None:
    print(json.dumps(words), flush=True)


async def _do(load: work.Load, order: dict[str, Any]) -> None:
    topic, messages = order["topic"], order.get("messages", 0)
    match order["do"]:
        case "publish":
            _say(per_s=messages / await load.publish(topic, messages))
        case "receive":
            _say(per_s=messages / await load.receive(topic, messages, lambda: _say(ready=True)))
        case "ask":
            _say(p50_us=work.median_us(await load.ask(topic, messages)))
        case "answer":
            await load.answer(topic)
            _say(ready=True)
        case other:
            raise ConfigError(f"{other!r} is no load")


async def _main(client: str, name: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    load = await _load(client, name, port)
    _say(ready=True)
    while line := await orders.readline():
        await _do(load, json.loads(line))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
