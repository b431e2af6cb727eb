"""Every ready agent through its own profile and runner; then all of them, one after the other, on one table."""

import asyncio
from pathlib import Path

import msgspec
import pytest
import sklearn

from foa.adapters.handlers import Assignment, inputs_of
from foa.adapters.profile import load, problems
from foa.adapters.runners import Outcome, Runner, runner_for
from foa.adapters.runners.base import lacking
from foa.core.vcv.card import card_of, profile_of
from foa.wire.records import Given, Value
from foa.wire.topics import Topics

AGENTS = Path(__file__).parents[2] / "agents"
FOLDERS = sorted(each.parent for each in AGENTS.glob("*/profile.toml"))
WINE = Path(sklearn.__file__).parent / "datasets" / "data" / "wine_data.csv"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda each: each.name)
def test_a_ready_agent_is_in_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert problems(folder) == []
    declared = load(folder)
    for name in lacking(declared.run):
        monkeypatch.setenv(name, "http://127.0.0.1:9/v1")
    assert (folder / "README.md").is_file()
    assert (folder / f"test_{folder.name}.py").is_file()
    assert all(len(skill.examples) >= 3 for skill in declared.profile.skills)
    assert profile_of(card_of(declared.profile, Topics()), declared.profile.agent) == declared.profile

    async def go() -> None:
        runner = runner_for(declared)
        await runner.start()
        await runner.close()

    asyncio.run(go())


async def started(name: str) -> Runner:
    runner = runner_for(load(AGENTS / name))
    await runner.start()
    return runner


def told(outcome: Outcome, source: str) -> tuple[Given, ...]:
    return tuple(msgspec.structs.replace(given, source=source) for given in outcome)


@pytest.mark.slow
def test_from_a_table_to_a_reviewed_report() -> None:
    async def go() -> tuple[bytes | None, bytes | None]:
        names = ("outliers_robust", "outliers_forest", "outliers_lof")
        known: tuple[Given, ...] = (Given("data", Value("text/csv", "text/csv", WINE.read_bytes())),)
        assignment = Assignment("write a report and check it", inputs=inputs_of(known))
        profile = told(await (await started("csv_profiler")).run(assignment), "s1")
        team = [await started(name) for name in names]
        drafts = [await member.run(assignment) for member in team]
        revised = [
            await member.revise(assignment, drafts[i], tuple(d for d in drafts if d is not drafts[i]))
            for i, member in enumerate(team)
        ]
        assert revised[0] == revised[1] == revised[2]
        assert revised[0] is not None
        known += profile + told(revised[0], "s2")
        for name in ("chart_maker", "report_writer", "reviewer"):
            runner = await started(name)
            known += told(await runner.run(Assignment(name, inputs=inputs_of(known))), name)
            await runner.close()
        return known[-2].value.body, known[-1].value.body

    report, review = asyncio.run(go())
    found = msgspec.json.decode(review or b"")
    assert (found["ok"], found["wrong"], found["unmarked"]) == (True, [], 0)
    assert found["checked"] > 100
    assert b"methods (isolation forest, local outlier factor, robust z-score)" in (report or b"")
    assert (report or b"").count(b"<svg") == 3
