"""What several agents and people do together, over real processes: ask, refute, go around, refine, plan, join, bill."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import foa
from foa.wire.messages import Events
from foa.wire.records import Note
from tests.cli.programs import foa as command
from tests.e2e.town import Square, Town, ears, folk, results, run, square, town

ROUNDS = 3
"""The default of ``coordinator.rounds``."""

ASKER = """
import foa

async def run(text: str, task: foa.Assignment) -> str:
    if not task.answers:
        raise foa.Ask("Which harbour?", options=("north", "south"))
    return f"to the {task.answers[-1]} harbour"
"""
GUESSER = """
import foa

async def run(text: str, task: foa.Assignment) -> str:
    return "seven and nine are seventeen"
"""
COUNTER = """
import foa

async def run(text: str, task: foa.Assignment) -> str:
    return "seven and nine are sixteen"
"""
DOUBTER = """
import foa

async def run(text: str, task: foa.Assignment) -> str:
    for each in task.inputs.values():
        if b"seventeen" in (each.value.body or b""):
            raise foa.Refute(each.source, "seven and nine are not seventeen")
        if b"sixteen" in (each.value.body or b""):
            return "right: " + each.value.body.decode()
    raise foa.Decline("inputs", "no sum")
"""
VOTER = """
import foa

async def run(text: str, task: foa.Assignment) -> str:
    return {draft!r}

async def revise(draft: str, peers: list[str], task: foa.Assignment) -> str:
    seen = sorted([draft, *peers])
    return max(seen, key=seen.count)
"""
BILLED = """
import asyncio
import foa

async def run(text: str, task: foa.Assignment) -> str:
    for word in ("first", "second"):
        task.stream(word + " ")
        await asyncio.sleep(0.3)
    task.charge(0.0125, tokens_in=40, tokens_out=20)
    return "first second third"
"""
JOINER = """
import foa

async def run(text: str) -> str:
    raise foa.Decline("request", "joins, and nothing else")

async def synthesise(parts: list[foa.Part]) -> str:
    return " | ".join(f"{part.source}={part.value}" for part in parts)
"""
UPPER = """
import foa

async def run(text: str, task: foa.Assignment) -> str:
    return f"{task.subtask} by {__file__.rsplit('/', 2)[-2]}"
"""
MADE = """
from typing import Annotated
import foa

def run(stuff: Annotated[str, foa.Type("{wants}")]) -> Annotated[str, foa.Type("{gives}")]:
    {body}
"""
PROPOSAL = {
    "subtask": [
        {"id": "knead", "text": "knead the dough", "skills": ["kneading"]},
        {"id": "bake", "text": "bake the bread", "skills": ["baking"], "after": ["knead"]},
    ]
}
PIPE = """\
agent = "test/folk/{name}"
name = "{name}"
description = "{text}"

[[skill]]
id = "{name}"
description = "{text}"

[[input]]
name = "stuff"
type = "{wants}"

[[output]]
name = "made"
type = "{gives}"

