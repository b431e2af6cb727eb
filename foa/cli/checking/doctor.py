"""``foa doctor`` and ``foa config``: is the broker what a federation needs, who is there, and what is set."""

import asyncio
import platform
from collections.abc import AsyncIterator, Callable
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

import typer

from foa.cli import output
from foa.cli.checking.findings import Finding
from foa.cli.ending import FAILED, run_async
from foa.cli.loading import QUIET, options_of

if TYPE_CHECKING:
    from foa.settings import Settings

EXAMPLES: Final = """\b
Examples:
  foa doctor
  foa --config secured/clients/operator.toml doctor
  foa doctor --broker mqtt://broker.lan:1883 --json
"""
CONFIG_EXAMPLES: Final = """\b
Examples:
  foa config show
  FOA_LOG_LEVEL=debug foa config show --json | jq '.[] | select(.source != "default")'
"""
WHOLE_S: Final = 20.0
"""All checks together take no longer; what is not done by then is said to be undone."""

_PACKAGES: Final = ("mqtt5", "msgspec", "numpy", "sentence-transformers", "hnswlib", "pandas", "scikit-learn")
_MARKS: Final = {"ok": "✓", "warn": "·", "fail": "✗"}

config = typer.Typer(help="Look at the settings.", no_args_is_help=True, rich_markup_mode=None)


def doctor(ctx: typer.Context, as_json: output.Json = False) -> None:
    """Check the broker, the nodes and this machine; exit 1 if something is wrong, 3 without a broker."""
    options = options_of(ctx)
    silent = as_json or options.json
    found = run_async(_examine(options.load(QUIET).settings, None if silent else _show))
    if silent:
        output.as_json([each._asdict() for each in found])
    if any(each.verdict == "fail" for each in found):
        raise typer.Exit(FAILED)


def _show(finding: Finding) -> None:
    mend = f"; {finding.mend}" if finding.mend else ""
    print(f"{_MARKS[finding.verdict]} {finding.check:<22} {finding.text}{mend}", flush=True)


async def _examine(settings: "Settings", show: Callable[[Finding], None] | None) -> list[Finding]:
    found: list[Finding] = []

    def note(finding: Finding) -> None:
        found.append(finding)
        if show is not None:
            show(finding)

    try:
        async with asyncio.timeout(WHOLE_S):
            async for each in _checks(settings):
                note(each)
    except TimeoutError:
        note(
            Finding("time", "fail", f"not all was checked within {WHOLE_S:g} s", "the broker is slow, or drops packets")
        )
    return found


async def _checks(settings: "Settings") -> AsyncIterator[Finding]:
    from foa.cli.checking import broker, federation, rights
    from foa.cli.checking.probe import Probe

    yield _versions()
    yield _model(settings)
    async with Probe.opened(settings) as probe:
        async for each in broker.checks(settings, probe):
            yield each
        yield await rights.check(probe)
    for each in await federation.checks(settings):
        yield each


def _versions() -> Finding:
    from foa import __version__

    found = [f"foa {__version__}", f"Python {platform.python_version()}"]
    for package in _PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"no {package}")
    return Finding("versions", "ok", ", ".join(found))


def _model(settings: "Settings") -> Finding:
    """Look for the model without loading it."""
    from importlib.util import find_spec

    from foa.adapters.embed import HASH, packaged

    name = settings.index.model
    if name == HASH:
        return Finding("model", "warn", "hash: no model, words alone", "for trials only; set index.model")
    if find_spec("sentence_transformers") is None:
        return Finding("model", "warn", f"index nodes cannot run here: {name} needs federation-of-agents[embed]")
    path = packaged(name)
    if path is None:
        return Finding("model", "warn", f"{name} is not installed; an index node would fetch it from the model hub")
    return Finding("model", "ok", f"{name} in {path}")


@config.command("show", epilog=CONFIG_EXAMPLES)
def show(ctx: typer.Context, as_json: output.Json = False) -> None:
    """Show every setting: key, value, where it came from, what it means."""
    from foa.settings import entries

    options = options_of(ctx)
    rows: list[dict[str, Any]] = [entry._asdict() for entry in entries(*options.load())]
    if as_json or options.json:
        output.as_json(rows)
        return
    output.table(rows, ("key", "value", "source", "meaning"), "")
