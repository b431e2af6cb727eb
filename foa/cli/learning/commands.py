"""``foa learn show``: the sum of what coordinators published, of all agents or of one."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from foa.cli import output
from foa.cli.ending import NotFound, run_async
from foa.cli.loading import QUIET, Loaded, options_of
from foa.errors import ConfigError

if TYPE_CHECKING:
    from foa.cli.agents import Seen
    from foa.cli.learning.survey import Learnt, Survey
    from foa.cli.learning.telling import Declared
    from foa.settings import Settings
    from foa.wire.messages import Learned

SHOW_EXAMPLES: Final = """\b
Examples:
  foa learn show
  foa learn show acme/maths/solver
  foa learn show --json | jq '.agents[] | {agent, score, rewards}'
  foa learn show --png learned.png
"""

app = typer.Typer(help="Look at what was learned of agents.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def learn() -> None:
    """Keep ``foa learn`` a group while it has one command."""


@app.command("show", epilog=SHOW_EXAMPLES)
def show(
    ctx: typer.Context,
    agent: Annotated[str, typer.Argument(help="org/unit/name; all agents without it")] = "",
    png: Annotated[Path | None, typer.Option(metavar="FILE", help="draw it into a file as well")] = None,
    as_json: output.Json = False,
) -> None:
    """Show what coordinators learned: what matters, who did well at what, and what it really cost and took."""
    from foa.cli.learning import drawing, telling
    from foa.cli.learning.survey import survey

    options = options_of(ctx)
    name = _checked(agent)
    loaded = options.load(QUIET)
    figure = drawing.figure_of(png) if png is not None else None
    heard = run_async(_heard(loaded.settings))
    now = time.time_ns() / 1e9
    found = survey(heard.records, now, loaded.settings.learning.forget_s)
    if found is not None and name:
        found = _narrowed(found, name)
    cards = telling.declared(heard.agents)
    if as_json or options.json:
        output.as_json(telling.data(found, cards))
    elif found is None:
        print(_nothing(loaded, len(heard.records)))
    else:
        _tell(found, cards, now, one=bool(name))
    if png is not None and found is not None:
        output.write_atomically(png, drawing.draw(found, figure, name))
        output.to_stderr(f"drawn into {png}")


class Heard(NamedTuple):
    """What is retained: shelves of coordinators, each with its bucket, and the agents that have cards."""

    records: "list[tuple[str, Learned]]"
    agents: "list[Seen]"


async def _heard(settings: "Settings") -> Heard:
    from foa.cli.agents import seen
    from foa.nodes.client import Client
    from foa.wire.messages import Learned

    async with Client(settings) as client:
        kept = {
            (each.topic.node, each.topic.name): each.message
            for each in await client.collect(["learn/#"])
            if isinstance(each.message, Learned) and each.message.node == each.topic.node and each.message.seq
        }
        return Heard([(bucket, learned) for (_, bucket), learned in sorted(kept.items())], await seen(client))


def _checked(agent: str) -> str:
    from foa.errors import WireError
    from foa.wire.ids import agent_id

    try:
        return agent_id(agent) if agent else ""
    except WireError as error:
        raise ConfigError(error.detail) from error


def _narrowed(found: "Survey", name: str) -> "Survey":
    """Return what was learned with one agent alone; NotFound if nothing was learned of it."""
    alone = tuple(each for each in found.agents if each.agent == name)
    if not alone:
        raise NotFound(f"nothing was learned of {name}; 'foa learn show' lists those of whom something was")
    return found._replace(agents=alone)


def _nothing(loaded: Loaded, records: int) -> str:
    """Say that nothing was learned, and why that may be."""
    if records:
        return f"nothing was learned that this version reads: {records} records are of other features"
    if not loaded.settings.learning.on:
        return f"nothing was learned: learning.on = false in {loaded.sources.get('learning.on', 'the settings')}"
    account = loaded.settings.broker.username
    unless = f"; or {account} may not read learn/# at the broker" if account else ""
    return f"nothing was learned yet: no coordinator has published a reward{unless}"


def _tell(found: "Survey", cards: "Mapping[str, Declared]", now: float, *, one: bool) -> None:
    from foa.cli.learning import telling

    for line in telling.head(found, now):
        print(line)
    if not one:
        print("\nWhat matters, for all agents alike (expected reward as a feature goes from 0 to 1):")
        output.table(telling.shared(found), telling.SHARED, "", "  ")
    print("\nHow well it went (scores from 0 ▁ to 1 █, oldest first):")
    rows = telling.agents(found.agents)
    if not one:
        rows.append({"agent": "all agents", "rewards": found.rewards, "scores over time": telling.curve(found.curve)})
    output.table(rows, telling.AGENTS, "", "  ")
    print("\nWhat it cost and took, as measured and as declared:")
    output.table(telling.costs(found.agents, cards), telling.COSTS, "nothing was measured yet", "  ")
    if one:
        _tell_skills(found.agents[0])
        return
    print("\nWho is better (+) or worse (-) than the shared weights expect, at what:")
    for each in found.agents:
        print(telling.strengths(each))


def _tell_skills(each: "Learnt") -> None:
    from foa.cli.learning import telling

    print("\nBy kind of task (own effect: better or worse than the shared weights expect):")
    output.table(telling.skills(each), telling.SKILLS, "", "  ")
    if len(each.kinds) > telling.KINDS:
        print(f"  and {len(each.kinds) - telling.KINDS} more, of less weight; --json has all of them")
