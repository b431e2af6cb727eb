"""Agents that take awards and do nothing with them are left alone for a while, longer each time; success ends it.

An award that ends in silence, a crash or a hang is a strike, a refusal a third of one, but a task strikes an agent
once only (save by silence), so that an impossible task condemns nobody. From one strike on the agent is held:
not asked while anybody else able is known, free or busy, for `FIRST_S` times two to the strikes, at most `LONGEST_S`.
When that is over it gets one award and is held until that ends. A success halves the strikes. Why somebody was not
asked is in the decision's record. Each coordinator knows what it saw itself, since it started.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from foa.core.machines.match.state import Match, Strikes
from foa.core.routing.choose import BUSY
from foa.core.routing.exchange import Concluded
from foa.core.routing.gate import Refusal
from foa.wire.records import Candidate

FIRST_S: Final = 1.0
LONGEST_S: Final = 300.0
MOST: Final = 12.0
"""Strikes that are counted; more would only make the way back longer."""

MAX_HELD: Final = 4_096
"""Agents with strikes that are remembered; whoever struck longest ago is forgotten first."""

FAULTS: Final[Mapping[str, float]] = MappingProxyType({"silent": 1.0, "crashed": 1.0, "hung": 1.0, "declined": 1 / 3})
"""What a fault weighs, in strikes. What the owner, the task or the hour is to blame for is none, nor is a failure that
is said: from those is learned, and whoever is held is not learned of."""


class Sight(NamedTuple):
    """What is looked at: the candidates of one subtask, and whether those at work were left out beforehand."""

    candidates: tuple[Candidate, ...]
    spare: bool = False


def concluded(state: Match, told: Concluded, now: float) -> None:
    """Count how an award ended against its agent, or for it."""
    held = state.strikes.get(told.agent)
    if told.done and held is not None:
        if held.number <= 1.0:
            del state.strikes[told.agent]
        else:
            state.strikes[told.agent] = held._replace(number=held.number / 2, until=now)
        return
    weight = FAULTS.get(told.fault, 0.0)
    if not weight:
        if held is not None and held.tried:  # it was asked again, and that said nothing
            state.strikes[told.agent] = held._replace(until=now, tried=False)
        return
    if held is not None and held.task == told.task and told.fault != "silent":
        return
    count = min(MOST, (held.number if held is not None else 0.0) + weight)
    state.strikes.pop(told.agent, None)
    state.strikes[told.agent] = Strikes(count, now + _pause(count), told.task, told.fault)
    while len(state.strikes) > MAX_HELD:
        state.strikes.popitem(last=False)


def awarded(state: Match, agent: str, now: float) -> None:
    """Hold an agent with strikes that is asked again: one award tells enough."""
    held = state.strikes.get(agent)
    if held is not None and held.number >= 1.0 and held.until <= now:
        state.strikes[agent] = held._replace(until=now + _pause(held.number), tried=True)


def _pause(count: float) -> float:
    return min(LONGEST_S, FIRST_S * 2.0**count) if count >= 1.0 else 0.0


def sifted(state: Match, seen: Sight, now: float) -> tuple[Candidate, ...]:
    """Return the candidates with those held refused, unless there is nobody else; the refused come last."""
    if not state.strikes:
        return seen.candidates
    held = {
        one.agent: known
        for one in seen.candidates
        if not one.refused and (known := state.strikes.get(one.agent)) is not None and known.until > now
    }
    if not held:
        return seen.candidates
    others = seen.spare or any(
        one.agent not in held and (not one.refused or one.refused.startswith(BUSY)) for one in seen.candidates
    )
    if not others:
        return seen.candidates
    refused = tuple(_held(one, held[one.agent], now) for one in seen.candidates if one.agent in held)
    return (*(one for one in seen.candidates if one.agent not in held), *refused)


def _held(candidate: Candidate, held: Strikes, now: float) -> Candidate:
    sentence = (
        f"{held.fault} last, {held.number:.3g} strikes; asked again in {held.until - now:.1f} s, or for want of others"
    )
    return msgspec.structs.replace(candidate, refused=str(Refusal("held", sentence)))
