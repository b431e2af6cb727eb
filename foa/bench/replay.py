"""Recorded outcomes through a running federation, and whether it learns what a learner on the same data would.

A broker, two coordinators and an index node run as processes of their own; every agent of the file stands on the
bus and answers with its record (`foa.testing.recorded`). Queries come one by one in a shuffled order, the recorded
score of who was chosen is given as feedback. In the end what the coordinators have published is added up and
compared with the sums that one learner has that saw the same choices and scores: features and rewards, agent by agent.
"""

import asyncio
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Annotated, Any, Final, NamedTuple

import numpy as np
import typer

from foa.bench import datasets
from foa.bench.brokers import running
from foa.bench.datasets import AgentRow, OutcomeRow
from foa.core.learn import kinds
from foa.core.learn.features import M
from foa.core.learn.ledger import Ledger
from foa.core.vcv.vector import unpack_all
from foa.errors import FoaError
from foa.nodes.client import Client
from foa.nodes.federation import Federation, Member
from foa.settings import Settings
from foa.testing import recorded
from foa.testing.recorded import Played, Player
from foa.wire.messages import Learned

EXAMPLES: Final = """\b
Examples:
  foa bench replay --agents agents.jsonl.gz --outcomes outcomes.jsonl.gz
  foa bench replay --agents agents.jsonl.gz --outcomes outcomes.jsonl.gz --limit 2000 --json
"""
TAU_S: Final = 1e9
"""Forgetting so slow that weights stay 1, and sums can be compared number by number."""

BATCH: Final = 64
EVERY: Final = 100


class Plan(NamedTuple):
    """What to play: how many queries, in which order, over which broker, embedded by which model."""

    limit: int
    seed: int
    broker: str
    model: str


def replay_command(
    *,
    agents: Annotated[Path, typer.Option(help="agents, as JSON lines", exists=True, dir_okay=False)],
    outcomes: Annotated[Path, typer.Option(help="outcomes, as JSON lines", exists=True, dir_okay=False)],
    limit: Annotated[int, typer.Option(help="queries to play, drawn from all", min=2)] = 500,
    seed: Annotated[int, typer.Option(help="of the order of queries and agents")] = 0,
    broker: Annotated[str, typer.Option("--with", help="embedded or mosquitto")] = "embedded",
    model: Annotated[str, typer.Option(help="embedding model; hash needs none")] = "all-MiniLM-L6-v2",
    as_json: Annotated[bool, typer.Option("--json", help="print the figures as JSON")] = False,
) -> None:
    """Play recorded outcomes through a real federation, and hold what it learned against one learner offline."""
    known = datasets.agents(agents)
    rows = datasets.outcomes(outcomes, known)
    plan = Plan(limit, seed, broker, model)
    figures = asyncio.run(measure(plan, known, rows, lambda line: typer.echo(line, err=True)))
    typer.echo(json.dumps(figures, indent=2) if as_json else table(figures))


async def measure(
    plan: Plan, known: Sequence[AgentRow], rows: Sequence[OutcomeRow], say: Callable[[str], None]
) -> dict[str, Any]:
    """Start everything, play, compare, end everything."""
    rng = Random(plan.seed)
    unique = list({row.query: row for row in rows if row.query.strip()}.values())
    chosen = rng.sample(unique, min(plan.limit, len(unique)))
    players = cast_of(known, rows)
    rng.shuffle(players)
    heard: list[Played] = []

    def hear(played: Played) -> None:
        heard.append(played)
        if len(heard) % EVERY == 0:
            say(f"{len(heard)} of {len(chosen)} played, mean score {np.mean([p.score for p in heard]):.3f}")

    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="foa-replay-")))
        port = await stack.enter_async_context(running(plan.broker, folder))
        changes = {
            "broker.url": f"mqtt://127.0.0.1:{port}",
            "index.model": plan.model,
            "log.level": "warning",
            "learning.forget_s": str(TAU_S),
            "learning.publish_ms": "200",
            "learning.cost": "0",  # what counts here is the score alone
            "learning.latency": "0",
            "matching.cost": "0",
            "node.state_dir": str(folder / "state"),
        }
        ours = {f"FOA_{key.replace('.', '_').upper()}": value for key, value in changes.items()}
        federation = await stack.enter_async_context(Federation({**os.environ, **ours}, folder, say))
        say(f"starting two coordinators, an index node and {len(players)} recorded agents over {plan.broker}")
        await federation.start(members())
        settings = Settings.from_mapping(changes, "bench")
        client = await stack.enter_async_context(Client(settings))
        await client.embed(["the model is loaded once this is answered"])
        await stack.enter_async_context(recorded.cast(players, settings))
        await recorded.play(client, [row.query for row in chosen], players, hear)
        await asyncio.sleep(1.0)
        difference, counted = await compare(client, heard)
    return {**summary(known, chosen, heard), "rewards": counted, "model_difference": difference}


