"""Whom to believe in a team: what the matchmaker learns of agents from how far teams agreed, and from verdicts.

Kept over restarts in a part of the journal of its own; it is this coordinator's own view and not summed over peers,
since a standing depends on the order in which it was learned.
"""

from typing import Final

import msgspec

from foa.core.cluster.answers import Answer
from foa.core.cluster.reputation import (
    Look,
    Reputation,
    Standing,
    known,
    learned,
    plausible,
    told,
    trust,
)
from foa.core.effects import Effect, Persist, Wake
from foa.core.machines.match.state import Match
from foa.core.routing.exchange import Spoke
from foa.wire.messages import Blob
from foa.wire.records import Hit

REPUTATION: Final = "reputation"
KEEP_S: Final = 5.0


def spoke(state: Match, said: Spoke, now: float) -> list[Effect]:
    """Learn from a team's first answers who tends to be right, and what right answers look like."""
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


class _Kept(msgspec.Struct, frozen=True):
    """What stands on disk: standings by agent, and looks by the shape of answers."""

    agents: dict[str, Standing] = {}
    shapes: dict[str, Look] = {}


def keep(state: Match) -> list[Effect]:
    """Write down what was learned lately."""
    state.keeping = False
    kept = _Kept(dict(state.reputation.agents), dict(state.reputation.shapes))
    return [Persist(Blob(msgspec.msgpack.encode(kept)), part=REPUTATION)]


def restore(state: Match, body: bytes) -> None:
    """Take back what was written down; what cannot be read is forgotten."""
    try:
        kept = msgspec.msgpack.decode(body, type=_Kept)
    except msgspec.DecodeError:
        return
    state.reputation = Reputation(kept.agents, shapes=kept.shapes)


def of(state: Match, hits: tuple[Hit, ...]) -> dict[str, tuple[float, float]]:
    """Return, for agents that refine, how often each is expected to be right, and from how many answers."""
    return {
        hit.agent: (trust(state.reputation, hit.agent), known(state.reputation, hit.agent))
        for hit in hits
        if hit.refines
    }


def looks(state: Match) -> dict[str, float]:
    """Return how much what an answer looks like speaks for it."""
    return dict(plausible(state.reputation))
