"""What the ready agents tell each other, as plain dataclasses: the SDK checks what comes in against them.

Unknown fields are ignored and most have a default, so that strangers that speak the same types fit in.
"""

from dataclasses import dataclass, field
from typing import Any

Ballot = dict[int, float]


@dataclass
class Column:
    """One column of a table; the moments are there for numbers, ``top`` for text and columns of few values."""

    name: str
    dtype: str = ""
    count: int = 0
    missing: int = 0
    unique: int = 0
    min: float | None = None
    max: float | None = None
    mean: float | None = None
    std: float | None = None
    q25: float | None = None
    median: float | None = None
    q75: float | None = None
    skew: float | None = None
    top: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Pair:
    """Two columns and their correlation."""

    a: str
    b: str
    r: float


@dataclass
class TableProfile:
    """The type ``table-profile``: what is in a table."""

    rows: int
    columns: list[Column]
    missing: int = 0
    duplicates: int = 0
    correlations: list[Pair] = field(default_factory=list)
    delimiter: str = ","
    header: bool = True
    notes: list[str] = field(default_factory=list)


@dataclass
class Odd:
    """One row that stands out: its score in robust deviations, how many flag it, its most unusual cells."""

    row: int
    score: float = 0.0
    votes: int = 1
    values: dict[str, float] = field(default_factory=dict)


@dataclass
class Outliers:
    """The type ``outliers``: the rows that stand out, row 0 being the first row of data.

    ``members`` is the number of ballots, one per method; ``answer`` the rows that more than half of them flag.
    """

    answer: list[int]
    rows: list[Odd] = field(default_factory=list)
    method: str = "another method"
    considered: int = 0
    members: int = 1
    ballots: dict[str, Ballot] = field(default_factory=dict)
    note: str = ""


@dataclass
class Chart:
    """One of the list that the type ``charts`` is."""

    title: str
    caption: str
    svg: str
