"""The run: two brokers, three pairs of load processes, and in every round each of them once, in turn.

``embedded`` and ``mosquitto`` are our client on either broker; ``aiomqtt`` is that library on the same
Mosquitto. A pair has a near end, which is measured, and a far end, which feeds and answers it; whoever is fed
is fed by our client, so that the feeder is never what is slow. The order within a round shifts with each round.
"""

import asyncio
import importlib.util
import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

from foa.bench.brokers import running
from foa.errors import ConfigError, FoaError

PAIRS: Final = {"embedded": ("embedded", "foa"), "mosquitto": ("mosquitto", "foa"), "aiomqtt": ("mosquitto", "aiomqtt")}
METRICS: Final = {"publish_qos1": "per_s", "receive_qos1": "per_s", "roundtrip_p50": "p50_us"}
COMPARED: Final = {"broker_vs_mosquitto": ("embedded", "mosquitto"), "client_vs_aiomqtt": ("mosquitto", "aiomqtt")}
CALLS: Final = 20  # messages for each call of a round trip
LIMIT_S: Final = 120.0

Figures = dict[str, Any]


class Plan(NamedTuple):
    """How much to measure."""

    messages: int = 20_000
    rounds: int = 7


class End:
    """One load process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Use `started`."""
        self._process = process

    @classmethod
    async def started(cls, client: str, name: str, port: int) -> "End":
        """Start one and return once it is connected."""
        pipe = asyncio.subprocess.PIPE
        command = ("-m", "foa.bench.bus.process", client, name, str(port))
        end = cls(await asyncio.create_subprocess_exec(sys.executable, *command, stdin=pipe, stdout=pipe))
        await end.said()
        return end

    def tell(self, do: str, topic: str, messages: int = 0) -> None:
        """Give an order."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, "topic": topic, "messages": messages}).encode() + b"\n")

    async def said(self) -> dict[str, float]:
        """Return its next answer; FoaError if it ended, or takes too long."""
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), LIMIT_S)
        except TimeoutError as error:
            raise FoaError(f"a load did not end within {LIMIT_S:g} s") from error
        if not line:
            raise FoaError("a load process ended too early")
        found: dict[str, float] = json.loads(line)
        return found

    async def stop(self) -> None:
        """End it."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()


class Pair(NamedTuple):
    """Two ends on one broker, and who feeds the near one."""

    name: str
    near: End
    far: End
    feeder: End

    async def measure(self, metric: str, messages: int) -> float:
        """Take one figure."""
        topic = f"bench/{self.name}"
        if metric == "receive_qos1":
            self.near.tell("receive", topic, messages)
            await self.near.said()
            self.feeder.tell("publish", topic, messages)
            await self.feeder.said()
        elif metric == "publish_qos1":
            self.near.tell("publish", f"{topic}/nobody", messages)
        else:
            self.near.tell("ask", topic, max(10, messages // CALLS))
        return (await self.near.said())[METRICS[metric]]


async def measure(plan: Plan, say: Callable[[str], None]) -> Figures:
    """Start everything, measure, end everything; ConfigError if Mosquitto or aiomqtt is not there."""
    if importlib.util.find_spec("aiomqtt") is None:
        raise ConfigError("bench bus: aiomqtt is not installed; pip install 'federation-of-agents[aiomqtt]'")
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="foa-bench-")))
        mosquitto = await stack.enter_async_context(running("mosquitto", folder, durable=False))
        embedded = await stack.enter_async_context(running("embedded", folder))
        pairs = await _pairs(stack, {"embedded": embedded, "mosquitto": mosquitto})
        for pair in pairs:  # everybody once, unmeasured
            for metric in METRICS:
                await pair.measure(metric, plan.messages // 10)
        return _figures([await _round(plan, pairs, number, say) for number in range(plan.rounds)])


async def _pairs(stack: AsyncExitStack, ports: dict[str, int]) -> list[Pair]:
    ends: dict[tuple[str, str], End] = {}
    for name, (broker, client) in PAIRS.items():
        for side in ("near", "far"):
            end = ends[name, side] = await End.started(client, f"bench-{name}-{side}", ports[broker])
            stack.push_async_callback(end.stop)
        ends[name, "far"].tell("answer", f"bench/{name}")
        await ends[name, "far"].said()
    feeders = {"embedded": "embedded", "mosquitto": "mosquitto", "aiomqtt": "mosquitto"}
    return [Pair(name, ends[name, "near"], ends[name, "far"], ends[feeders[name], "far"]) for name in PAIRS]


async def _round(plan: Plan, pairs: list[Pair], number: int, say: Callable[[str], None]) -> Figures:
    shift = number % len(pairs)
    found: Figures = {pair.name: {} for pair in pairs}
    for metric in METRICS:
        for pair in pairs[shift:] + pairs[:shift]:
            found[pair.name][metric] = await pair.measure(metric, plan.messages)
    shown = "; ".join(f"{name} " + " ".join(f"{one[metric]:.0f}" for metric in METRICS) for name, one in found.items())
    say(f"round {number + 1}: {shown}  (publish/s receive/s round trip us)")
    return found


def _figures(rounds: list[Figures]) -> Figures:
    """Return the medians over the rounds of every figure, and of the ratios within each round.

    Above 1 means that ours is better. What slows the machine for a while slows both sides of one round's ratio.
    """
    absolute = {
        name: {metric: round(statistics.median(one[name][metric] for one in rounds), 1) for metric in METRICS}
        for name in PAIRS
    }
    ratios = {
        key: {
            metric: _ratio(metric, [(one[ours][metric], one[theirs][metric]) for one in rounds]) for metric in METRICS
        }
        for key, (ours, theirs) in COMPARED.items()
    }
    return {
        **ratios,
        "absolute": absolute,
        "units": METRICS,
        "payload_bytes": 256,
        "rounds": len(rounds),
        "about": {name: f"client {client} on broker {broker}" for name, (broker, client) in PAIRS.items()},
    }


def _ratio(metric: str, pairs: list[tuple[float, float]]) -> float:
    """Return the median over `pairs` of (ours, theirs)."""
    found = statistics.median(ours / theirs for ours, theirs in pairs)
    return round(found if METRICS[metric] == "per_s" else 1 / found, 3)


def table(figures: Figures) -> str:
    """Return the figures for people."""
    rows = [f"{'':<34}{'publish/s':>12}{'receive/s':>12}{'round trip':>14}"]
    for name, about in figures["about"].items():
        publish, receive, trip = (figures["absolute"][name][metric] for metric in METRICS)
        rows.append(f"{about:<34}{publish:>12,.0f}{receive:>12,.0f}{trip:>11,.0f} us")
    rows += ["", f"{'ours is better by a factor of':<34}{'publish':>12}{'receive':>12}{'round trip':>14}"]
    titles = {"broker_vs_mosquitto": "embedded broker over Mosquitto", "client_vs_aiomqtt": "our client over aiomqtt"}
    for key, title in titles.items():
        publish, receive, trip = (figures[key][metric] for metric in METRICS)
        rows.append(f"{title:<34}{publish:>12.2f}{receive:>12.2f}{trip:>14.2f}")
    return "\n".join(rows)
