"""Files of JSON lines that benches read: gzip or plain, read whole, refused with the line that is wrong.

The benches take any file in these formats. Unknown columns are left alone.
"""

import gzip
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from foa.errors import ConfigError

T = TypeVar("T", bound=msgspec.Struct)

Score = Annotated[float, Meta(ge=-1e6, le=1e6)]
Amount = Annotated[float, Meta(ge=0.0, le=1e9)]


class AgentRow(msgspec.Struct, frozen=True):
    """One agent: who it is in words, and its prices in USD per million tokens where known."""

    id: Annotated[str, Meta(min_length=1)]
    name: str
    description: str
    usd_per_m_in: Amount | None = None
    usd_per_m_out: Amount | None = None


class QueryRow(msgspec.Struct, frozen=True):
    """One query and the agents that are right for it."""

    id: str
    query: str
    gold: Annotated[tuple[str, ...], Meta(min_length=1)]


class OutcomeRow(msgspec.Struct, frozen=True):
    """What every agent achieved on one query: score and cost (USD) in the order of the agents file."""

    id: str
    query: str
    score: tuple[Score, ...]
    cost: tuple[Amount, ...]
    task: str = ""
    latency_s: tuple[Amount, ...] = ()


def agents(path: Path) -> tuple[AgentRow, ...]:
    """Return the agents of a file; ConfigError if it cannot be read, has none, or names one twice."""
    found = rows(path, AgentRow, lambda _: "")
    seen: set[str] = set()
    for row in found:
        if row.id in seen:
            raise ConfigError(f"{path}: agent {row.id!r} is there twice; ids must differ")
        seen.add(row.id)
    return found


def queries(path: Path, known: Sequence[AgentRow]) -> tuple[QueryRow, ...]:
    """Return the queries of a file; ConfigError if one has a gold agent that is not `known`."""
    ids = {row.id for row in known}

    def flaw(row: QueryRow) -> str:
        strange = [agent for agent in row.gold if agent not in ids]
        return f"gold names {strange[0]!r}, which is not in the agents file" if strange else ""

    return rows(path, QueryRow, flaw)


def outcomes(path: Path, known: Sequence[AgentRow]) -> tuple[OutcomeRow, ...]:
    """Return the outcomes of a file; ConfigError unless each has one score and one cost per known agent."""
    count = len(known)

    def flaw(row: OutcomeRow) -> str:
        for column, values in (("score", row.score), ("cost", row.cost), ("latency_s", row.latency_s or row.cost)):
            if len(values) != count:
                return f"{column} has {len(values)} values, the agents file has {count} agents"
        return ""

    return rows(path, OutcomeRow, flaw)


def rows(path: Path, kind: type[T], flaw: Callable[[T], str]) -> tuple[T, ...]:
    """Return the rows of a file; ConfigError names the line that is no `kind`, or for which `flaw` returns why not."""
    decoder = msgspec.json.Decoder(kind)
    found: list[T] = []
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        try:
            row = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: line {number}: {error}") from None
        wrong = flaw(row)
        if wrong:
            raise ConfigError(f"{path}: line {number}: {wrong}")
        found.append(row)
    if not found:
        raise ConfigError(f"{path}: there is not one row in it")
    return tuple(found)


def _lines(path: Path) -> list[bytes]:
    try:
        body = path.read_bytes()
        if body[:2] == b"\x1f\x8b":
            body = gzip.decompress(body)
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError(f"{path} cannot be read: {error}; give a file of JSON lines, gzip or plain") from None
    return body.splitlines()
