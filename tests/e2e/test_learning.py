"""A federation that learns: from verdicts and feedback, over restarts, and the same as one learner offline would."""

import asyncio
from pathlib import Path
from random import Random
from typing import Final

import numpy as np
import pytest

import foa
from foa.core.learn import kinds
from foa.core.learn.features import M
from foa.core.learn.ledger import Ledger
from foa.core.vcv.vector import unpack_all
from foa.errors import TaskError
from foa.testing import recorded
from foa.testing.recorded import Played, Player
from foa.wire.messages import Evidence, Learned
from foa.wire.records import Query
from tests.e2e.town import Town, folk, run, town

WORDS: Final = ("sum the numbers", "write a poem on rain", "translate this letter", "plan a trip to Rome")
STEADY: Final = """\
async def run(text: str) -> str:
    return text
"""
FAULTY: Final = """\
async def run(text: str) -> str:
    raise ValueError("out of order")
"""


async def learned(client: foa.Client) -> list[Learned]:
    """Return what coordinators have published."""
    return [each.message for each in await client.collect(["learn/#"]) if isinstance(each.message, Learned)]


async def summed(client: foa.Client) -> Ledger:
    """Return the sum of what coordinators have published."""
    said = await client.collect(["learn/#"])
    features = next(each.message.features for each in said if isinstance(each.message, Learned))
    ledger = Ledger("reader", features, M, kinds.D, 7 * 86_400.0, 1_700_000_000.0)
    for each in said:
        if isinstance(each.message, Learned):
            ledger.hear(each.topic.name, each.message)
    return ledger


def players(texts: list[str]) -> list[Player]:
    """Return three agents: one good at two kinds of `texts`, one at the other two, one at nothing."""
    good = {text: 0.9 if text.startswith(WORDS[:2]) else 0.2 for text in texts}
    other = {text: 0.1 if text.startswith(WORDS[:2]) else 0.8 for text in texts}
    return [
        Player("first", "Answers recorded questions", 0.001, good),
        Player("second", "Answers recorded questions", 0.001, other),
        Player("third", "Answers recorded questions", 0.001, dict.fromkeys(texts, 0.05)),
    ]


@pytest.mark.slow
def test_the_federation_learns_what_one_learner_would_offline(tmp_path: Path) -> None:
    """Two coordinators; what they publish adds up to the sums of every task's features and recorded score."""
    texts = [f"{words} number {n}" for n in range(12) for words in WORDS]
    cast = players(texts)
    order = Random(3).sample(texts, len(texts))
    heard: list[Played] = []

    async def main() -> tuple[Ledger, np.ndarray, np.ndarray]:
        async with town(tmp_path, nodes=(2, 1), LEARNING_PUBLISH_MS="100") as place, place.client() as client:
            async with recorded.cast(cast, place.settings(**{"node.state_dir": str(tmp_path / "cast")})):
                await place.know({recorded.identity(player.name) for player in cast})
                await recorded.play(client, order, cast, heard.append)
            await asyncio.sleep(0.5)
            basis = kinds.basis(unpack_all((await client.embed(kinds.TEXTS)).vectors))
            vectors = (await client.embed([played.text for played in heard])).vectors
            return await summed(client), basis, np.stack([kinds.project(basis, vector) for vector in vectors])

    ledger, _, tasks = run(main())
    assert len(heard) == len(texts)
    for agent in {played.agent for played in heard}:
        mine = [at for at, played in enumerate(heard) if played.agent == agent]
        tally = ledger.tally(agent)
        assert tally is not None
        assert tally.moments.count == len(mine)
        gram = tally.moments.gram() / (tally.moments.weight / len(mine))  # weights are equal but for seconds of decay
        x = tasks[mine].astype("<f4").astype(float)
        np.testing.assert_allclose(gram[M:-1, M:-1], x.T @ x, atol=2e-3)
        scores = np.array([heard[at].score for at in mine])
        assert tally.sums[0] / tally.moments.weight == pytest.approx(scores.mean(), abs=1e-3)


@pytest.mark.slow
def test_a_faulty_agent_loses_its_traffic_and_feedback_moves_it(tmp_path: Path) -> None:
    faulty = folk(tmp_path, "faulty", text="Repeats what it is told", handler=FAULTY, skills=("repeat",))
    steady = folk(tmp_path, "steady", text="Says what it heard", handler=STEADY, skills=("repeat",))

    async def main() -> None:
        async with (
            town(tmp_path, faulty, steady, restart=True, LEARNING_PUBLISH_MS="100") as place,
            place.client() as client,
        ):
            asked = [await first_asked(client, f"Repeats what it is told, time {n}") for n in range(10)]
            assert asked[0] == "test/folk/faulty", "its words fit best"
            assert asked[-4:] == ["test/folk/steady"] * 4
            await restarted(place)
            assert await first_asked(client, "Repeats what it is told, again") == "test/folk/steady"
            await asyncio.sleep(0.6)
            said = [e.message for e in await client.collect(["evidence/#"]) if isinstance(e.message, Evidence)]
            assert {each.agent for each in said} == {"test/folk/faulty", "test/folk/steady"}
            (hits,) = (await client.search([Query("Repeats what it is told, once more", skills=("repeat",))])).hits
            done = {hit.agent: hit for hit in hits}
            assert done["test/folk/steady"].mass > 1.0, "the index knows what it did"
            assert done["test/folk/faulty"].done < 0.0 < done["test/folk/steady"].done

    run(main())


async def first_asked(client: foa.Client, text: str) -> str:
    """Submit one task; return whom its first award went to."""
    outcome = (await client.submit(text, skills=("repeat",)).result()).checked()
    return outcome.result.decisions[0].chosen[0]


async def restarted(place: Town) -> None:
    """Kill the coordinator and have it come back with nothing but its journal and what the broker keeps."""
    name = next(name for name in place.federation.pids if name.startswith("coordinator"))
    await asyncio.sleep(0.5)
    place.federation.kill(name)
    await asyncio.sleep(1.5)


@pytest.mark.slow
def test_feedback_is_taken_once_and_told_when_it_is_too_late(tmp_path: Path) -> None:
    steady = folk(tmp_path, "steady", text="Says what it heard", handler=STEADY, skills=("repeat",))

    async def main() -> None:
        async with town(tmp_path, steady, LEARNING_PUBLISH_MS="100") as place, place.client() as client:
            submitted = client.submit("say it", skills=("repeat",), private=True)
            (await submitted.result()).checked()
            for score in (0.25, 0.25, 0.5):
                await client.feedback(submitted.id, score)
            await asyncio.sleep(0.5)
            changes = [c.score for each in await learned(client) for c in each.recent]
            assert changes == pytest.approx([1.0, -0.75, 0.25])
            with pytest.raises(TaskError, match="no reward of task nobody is remembered"):
                await client.feedback("nobody", 1.0)
            with pytest.raises(TaskError, match="subtask other of task"):
                await client.feedback(submitted.id, 1.0, subtask="other")

    run(main())
