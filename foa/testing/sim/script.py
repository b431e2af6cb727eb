"""Agents that do what they were seen to do: so long after an award, that answer. Nothing of their own code runs.

An award that was not seen is answered like those that were: after the usual time, as declared.
"""

from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Final, Literal

import msgspec

from foa.bus.port import Clock, Handle
from foa.core.machines.agent.state import Job, Stumbled, Yielded
from foa.core.vcv.profile import Profile
from foa.nodes.ports import Done, Service
from foa.testing.agents import TEXT, Begun
from foa.wire.records import Given, Value

USUAL_S: Final = 0.05
"""How long work takes of which nothing was seen."""


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one award led to: after ``delay_s`` an answer of a kind; ``silent``: none was seen."""

    task: str
    subtask: str
    kind: Literal["done", "failed", "declined", "asking", "silent"] = "done"
    delay_s: float = 0.0
    outputs: tuple[Given, ...] = ()
    cost: float = 0.0
    confidence: float | None = None
    code: str = ""
    reason: str = ""
    retryable: bool = True
    refutes: str = ""
    options: tuple[str, ...] = ()


class Script:
    """The services of one life of an agent that plays `lines`; ``begun`` hears of every start."""

    def __init__(self, owner: Profile, lines: list[Line], clock: Clock, begun: Callable[[Begun], None]) -> None:
        self._owner = owner
        self._lines = lines
        self._clock = clock
        self._begun = begun
        self._usual = median([line.delay_s for line in lines if line.kind == "done"] or [USUAL_S])
        self._work: dict[str, Handle] = {}

    def services(self) -> dict[str, Service]:
        """Return the services by name."""
        return {"handler": self.handler, "cancel": self.cancel}

    def handler(self, job: Job, done: Done) -> None:
        """Begin, and answer as the next line about this subtask says; a revision leaves the draft as it is."""
        if job.round or job.critical:
            done(Yielded(None), "")
            return
        award = job.award
        price, beside = self._owner.resources.price_call, award.award in self._work
        self._begun(Begun(self._owner.agent, job, price, self._owner.holds, beside))
        line = self._next(award.task, award.subtask.id)
        if line.kind != "silent":
            when = self._clock.time() + max(0.0, line.delay_s)
            self._work[award.award] = self._clock.call_at(when, partial(self._finish, award.award, line, done))

    def cancel(self, award: str, done: Done) -> None:
        """Stop the work on an award, if any runs."""
        del done
        if (handle := self._work.pop(award, None)) is not None:
            handle.cancel()

    def _next(self, task: str, subtask: str) -> Line:
        for at, line in enumerate(self._lines):
            if (line.task, line.subtask) == (task, subtask):
                return self._lines.pop(at)
        port = self._owner.outputs[0] if self._owner.outputs else None
        kind = port.type if port is not None else TEXT
        made = Given(port.name if port is not None else "result", Value(kind, TEXT, f"made anew: {subtask}".encode()))
        return Line(task, subtask, delay_s=self._usual, outputs=(made,))

    def _finish(self, award: str, line: Line, done: Done) -> None:
        self._work.pop(award, None)
        if line.kind == "done":
            done(Yielded(line.outputs, line.cost, line.confidence), "")
        elif line.kind == "failed":
            done(Stumbled("failed", line.code, line.reason, line.retryable, refutes=line.refutes), "")
        elif line.kind == "asking":
            done(Stumbled("asking", "input", line.reason, options=line.options), "")
        else:
            done(Stumbled("declined", line.code, line.reason), "")
