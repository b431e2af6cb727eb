"""Any CSV to a data frame: what the ready agents that read tables have in common.

Encodings, byte order marks, delimiters, decimal commas, preambles and missing headers are found out, not
asked for. Imported by handlers inside their functions, as pandas need not be in memory before the first task.
"""

import contextlib
import csv
import io
import re
from collections import Counter
from itertools import islice
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

import foa

MAX_ROWS: Final = 1_000_000
MAX_COLUMNS: Final = 2_000
_SAMPLE: Final = 65_536
_DELIMITERS: Final = ",;\t|"
_NUMBER: Final = re.compile(
    r"\s*[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?\s*%?\Z|\s*(nan|inf|na)\s*\Z", re.IGNORECASE
)
_DECIMAL_COMMA: Final = re.compile(r"\s*[-+]?\d+,\d+\s*\Z")


class Table(NamedTuple):
    """A table that was read; row 0 is the first row of data. ``notes`` say what had to be guessed or left out."""

    frame: Any
    delimiter: str
    header: bool
    notes: tuple[str, ...]


class _Shape(NamedTuple):
    delimiter: str
    skip: int
    names: list[str]
    header: bool
    decimal: str


def read(body: bytes) -> Table:
    """Return the table in `body`; Decline says why it is none."""
    text = _text(body)
    if not text.strip():
        raise foa.Decline("inputs", "the table is empty")
    shape = _shape(text)
    if len(shape.names) > MAX_COLUMNS:
        raise foa.Decline("inputs", f"the table has {len(shape.names)} columns, at most {MAX_COLUMNS} are read")
    try:
        frame = pd.read_csv(
            io.StringIO(text),
            sep=shape.delimiter,
            header=None,
            names=shape.names,
            skiprows=shape.skip,
            nrows=MAX_ROWS + 1,
            decimal=shape.decimal,
            index_col=False,
            skipinitialspace=True,
            on_bad_lines="skip",
            low_memory=False,
        )
    except (ValueError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise foa.Decline("inputs", f"the table cannot be read as CSV: {error}") from error
    if frame.empty:
        raise foa.Decline("inputs", "the table has a header and no rows")
    return Table(frame.iloc[:MAX_ROWS], shape.delimiter, shape.header, tuple(_notes(shape, len(frame))))


def numbers(frame: Any) -> Any:
    """Return the numeric columns of `frame` that hold at least one finite number; infinities count as missing."""
    found = frame.select_dtypes(include="number").astype(float).replace([np.inf, -np.inf], np.nan)
    return found.dropna(axis="columns", how="all")


def is_counter(column: Any) -> bool:
    """Tell whether a numeric column merely numbers the rows (1, 2, 3 …), as ids do."""
    values = column.to_numpy()
    return len(values) > 2 and bool(np.all(np.diff(values) == 1))  # noqa: PLR2004 - two rows prove nothing


def _text(body: bytes) -> str:
    """Decode by byte order mark, else UTF-8, else Windows-1252, which takes Latin-1 as well."""
    if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return body.decode("utf-16", "replace")
    if b"\0" in body[:_SAMPLE]:
        raise foa.Decline("inputs", "the table is binary, not text")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("cp1252", "replace")


def _shape(text: str) -> _Shape:
    sample = text[:_SAMPLE]
    if len(text) > _SAMPLE and "\n" in sample:
        sample = sample[: sample.rindex("\n")]
    rows, delimiter = max(((_rows(sample, each), each) for each in _DELIMITERS), key=lambda found: _agreement(found[0]))
    width = Counter(len(row) for row, _ in rows).most_common(1)[0][0]
    skip = next(i for i, (row, _) in enumerate(rows) if len(row) == width)
    skip += _is_stray(rows[skip][0], [row for row, _ in rows[skip + 1 :]])
    first = rows[skip][0]
    header = _is_header(first, [row for row, _ in rows[skip + 1 :]])
    lines = rows[skip][1] if header else (rows[skip - 1][1] if skip else 0)
    body = [cell for row, _ in rows[skip + 1 :] for cell in row if cell.strip()]
    commas = sum(1 for cell in body if _DECIMAL_COMMA.match(cell))
    decimal = "," if delimiter != "," and commas > len(body) / 10 else "."
    names = _unique([cell.strip() for cell in first] if header else [f"c{i + 1}" for i in range(width)])
    return _Shape(delimiter, lines, names, header, decimal)


def _rows(sample: str, delimiter: str) -> list[tuple[list[str], int]]:
    """Return the first rows that hold anything, each with the number of the line it ends on."""
    reader = csv.reader(io.StringIO(sample), delimiter=delimiter, skipinitialspace=True)
    found: list[tuple[list[str], int]] = []
    with contextlib.suppress(csv.Error):
        found.extend((row, reader.line_num) for row in islice(reader, 500) if any(cell.strip() for cell in row))
    return found or [([""], 1)]


def _agreement(rows: list[tuple[list[str], int]]) -> tuple[float, int]:
    """Score a delimiter: how many rows it cuts alike into more than one cell, then into how many."""
    width, alike = Counter(len(row) for row, _ in rows).most_common(1)[0]
    return (alike / len(rows) if width > 1 else 0.0, width)


def _is_header(first: list[str], rest: list[list[str]]) -> bool:
    """Tell names from data: all there, none a number; and not all of them found again below."""
    cells = [cell.strip() for cell in first]
    if not all(cells) or any(_NUMBER.match(cell) for cell in cells):
        return False
    return not rest or any(cell not in {row[i].strip() for row in rest if i < len(row)} for i, cell in enumerate(cells))


def _is_stray(first: list[str], rest: list[list[str]]) -> bool:
    """Tell a line about the table (``150,4,setosa,…``) from its data: it has numbers, and words over numbers."""
    if not rest or not any(_NUMBER.match(cell) for cell in first):
        return False
    full = [row for row in rest if len(row) == len(first)]
    return any(
        cell.strip() and not _NUMBER.match(cell) and all(_NUMBER.match(row[i]) for row in full if row[i].strip())
        for i, cell in enumerate(first)
        if any(row[i].strip() for row in full)
    )


def _unique(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name}.{seen[name]}")
    return found


def _notes(shape: _Shape, rows: int) -> list[str]:
    notes = []
    if not shape.header:
        notes.append("The table has no header; columns are named c1, c2 and so on.")
    if rows > MAX_ROWS:
        notes.append(f"Only the first {MAX_ROWS} rows were read.")
    return notes
