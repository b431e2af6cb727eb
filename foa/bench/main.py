"""``foa bench``: the commands, reached by the command line through an entry point."""

import asyncio
import json
from typing import Annotated

import typer

from foa.bench import replay, roundtrip
from foa.bench.bus import command as bus
from foa.bench.chaos import command as chaos
from foa.bench.endurance import command as endurance
from foa.bench.index import command as index
from foa.bench.matchmaking import command as matchmaking
from foa.bench.plans import command as plans
from foa.bench.refine import command as refine
from foa.bench.routing import command as routing
from foa.bench.schedule import command as schedule
from foa.bench.takeover import command as takeover
from foa.bench.trust import command as trust

app = typer.Typer(
    name="bench",
    help="Measure this machine: ratios within one run, medians of several rounds.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

EXAMPLES = """\b
Examples:
  foa bench roundtrip
  foa bench roundtrip --json --rounds 5
  foa bench roundtrip --with mosquitto
"""


@app.callback()
def bench() -> None:
    """Keep ``foa bench`` a group while it has one command."""


@app.command("roundtrip", epilog=EXAMPLES)
def roundtrip_command(
    agents: Annotated[int, typer.Option(help="how many agents are registered", min=1, max=100_000)] = 1000,
    tasks: Annotated[int, typer.Option(help="tasks in one round at one in flight", min=10)] = 300,
    rounds: Annotated[int, typer.Option(help="rounds; the medians over them are reported", min=1)] = 3,
    broker: Annotated[str, typer.Option("--with", help="embedded or mosquitto")] = "embedded",
    model: Annotated[str, typer.Option(help="embedding model; hash needs none")] = "all-MiniLM-L6-v2",
    as_json: Annotated[bool, typer.Option("--json", help="print the figures as JSON")] = False,
) -> None:
    """Time one echo task through client, broker, coordinator, index and agent, beside a bare request and reply."""
    plan = roundtrip.Plan(agents=agents, tasks=tasks, rounds=rounds, broker=broker, model=model)
    figures = asyncio.run(roundtrip.measure(plan, lambda line: typer.echo(line, err=True)))
    typer.echo(json.dumps(figures, indent=2) if as_json else roundtrip.table(figures))


app.command("index", epilog=index.EXAMPLES)(index.index_command)
app.command("routing", epilog=routing.EXAMPLES)(routing.routing_command)
app.command("replay", epilog=replay.EXAMPLES)(replay.replay_command)
app.command("bus", epilog=bus.EXAMPLES)(bus.bus_command)
app.command("matchmaking", epilog=matchmaking.EXAMPLES)(matchmaking.matchmaking_command)
app.command("bandit", epilog=matchmaking.BANDIT_EXAMPLES)(matchmaking.bandit_command)
app.command("plans", epilog=plans.EXAMPLES)(plans.plans_command)
app.command("refine", epilog=refine.EXAMPLES)(refine.refine_command)
app.command("takeover", epilog=takeover.EXAMPLES)(takeover.takeover_command)
app.command("schedule", epilog=schedule.EXAMPLES)(schedule.schedule_command)
app.command("trust", epilog=trust.EXAMPLES)(trust.trust_command)
app.command("chaos", epilog=chaos.EXAMPLES)(chaos.chaos_command)
app.command("submitter", hidden=True)(chaos.submitter_command)
app.command("flood", epilog=endurance.FLOOD_EXAMPLES)(endurance.flood_command)
app.command("soak", epilog=endurance.SOAK_EXAMPLES)(endurance.soak_command)
