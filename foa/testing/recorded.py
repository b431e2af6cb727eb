"""Agents that answer as others once did: recorded outcomes played over a real federation.

Every agent of a recording becomes an agent on the bus; asked a recorded text, it answers with the score it once
achieved, and declares what it once cost. `play` submits the texts one by one and gives the recorded score as feedback,
so that the federation sees of the record what a learner on the same data would: the outcome of whom it chose, late.
"""

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, NamedTuple

from foa.adapters.handlers import Assignment
from foa.adapters.runners.base import Outcome
from foa.core.vcv.profile import Profile, Skill
from foa.errors import AgentFailed, ConfigError
from foa.nodes.agent import AgentHost
from foa.nodes.client import Client
from foa.settings import Settings
from foa.wire.records import Given, Plan, Port, Resources, Subtask, Value

SKILL: Final = "recorded"
UNIT: Final = "recorded/agents"
_JSON: Final = "application/json"
_SEGMENT: Final = 48


class Player(NamedTuple):
    """One recorded agent: its name and words, what a call of it cost on average (USD), and its scores by text."""

    name: str
    description: str
    price: float
    scores: Mapping[str, float]


class Played(NamedTuple):
    """One text: who did it, and the recorded score of that."""

    text: str
    agent: str
    score: float


def identity(name: str) -> str:
    """Return the agent id under which a recorded agent of that name is on the bus."""
    return f"{UNIT}/{re.sub(r'[^A-Za-z0-9_.-]+', '-', name)[:_SEGMENT] or '-'}"


class Playback:
    """The runner of a recorded agent."""

    timeout_s = 300.0

    def __init__(self, player: Player) -> None:
        self._scores = player.scores
        self.profile = Profile(
            identity(player.name),
            player.name,
            player.description,
            skills=(Skill(SKILL, player.name, player.description),),
            outputs=(Port("score", _JSON),),
            resources=Resources(price_call=player.price, concurrency=64),
        )

    async def start(self) -> None:
        """Nothing is to be made ready."""

    async def run(self, assignment: Assignment) -> Outcome:
        """Answer with the recorded score; AgentFailed for a text that is not in the record."""
        score = self._scores.get(assignment.text)
        if score is None:
            raise AgentFailed("this text is not in the record", retryable=False)
        return (Given("score", Value(_JSON, _JSON, b"%r" % score)),)

    async def revise(self, assignment: Assignment, draft: Outcome, peers: tuple[Outcome, ...]) -> Outcome | None:
        """Keep the draft: nobody recorded what would have come of advice."""
        del assignment, peers
        return draft

    async def close(self) -> None:
        """Nothing is held."""


@asynccontextmanager
async def cast(players: Sequence[Player], settings: Settings) -> AsyncIterator[None]:
    """Have all `players` on the bus; ConfigError if two would have one identity."""
    names = [identity(player.name) for player in players]
    if len(set(names)) < len(names):
        raise ConfigError("two recorded agents have names that differ only in signs; rename one")
    async with AsyncExitStack() as stack:
        for player in players:
            await stack.enter_async_context(AgentHost(Playback(player), settings))
        yield


async def play(
    client: Client, texts: Sequence[str], players: Sequence[Player], heard: Callable[[Played], None]
) -> None:
    """Submit `texts` one after another, each judged by the recorded score of who did it, and tell `heard`."""
    by_identity = {identity(player.name): player for player in players}
    for text in texts:
        plan = Plan((Subtask("main", text, skills=(SKILL,)),))
        submitted = client.submit(text[:64], plan=plan)
        outcome = (await submitted.result()).checked()
        agent = outcome.result.parts[0].agents[0]
        score = by_identity[agent].scores[text]
        await client.feedback(submitted.id, score)
        heard(Played(text, agent, score))
