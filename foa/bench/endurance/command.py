"""The commands ``foa bench flood`` and ``foa bench soak``."""

import asyncio
import json
from collections.abc import Mapping
from typing import Annotated, Any, cast, get_args

import typer

from foa.bench.endurance import flood as flooding
from foa.bench.endurance import soak as soaking
from foa.bench.endurance.town import Defence
from foa.errors import ConfigError

FLOOD_EXAMPLES = """\b
Examples:
  foa bench flood                            1,000,000 hostile messages at 2,000 a second: some 11 minutes
  foa bench flood --messages 60000 --json
"""
SOAK_EXAMPLES = """\b
Examples:
  foa bench soak --minutes 15
  foa bench soak --minutes 480 --tasks-per-second 10 --json
"""

Broker = Annotated[str, typer.Option(help="embedded or mosquitto")]
Defended = Annotated[
    str, typer.Option("--defence", help="full: TLS, accounts, access control and seals; seals: those alone; or none")
]
AsJson = Annotated[bool, typer.Option("--json", help="print the figures as JSON")]


def flood_command(
    *,
    messages: Annotated[int, typer.Option(help="hostile messages in all", min=1000)] = 1_000_000,
    rate: Annotated[float, typer.Option(help="hostile messages a second", min=1, max=100_000)] = 2000.0,
    tasks_per_second: Annotated[float, typer.Option(help="honest tasks a second", min=0.1, max=1000)] = 40.0,
    broker: Broker = "embedded",
    defence: Defended = "seals",
    seed: Annotated[int, typer.Option(help="of what the attacker does")] = 0,
    as_json: AsJson = False,
) -> None:
    """Flood a federation at work with messages mutated from its own, and look at what it accepts and still does."""
    burden = flooding.Burden(messages, rate, tasks_per_second, broker, _defence(defence), seed)
    _show(asyncio.run(flooding.flood(burden, _say)), as_json=as_json)


def soak_command(
    *,
    minutes: Annotated[float, typer.Option(help="how long", min=0.1)] = 15.0,
    tasks_per_second: Annotated[float, typer.Option(help="honest tasks a second", min=0.1, max=1000)] = 20.0,
    broker: Broker = "embedded",
    defence: Defended = "none",
    as_json: AsJson = False,
) -> None:
    """Work steadily for a long time, and look at the slopes of memory and open files of every process."""
    _show(asyncio.run(soaking.soak(minutes, tasks_per_second, broker, _defence(defence), _say)), as_json=as_json)


def _defence(word: str) -> Defence:
    for known in get_args(Defence):
        if word == known:
            return cast("Defence", known)
    raise ConfigError(f"--defence {word}: must be one of {', '.join(get_args(Defence))}")


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _show(figures: Mapping[str, Any], *, as_json: bool) -> None:
    typer.echo(json.dumps(figures, indent=2) if as_json else "\n".join(_lines(figures)))


def _lines(figures: Mapping[str, Any], indent: str = "") -> list[str]:
    lines: list[str] = []
    for key, value in figures.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{key}", *_lines(value, indent + "  ")]
        elif isinstance(value, list):
            lines += [f"{indent}{key}: {one}" for one in value]
        else:
            lines.append(f"{indent}{key:<24} {value}")
    return lines