[run]
python = "handler.py:run"
"""


def pipe(folder: Path, name: str, text: str, wants: str, gives: str, body: str = "") -> Path:
    """Write an agent that makes one type of another."""
    home = folder / name
    home.mkdir(parents=True)
    (home / "profile.toml").write_text(PIPE.format(name=name, text=text, wants=wants, gives=gives))
    body = body or f"return '{name}:' + stuff"
    (home / "handler.py").write_text(MADE.format(wants=wants, gives=gives, body=body))
    return home


def everybody(folder: Path) -> list[Path]:
    """Write all agents of this file."""
    revising = 'python = "handler.py:run"\nrevise = "handler.py:revise"'
    homes = [
        folk(folder, "pilot", text="Steers a ship to a harbour", handler=ASKER),
        folk(folder, "guesser", text="Adds up numbers that are spelt out", handler=GUESSER, skills=("adding",)),
        folk(folder, "counter", text="Adds numbers", handler=COUNTER, skills=("adding",)),
        folk(folder, "doubter", text="Doubts sums and checks them", handler=DOUBTER),
        folk(folder, "poet", text="Writes a long poem in pieces", handler=BILLED),
        folk(folder, "kneader", text="Kneads the dough", handler=UPPER, skills=("kneading",)),
        folk(folder, "baker", text="Bakes the bread", handler=UPPER, skills=("baking",)),
        folk(
            folder,
            "joiner",
            text="Makes one line of what others did",
            run='python = "handler.py:run"\nsynthesise = "handler.py:synthesise"',
            handler=JOINER,
            skills=("synthesise",),
        ),
        folk(
            folder,
            "recipes",
            text="Plans how bread is made",
            run=f"command = {json.dumps(['sh', '-c', f'cat > /dev/null; echo {json.dumps(json.dumps(PROPOSAL))}'])}",
            skills=("plan",),
            output=("result", "plan"),
        ),
        pipe(
            folder,
            "straight",
            "Turns ore into a ring at once",
            "ore",
            "ring",
            "raise foa.Decline('inputs', 'never today')",
        ),
        pipe(folder, "smelter", "Smelts ore into metal", "ore", "metal"),
        pipe(folder, "smith", "Forges metal into a ring", "metal", "ring"),
    ]
    for name, draft in (("voter-a", "green"), ("voter-b", "blue"), ("voter-c", "green")):
        homes.append(
            folk(
                folder,
                name,
                text="Votes for a colour",
                run=revising,
                handler=VOTER.replace("{draft!r}", repr(draft)),
                skills=("voting",),
            )
        )
    return homes


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Square]:
    folder = tmp_path_factory.mktemp("agreement")
    with square(folder, *everybody(folder), nodes=(1, 1), COORDINATOR_PATIENCE_MS="500") as here:
        yield here


async def notes_of(submitted: Any) -> list[Note]:
    """Return all notes of a watched task."""
    found: list[Note] = []
    async for events in submitted.events():
        assert isinstance(events, Events)
        found += events.notes
    return found


def agents_of(outcome: foa.Outcome) -> dict[str, tuple[str, ...]]:
    return {part.subtask: tuple(agent.rpartition("/")[2] for agent in part.agents) for part in outcome.result.parts}


def test_a_refuted_part_is_done_again_by_another(running: Square) -> None:
    plan = foa.Plan(
        (
            foa.Subtask("add", "Adds up numbers that are spelt out", skills=("adding",)),
            foa.Subtask("check", "Doubts sums and checks them", skills=("doubter",)),
        ),
        (("add", "check"),),
    )

    async def main(place: Town) -> foa.Outcome:
        async with place.client() as client:
            return await client.submit("seven and nine", plan=plan).result()

    outcome = running.run(main)
    assert outcome.checked().output == "right: seven and nine are sixteen"
    assert agents_of(outcome) == {"add": ("counter",), "check": ("doubter",)}
    assert [edit.subtask for edit in outcome.result.edits if edit.kind == "withdraw"] == ["add"]


def test_whoever_fails_is_gone_around_over_types(running: Square) -> None:
    plan = foa.Plan((foa.Subtask("ring", "Turns ore into a ring at once", produces=("ring",)),))

    async def main(place: Town) -> foa.Outcome:
        async with place.client() as client:
            ore = foa.Value("ore", "application/json", b'"ore"')
            return await client.submit("Turns ore into a ring at once", plan=plan, inputs={"stuff": ore}).result()

    outcome = running.run(main).checked()
    assert outcome.output == "smith:smelter:ore"
    assert "reroute" in {edit.kind for edit in outcome.result.edits}


def test_members_that_disagree_refine_in_few_publications(running: Square) -> None:
    async def main(place: Town) -> tuple[foa.Outcome, Counter[str]]:
        said: Counter[str] = Counter()
        async with ears(place.port, "foa/v1/channel/#") as hear, place.client() as client:

            async def listen() -> None:
                while True:
                    topic, body = await hear()
                    said[topic.split("/")[4]] += bool(body)

            listening = asyncio.create_task(listen())
            outcome = await client.submit("Votes for a colour", skills=("voting",), team=3).result()
            listening.cancel()
            await asyncio.wait({listening})
        return outcome, said

    outcome, said = running.run(main)
    assert outcome.checked().output == "green"
    (part,) = outcome.result.parts
    assert len(part.agents) == 3
    assert part.agreed
    assert part.rounds >= 1
    assert sum(said.values()) >= 3, "they spoke in a channel"
    assert all(count <= ROUNDS * 3 + 3 for count in said.values())


def test_a_planner_that_is_a_shell_script_takes_part_and_is_explained(running: Square) -> None:
    async def main(place: Town) -> foa.Outcome:
        async with place.client() as client:
            return await client.submit("Make bread: knead the dough, then bake the bread").result()

    outcome = running.run(main).checked()
    (told,) = outcome.result.deliberations
    (voice,) = [each for each in told.voices if each.planner == "test/folk/recipes"]
    assert voice.plan is not None
    assert [each.id for each in voice.plan.subtasks] == ["knead", "bake"]
    assert any("test/folk/recipes" in each.planners for each in told.kept)
    assert sorted(agents_of(outcome).values()) == [("baker",), ("kneader",)]
    words = ("explain", outcome.result.task, "--broker", running.town.url)
    explained = command(*words, cwd=running.town.folder)
    assert explained.returncode == 0, explained.stderr
    assert "test/folk/recipes: 2 subtasks" in explained.stdout


def test_an_agent_joins_the_parts(running: Square) -> None:
    plan = foa.Plan(
        (
            foa.Subtask("knead", "Kneads the dough", skills=("kneading",)),
            foa.Subtask("bake", "Bakes the bread", skills=("baking",)),
        )
    )

    async def main(place: Town) -> foa.Outcome:
        async with place.client() as client:
            return await client.submit("Makes one line of what others did: dough and bread", plan=plan).result()

    output = str(running.run(main).checked().output)
    assert sorted(output.split(" | ")) == ["bake=bake by baker", "knead=knead by kneader"]


def test_watchers_see_the_answer_grow_and_the_bill_is_kept(running: Square) -> None:
    async def main(place: Town) -> tuple[foa.Outcome, list[Note]]:
        async with place.client() as client:
            submitted = client.submit("Writes a long poem in pieces", skills=("poet",), watch=True, budget=1.0)
            notes = await notes_of(submitted)
            return await submitted.result(), notes

    outcome, notes = running.run(main)
    assert outcome.checked().output == "first second third"
    assert outcome.result.cost == pytest.approx(0.0125)
    assert any("first" in note.text and "third" not in note.text for note in notes), [note.kind for note in notes]


def test_a_subtask_of_several_trades_is_planned_in_its_turn(running: Square) -> None:
    plan = foa.Plan(
        (
            foa.Subtask("poem", "Writes a long poem in pieces", skills=("poet",)),
            foa.Subtask("bread", "knead the dough, then bake the bread"),
        )
    )

    async def main(place: Town) -> foa.Outcome:
        async with place.client() as client:
            return await client.submit("a poem and bread", plan=plan).result()

    outcome = running.run(main).checked()
    assert "expand" in {edit.kind for edit in outcome.result.edits}
    inner = {ident: agents for ident, agents in agents_of(outcome).items() if ident.startswith("bread.")}
    assert sorted(inner.values()) == [("baker",), ("kneader",)]


def test_an_answer_reaches_a_task_whose_owner_was_killed_while_it_asked(tmp_path: Path) -> None:
    async def main() -> None:
        home = folk(tmp_path, "pilot", text="Steers a ship to a harbour", handler=ASKER)
        async with town(tmp_path, home, nodes=(2, 1)) as place, place.client() as client:
            submitted = client.submit("Steers a ship to a harbour")
            owner = (await submitted.accepted()).epoch.node
            question = await anext(aiter(submitted.questions()))
            assert question.options == ("north", "south")
            place.federation.kill(owner)
            await client.answer(submitted.id, "south", subtask=question.subtask)
            outcome = await asyncio.wait_for(submitted.result(), 30)
            assert outcome.checked().output == "to the south harbour"
            assert outcome.result.epoch.node != owner
            assert len(await results(client, submitted.id)) == 1

    run(main())
