"""Runs a Python function with a signature: inputs bound and decoded by its hints, its answer held to them.

Coroutine functions run on the loop, plain ones in threads (which cannot be interrupted: a plain function
that overstays is given up, and ends when it ends).
"""

import asyncio
import contextlib
import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from foa.adapters.binding import Bound, bind
from foa.adapters.handlers import Assignment, Handler, Parameter, Signature
from foa.adapters.runners.base import Outcome, lies, one_line, outcome, seconds_left, too_slow
from foa.adapters.runners.threads import Caught, Threads
from foa.adapters.values import Hint, Misfit, Outputs, decode, encode
from foa.core.vcv.profile import Profile
from foa.errors import AgentFailed, Decline, Retry, TaskError
from foa.wire.records import Given, Port, Value


class PythonRunner:
    """One function, with the signature it was declared by and perhaps a reviser."""

    def __init__(self, handler: Handler[..., Any], timeout_s: float = 300.0) -> None:
        self.profile: Profile = handler.profile
        self._timeout_s = timeout_s
        self._threads = Threads(self.profile.agent, self.profile.resources.concurrency)
        self._adopt(handler.function, handler.signature, handler.reviser)

    def _adopt(self, function: Callable[..., Any], signature: Signature, reviser: Callable[..., Any] | None) -> None:
        self._function, self._signature, self._reviser = function, signature, reviser
        self._many = frozenset(each.name for each in signature.parameters if each.hint.many)
        declared = inspect.signature(function).parameters
        self._without_default = tuple(
            each.name for each in signature.parameters if declared[each.name].default is inspect.Parameter.empty
        )

    async def start(self) -> None:
        """Nothing to make ready: the function is here."""

    async def close(self) -> None:
        """Nothing to give back: threads still at work are daemons, and end when they end."""

    async def run(self, assignment: Assignment) -> Outcome:
        """Bind, decode, call, check, encode."""
        arguments = self._arguments(assignment)
        if self._signature.context:
            arguments[self._signature.context] = self._tethered(assignment, self._function)
        result = await self._call(assignment, self._function, **arguments)
        return self._encoded(result)

    async def revise(self, assignment: Assignment, draft: Outcome, peers: tuple[Outcome, ...]) -> Outcome | None:
        """Hand the decoded drafts to the reviser; a peer's draft that does not decode is left out."""
        if self._reviser is None:
            return None
        decoded = [each for each in map(self._decoded, peers) if each is not None]
        arguments = [self._decoded(draft), decoded, self._tethered(assignment, self._reviser)]
        taken = len(inspect.signature(self._reviser).parameters)
        result = await self._call(assignment, self._reviser, *arguments[:taken])
        return None if result is None else self._encoded(result)

    # --- in ---------------------------------------------------------------------------------------------

    def _arguments(self, assignment: Assignment) -> dict[str, Any]:
        offered = tuple(assignment.inputs.values())
        parameters = {each.name: each for each in self._signature.parameters}
        ports = tuple(self._wanted(port, parameters[port.name]) for port in self._ports())
        arguments: dict[str, Any] = {}
        chosen = self._bound(ports, offered, parameters)
        for name, parameter in parameters.items():
            if name in chosen:
                arguments[name] = _argument(parameter, chosen[name])
            elif parameter.asked:
                arguments[name] = assignment.text
            elif parameter.hint.many:
                arguments[name] = []
        for name in self._without_default:  # ``X | None``, or it would have been declined
            arguments.setdefault(name, None)
        return arguments

    def _ports(self) -> tuple[Port, ...]:
        """Return the declared inputs: the profile's, which for a decorated handler are its parameters."""
        return self.profile.inputs

    @staticmethod
    def _wanted(port: Port, parameter: Parameter) -> Port:
        """Text to work on is sought by type before the subtask's own words stand in for it."""
        if parameter.asked and parameter.name == "text":
            return Port(port.name, port.type)
        return port

    def _bound(self, ports: tuple[Port, ...], offered: tuple[Given, ...], parameters: dict[str, Parameter]) -> Bound:
        try:
            return bind(ports, offered, self._many)
        except Decline:
            kept = [port for port in ports if not parameters[port.name].asked]
            return bind(kept, offered, self._many)

    # --- the call ---------------------------------------------------------------------------------------

    async def _call(self, assignment: Assignment, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call the author's code; whatever comes of it is a value, Retry, Decline or AgentFailed."""
        seconds = seconds_left(self._timeout_s, assignment)
        call = partial(function, *args, **kwargs)
        result: Any = None
        try:
            async with asyncio.timeout(seconds):
                with Caught() as caught:
                    result = await (call() if inspect.iscoroutinefunction(function) else self._threads.call(call))
        except TimeoutError as error:
            raise too_slow(seconds) from error
        if caught.error is None:
            return result
        if isinstance(caught.error, Retry | Decline | AgentFailed):
            raise caught.error
        raise _failure(caught.error) from caught.error

    @staticmethod
    def _tethered(assignment: Assignment, function: Callable[..., Any]) -> Assignment:
        """Progress told from a thread is handed to the loop."""
        if inspect.iscoroutinefunction(function):
            return assignment
        loop, progress = asyncio.get_running_loop(), assignment.progress

        def tell(fraction: float, text: str = "") -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(progress, fraction, text)

        return replace(assignment, progress=tell)

    # --- out --------------------------------------------------------------------------------------------

    def _encoded(self, result: Any) -> Outcome:
        ports = self.profile.outputs
        named = self._named(result, ports)
        types = {port.name: port.type for port in ports}
        values: dict[str, Value] = {}
        for name, value in named.items():
            hint = self._signature.results.get(name, _any) if self._signature.record else self._only()
            try:
                values[name] = encode(value, types.get(name, hint.type), hint.python)
            except Misfit as error:
                raise lies(f"{name}: {error}") from error
        return outcome(ports, values)

    def _named(self, result: Any, ports: tuple[Port, ...]) -> dict[str, Any]:
        """Return a result as outputs by name; what is None and optional was not given."""
        if self._signature.record is not None or isinstance(result, Outputs):
            if not isinstance(result, self._signature.record or Outputs):
                raise lies(f"got {type(result).__name__}, declared {getattr(self._signature.record, '__name__', '')}")
            found = {name: getattr(result, name) for name in result.__struct_fields__}
        elif len(ports) == 1:
            found = {ports[0].name: result}
        elif isinstance(result, dict):
            found = result
        else:
            raise lies(f"got {type(result).__name__}, declared the outputs {', '.join(port.name for port in ports)}")
        optional = {port.name for port in ports if port.optional}
        return {str(name): value for name, value in found.items() if value is not None or name not in optional}

    def _only(self) -> Hint:
        """Return the one hint of a function without named outputs, or Any where the profile declares several."""
        hint = next(iter(self._signature.results.values()))
        return hint if len(self.profile.outputs) == 1 else _any

    def _decoded(self, draft: Outcome) -> Any:
        """Return a draft as the function would have returned it; None if it cannot be read so."""
        hints = self._signature.results
        try:
            values = {
                given.name: decode(
                    given.value, hints[given.name].python if self._signature.record else self._only().python
                )
                for given in draft
                if given.name in {port.name for port in self.profile.outputs}
            }
            if self._signature.record is not None:
                return self._signature.record(**values)
        except (Misfit, TypeError):
            return None
        return next(iter(values.values()), None) if len(self.profile.outputs) == 1 else values


_any: Final = Hint(Any, "application/json")


def _argument(parameter: Parameter, chosen: tuple[Given, ...]) -> Any:
    try:
        found = [decode(given.value, parameter.hint.python) for given in chosen]
    except Misfit as error:
        raise Decline("inputs", f"{parameter.name}: {error}") from error
    return found if parameter.hint.many else found[0]


def _failure(error: BaseException) -> AgentFailed:
    """Say what the author's code raised and where; the chain keeps the whole traceback for the log."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        frames.append(trace)
        trace = trace.tb_next
    at = f" ({Path(frames[-1].tb_frame.f_code.co_filename).name}:{frames[-1].tb_lineno})" if frames else ""
    said = one_line(error)
    hopeless = isinstance(error, ImportError | TaskError)
    return AgentFailed(f"{type(error).__name__}{': ' if said else ''}{said}{at}", retryable=not hopeless)
