"""``foa agent …``: run one, look at those that are there, check what was written about one."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from foa.cli import output
from foa.cli.ending import FAILED, MISTAKE, NotFound, run_async
from foa.cli.loading import QUIET, options_of
from foa.cli.nodes import Parent, agent_members, follow_parent, profiles, say
from foa.cli.scripts import replica, serve_host
from foa.errors import ConfigError, WireError

if TYPE_CHECKING:
    from foa.adapters.runners.base import Runner
    from foa.core.vcv.profile import Profile
    from foa.nodes.client import Client

RUN_EXAMPLES: Final = """\b
Examples:
  foa agent run my_agents/translator            a folder with a profile.toml
  foa agent run my_agent.py:translate           a function decorated with @foa.agent
  foa agent run my_agents/translator --instance 2
  foa agent run --all my_agents                 one process for each agent in a folder
"""
LIST_EXAMPLES: Final = """\b
Examples:
  foa agent list
  foa agent list --json | jq '.[] | select(.status == "online") | .agent'
"""
SHOW_EXAMPLES: Final = """\b
Examples:
  foa agent show foa/data/csv-profiler
"""
VALIDATE_EXAMPLES: Final = """\b
Examples:
  foa agent validate my_agents/*
"""

app = typer.Typer(help="Run agents and look at them.", no_args_is_help=True, rich_markup_mode=None)


@app.command("run", epilog=RUN_EXAMPLES)
def run(
    ctx: typer.Context,
    what: Annotated[str, typer.Argument(help="folder, profile.toml, or module.py:function")] = "",
    instance: Annotated[int, typer.Option(help="number of this replica; replicas share a profile", min=0)] = 0,
    everything: Annotated[Path | None, typer.Option("--all", help="run every agent in this folder")] = None,
    parent: Parent = False,
) -> None:
    """Run an agent in this process, until it is told to end."""
    options = options_of(ctx)
    if (everything is None) == (not what):
        raise ConfigError("agent run: name one agent, or a folder of agents with --all")
    settings = options.load().settings
    if everything is not None:
        folders = profiles(str(everything))
        run_async(_run_all(options.environment({}), Path(settings.node.state_dir).absolute(), folders))
        return
    from foa.nodes.agent import AgentHost

    runner = runner_at(what, instance)
    follow_parent(parent)
    run_async(serve_host(lambda: AgentHost(runner, settings)))


async def _run_all(environment: dict[str, str], state: Path, folders: list[Path]) -> None:
    import asyncio

    from foa.nodes.federation import Federation

    async with Federation(environment, state / "logs", say) as federation:
        await federation.start(agent_members(folders))
        say(f"{len(folders)} agents run: {', '.join(federation.pids)}; logs are in {state / 'logs'}")
        await asyncio.get_running_loop().create_future()


def runner_at(what: str, instance: int = 0) -> "Runner":
    """Return the runner of an agent named by its folder, its profile, or ``module.py:function``; ConfigError."""
    from foa.adapters.runners import runner_for, runner_of

    if ".py" in what and not Path(what).is_dir():
        runner = runner_of(_handler(what))
    else:
        from foa.adapters.profile import load

        runner = runner_for(load(Path(what)))
    runner.profile = replica(runner.profile, instance)
    return runner


def _handler(what: str) -> Any:
    """Load a module's file and return its attribute; without one, its only handler."""
    import importlib.util

    from foa.adapters.handlers import Handler

    file, _, name = what.partition(".py")
    path, name = Path(file + ".py"), name.removeprefix(":")
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such file")
    sys.path.insert(0, str(path.parent.absolute()))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    if name:
        found = getattr(module, name, None)
        if found is None:
            raise ConfigError(f"{path}: has no {name!r}; write {path}:NAME with the name of a decorated function")
        return found
    handlers = {key: each for key, each in vars(module).items() if isinstance(each, Handler)}
    if len(handlers) != 1:
        raise ConfigError(f"{path}: holds {len(handlers)} agents ({', '.join(handlers) or 'none'}); write {path}:NAME")
    return next(iter(handlers.values()))


@app.command("validate", epilog=VALIDATE_EXAMPLES)
def validate(paths: Annotated[list[Path], typer.Argument(help="folders of agents, or profile files")]) -> None:
    """Say every mistake in profiles, a line each; exit 2 if there is one."""
    from foa.adapters.profile import path_of, problems

    wrong = 0
    for path in paths:
        found = problems(path)
        wrong += len(found)
        for line in found:
            typer.echo(f"foa: {path_of(path).parent}/{line}" if path_of(path).exists() else f"foa: {line}", err=True)
        if not found:
            typer.echo(f"{path}: fine")
    if wrong:
        raise typer.Exit(MISTAKE)


class Seen(NamedTuple):
    """An agent as the broker keeps it: its profile, whether it is there, and whether it can be found."""

    profile: "Profile"
    status: str
    findable: bool
    card: bytes


async def seen(client: "Client", pattern: str = "+/+/+") -> list[Seen]:
    """Return the agents whose cards are retained, by name; cards that cannot be read are left out."""
    from foa.core.vcv.card import profile_of
    from foa.wire.messages import Blob, Vcv

    received = await client.collect([f"discovery/{pattern}", f"vcv/+/{pattern}"])
    vectors = {each.topic.agent for each in received if isinstance(each.message, Vcv)}
    found = {}
    for each in received:
        if not isinstance(each.message, Blob):
            continue
        try:
            profile = profile_of(each.message.body, each.topic.agent)
        except WireError:
            continue
        status = each.envelope.status or "online"
        found[profile.agent] = Seen(profile, status, profile.agent in vectors, each.message.body)
    return [found[name] for name in sorted(found)]


@app.command("list", epilog=LIST_EXAMPLES)
def list_(ctx: typer.Context, as_json: output.Json = False) -> None:
    """List the agents of the federation, and whether they are there."""
    options = options_of(ctx)
    agents = run_async(_seen(options.load(QUIET).settings))
    rows = [
        {
            "agent": each.profile.agent,
            "status": each.status,
            "findable": each.findable,
            "name": each.profile.name,
            "skills": [skill.id for skill in each.profile.skills],
            "price": each.profile.resources.price_call,
            "latency_ms": each.profile.resources.latency_ms,
        }
        for each in agents
    ]
    if as_json or options.json:
        output.as_json(rows)
        return
    for row in rows:
        row["skills"] = ", ".join(row["skills"])  # type: ignore[arg-type]
    output.table(rows, ("agent", "status", "name", "skills", "price", "latency_ms"), "no agent has a card here")


async def _seen(settings: Any, pattern: str = "+/+/+") -> list[Seen]:
    from foa.nodes.client import Client

    async with Client(settings) as client:
        return await seen(client, pattern)


@app.command("show", epilog=SHOW_EXAMPLES)
def show(
    ctx: typer.Context,
    agent: Annotated[str, typer.Argument(help="org/unit/name")],
    as_json: output.Json = False,
) -> None:
    """Show the card of an agent: what it says it can do, takes, yields and costs."""
    import json

    from foa.wire.ids import agent_id

    options = options_of(ctx)
    try:
        name = agent_id(agent)
    except WireError as error:
        raise ConfigError(error.detail) from error
    found = run_async(_seen(options.load(QUIET).settings, name))
    if not found:
        raise NotFound(f"no agent {name} has a card here; 'foa agent list' shows those that have")
    if as_json or options.json:
        output.as_json({"agent": name, "status": found[0].status, "card": json.loads(found[0].card)})
    else:
        _show(found[0])
    if found[0].status != "online":
        raise typer.Exit(FAILED)


def _show(each: Seen) -> None:
    profile = each.profile
    print(f"{profile.name}  {profile.agent}  version {profile.version}  {each.status}")
    print(f"  {profile.description}\n")
    for skill in profile.skills:
        print(f"  skill   {skill.id}: {skill.description}")
        for example in skill.examples:
            print(f"            e.g. {example}")
    for word, ports in (("input", profile.inputs), ("output", profile.outputs)):
        for port in ports:
            print(f"  {word:<7} {port.name}: {port.type}{' (optional)' if port.optional else ''}")
    costs = profile.resources
    print(f"  costs   {costs.price_call:g} USD a call, {costs.price_1k:g} USD per 1k tokens")
    print(f"  takes   {costs.latency_ms:g} ms typically, {costs.p95_ms:g} ms at worst, {costs.concurrency} at once")
    for word, labels in (("holds", profile.holds), ("requires", profile.requires)):
        if labels:
            print(f"  {word:<7} {', '.join(labels)}")
    print(f"  effects {profile.effects}{', refines with peers' if profile.refines else ''}")
    if not each.findable:
        print("  it has no capability vector yet, so that no search finds it")
