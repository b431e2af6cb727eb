"""Checks of the federation: who is there, is every partition owned and covered, does anything lie undone."""

import time
from typing import Final

from foa.cli.agents import Seen, seen
from foa.cli.checking.findings import Finding, graded
from foa.core.effects import Received
from foa.nodes.client import Client
from foa.settings import Settings
from foa.wire.messages import Own, Presence

AHEAD_MS: Final = 60_000
SHOWN: Final = 10


async def checks(settings: Settings) -> list[Finding]:
    """Return all findings about who is on the bus."""
    async with Client(settings) as client:
        received = await client.collect(["presence/+/+", "own/+", "dlq/+/+"])
        agents = await seen(client)
    told = {e.message.node: e.message for e in received if isinstance(e.message, Presence)}  # the latest of each
    nodes = [each for each in told.values() if each.alive]
    return [
        *(
            _present(role, sorted(each.node for each in nodes if each.role == role))
            for role in ("coordinator", "index")
        ),
        _owned(received, {each.node for each in nodes}, settings.wire.partitions),
        _covered(nodes, settings.wire.partitions),
        _clocks(nodes),
        _software(nodes),
        _letters(received),
        _agents(agents),
    ]


def _present(role: str, names: list[str]) -> Finding:
    shown = f"{len(names)}: {', '.join(names[:SHOWN])}"
    return graded(f"{role} nodes", names, shown, "none", f"start one with 'foa node {role}', or all with 'foa up'")


def _owned(received: list[Received], alive: set[str], partitions: int) -> Finding:
    owned = {e.topic.partition for e in received if isinstance(e.message, Own) and e.message.epoch.node in alive}
    missing = partitions - len(owned)
    mend = "wait a moment after a start or a death; if it stays, start a coordinator"
    bad = f"{missing} of {partitions} have no live owner: their tasks stand still"
    return graded("partitions owned", missing <= 0, f"all {partitions}", bad, mend)


def _covered(nodes: list[Presence], partitions: int) -> Finding:
    covered = {number for each in nodes if each.role == "index" for number in each.partitions}
    missing = partitions - len(covered)
    mend = "wait a moment after a start or a death; if it stays, start an index node"
    return graded("partitions searched", missing <= 0, f"all {partitions}", f"{missing} of {partitions} are not", mend)


def _clocks(nodes: list[Presence]) -> Finding:
    now = time.time_ns() // 1_000_000
    ahead = sorted(each.node for each in nodes if each.epoch > now + AHEAD_MS)
    bad = f"{', '.join(ahead[:SHOWN])}: born in the future"
    mend = "set the clocks: what such a node says outranks its next life's until then"
    return graded("clocks", not ahead, "nobody is born in the future", bad, mend, worst="warn")


def _software(nodes: list[Presence]) -> Finding:
    found = sorted({each.software for each in nodes if each.software})
    words = ", ".join(found) or "not told"
    return graded("software", len(found) < 2, words, words, "several versions: finish the update", worst="warn")  # noqa: PLR2004 - one, or not


def _letters(received: list[Received]) -> Finding:
    found = sorted({each.topic.task for each in received if each.topic.kind == "letter"})
    bad = f"{len(found)}: {', '.join(found[:3])}"
    return graded("tasks given up", not found, "none", bad, "look at them with 'foa dlq list'", worst="warn")


def _agents(agents: list[Seen]) -> Finding:
    online = [each for each in agents if each.status == "online"]
    hidden = [each.profile.agent for each in online if not each.findable]
    if hidden:
        return Finding("agents", "fail", f"{', '.join(hidden[:5])} cannot be found: no capability vector yet")
    away = len(agents) - len(online)
    bad = f"none online, {away} offline"
    return graded("agents", online, f"{len(online)} online, {away} offline", bad, "'foa agent run'", worst="warn")
