"""``foa broker``, ``foa node …`` and ``foa up``: processes that stay until they are told to end."""

import asyncio
import gc
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from foa.cli.ending import run_async
from foa.cli.loading import Loaded, Options, options_of
from foa.cli.scripts import serve_host
from foa.errors import ConfigError

if TYPE_CHECKING:
    from foa.nodes.federation import Federation, Member
    from foa.nodes.host import Host
    from foa.wire.acl import Role

PORT: Final = 1883
LEAVE_S: Final = 2.0
"""How long a node that was told to end by a signal stays to see its partitions taken."""

UP_EXAMPLES: Final = """\b
Examples:
  foa up                                    everything on this machine, on port 1883
  foa up --port 0 --agents my_agents        a free port, and your own agents
  foa up --secure                           encrypted, an account for each process, nobody else gets in
  foa up --broker mqtt://broker.lan:1883    nodes and agents beside a broker that runs
"""
COORDINATOR_EXAMPLES: Final = """\b
Examples:
  foa node coordinator --name coordinator-1
  foa node coordinator --broker mqtt://broker.lan:1883 --set node.state_dir=/var/lib/foa
"""
INDEX_EXAMPLES: Final = """\b
Examples:
  foa node index --name index-1
  foa node index --set index.model=hash                        no model: words alone
"""

app = typer.Typer(help="Run one node in the foreground.", no_args_is_help=True, rich_markup_mode=None)

Parent = Annotated[bool, typer.Option("--parent", hidden=True, help="end when standard input closes")]
Name = Annotated[str, typer.Option(help="its name, unique in the federation and kept over restarts")]


@app.command("coordinator", epilog=COORDINATOR_EXAMPLES)
def coordinator(ctx: typer.Context, name: Name = "", parent: Parent = False) -> None:
    """Run a coordinator: it owns partitions and runs the tasks in them. Any number may run."""
    from foa.core.machines import ownership
    from foa.nodes.coordinator import coordinator as make

    loaded = _named(options_of(ctx), name)
    follow_parent(parent)
    collect_seldom()
    run_async(serve_host(lambda: make(loaded.settings), lambda host: host.leave(ownership.KEY, LEAVE_S)))


@app.command("index", epilog=INDEX_EXAMPLES)
def index(ctx: typer.Context, name: Name = "", parent: Parent = False) -> None:
    """Run an index node: it holds capability vectors, answers searches, and embeds for those without a model."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: its threads wait for each other for milliseconds
    from foa.nodes.shard import shard_node

    loaded = _named(options_of(ctx), name)
    follow_parent(parent)

    def make() -> "Host":
        host = shard_node(loaded.settings)
        collect_seldom()
        return host

    from foa.nodes.shard import KEY

    run_async(serve_host(make, lambda host: host.leave(KEY, LEAVE_S)))


def _named(options: Options, name: str) -> Loaded:
    flags = {**options.flags, **({"node.name": name} if name else {})}
    return options._replace(flags=flags).load()


def collect_seldom() -> None:
    """Look for garbage more seldom: a node keeps thousands of records alive, and none of them is ever in a cycle.

    What is loaded already is not looked at again. A tenth more tasks a second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


def follow_parent(wanted: bool) -> None:
    """End with the parent process, if that is `wanted`."""
    from foa.nodes.federation import end_with_parent

    if wanted:
        end_with_parent()


class Plan(NamedTuple):
    """What ``foa up`` starts."""

    coordinators: int
    indices: int
    agents: Sequence[Path]
    port: int | None
    secure: bool = False


def up(
    ctx: typer.Context,
    *,
    coordinators: Annotated[int, typer.Option(help="how many coordinators", min=1, max=64)] = 2,
    index: Annotated[int, typer.Option(help="how many index nodes", min=1, max=64)] = 1,
    agents: Annotated[str, typer.Option(help="folder of agents; none: no agents")] = "",
    port: Annotated[
        int | None,
        typer.Option(help="port of the broker; 0: a free one  [default: 1883, 8883 with --secure]", min=0, max=65_535),
    ] = None,
    state_dir: Annotated[Path | None, typer.Option(help="where journals and logs are kept")] = None,
    secure: Annotated[bool, typer.Option(help="TLS, an account for each process, access control")] = False,
) -> None:
    """Start a federation on this machine, and keep it running until Ctrl-C."""
    options = options_of(ctx)
    if state_dir is not None:
        options.flags["node.state_dir"] = str(state_dir)
    loaded = options.load()
    if loaded.sources["broker.url"] != "default":
        if secure:
            raise ConfigError("--secure: is for the broker that 'foa up' starts; leave broker.url out, or --secure")
        plan = Plan(coordinators, index, profiles(agents), None)
    else:
        plan = Plan(coordinators, index, profiles(agents), (8883 if secure else 1883) if port is None else port, secure)
    run_async(_up(options, loaded, plan))


