"""Ten requests in plain words run through to a result: the ready agents, as ``foa up`` starts them, one town for all.

What came out is opened and held against its input. Where a result lacks something that was asked for, the test says so
by name (`SHORT`) and fails as soon as that is mended.
"""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

import pytest

import foa
from agents.summariser.handler import split
from foa.adapters.embed import MODEL, packaged
from tests.e2e.requests import HARVEST, LOANS, MINUTES, REQUESTS, ROOMS, TRIPS, Request
from tests.e2e.town import Square, Town, square
from tests.house.tree import ROOT

pytest.importorskip("sklearn")
pytestmark = pytest.mark.skipif(packaged(MODEL) is None, reason=f"the model {MODEL} is not installed")

READY: Final = (
    "chart_maker", "csv_profiler", "echo", "html_page", "log_reader", "outliers_forest", "outliers_lof",
    "outliers_robust", "planner", "planner_typed", "report_writer", "reviewer", "summariser", "table_query",
    "text_compare", "text_facts", "text_keywords",
)  # fmt: skip
TABLES: Final = ("loans", "readings", "harvest", "trips")
TYPES: Final = {"readme": "text/markdown"} | dict.fromkeys(TABLES, "text/csv")
Said = dict[str, str]
"""What came of a request: its outputs by type."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Square]:
    homes = [ROOT / "agents" / name for name in READY]
    with square(tmp_path_factory.mktemp("requests"), *homes, nodes=(2, 1), INDEX_MODEL=MODEL) as here:
        yield here


async def ask(place: Town, request: Request) -> tuple[foa.Outcome, Said]:
    inputs = {}
    for name, body in request.inputs.items():
        kind = TYPES.get(name, "text/plain")
        inputs[name] = foa.Value(kind, kind, body.encode())
    async with place.client() as client:
        outcome = await client.submit(request.text, inputs=inputs, deadline_s=60).result()
    said: Said = {}
    for given in outcome.result.outputs:
        said[given.value.type] = said.get(given.value.type, "") + (given.value.body or b"").decode()
    return outcome, said


def rows_of(table: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table)))


# --- what must be in each result, found without the agents that made it ----------------------------------------------


def minutes(said: Said) -> None:
    text = said["text/plain"]
    for who, what, when in (
        ("Tom", "three dealers", "20 March 2026"),
        ("Irma", "tell the city", "2026-04-02"),
        ("Paula", "book the band", "1 April 2026"),
        ("Stefan", "write the invitation", "the end of May"),
    ):
        (line,) = [line for line in text.splitlines() if line.startswith(f"- {who}: ")]
        assert what in line
        assert when in line
    short = next(part for part in re.split(r"\n\n|(?=Actions:)", text) if "Actions:" not in part and len(part) > 80)
    plain = " ".join(MINUTES.split())
    sentences = split(short.partition("## ")[2].partition("\n\n")[2] or short)
    assert len(sentences) == 3
    assert all(sentence in plain for sentence in sentences)


def letter(said: Said) -> None:
    facts = said["text/plain"]
    for fact in ("$1,850.00", "$2,035.00", "$5,550.00", "$612.40", "1 July 2026", "28 February 2026", "15 April 2026"):
        assert f"- {fact}\n" in f"{facts}\n"


def log(said: Said) -> None:
    text = said["text/plain"]
    assert "5 errors, 3 warnings" in text
    assert "4 x ERROR db: connection to # refused" in text
    assert "First error: 2026-02-11 23:10:05" in text
    assert "Last error: 2026-02-12 01:02:44" in text


def readme(said: Said) -> None:
    page = said["text/html"]
    for each in (">Tidemark</h1>", "<em>hydraulic</em>", "<li>replace official tables", "pip install tidemark\n"):
        assert each in page
    for link in ("https://tidemark.example/manual", "https://lists.tidemark.example/users"):
        assert f'<li><a href="{link}">{link}</a></li>' in page


def notes(said: Said) -> None:
    text = said["text/plain"]
    assert "- Water: 680 g at 28 degrees. → Water: 720 g at 28 degrees." in text
    assert "- Then proof overnight in the fridge." in text.partition("Added:")[2]
    assert "- The crust was pale." in text.partition("Removed:")[2]
    assert "Flour" not in text


def loans(said: Said) -> None:
    wanted = [row for row in rows_of(LOANS) if row["branch"] in {"Harbour", "Hillside"} and float(row["days_out"]) > 20]
    wanted.sort(key=lambda row: -float(row["fee_eur"]))
    assert [row["title_id"] for row in rows_of(said["text/csv"])] == [row["title_id"] for row in wanted[:5]]


def rooms(said: Said) -> None:
    page = said["text/html"]
    assert ">50<" in page
    assert "9800" in page
    assert page.count("<svg") >= 2


def harvest(said: Said) -> None:
    totals: Counter[str] = Counter()
    for row in rows_of(HARVEST):
        totals[row["variety"]] += int(row["picked_kg"])
    (chart,) = json.loads(said["charts"])
    bars = [
        float(right) - float(left)
        for left, right in re.findall(r'd="M (\S+) \S+ \nL (\S+) [^"]*" clip-path', chart["svg"])
    ]
    assert len(bars) == len(totals)
    most = max(totals.values())
    assert sorted(bar / max(bars) for bar in bars) == pytest.approx(
        sorted(kg / most for kg in totals.values()), abs=0.01
    )
    assert all(name in chart["svg"] for name in totals)


def trips(said: Said) -> None:
    prices: dict[str, list[float]] = {}
    for row in rows_of(TRIPS):
        prices.setdefault(row["weekday"], []).append(float(row["price"]))
    found = {row["weekday"]: float(row["price"]) for row in rows_of(said["text/csv"])}
    assert found == pytest.approx({day: sum(each) / len(each) for day, each in prices.items()})


def clean(said: Said) -> None:
    kept = {tuple(row.values()) for row in rows_of(ROOMS) if all(row.values())}
    page = said["text/html"]
    assert f">{len(kept)}<" in page
    assert ">50<" not in page


CHECKS: Final[dict[str, Callable[[Said], None]]] = {
    each.__name__: each for each in (minutes, letter, log, readme, notes, loans, rooms, harvest, trips, clean)
}

SHORT: Final[dict[str, tuple[str, Callable[[Said], bool]]]] = {
    "letter": ("the gist, as its subtask is not the last one", lambda said: "service charge" in said["text/plain"]),
    "rooms": (
        "outliers: 'which rows they are and mark them' is one step",
        lambda said: "<h2>What stands out</h2>" in said["text/html"],
    ),
    "trips": ("two of three questions: listed questions are one step", lambda said: "outliers" in said),
}
"""What was asked for and is not in the result, why, and how to tell that it is."""


def story(outcome: foa.Outcome) -> str:
    """Return who did what, for whoever reads why it failed."""
    done = [f"{part.subtask} ({part.attempt}): {', '.join(part.agents)}" for part in outcome.result.parts]
    chosen = [f"{each.subtask}: {each.chosen}: {each.reason}" for each in outcome.result.decisions]
    return "\n".join([*done, *chosen])


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda each: each.name)
def test_a_request_runs_through_to_its_result(running: Square, request_: Request) -> None:
    outcome, said = running.run(lambda place: ask(place, request_))
    assert outcome.result.status == "done", outcome.result.reason
    assert request_.name in SHORT or request_.yields <= said.keys(), story(outcome)
    CHECKS[request_.name](said)
    if request_.name in SHORT:
        lacking, there = SHORT[request_.name]
        assert not there(said), f"{request_.name} has now what it lacked ({lacking}): demand it"
