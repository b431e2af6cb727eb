"""``foa drain``: a node is told to leave, and watched until it has handed over all it holds."""

import asyncio
import time
from collections.abc import Callable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from foa.cli import output
from foa.cli.agents import seen as agents_seen
from foa.cli.ending import FAILED, NotFound, run_async
from foa.cli.loading import QUIET, options_of
from foa.cli.operating.members import Members, members

if TYPE_CHECKING:
    from foa.nodes.client import Client
    from foa.settings import Settings
    from foa.wire.messages import Presence

EXAMPLES: Final = """\b
Examples:
  foa drain coordinator-1                        its partitions go to others, running tasks go on there
  foa drain index-2 --timeout 300
  foa drain acme/maths/solver                    finishes what it works on, hands back what waits
  foa drain coordinator-1 --json
"""

HOLDS: Final = {"coordinator": "partitions", "index": "partitions", "agent": "awards"}


class Target(NamedTuple):
    """Who is to leave, what kind of node it is, how much it holds, and whether somebody may take that."""

    name: str
    role: str
    held: int
    others: int


class Drained(NamedTuple):
    """How it went: ``left`` is what it still held in the end, ``done`` that it ended."""

    target: Target
    left: int
    done: bool
    seconds: float


def drain(
    ctx: typer.Context,
    node: Annotated[str, typer.Argument(help="a coordinator, an index node, or an agent (org/unit/name)")],
    timeout: Annotated[float, typer.Option(help="seconds to wait for it", min=0.1, max=86_400)] = 60.0,
    as_json: output.Json = False,
) -> None:
    """Have a node leave in good order: it takes nothing new, others take over what it holds, then it ends by itself.

    Exit code 0: it ended; 1: it had not within the time (it still leaves); 4: there is no such node.
    """
    options = options_of(ctx)
    quiet = as_json or options.json
    told = run_async(_drain(options.load(QUIET).settings, node, timeout, _silent if quiet else typer.echo))
    if quiet:
        output.as_json(_data(told))
    elif told.done:
        typer.echo(f"{told.target.name} has ended, {told.seconds:.1f} s after it was told to leave")
    else:
        typer.echo(_unfinished(told), err=True)
    if not told.done:
        raise typer.Exit(FAILED)


def _silent(line: str) -> None:
    del line


def _data(told: Drained) -> dict[str, Any]:
    target = told.target
    return {
        "node": target.name,
        "role": target.role,
        "drained": told.done,
        "held": target.held,
        "left": told.left,
        "seconds": round(told.seconds, 3),
    }


def _unfinished(told: Drained) -> str:
    """Say why it may be that a node did not end."""
    target = told.target
    holds = f"{told.left} {HOLDS[target.role]} after {told.seconds:.0f} s"
    line = f"foa: {target.name} still holds {holds} and goes on leaving"
    if target.role != "agent" and not target.others:
        return f"{line}: no other {target.role} is there to take them; start one with 'foa node {target.role}'"
    return f"{line}; wait longer with --timeout, see 'foa node list'"


async def _drain(settings: "Settings", name: str, timeout: float, say: Callable[[str], None]) -> Drained:  # noqa: ASYNC109 - what it waited for is part of the answer
    from foa.nodes.client import Client

    async with Client(settings) as client:
        target = await _found(client, name)
        say(f"{target.name} ({target.role}) holds {target.held} {HOLDS[target.role]}; it is told to leave")
        began = time.monotonic()
        left = [target.held]
        try:
            async with asyncio.timeout(timeout):
                await _watch(client, target, left, say)
        except TimeoutError:
            return Drained(target, left[0], done=False, seconds=time.monotonic() - began)
        return Drained(target, left[0], done=True, seconds=time.monotonic() - began)


async def _watch(client: "Client", target: Target, left: list[int], say: Callable[[str], None]) -> None:
    """Tell the node to leave and return once it ended; ``left`` has what it holds meanwhile."""
    from foa.wire.ids import node_of
    from foa.wire.messages import Presence

    replies = f"reply/{client.node}/control"
    shown = f"discovery/{target.name}" if target.role == "agent" else f"presence/{target.role}/{target.name}"
    told = False
    async for each in client.hear([shown, replies]):
        if not told:  # what is retained came: whatever happens from now on is heard
            client.order("drain", target.name, replies)
            told = True
        said = each.message
        if not isinstance(said, Presence) or said.node != node_of(target.name):
            continue
        holds = _holds(said)
        if holds != left[0]:
            left[0] = holds
            say(f"{target.name} holds {holds} {HOLDS[target.role]}")
        if not said.alive and not said.held and not holds:
            return


def _holds(said: "Presence") -> int:
    return said.load if said.role == "agent" else len(said.partitions)


async def _found(client: "Client", name: str) -> Target:
    """Return who is meant; NotFound has the name that comes nearest."""
    there = await members(client)
    seen = there.nodes.get(name)
    if seen is not None and (seen.alive or seen.held or seen.partitions):
        others = sum(one.role == seen.role and one.alive and one.node != name for one in there.nodes.values())
        return Target(name, seen.role, there.owned(name), others)
    agents = {each.profile.agent for each in await agents_seen(client) if each.status == "online"}
    if name in agents:
        return Target(name, "agent", 0, len(agents) - 1)
    raise NotFound(f"no node {name} is there; {_nearest(name, there, agents)}")


def _nearest(name: str, there: Members, agents: set[str]) -> str:
    known = sorted([*(node for node, seen in there.nodes.items() if seen.alive), *agents])
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    return "'foa node list' shows nodes, 'foa agent list' agents"
