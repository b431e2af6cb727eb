"""When a node came up, in this life and in those before: what peers tell its lives apart by.

A birth is the wall clock's milliseconds, and above every birth of the same node that its state directory knows: a clock
that was set back does not make a living node older than its own will. Called by the kinds of node.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from foa.errors import ConfigError

KEPT: Final = 16
"""Births remembered, the latest."""


class Born(NamedTuple):
    """The number of this life, and when (wall clock, ms) the latest lives began, this one last."""

    number: int
    times: tuple[int, ...]

    def wall(self, now: float) -> float:
        """Return what added to the clock that says `now` gives seconds since 1970."""
        return self.times[-1] / 1000 - now

    def ups(self, now: float) -> tuple[float, ...]:
        """Return when the lives before this one began, on a clock that says `now`; what lies ahead counts as now."""
        return tuple(min(now, now - (self.times[-1] - each) / 1000) for each in self.times[:-1])


def born(folder: str, node: str, clock: Callable[[], int] = time.time_ns) -> Born:
    """Begin a life of `node` and note it in `folder`; ConfigError if that cannot be written.

    A `node` of "" has a name that was made up: no earlier lives, and nothing is noted.
    `clock` gives nanoseconds since 1970.
    """
    now = clock() // 1_000_000
    if not node:
        return Born(now, (now,))
    path = Path(folder) / f"{node}.births"
    lives = _read(path)
    number = max([now, *(each + 1 for each, _ in lives)])
    lives = [*lives, (number, now)][-KEPT:]
    fresh = path.with_suffix(".births-new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text("".join(f"{each} {at}\n" for each, at in lives), encoding="ascii")
        fresh.replace(path)
    except OSError as error:
        raise ConfigError(f"node.state_dir: {path}: {error.strerror}; give a folder that can be written") from error
    return Born(number, tuple(at for _, at in lives))


def _read(path: Path) -> list[tuple[int, int]]:
    """Return the lives on record; a damaged line is as none."""
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
    pairs = [line.split() for line in lines]
    return [(int(one[0]), int(one[1])) for one in pairs if len(one) == 2 and all(map(str.isdecimal, one))]  # noqa: PLR2004 - a line of two