async def _up(options: Options, loaded: Loaded, plan: Plan) -> None:
    from foa.nodes.federation import Federation

    state = absolute(loaded.settings.node.state_dir)
    url = loaded.settings.broker.url
    changes: dict[str, Any] = {"node.state_dir": state}
    how = f" --broker {url}"
    if plan.port is not None:
        from foa.bus.process import STORE

        port = free_port(plan.port)
        url = changes["broker.url"] = f"mqtt://127.0.0.1:{port}"
        how = "" if port == PORT else f" --broker {url}"
        member = broker_member(port, state / STORE)
    if plan.secure:
        from foa.cli.securing.up import secured

        accounts = {**numbered(plan.coordinators, plan.indices), "agent": identities(plan.agents)}
        url, how, member = secured(state / "secured", accounts, port, loaded.settings.wire.root, changes)
    async with Federation(options.environment(changes), state / "logs", say) as federation:
        if plan.port is not None:
            await federation.start([member])
        await federation.start([*node_members(plan.coordinators, plan.indices), *agent_members(plan.agents)])
        show_up(federation, url, state, how)
        if plan.port is not None and not plan.secure:
            say("nothing is encrypted, and everybody on this machine may connect: 'foa up --secure' changes both")
        await asyncio.get_running_loop().create_future()


def absolute(folder: str) -> Path:
    """Return `folder` from the root, for children and for people."""
    return Path(folder).absolute()


def show_up(federation: "Federation", url: str, state: Path, how: str) -> None:
    """Print what runs, and how to use it: ``how`` are the options that reach it."""
    for name, pid in federation.pids.items():
        say(f"  {name:<24} pid {pid}")
    say(f"logs are in {state / 'logs'}")
    say(f'try: foa{how} task submit "echo hello"')
    say(f"{len(federation.pids)} processes run; the broker is {url}; Ctrl-C ends them all")


def say(line: str) -> None:
    """Print a line at once, also into a pipe."""
    print(line, flush=True)


def broker_member(port: int, store: Path | None = None) -> "Member":
    """Return the embedded broker as a child, which keeps what must survive it in `store`."""
    from foa.nodes.federation import Member

    keeping = () if store is None else ("--store", str(store))
    return Member("broker", ("broker", "--port", str(port), *keeping), last=True)


def node_members(coordinators: int, index: int) -> list["Member"]:
    """Return that many coordinators and index nodes, under the names they always have."""
    from foa.nodes.federation import Member

    counts = {"index": index, "coordinator": coordinators}
    return [
        Member(f"{role}-{number}", ("node", role, "--name", f"{role}-{number}"))
        for role, count in counts.items()
        for number in range(1, count + 1)
    ]


def agent_members(folders: Sequence[Path]) -> list["Member"]:
    """Return one child for each profile, called as its folder."""
    from foa.nodes.federation import Member

    return [Member(folder.name, ("agent", "run", str(folder))) for folder in folders]


def numbered(coordinators: int, indices: int) -> "dict[Role, list[str]]":
    """Return the names that nodes have everywhere: coordinator-1, coordinator-2 … and so on."""
    counts: dict[Role, int] = {"coordinator": coordinators, "index": indices}
    return {role: [f"{role}-{number}" for number in range(1, count + 1)] for role, count in counts.items()}


def identities(folders: Sequence[Path]) -> list[str]:
    """Return the identities that the profiles in `folders` declare; ConfigError for a profile with mistakes."""
    from foa.adapters.profile import load

    return [load(folder).profile.agent for folder in folders]


def profiles(agents: str) -> list[Path]:
    """Return the agents' folders in `agents`: "" for the ready ones, "none" for none; ConfigError if none is there.

    Those whose variables of the environment are not set (a model without an endpoint) are left out of a folder of
    agents; an agent that is named itself is not.
    """
    if agents == "none":
        return []
    folder = Path(agents) if agents else ready_agents()
    inside = sorted(path.parent.absolute() for path in folder.glob("*/profile.toml"))
    found = [each for each in inside if not wanting(each)]
    if (folder / "profile.toml").is_file():
        found.append(folder.absolute())
    if not inside and not found:
        raise ConfigError(f"--agents {folder}: holds no */profile.toml; give a folder of agents, or none")
    return found


def wanting(folder: Path) -> tuple[str, ...]:
    """Return the variables of the environment that the agent in `folder` needs and that are not set.

    A profile with mistakes wants nothing: its own process says what they are.
    """
    from foa.adapters.profile import load
    from foa.adapters.runners.base import lacking

    try:
        return lacking(load(folder).run)
    except ConfigError:
        return ()


def ready_agents() -> Path:
    """Return the folder of the agents that come with foa."""
    import foa

    return Path(foa.__file__).parent.parent / "agents"


def free_port(port: int) -> int:
    """Return `port`, or a free one for 0; ConfigError if it is taken."""
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ConfigError(
                f"--port {port}: {error.strerror}; choose another with --port, or join the broker that runs there "
                f"with --broker mqtt://127.0.0.1:{port}"
            ) from error
        return int(probe.getsockname()[1])
