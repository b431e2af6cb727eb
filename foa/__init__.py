"""Federation of Agents: the front door. Names are imported when they are first asked for (PEP 562)."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foa.adapters.handlers import Assignment, Handler, agent
    from foa.adapters.values import Outputs, Type
    from foa.core.vcv.profile import Skill, Spec
    from foa.errors import Decline, FoaError, Retry
    from foa.wire.records import Resources

__version__ = "0.1.0"

_WHERE = {
    "Assignment": "foa.adapters.handlers",
    "Decline": "foa.errors",
    "FoaError": "foa.errors",
    "Handler": "foa.adapters.handlers",
    "Outputs": "foa.adapters.values",
    "Resources": "foa.wire.records",
    "Retry": "foa.errors",
    "Skill": "foa.core.vcv.profile",
    "Spec": "foa.core.vcv.profile",
    "Type": "foa.adapters.values",
    "agent": "foa.adapters.handlers",
}

__all__ = [
    "Assignment",
    "Decline",
    "FoaError",
    "Handler",
    "Outputs",
    "Resources",
    "Retry",
    "Skill",
    "Spec",
    "Type",
    "agent",
]


def __getattr__(name: str) -> Any:
    """Import the module that holds `name`; the table is closed."""
    module = _WHERE.get(name)
    if module is None:
        raise AttributeError(f"module 'foa' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - most programs ask for few names

    found = getattr(import_module(module), name)
    globals()[name] = found
    return found
