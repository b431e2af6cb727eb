"""The work of a run: which task is the n-th of a submitter. Pure: the same seed and number are the same task."""

import hashlib
from itertools import pairwise
from random import Random
from typing import Any, Final, NamedTuple

import msgspec

from foa.wire.records import Given, Plan, Subtask, Task, Value

MIX: Final = {
    "echo": 40,
    "measure": 8,
    "chain": 16,
    "diamond": 8,
    "planned": 12,
    "pay": 5,
    "large": 4,
    "team": 3,
    "cancelled": 4,
}
"""Sorts of tasks and their share in percent."""
STEPPED: Final = frozenset({"chain", "diamond", "planned", "cancelled"})
"""Those of several steps."""
STEPS: Final = ("measure", "polish", "archive")
SKILLS: Final = (*STEPS, "echo", "pay", "weigh", "ponder")
"""What the agents of a run can do, in the order in which they are started."""
LARGE: Final = (20_000, 300_000)
"""Bytes of large inputs: by reference, and above 128 KiB in chunks."""
PLAN_TEXT: Final = (
    "Measure the words of this note, then polish the wording of the draft, then archive the finished report"
)
TEAM: Final = 3
PRIORITIES: Final = (5, 5, 5, 5, 0, 2, 7, 9)
"""Half of the tasks say nothing of whose turn it is."""
PAID: Final = 0.3
"""The share of chains whose last step happens once."""


class Errand(NamedTuple):
    """A task to submit. ``wanted`` is its output where that is known; it is cancelled after ``cancel_s``."""

    sort: str
    task: Task
    wanted: str = ""
    cancel_s: float | None = None


def errand(submitter: str, seed: int, number: int, deadline_s: float) -> Errand:
    """Return the task `number` of a submitter."""
    rng = Random(f"{seed}/{submitter}/{number}")
    (sort,) = rng.choices(list(MIX), list(MIX.values()))
    made = _MAKERS[sort](rng, f"note {number} of {submitter}")
    name = f"{sort}-{submitter}-{number}-{rng.getrandbits(32):08x}"
    named = {"id": name, "submitter": submitter, "deadline_ms": int(deadline_s * 1000)}
    return made._replace(task=msgspec.structs.replace(made.task, **named, priority=rng.choice(PRIORITIES)))


def _task(text: str, **more: Any) -> Task:
    return Task("unnamed", text, **more)


def _text(text: str) -> tuple[Given, ...]:
    return (Given("text", Value("text/plain", "text/plain", text.encode())),)


def _echo(rng: Random, text: str) -> Errand:
    del rng
    return Errand("echo", _task("Repeat this text word for word", skills=("echo",), inputs=_text(text)), text)


def _measure(rng: Random, text: str) -> Errand:
    words = f"{text} {'word ' * rng.randrange(1, 9)}"
    task = _task("Measure this note", skills=("measure",), inputs=_text(words))
    return Errand("measure", task, f"{len(words.split())} words")


def _steps(rng: Random, count: int) -> tuple[Subtask, ...]:
    skills = [rng.choice(STEPS) for _ in range(count)]
    return tuple(Subtask(f"s{at}", f"{skill} it", skills=(skill,)) for at, skill in enumerate(skills))


def _chain(rng: Random, text: str) -> Errand:
    steps = _steps(rng, rng.randint(3, 4))
    if rng.random() < PAID:
        steps = (*steps[:-1], Subtask(steps[-1].id, "pay it", skills=("pay",)))
    plan = Plan(steps, tuple(pairwise(step.id for step in steps)))
    return Errand("chain", _task("Work in steps", plan=plan, inputs=_text(text)))


def _diamond(rng: Random, text: str) -> Errand:
    plan = Plan(_steps(rng, 4), (("s0", "s1"), ("s0", "s2"), ("s1", "s3"), ("s2", "s3")))
    return Errand("diamond", _task("Work in branches", plan=plan, inputs=_text(text)))


def _planned(rng: Random, text: str) -> Errand:
    del rng
    return Errand("planned", _task(PLAN_TEXT, inputs=_text(text)))


def _pay(rng: Random, text: str) -> Errand:
    del rng
    return Errand("pay", _task("Pay this invoice", skills=("pay",), inputs=_text(text)), f"paid {text}")


def _large(rng: Random, text: str) -> Errand:
    body = text.encode() + rng.randbytes(rng.choice(LARGE))
    given = (Given("table", Value("application/octet-stream", "application/octet-stream", body)),)
    task = _task("Fingerprint this table", skills=("weigh",), inputs=given)
    return Errand("large", task, hashlib.sha256(body).hexdigest())


def _team(rng: Random, text: str) -> Errand:
    del rng
    return Errand("team", _task("Judge this question", skills=("ponder",), team=TEAM, inputs=_text(text)))


def _cancelled(rng: Random, text: str) -> Errand:
    return _chain(rng, text)._replace(sort="cancelled", cancel_s=rng.uniform(0.2, 2.0))


_MAKERS: Final = {
    "echo": _echo,
    "measure": _measure,
    "chain": _chain,
    "diamond": _diamond,
    "planned": _planned,
    "pay": _pay,
    "large": _large,
    "team": _team,
    "cancelled": _cancelled,
}
