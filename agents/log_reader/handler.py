"""Summarises a log: levels, messages that repeat, and when errors happened. No language model."""

import re
from collections import Counter
from typing import Final, NamedTuple

import foa

MAX_LINES: Final = 1_000_000
SHOWN: Final = 5
_TIME: Final = re.compile(
    r"\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?|"
    r"\b[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{1,2}/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d|\b\d\d:\d\d:\d\d\b"
)
_LEVEL: Final = re.compile(r"\b(FATAL|CRITICAL|CRIT|ERROR|ERR|WARN(?:ING)?|INFO|NOTICE|DEBUG|TRACE)\b")
_ONE: Final = {"FATAL": "ERROR", "CRITICAL": "ERROR", "CRIT": "ERROR", "ERR": "ERROR", "WARN": "WARNING"}
_NUMBER: Final = re.compile(r"0x[0-9a-fA-F]+|\b[0-9a-f]{8,}\b|\d+(?:[.:]\d+)*")


class Line(NamedTuple):
    """One line that could be read; ``form`` is its message with # for numbers."""

    time: str
    level: str
    form: str


def run(log: str) -> str:
    """Return how many lines of each level there are, what repeats most, and the first and the last error."""
    lines = [found for each in log.splitlines()[:MAX_LINES] if (found := _read(each))]
    if not lines:
        raise foa.Decline("inputs", "no line of it has a level (ERROR, WARN, INFO …) or a time: that is no log")
    levels = Counter(line.level for line in lines)
    said = [f"{len(lines)} lines: " + ", ".join(f"{count} {_word(level, count)}" for level, count in _ordered(levels))]
    repeated = [
        (line, count) for line, count in Counter((one.level, one.form) for one in lines).most_common() if count > 1
    ]
    if repeated:
        said.append("Most repeated messages:")
        said += [f"- {count} x {level} {form}" for (level, form), count in repeated[:SHOWN]]
    errors = [line for line in lines if line.level == "ERROR"]
    if errors:
        said.append(f"First error: {errors[0].time} {errors[0].form}".replace("  ", " "))
        said.append(f"Last error: {errors[-1].time} {errors[-1].form}".replace("  ", " "))
    else:
        said.append("No errors.")
    return "\n".join(said)


def _read(text: str) -> Line | None:
    """Return what a line says; None where it has neither a time nor a level, as lines of a traceback."""
    time, level = _TIME.search(text), _LEVEL.search(text)
    if time is None and level is None:
        return None
    rest = text
    for found in (level, time):
        rest = rest.replace(found[0], " ", 1) if found else rest
    name = level[1] if level else ""
    return Line(time[0] if time else "", _ONE.get(name, name), _NUMBER.sub("#", " ".join(rest.split()).strip("[]: -")))


def _ordered(levels: Counter[str]) -> list[tuple[str, int]]:
    gravity = ("ERROR", "WARNING", "NOTICE", "INFO", "DEBUG", "TRACE", "")
    return sorted(levels.items(), key=lambda each: gravity.index(each[0]))


def _word(level: str, count: int) -> str:
    word = {"ERROR": "error", "WARNING": "warning"}.get(level, level.lower() or "without a level")
    return f"{word}s" if count != 1 and level in {"ERROR", "WARNING"} else word
