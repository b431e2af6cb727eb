"""What commands print and write: JSON, tables, results. Binary and HTML never go to a terminal."""

import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from foa.cli.ending import FAILED
from foa.errors import ConfigError

if TYPE_CHECKING:
    from foa.wire.messages import Result
    from foa.wire.records import Given, Value

TYPES: Final[Mapping[str, str]] = {
    "csv": "text/csv", "tsv": "text/tab-separated-values", "log": "text/plain", "txt": "text/plain",
    "md": "text/markdown",
    "json": "application/json", "html": "text/html", "png": "image/png", "svg": "image/svg+xml",
    "pdf": "application/pdf", "bin": "application/octet-stream",
}  # fmt: skip
_ENDINGS: Final = {kind: ending for ending, kind in TYPES.items()}
_JSON: Final = "application/json"
_SHOWN: Final = ("text/plain", "text/markdown", "text/csv", "text/tab-separated-values")

Json = Annotated[bool, typer.Option("--json", help="print JSON")]
Out = Annotated[Path | None, typer.Option(help="folder to write the results to")]


def as_json(data: Any) -> None:
    """Print `data` as JSON; what JSON has no word for is written as text."""
    print(json.dumps(data, indent=2, default=str, ensure_ascii=False))


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], empty: str, indent: str = "") -> None:
    """Print `rows` in columns as wide as they need, each line after `indent`; `empty` says that there is none."""
    if not rows:
        print(f"{indent}{empty}")
        return
    cells = [[column.removesuffix("_ms") for column in columns]]
    cells += [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(line[at]) for line in cells) for at in range(len(columns))]
    for line in cells:
        print(indent + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    text = "" if value is None else str(value)
    return text if text.isprintable() else " ".join(text.split())


def read_input(text: str) -> "tuple[str, Value]":
    """Return the name and the value of ``name=FILE[:type]``; the ending tells the type if nothing else does."""
    from foa.wire.ids import is_segment
    from foa.wire.records import Value

    name, sign, rest = text.partition("=")
    if not sign or not is_segment(name) or not rest:
        raise ConfigError(f"--input {text}: must be name=FILE or name=FILE:type, such as table=sales.csv")
    file, colon, kind = rest.rpartition(":")
    if not colon or Path(rest).exists():
        file, kind = rest, ""
    path = Path(file)
    kind = kind or TYPES.get(path.suffix.removeprefix(".").lower(), "")
    if not kind:
        raise ConfigError(f"--input {text}: the ending of {path.name} tells no type; write --input {name}={file}:TYPE")
    try:
        body = sys.stdin.buffer.read() if file == "-" else path.read_bytes()
    except OSError as error:
        raise ConfigError(f"--input {text}: {file} cannot be read: {error.strerror}") from error
    return name, Value(kind, kind if "/" in kind else _JSON, body)


def checked_name(task: str) -> str:
    """Return `task` if it can be a task's id; ConfigError otherwise."""
    from foa.wire.ids import is_segment

    if not is_segment(task):
        raise ConfigError(f"TASK {task!r} is no task id: 1 to 64 characters of A-Z a-z 0-9 _ . -")
    return task


def file_name(given: "Given") -> str:
    """Return a file name that fits a result: its own name, and the ending of its type."""
    value = given.value
    ending = _ENDINGS.get(value.type) or _ENDINGS.get(value.media, "bin")
    return f"{given.name}.{ending}"


def write_atomically(path: Path, body: bytes) -> None:
    """Write `body` to `path`, which holds all of it or is left as it was; ConfigError if it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(body)
        mask = os.umask(0)
        os.umask(mask)
        Path(scratch).chmod(0o666 & ~mask)
        Path(scratch).replace(path)
    finally:
        Path(scratch).unlink(missing_ok=True)  # there is none any more once it has its name


def outputs(result: "Result", folder: Path | None) -> list[Path]:
    """Print what a result holds; into `folder` go all of its outputs, without one only text is shown."""
    written = []
    for given in result.outputs:
        body = given.value.body
        if body is None:
            print(f"{given.name}: its {given.value.ref.size if given.value.ref else 0} bytes are gone", file=sys.stderr)
        elif folder is not None:
            written.append(folder / file_name(given))
            write_atomically(written[-1], body)
            print(written[-1])
        else:
            _show(given, body, several=len(result.outputs) > 1)
    return written


def _show(given: "Given", body: bytes, *, several: bool) -> None:
    if several:
        print(f"--- {given.name} ({given.value.type})")
    if given.value.media == _JSON:
        try:
            as_json(json.loads(body))
        except ValueError:
            print(f"{given.name}: {len(body)} bytes that are no JSON; write them to files with --out DIR")
    elif given.value.media in _SHOWN:
        print(printable(body.decode(errors="replace")))
    else:
        print(f"{given.name}: {len(body)} bytes of {given.value.type}; write them to files with --out DIR")


def printable(text: str) -> str:
    """Return `text` without what would move a terminal's cursor or worse: it comes from strangers."""
    return "".join(each for each in text if each.isprintable() or each in "\n\t")


def result_data(result: "Result") -> dict[str, Any]:
    """Return a result as ``--json`` prints it: the same document that strangers get at the door, with its parts."""
    import msgspec

    from foa.wire import door

    found: dict[str, Any] = json.loads(door.write(result))
    return {**found, "parts": msgspec.to_builtins(result.parts)}


def to_stderr(line: str) -> None:
    """Print a line that is no result."""
    print(line, file=sys.stderr, flush=True)


def outcome(result: "Result", out: Path | None, *, json_wanted: bool) -> None:
    """Print a result; raise Exit(1) after one that is none."""
    if json_wanted:
        as_json(result_data(result))
    if result.status != "done":
        if not json_wanted:
            typer.echo(f"foa: task {result.task} {result.status}: {result.code}: {result.reason}", err=True)
        raise typer.Exit(FAILED)
    if not json_wanted:
        outputs(result, out)
    elif out is not None:
        for given in result.outputs:
            write_atomically(out / file_name(given), given.value.body or b"")
