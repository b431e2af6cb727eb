"""What a Python function takes and gives, held against what is offered: inputs to arguments, results to outputs."""

import inspect
from collections.abc import Callable
from typing import Any, Final

import msgspec

from foa.adapters.binding import Bound, bind
from foa.adapters.handlers import Assignment, Parameter, Signature
from foa.adapters.peers import Part
from foa.adapters.runners.base import Outcome, lies, outcome
from foa.adapters.values import Hint, Misfit, Outputs, decode, encode
from foa.errors import Decline
from foa.wire.records import Given, Port, Value

_ANY: Final = Hint(Any, "application/json")


class Contract(msgspec.Struct, frozen=True):
    """A function with its signature and the ports it is declared by: ``inputs`` to bind, ``outputs`` to be held to."""

    function: Callable[..., Any]
    signature: Signature
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def arguments(self, assignment: Assignment) -> dict[str, Any]:
        """Return the arguments by name, without the assignment itself; Decline if what is needed is not offered."""
        parameters = {each.name: each for each in self.signature.parameters}
        arguments: dict[str, Any] = {}
        chosen = self._bound(tuple(assignment.inputs.values()), parameters)
        for name, parameter in parameters.items():
            if name in chosen:
                arguments[name] = _argument(parameter, chosen[name])
            elif parameter.asked:
                arguments[name] = assignment.text
            elif parameter.hint.many:
                arguments[name] = []
        declared = inspect.signature(self.function).parameters
        for name in parameters:  # ``X | None``, or it would have been declined
            if declared[name].default is inspect.Parameter.empty:
                arguments.setdefault(name, None)
        if self.signature.parts:
            arguments[self.signature.parts] = parts_of(assignment)
        return arguments

    def _bound(self, offered: tuple[Given, ...], parameters: dict[str, Parameter]) -> Bound:
        many = frozenset(name for name, each in parameters.items() if each.hint.many)
        ports = tuple(self._wanted(port, parameters[port.name]) for port in self.inputs)
        try:
            return bind(ports, offered, many)
        except Decline:
            kept = [port for port in ports if not parameters[port.name].asked]
            return bind(kept, offered, many)

    @staticmethod
    def _wanted(port: Port, parameter: Parameter) -> Port:
        """Text to work on is sought by type before the subtask's own words stand in for it."""
        if parameter.asked and parameter.name == "text":
            return Port(port.name, port.type)
        return port

    def encoded(self, result: Any) -> Outcome:
        """Return a result as outputs; AgentFailed if it is not what is declared."""
        named = self._named(result)
        types = {port.name: port.type for port in self.outputs}
        values: dict[str, Value] = {}
        for name, value in named.items():
            hint = self.signature.results.get(name, _ANY) if self.signature.record else self._only()
            try:
                values[name] = encode(value, types.get(name, hint.type), hint.python)
            except Misfit as error:
                raise lies(f"{name}: {error}") from error
        return outcome(self.outputs, values)

    def _named(self, result: Any) -> dict[str, Any]:
        """Return a result as outputs by name; what is None and optional was not given."""
        ports, record = self.outputs, self.signature.record
        if record is not None or isinstance(result, Outputs):
            if not isinstance(result, record or Outputs):
                raise lies(f"got {type(result).__name__}, declared {getattr(record, '__name__', '')}")
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
        """Return the one hint of a function without named outputs, or Any where several are declared."""
        hint = next(iter(self.signature.results.values()))
        return hint if len(self.outputs) == 1 else _ANY

    def decoded(self, draft: Outcome) -> Any:
        """Return a draft as the function would have returned it; None if it cannot be read so."""
        hints = self.signature.results
        ports = {port.name for port in self.outputs}
        try:
            values = {
                given.name: decode(
                    given.value, hints[given.name].python if self.signature.record else self._only().python
                )
                for given in draft
                if given.name in ports
            }
            if self.signature.record is not None:
                return self.signature.record(**values)
        except (Misfit, TypeError):
            return None
        return next(iter(values.values()), None) if len(self.outputs) == 1 else values


def parts_of(assignment: Assignment) -> list[Part]:
    """Return the inputs that other subtasks yielded, as parts of an answer, in the order given."""
    return [
        Part(given.source, given.agent, given.name, given.value.type, _read(given.value))
        for given in assignment.inputs.values()
        if given.source
    ]


def _read(value: Value) -> Any:
    """Return a body as what it is; bytes where it is not what its media says, None where it was not fetched."""
    try:
        return decode(value)
    except Misfit:
        return value.body


def _argument(parameter: Parameter, chosen: tuple[Given, ...]) -> Any:
    try:
        found = [decode(given.value, parameter.hint.python) for given in chosen]
    except Misfit as error:
        raise Decline("inputs", f"{parameter.name}: {error}") from error
    return found if parameter.hint.many else found[0]
