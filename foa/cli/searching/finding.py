"""``foa search``: whom a request would go to now, scored as a coordinator scores, and what the others offer."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple

import typer

from foa.cli import output
from foa.cli.charts import WIDE
from foa.cli.dlq.waiting import seconds
from foa.cli.ending import FAILED, run_async
from foa.cli.loading import QUIET, options_of
from foa.cli.searching import figures, offers
from foa.errors import ConfigError

if TYPE_CHECKING:
    from foa.cli.searching.offers import Offer
    from foa.core.routing.score import Weights
    from foa.settings import Settings
    from foa.wire.messages import Found
    from foa.wire.records import Candidate, Prefer, Query

EXAMPLES: Final = """\b
Examples:
  foa search "find what is unusual in this table"
  foa search "translate a contract" --policy eu-only --budget 0.05 --explain
  foa search "chart this" --given text/csv --json
  foa search "summarise this" --prefer latency --deadline 10s
  foa search "summarise this" --cost 3 --explain        who is still worth it where money is short
"""
FRONT: Final = "★ on the Pareto front (capitals): nobody is as good in fit, price and latency and better in one"
_QUERY_LIMIT: Final = 64
_MOST: Final = 100.0


class View(NamedTuple):
    """What a search found and what it was weighed by; ``left_ms`` is the time there is."""

    query: "Query"
    weights: "Weights"
    left_ms: float
    found: "Found"
    candidates: "tuple[Candidate, ...]"
    offers: "list[Offer]"


def search(
    ctx: typer.Context,
    text: Annotated[str, typer.Argument(help="what is to be done, in plain words")],
    *,
    k: Annotated[int, typer.Option("--k", "-k", help="how many agents", min=1, max=_QUERY_LIMIT)] = 5,
    skill: Annotated[list[str] | None, typer.Option(help="a skill the agent must have")] = None,
    policy: Annotated[list[str] | None, typer.Option(help="a policy label it must hold")] = None,
    given: Annotated[list[str] | None, typer.Option(help="a type that is at hand, such as text/csv")] = None,
    budget: Annotated[float | None, typer.Option(help="what one call may cost at most, in USD", min=0)] = None,
    deadline: Annotated[str, typer.Option(help="how long it may take: 90s, 5m, 1h")] = "300s",
    prefer: Annotated[
        Literal["balanced", "cost", "quality", "latency"], typer.Option(help="what matters more")
    ] = "balanced",
    cost: Annotated[float | None, typer.Option(help="μ, how much the price weighs", min=0, max=_MOST)] = None,
    latency: Annotated[float | None, typer.Option(help="ν, how much the latency weighs", min=0, max=_MOST)] = None,
    shortfall: Annotated[float | None, typer.Option(help="λ, how much lacks weigh", min=0, max=_MOST)] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="show each part of the score, who was refused, and the Pareto front")
    ] = False,
    as_json: output.Json = False,
) -> None:
    """Find agents by meaning, scored as a coordinator would before it learned anything.

    Weights that are given stand as they are; the others are those of the settings, bent by --prefer.
    """
    options = options_of(ctx)
    settings = options.load(QUIET).settings
    query = _query(text, skill, policy, given, budget)
    weights = _weights(settings, prefer, {"cost": cost, "latency": latency, "shortfall": shortfall})
    left_ms = seconds(deadline) * 1000.0
    view = _weighed(run_async(_search(settings, query, k)), query, weights, left_ms)
    if as_json or options.json:
        output.as_json(_data(view, prefer))
    else:
        _show(view, settings, prefer, explain=explain)
    if not view.offers:
        raise typer.Exit(FAILED)


def _query(
    text: str, skill: list[str] | None, policy: list[str] | None, given: list[str] | None, budget: float | None
) -> "Query":
    """Return the query; ConfigError names what every index node would refuse."""
    import msgspec

    from foa.wire.records import Query

    if not text.strip():
        raise ConfigError("TEXT is empty; say what is to be done")
    offered = tuple(output.TYPES.get(each, each) for each in given or ())
    query = Query(text, skills=tuple(skill or ()), policies=tuple(policy or ()), offered=offered, budget=budget)
    try:
        return msgspec.msgpack.decode(msgspec.msgpack.encode(query), type=Query)
    except msgspec.ValidationError as error:
        raise ConfigError(f"the search cannot be sent: {error}") from error


def _weights(settings: "Settings", prefer: "Prefer", given: dict[str, float | None]) -> "Weights":
    import msgspec

    from foa.core.routing.score import Weights, preferring

    chosen = settings.matching
    bent = preferring(Weights(shortfall=chosen.shortfall, cost=chosen.cost, related=chosen.related), prefer)
    return msgspec.structs.replace(bent, **{key: value for key, value in given.items() if value is not None})


async def _search(settings: "Settings", query: "Query", k: int) -> "Found":
    from foa.nodes.client import Client

    async with Client(settings) as client:
        return await client.search([query], k)


def _weighed(found: "Found", query: "Query", weights: "Weights", left_ms: float) -> View:
    """Score what was found as a coordinator does, and add whom index nodes refused."""
    from foa.core.routing.choose import consider

    hits = found.hits[0] if found.hits else ()
    candidates = consider(query, hits, weights, None, left_ms)
    seen = {each.agent for each in candidates}
    told = tuple(each for each in (found.refused[0] if found.refused else ()) if each.agent not in seen)
    return View(query, weights, left_ms, found, (*candidates, *told), offers.offers(candidates, hits))


def _data(view: View, prefer: "Prefer") -> dict[str, Any]:
    """Return all of it: what was asked, by which weights, and every candidate with all that is known of it."""
    import msgspec

    refused = [figures.row(each) for each in view.candidates if each.refused]
    asked = {key: value for key, value in msgspec.structs.asdict(view.query).items() if key != "vector"}
    return {
        "model": view.found.model,
        "partitions": len(view.found.covered),
        "query": asked,
        "prefer": prefer,
        "left_ms": view.left_ms,
        "weights": msgspec.structs.asdict(view.weights),
        "candidates": [*map(offers.as_row, view.offers), *refused],
    }


def _show(view: View, settings: "Settings", prefer: "Prefer", *, explain: bool) -> None:
    rows = offers.lines(view.offers)
    if not rows:
        print("nobody permitted and able was found")
    elif explain:
        _explain(view, rows)
    else:
        figures.table(rows, ("agent", "alpha", "price", "latency", "front"))
    if explain:
        print(textwrap.fill(figures.verdicts(view.candidates), WIDE))
        for line in figures.refusals(view.candidates):
            print(line)
    elif rows and len(rows) > 1:
        print(FRONT)
    print(_circumstances(view, prefer))
    print(f"{len(view.found.covered)} of {settings.wire.partitions} partitions answered, model {view.found.model}")


def _explain(view: View, rows: Sequence[dict[str, str]]) -> None:
    marks = {offer.candidate.agent: offer.mark for offer in view.offers}
    figures.table(figures.parts([offer.candidate for offer in view.offers], marks), figures.PARTS)
    print(f"{figures.ALPHA}\n")
    figures.table(rows, offers.LINES)
    print(f"{FRONT}\n")
    if picture := offers.plane(view.offers):
        print("\n".join(picture) + "\n")


def _circumstances(view: View, prefer: "Prefer") -> str:
    weights, budget = view.weights, view.query.budget
    share = "the dearest of them" if budget is None else f"a budget of {budget:g} USD"
    return (
        f"prefer {prefer}: lacks weigh λ = {weights.shortfall:g}, the price μ = {weights.cost:g} against {share},\n"
        f"the latency ν = {weights.latency:g} against {view.left_ms / 1000:g} s"
    )
