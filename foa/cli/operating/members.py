"""``foa node list``: which nodes are there, and who owns what."""

from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from foa.cli import output
from foa.cli.ending import run_async
from foa.cli.loading import QUIET, options_of

if TYPE_CHECKING:
    from foa.nodes.client import Client
    from foa.settings import Settings
    from foa.wire.messages import Presence

EXAMPLES: Final = """\b
Examples:
  foa node list
  foa node list --partitions                     who owns each partition, under which epoch
  foa node list --json | jq '.nodes[] | select(.state == "alive") | .node'
"""


class Members(NamedTuple):
    """The nodes that show themselves, by name, and (node, number of the epoch) of every claim, by partition."""

    nodes: "dict[str, Presence]"
    claims: dict[int, tuple[str, int]]

    def owned(self, node: str) -> int:
        """Return how many partitions `node` holds: claims of a coordinator, what an index node serves."""
        seen = self.nodes[node]
        if seen.role != "coordinator":
            return len(seen.partitions)
        return sum(owner == node for owner, _ in self.claims.values())


async def members(client: "Client") -> Members:
    """Return who is there."""
    from foa.wire.messages import Own, Presence

    nodes: dict[str, Presence] = {}
    claims: dict[int, tuple[str, int]] = {}
    for each in await client.collect(["presence/+/+", "own/+"]):
        match each.message:
            case Presence() as seen if seen.node == each.topic.node:
                nodes[seen.node] = seen
            case Own(partition, epoch):
                claims[partition] = (epoch.node, epoch.n)
    return Members(dict(sorted(nodes.items())), dict(sorted(claims.items())))


def state_of(seen: "Presence") -> str:
    """Return the word for how a node stands."""
    if seen.alive:
        return "leaving" if seen.held else "alive"
    return "held back" if seen.held else "leaving" if seen.partitions else "gone"


def list_nodes(
    ctx: typer.Context,
    partitions: Annotated[bool, typer.Option("--partitions", help="show the owner of every partition")] = False,
    as_json: output.Json = False,
) -> None:
    """List coordinators and index nodes: how they stand, and how many partitions they hold."""
    options = options_of(ctx)
    found = run_async(_found(options.load(QUIET).settings))
    rows: list[dict[str, Any]] = [
        {"node": name, "role": seen.role, "state": state_of(seen), "partitions": found.owned(name), "load": seen.load}
        for name, seen in found.nodes.items()
    ]
    owners = [{"partition": at, "owner": node, "epoch": n} for at, (node, n) in found.claims.items()]
    if as_json or options.json:
        output.as_json({"nodes": rows, "owners": owners})
        return
    output.table(
        rows, ("node", "role", "state", "partitions", "load"), "no node shows itself here; 'foa up' starts some"
    )
    if partitions:
        output.table(owners, ("partition", "owner", "epoch"), "nobody has claimed a partition")


async def _found(settings: "Settings") -> Members:
    from foa.nodes.client import Client

    async with Client(settings) as client:
        return await members(client)
