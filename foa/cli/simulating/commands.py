"""``foa sim``: seeds under faults, one seed looked at closely, bugs planted on purpose, and long soaks."""

import sys
from itertools import count, islice
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Final

import typer

from foa.cli import output
from foa.cli.ending import FAILED
from foa.cli.loading import options_of
from foa.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from foa.testing.sim.many import Total
    from foa.testing.sim.soak import Sample

EXAMPLES: Final = """\b
Examples:
  foa sim --seeds 2000                     whole federations under faults, on all cores
  foa sim --minutes 10 --from 100000       as many as fit, other ones
  foa sim --seed 42 --trace                one seed, with all that happens
  foa sim --shrink 42 --keep               make a failing seed small, and keep it to be run for ever
  foa sim --mutant fencing                 is a planted bug found?
  foa sim --soak 8h                        one federation for hours of virtual time: does anything grow?
"""
UNITS: Final = {"s": 1 / 3600, "m": 1 / 60, "h": 1.0, "d": 24.0}
SHOWN: Final = 6
FLAT: Final = 0.02
"""The growth per hour, as a share of what is held, that counts as none."""

Seeds = Annotated[int, typer.Option(help="how many seeds")]
From = Annotated[int, typer.Option("--from", help="the first seed")]
Jobs = Annotated[int, typer.Option(help="how many processes; 0: as many as there are cores")]
Minutes = Annotated[float | None, typer.Option(help="as many seeds as fit into so many minutes")]
Seed = Annotated[int | None, typer.Option(help="this seed only")]
Trace = Annotated[bool, typer.Option("--trace", help="with --seed: show all that happens")]
Missing = Annotated[bool, typer.Option("--coverage", help="list transitions that were never met under some fault")]
Mutant = Annotated[str, typer.Option(help="plant a bug: it must be found", metavar="NAME")]
Shrink = Annotated[int | None, typer.Option(help="cut a failing seed down", metavar="SEED")]
Keep = Annotated[bool, typer.Option("--keep", help="with --shrink: write it into tests/sim/kept")]
Soak = Annotated[str | None, typer.Option(help="virtual time of one long run: 8h, 30m", metavar="TIME")]


def sim(
    ctx: typer.Context,
    *,
    seeds: Seeds = 200,
    first: From = 0,
    jobs: Jobs = 0,
    minutes: Minutes = None,
    seed: Seed = None,
    trace: Trace = False,
    missing: Missing = False,
    mutant: Mutant = "",
    shrink: Shrink = None,
    keep: Keep = False,
    soak: Soak = None,
    as_json: output.Json = False,
) -> None:
    """Run whole federations under faults in virtual time; exit 1 if a promise broke (with --mutant: if none did)."""
    silent = as_json or options_of(ctx).json
    if soak is not None:
        _soak(hours_of(soak), first, silent=silent)
        return
    if shrink is not None:
        _shrink(shrink, mutant, keep=keep)
        return
    if trace and seed is not None:
        _trace(seed, mutant)
        return
    chosen: Iterable[int] = [seed] if seed is not None else count(first)
    if seed is None and minutes is None:
        chosen = islice(chosen, seeds)
    _many(chosen, jobs if seed is None else 1, mutant, minutes, silent=silent, missing=missing)


def _many(
    seeds: "Iterable[int]", jobs: int, mutant: str, minutes: float | None, *, silent: bool, missing: bool
) -> None:
    """Run seeds, say how far it is, and what came of it."""
    from foa.testing.sim import many
    from foa.testing.sim.observing import coverage

    begun = monotonic()
    until = None if minutes is None else begun + 60.0 * minutes
    progress = None if silent or not sys.stderr.isatty() else _told(begun)
    total = many.run(seeds, many.jobs_of(jobs), mutant, until, progress)
    plain = total.plain(monotonic() - begun)
    if silent:
        output.as_json(plain)
    else:
        _show(plain)
    if missing and not silent:
        for line in coverage.never(plain["coverage"]):
            print(line)
    if mutant and not total.violations:
        raise typer.Exit(FAILED)
    if not mutant and total.violations:
        raise typer.Exit(FAILED)


