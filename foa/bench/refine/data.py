"""Recorded debates: what each agent answered in each round, and whether that was right."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from foa.bench.datasets import rows
from foa.core.cluster.answers import Answer
from foa.wire.records import MAX_TEAM, Given, Value


class ReplyRow(msgspec.Struct, frozen=True):
    """One answer and whether it was right (``ok`` > 0); no answer: none could be read from the reply."""

    ok: float | bool
    answer: str | float | None = None


class DebateRow(msgspec.Struct, frozen=True):
    """One problem: ``rounds[a][r]`` is what ``agents[a]`` said in round r; who was not asked further has fewer."""

    id: str
    agents: Annotated[tuple[str, ...], Meta(min_length=1, max_length=MAX_TEAM)]
    rounds: tuple[tuple[ReplyRow, ...], ...]
    kind: str = ""


class Debate(NamedTuple):
    """One problem as it is replayed: by round, each agent's answer and whether it was right (1.0) or not (0.0)."""

    kind: str
    agents: tuple[str, ...]
    answers: tuple[Mapping[str, Answer], ...]
    right: tuple[Mapping[str, float], ...]


def debates(path: Path) -> tuple[Debate, ...]:
    """Return the debates of a file; ConfigError names the line that is wrong."""
    return tuple(map(_debate, rows(path, DebateRow, _flaw)))


def _flaw(row: DebateRow) -> str:
    if len(row.rounds) != len(row.agents):
        return f"rounds has {len(row.rounds)} lists, agents names {len(row.agents)}; give one list per agent"
    if not all(row.rounds):
        return f"{row.agents[row.rounds.index(())]!r} has no reply; every agent must have one in the first round"
    return ""


def _debate(row: DebateRow) -> Debate:
    names: list[str] = []
    for agent in row.agents:
        names.append(agent if agent not in names else f"{agent}#{len(names)}")
    answers: list[dict[str, Answer]] = [{} for _ in range(max(map(len, row.rounds)))]
    right: list[dict[str, float]] = [{} for _ in answers]
    for name, replies in zip(names, row.rounds, strict=True):
        for number, reply in enumerate(replies):
            answers[number][name] = said(name, reply.answer)
            right[number][name] = float(reply.ok > 0)
    return Debate(row.kind, tuple(names), tuple(answers), tuple(right))


def said(agent: str, answer: str | float | None) -> Answer:
    """Return an answer as an agent would have sent it: a few words of plain text."""
    body = b"" if answer is None else str(answer).encode(errors="replace")
    return Answer(agent, (Given("answer", Value("text/plain", media="text/plain", body=body)),))
