"""Runners: an agent's own code, whatever it is written in, behind one protocol (see `base`).

The agent node calls `runner_for` with a profile file that was read, or `runner_of` with a decorated
function; the kinds are imported when they are asked for.
"""

from collections.abc import Callable
from typing import Any

from foa.adapters.handlers import Handler
from foa.adapters.runners.base import Declared, Outcome, Run, Runner, words
from foa.errors import ConfigError

__all__ = ["Declared", "Outcome", "Run", "Runner", "runner_for", "runner_of", "words"]


def runner_for(declared: Declared) -> Runner:
    """Return the runner of a profile file; call ``await runner.start()`` before anything else."""
    if declared.run.command:
        from foa.adapters.runners.command import CommandRunner  # noqa: PLC0415 - one kind is enough for one agent

        return CommandRunner(declared)
    if declared.run.http:
        from foa.adapters.runners.http import HttpRunner  # noqa: PLC0415 - as above

        return HttpRunner(declared)
    if declared.run.openai is not None:
        from foa.adapters.runners.openai import ModelRunner  # noqa: PLC0415 - brings httpx

        return ModelRunner(declared)
    from foa.adapters.runners.file import FileRunner  # noqa: PLC0415 - as above

    return FileRunner(declared)


def runner_of(handler: Handler[..., Any] | Callable[..., Any]) -> Runner:
    """Return the runner of a function decorated with ``@foa.agent``; ConfigError for any other."""
    from foa.adapters.runners.python import PythonRunner  # noqa: PLC0415 - as above

    if not isinstance(handler, Handler):
        name = getattr(handler, "__qualname__", repr(handler))
        raise ConfigError(f'{name} is no agent: decorate it with @foa.agent("org/unit/name")')
    return PythonRunner(handler)
