"""Memory and open files of processes, over time: samples from ``/proc`` (Linux), and their slopes."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

PAGE_MB: Final = os.sysconf("SC_PAGE_SIZE") / (1 << 20)


class Sample(NamedTuple):
    """One process at one time: seconds since the start, resident memory in MiB, open files."""

    at_s: float
    rss_mb: float
    files: int


class Trend(NamedTuple):
    """What became of one process: first and last memory, the slopes by least squares, all without the warm-up."""

    rss_first_mb: float
    rss_last_mb: float
    rss_mb_per_hour: float
    files_first: int
    files_last: int
    files_per_hour: float


class Samples:
    """Samples of several processes by name."""

    def __init__(self) -> None:
        """Begin with none."""
        self.of: dict[str, list[Sample]] = {}

    def take(self, at_s: float, pids: Mapping[str, int]) -> None:
        """Add a sample of every process that still runs."""
        for name, pid in pids.items():
            try:
                pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                files = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
            except OSError:
                continue
            self.of.setdefault(name, []).append(Sample(at_s, pages * PAGE_MB, files))

    def trends(self, warm_s: float) -> dict[str, Trend]:
        """Return the trend of each process, leaving out what was sampled before ``warm_s``."""
        kept = {name: [one for one in samples if one.at_s >= warm_s] for name, samples in self.of.items()}
        return {name: trend(samples) for name, samples in kept.items() if len(samples) > 1}


def trend(samples: list[Sample]) -> Trend:
    """Return the trend over at least two samples; a quarter of them each make the first and the last figure."""
    few = max(1, len(samples) // 4)
    first, last = samples[:few], samples[-few:]
    return Trend(
        rss_first_mb=round(_mean([one.rss_mb for one in first]), 2),
        rss_last_mb=round(_mean([one.rss_mb for one in last]), 2),
        rss_mb_per_hour=round(slope([(one.at_s / 3600, one.rss_mb) for one in samples]), 3),
        files_first=first[0].files,
        files_last=last[-1].files,
        files_per_hour=round(slope([(one.at_s / 3600, float(one.files)) for one in samples]), 3),
    )


def slope(points: list[tuple[float, float]]) -> float:
    """Return the slope of the line of least squares through `points`; 0 if they have one x only."""
    x_mean, y_mean = _mean([x for x, _ in points]), _mean([y for _, y in points])
    spread = sum((x - x_mean) ** 2 for x, _ in points)
    return sum((x - x_mean) * (y - y_mean) for x, y in points) / spread if spread else 0.0


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
