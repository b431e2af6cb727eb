"""Whom to believe in a team: what the matchmaker learns of agents from how far teams agreed, and from verdicts.

Kept over restarts in a part of the journal of its own; it is this coordinator's own view and not summed over peers,
since a standing depends on the order in which it was learned.
"""

from typing import Final

import msgspec

from foa.core.cluster.answers import Answer
from foa.core.cluster.reputation import Reputation, Standing, known, learned, told, trust
from foa.core.effects import Effect, Persist, Wake
from foa.core.machines.match.state import Match
from foa.core.routing.exchange import Spoke
from foa.wire.messages import Blob
from foa.wire.records import Hit

REPUTATION: Final = "reputation"
KEEP_S: Final = 5.0


def spoke(state: Match, said: Spoke, now: float) -> list[Effect]:
    """Learn from a team's first answers who tends to be right."""
    answers = [Answer(agent, outputs) for agent, outputs in said.answers]
    return _changed(state, learned(state.reputation, answers), now)


def judged(state: Match, agent: str, right: float, now: float) -> list[Effect]:
    """Learn from somebody who knows how right an answer of `agent` was."""
    return _changed(state, told(state.reputation, agent, right), now)


def _changed(state: Match, after: Reputation, now: float) -> list[Effect]:
    if after is state.reputation:
        return []
    state.reputation = after
    if state.keeping:
        return []
    state.keeping = True
    return [Wake(REPUTATION, now + KEEP_S)]


def keep(state: Match) -> list[Effect]:
    """Write down what was learned lately."""
    state.keeping = False
    body = msgspec.msgpack.encode(dict(state.reputation.agents))
    return [Persist(Blob(body), part=REPUTATION)]


def restore(state: Match, body: bytes) -> None:
    """Take back what was written down; what cannot be read is forgotten."""
    try:
        agents = msgspec.convert(msgspec.msgpack.decode(body), dict[str, Standing])
    except (msgspec.DecodeError, msgspec.ValidationError):
        return
    state.reputation = Reputation(agents)


def of(state: Match, hits: tuple[Hit, ...]) -> dict[str, tuple[float, float]]:
    """Return, for agents that refine, how often each is expected to be right, and from how many answers."""
    return {
        hit.agent: (trust(state.reputation, hit.agent), known(state.reputation, hit.agent))
        for hit in hits
        if hit.refines
    }
