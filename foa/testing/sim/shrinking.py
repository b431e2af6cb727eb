"""A failing scenario cut down to a small one that fails in the same way: delta debugging over what was drawn.

After Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input" (2002): whole halves first, then ever
smaller parts, until nothing more can be left out within the number of runs allowed.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from foa.bus.memory import Faults
from foa.testing.agents import Temper
from foa.testing.sim.run import Run
from foa.testing.sim.scenario import Actor, Scenario
from foa.testing.workload import Errand

RUNS: Final = 400
"""Runs after which what was reached is good enough."""

Fails = Callable[[Scenario], bool]


class Shrinker:
    """Cuts scenarios down. ``word`` is of the law that must still break; ``runs`` counts what it took."""

    def __init__(self, word: str, runs: int = RUNS) -> None:
        self.runs = 0
        self._word = word
        self._most = runs

    def shrink(self, scenario: Scenario) -> Scenario:
        """Return the smallest scenario found that breaks the same law."""
        size = -1
        while size != (size := len(msgspec.json.encode(scenario))) and self.runs < self._most:
            scenario = self._cut(scenario, "blows")
            scenario = self._cut(scenario, "errands")
            scenario = self._cut(scenario, "actors")
            for simpler in _simpler():
                if self._fails(found := simpler(scenario)):
                    scenario = found
        return scenario

    def _cut(self, scenario: Scenario, what: str) -> Scenario:
        """Leave out as much as can be of one list, by halves, quarters and so on."""
        items, parts = _items(scenario, what), 2
        while items and self.runs < self._most:
            size = max(1, len(items) // parts)
            for start in range(0, len(items), size):
                fewer = (*items[:start], *items[start + size :])
                if self._fails(_with(scenario, what, fewer)):
                    scenario, items = _with(scenario, what, fewer), fewer
                    parts = max(2, parts - 1)
                    break
            else:
                if size == 1:
                    break
                parts = min(len(items), 2 * parts)
        return scenario

    def _fails(self, scenario: Scenario) -> bool:
        if self.runs >= self._most or not _whole(scenario):
            return False
        self.runs += 1
        return self._word in {violation.word for violation in Run(scenario).run().violations}


def _items(scenario: Scenario, what: str) -> tuple[Any, ...]:
    return scenario.storm.blows if what == "blows" else tuple(getattr(scenario, what))


def _with(scenario: Scenario, what: str, items: Sequence[Any]) -> Scenario:
    if what == "blows":
        storm = msgspec.structs.replace(scenario.storm, blows=tuple(items))
        return msgspec.structs.replace(scenario, storm=storm)
    return msgspec.structs.replace(scenario, **{what: tuple(items)})


def _whole(scenario: Scenario) -> bool:
    """Tell whether there is somebody of every kind that a federation needs, and every task has its client."""
    clients = set(scenario.names("client"))
    there = scenario.names("coordinator") and scenario.names("index")
    return bool(there) and all(errand.client in clients for errand in scenario.errands)


def _simpler() -> Iterator[Callable[[Scenario], Scenario]]:
    """Yield what may be made plainer: the network, clocks, tempers, durations."""
    yield partial(_stormy, faults=Faults())
    for name in Faults.__struct_fields__:
        yield partial(_without, name)
    yield partial(_stormy, hostile=0.0)
    yield lambda now: msgspec.structs.replace(now, keep_alive_s=60)
    yield lambda now: msgspec.structs.replace(now, actors=tuple(_plain(actor) for actor in now.actors))
    yield lambda now: msgspec.structs.replace(now, actors=tuple(_even(actor) for actor in now.actors))
    yield lambda now: msgspec.structs.replace(now, errands=tuple(_patient(errand) for errand in now.errands))
    yield partial(_rounded, 1)
    yield partial(_rounded, 2)


def _without(name: str, scenario: Scenario) -> Scenario:
    """Return `scenario` without one kind of the network's faults."""
    faults = msgspec.structs.replace(scenario.storm.faults, **{name: getattr(Faults(), name)})
    return _stormy(scenario, faults=faults)


def _rounded(digits: int, scenario: Scenario) -> Scenario:
    blows = [blow._replace(at=round(blow.at, digits), lasts=round(blow.lasts, digits)) for blow in scenario.storm.blows]
    return _stormy(scenario, blows=tuple(blows))


def _stormy(scenario: Scenario, **changes: Any) -> Scenario:
    return msgspec.structs.replace(scenario, storm=msgspec.structs.replace(scenario.storm, **changes))


def _even(actor: Actor) -> Actor:
    return msgspec.structs.replace(actor, starts_s=0.0, offset_s=0.0, skew_s=0.0)


def _plain(actor: Actor) -> Actor:
    return actor if actor.temper is None else msgspec.structs.replace(actor, temper=Temper())


def _patient(errand: Errand) -> Errand:
    return errand._replace(at=round(errand.at, 1), cancel_at=None, says=())
