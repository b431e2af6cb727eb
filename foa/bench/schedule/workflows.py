"""Workflows to be replayed, from a file of JSON lines or made up, and the layered plans scaling is measured on."""

import gzip
from pathlib import Path
from random import Random
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from foa.core.dag.plan import check
from foa.errors import ConfigError
from foa.wire.records import Plan, Subtask

SHORTEST_S: Final = 0.001
"""Seconds that a step takes at least: recorders write 0 where a clock did not move."""


class Workflow(msgspec.Struct, frozen=True):
    """One workflow: ``runtime_s`` by step, ``edges`` between their numbers. Further fields of a file are left alone."""

    id: str
    edges: tuple[tuple[Annotated[int, Meta(ge=0)], Annotated[int, Meta(ge=0)]], ...]
    runtime_s: Annotated[tuple[float | None, ...], Meta(min_length=1)]

    @property
    def seconds(self) -> tuple[float, ...]:
        """How long each step takes, in seconds."""
        return tuple(max(SHORTEST_S, one or 0.0) for one in self.runtime_s)


def load(path: Path) -> list[Workflow]:
    """Return the workflows of a file, plain or gzip; ConfigError names the line that is none."""
    try:
        held = path.read_bytes()
        lines = (gzip.decompress(held) if path.suffix == ".gz" else held).splitlines()
    except (OSError, EOFError) as error:
        raise ConfigError(f"--workflows {path}: {error}; give JSON lines, plain or gzip") from error
    return [_read(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]


def _read(path: Path, number: int, line: bytes) -> Workflow:
    try:
        workflow = msgspec.json.decode(line, type=Workflow)
    except msgspec.DecodeError as error:
        raise ConfigError(f"--workflows {path}, line {number}: {error}; give id, edges and runtime_s") from error
    fault = check(plan_of(workflow))
    if fault is not None:
        raise ConfigError(f"--workflows {path}, line {number}: {workflow.id}: {fault}")
    return workflow


def name(number: int) -> str:
    """Return the subtask id of step `number`."""
    return f"n{number:05}"


def plan_of(workflow: Workflow) -> Plan:
    """Return a workflow as a plan whose weights are its runtimes; what is said of each step is the same."""
    subtasks = tuple(
        Subtask(name(at), "run one step", skills=("run",), weight=seconds)
        for at, seconds in enumerate(workflow.seconds)
    )
    return Plan(subtasks, tuple((name(one), name(other)) for one, other in dict.fromkeys(workflow.edges)))


def layered(size: int, width: int = 10, degree: int = 2, seed: int = 0) -> Workflow:
    """Return a made-up workflow of layers, in which every step waits for `degree` of the layer before it."""
    rng = Random(f"{seed}/{size}/{width}")
    edges: list[tuple[int, int]] = []
    for at in range(width, size):
        start = (at // width - 1) * width
        edges += [(start + one, at) for one in rng.sample(range(width), degree)]
    return Workflow(
        f"layered-{size}x{width}-{seed}", tuple(edges), tuple(rng.lognormvariate(1.5, 1.0) for _ in range(size))
    )


def fan(size: int, seed: int = 0) -> Workflow:
    """Return a made-up workflow: one step, then many side by side, then one."""
    rng = Random(f"{seed}/{size}")
    last = size - 1
    edges = [(0, at) for at in range(1, last)] + [(at, last) for at in range(1, last)]
    return Workflow(f"fan-{size}-{seed}", tuple(edges), tuple(rng.lognormvariate(1.5, 1.0) for _ in range(size)))


def synthetic() -> list[Workflow]:
    """Return a few made-up workflows, for who has no file."""
    return [layered(60, 6), layered(200, 40), fan(100), layered(40, 1, 1)]