def members() -> list[Member]:
    """Return the processes beside the broker and the recorded agents."""
    return [
        *(Member(f"coordinator-{n}", ("node", "coordinator", "--name", f"coordinator-{n}")) for n in (1, 2)),
        Member("index-1", ("node", "index", "--name", "index-1")),
    ]


def cast_of(known: Sequence[AgentRow], rows: Sequence[OutcomeRow]) -> list[Player]:
    """Return the agents of a file with their records; prices are what a call cost on average (USD)."""
    prices = np.mean([row.cost for row in rows], axis=0)
    return [
        Player(row.id, row.description, float(prices[at]), {each.query: each.score[at] for each in rows})
        for at, row in enumerate(known)
    ]


async def compare(client: Client, heard: Sequence[Played]) -> tuple[float, int]:
    """Return by how much the published sums differ from one learner's at most, per reward, and how many were counted.

    Compared are, per agent, Σ x xᵀ over the kinds of the texts it was given, and the sum of its scores.
    """
    basis = kinds.basis(unpack_all((await client.embed(kinds.TEXTS)).vectors))
    texts = [played.text for played in heard]
    vectors = [v for at in range(0, len(texts), BATCH) for v in (await client.embed(texts[at : at + BATCH])).vectors]
    seen = await client.collect(["learn/#"])
    said = [(each.topic.name, each.message) for each in seen if isinstance(each.message, Learned)]
    if not said:
        raise FoaError("the coordinators published nothing that they learned")
    ledger = Ledger("bench", said[0][1].features, M, kinds.D, TAU_S, max(learned.until for _, learned in said))
    for bucket, learned in said:
        ledger.hear(bucket, learned)
    worst, counted = 0.0, 0
    for agent in sorted({played.agent for played in heard}):
        mine = [at for at, played in enumerate(heard) if played.agent == agent]
        x = np.stack([kinds.project(basis, vectors[at]) for at in mine])
        tally = ledger.tally(agent)
        if tally is None:
            return float("inf"), counted
        counted += round(tally.moments.weight)
        gram = np.abs(tally.moments.gram()[M:-1, M:-1] - x.T @ x).max()
        score = abs(float(tally.sums[0]) - sum(heard[at].score for at in mine))
        worst = max(worst, float(gram) / len(mine), score / len(mine))
    return worst, counted


def summary(known: Sequence[AgentRow], chosen: Sequence[OutcomeRow], heard: Sequence[Played]) -> dict[str, Any]:
    """Return what was reached, beside what is there to be had on the same queries."""
    scores = np.array([row.score for row in chosen])
    got = np.array([played.score for played in heard])
    share = {recorded.identity(row.id): sum(p.agent == recorded.identity(row.id) for p in heard) for row in known}
    return {
        "queries": len(heard),
        "score": float(got.mean()),
        "score_last_third": float(got[-(-2 * len(got) // 3) :].mean()),
        "random": float(scores.mean()),
        "best_single": float(scores.mean(axis=0).max()),
        "oracle": float(scores.max(axis=1).mean()),
        "chosen": dict(sorted(share.items(), key=lambda item: -item[1])),
    }


def table(figures: dict[str, Any]) -> str:
    """Return the figures for people."""
    lines = [f"{key:>18}  {value:>10.4g}" for key, value in figures.items() if not isinstance(value, dict)]
    lines += [f"{'chosen':>18}  {count:>10}  {agent}" for agent, count in figures["chosen"].items()]
    return "\n".join(lines)