def _told(begun: float) -> "Callable[[Total], None]":
    """Return what writes one line of progress over the last."""

    def tell(total: "Total") -> None:
        seconds = monotonic() - begun
        rate = total.seeds / seconds if seconds else 0.0
        found = f"{total.violations} violations" if total.violations else "no violation"
        sys.stderr.write(f"\r{total.seeds} seeds, {found}, {rate:.1f} seeds/s ")
        sys.stderr.flush()

    return tell


def _show(plain: "Mapping[str, Any]") -> None:
    """Print a sum for people."""
    for failure in plain["failures"]:
        print(f"\nseed {failure['seed']}: replay with 'foa sim --seed {failure['seed']} --trace'")
        for one in failure["violations"][:SHOWN]:
            print(f"  {one['word']}: {one['detail']}")
    covered = plain["coverage"]
    print(
        f"\n{plain['seeds']} seeds, {plain['violations']} violations in {len(plain['failing'])} of them, "
        f"{plain['events']} events in {plain['seconds']:g} s"
    )
    print(
        f"met {covered['transitions']} transitions, {covered['pairs_met']} of {covered['pairs_reachable']} pairs with "
        f"{len(covered['faults'])} faults ({covered['share']:.0%})"
    )


def _trace(seed: int, mutant: str) -> None:
    from foa.testing.sim import mutants, run

    with mutants.applied(mutant):
        outcome = run(seed, print)
    if outcome.violations:
        raise typer.Exit(FAILED)


def _shrink(seed: int, mutant: str, *, keep: bool) -> None:
    """Cut a failing seed down, and keep it if wanted."""
    from foa.testing.sim import kept, mutants, scenario
    from foa.testing.sim.run import Run
    from foa.testing.sim.shrinking import Shrinker

    with mutants.applied(mutant):
        whole = scenario.draw(seed)
        found = Run(whole).run().violations
        if not found:
            raise ConfigError(f"--shrink {seed}: this seed breaks nothing; give one that 'foa sim' names")
        shrinker = Shrinker(found[0].word)
        small = shrinker.shrink(whole)
        left = next(one for one in Run(small).run().violations if one.word == found[0].word)
    print(
        f"{left.word}: {left.detail}\n{len(small.actors)} of {len(whole.actors)} nodes, {len(small.errands)} of "
        f"{len(whole.errands)} tasks, {len(small.storm.blows)} of {len(whole.storm.blows)} blows, after "
        f"{shrinker.runs} runs"
    )
    if keep:
        print(kept.write(Path(kept.FOLDER), kept.Kept(left.word, left.detail, small, mutant)))


def hours_of(text: str) -> float:
    """Return a span of time in hours: ``8h``, ``30m``; ConfigError for anything else."""
    try:
        hours = float(text[:-1]) * UNITS[text[-1:]]
    except (KeyError, ValueError) as error:
        raise ConfigError(f"--soak {text!r}: give a number and s, m, h or d, such as 8h") from error
    if hours <= 0.0:
        raise ConfigError(f"--soak {text!r}: give more than nothing, such as 8h")
    return hours


def _soak(hours: float, seed: int, *, silent: bool) -> None:
    """Run one federation for long; exit 1 if a task was lost, or something grows."""
    from foa.testing.sim.soak import Soak

    def tell(sample: "Sample") -> None:
        if not silent:
            print(
                f"{sample.hours:8.2f} h  {sample.told:6} tasks  {sample.entries:8} entries  "
                f"{sample.retained:5} retained  {sample.held / 1e6:7.1f} MB",
                flush=True,
            )

    soaked = Soak(seed, hours).run(tell)
    last = soaked.samples[-1]
    grows = soaked.bytes_per_hour > FLAT * last.held or soaked.entries_per_hour > FLAT * last.entries
    if silent:
        output.as_json({**soaked._asdict(), "samples": [one._asdict() for one in soaked.samples], "grows": grows})
    else:
        print(
            f"{soaked.tasks} tasks, {soaked.lost} lost, {len(soaked.errors)} errors; per hour "
            f"{soaked.entries_per_hour:+.1f} entries and {soaked.bytes_per_hour / 1e3:+.1f} kB: "
            f"{'it grows' if grows else 'flat'}"
        )
    if grows or soaked.lost or soaked.errors:
        raise typer.Exit(FAILED)
