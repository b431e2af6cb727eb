"""Bugs planted on purpose, one in each thing that keeps a promise: the simulator must find every one of them.

Each swaps one pure function of a machine for a broken one while it is applied. Called by `foa sim --mutant` and tests.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import msgspec

from foa.core import effects as fx
from foa.core.learn.ledger import Ledger
from foa.core.machines.agent import announce
from foa.core.machines.task import machine
from foa.core.machines.task.planning import agreeing
from foa.core.machines.task.replies import answers
from foa.errors import ConfigError


class Mutant(NamedTuple):
    """One planted bug: in which module or class which function is swapped, and what for.

    ``found_as`` are the words of the laws that find it.
    """

    where: Any
    name: str
    broken: Callable[[Callable[..., Any]], Callable[..., Any]]
    found_as: frozenset[str]


@contextmanager
def applied(name: str) -> Iterator[None]:
    """Have a bug while the block runs; none with an empty name. ConfigError if there is no such bug."""
    if not name:
        yield
        return
    if name not in MUTANTS:
        raise ConfigError(f"--mutant {name!r}: there are {', '.join(sorted(MUTANTS))}")
    mutant = MUTANTS[name]
    sound = getattr(mutant.where, mutant.name)
    setattr(mutant.where, mutant.name, mutant.broken(sound))
    try:
        yield
    finally:
        setattr(mutant.where, mutant.name, sound)


def _unfenced(sound: Callable[..., Any]) -> Callable[..., Any]:
    """Have an agent forget which epochs it has heard of."""

    def offered(context: Any, state: Any, award: Any, now: float) -> Any:
        return sound(context, msgspec.structs.replace(state, epochs={}), award, now)

    return offered


def _undeduped(sound: Callable[..., Any]) -> Callable[..., Any]:
    """Have an owner take an answer for an award that is over as if it still ran."""

    def find(live: Any, message: Any) -> Any:
        found = sound(live, message)
        if found is not None:
            return found
        seats = [(work, seat) for work in live.works.values() for seat in work.seats if seat.award == message.award]
        return next(iter(seats), None)

    return find


def _unending(sound: Callable[..., Any]) -> Callable[..., Any]:
    """Have an owner never take back an award for silence."""
    del sound
    return lambda live, *_: (live, [])


def _hasty(sound: Callable[..., Any]) -> Callable[..., Any]:
    """Have an owner renew leases for a tenth of their time."""

    def alive(live: Any, work: Any, seat: Any, message: Any, context: Any, now: float) -> Any:
        after, effects = sound(live, work, seat, message, context, now)
        return after, [
            fx.Wake(one.timer, now + (one.at - now) / 10) if isinstance(one, fx.Wake) else one for one in effects
        ]

    return alive


def _cyclic(sound: Callable[..., Any]) -> Callable[..., Any]:
    """Give what planners agree on an edge back from the last step to the first."""

    def merge(*arguments: Any, **more: Any) -> Any:
        plan, report = sound(*arguments, **more)
        if plan is not None and plan.edges:
            one, other = plan.edges[0]
            plan = msgspec.structs.replace(plan, edges=(*plan.edges, (other, one)))
        return plan, report

    return merge


def _recounted(sound: Callable[..., Any]) -> Callable[..., Any]:
    """Have a ledger not know what it has counted."""
    del sound
    return lambda *_: ()


MUTANTS: Final[Mapping[str, Mutant]] = {
    "fencing": Mutant(announce, "_offered", _unfenced, frozenset({"fenced"})),
    "dedup": Mutant(answers, "_find", _undeduped, frozenset({"paid-twice"})),
    "lease": Mutant(machine, "silent", _unending, frozenset({"lease"})),
    "hasty-lease": Mutant(answers, "_alive", _hasty, frozenset({"early-lease"})),
    "merge": Mutant(agreeing, "merge", _cyclic, frozenset({"plan", "step"})),
    "reward": Mutant(Ledger, "named", _recounted, frozenset({"reward"})),
}
"""The bugs by name."""
