"""Federation of Agents: the front door. Names are imported when they are first asked for (PEP 562)."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foa.adapters.handlers import Assignment, Handler, agent
    from foa.adapters.peers import Critique, Part, Peer
    from foa.adapters.values import Outputs, Type
    from foa.cli.scripts import run, submit
    from foa.core.dag.cases.document import cases
    from foa.core.dag.planfile import clauses
    from foa.core.dag.typed.planner import typed
    from foa.core.vcv.profile import Skill, Spec
    from foa.errors import Ask, BusError, ConfigError, Decline, FoaError, Refute, Retry, TaskError
    from foa.nodes.client import Client, Outcome
    from foa.settings import Settings
    from foa.wire.records import Plan, Resources, Subtask, Value

__version__ = "0.1.0"

_WHERE = {
    "Ask": "foa.errors",
    "Assignment": "foa.adapters.handlers",
    "BusError": "foa.errors",
    "Client": "foa.nodes.client",
    "ConfigError": "foa.errors",
    "Critique": "foa.adapters.peers",
    "Decline": "foa.errors",
    "FoaError": "foa.errors",
    "Handler": "foa.adapters.handlers",
    "Outcome": "foa.nodes.client",
    "Outputs": "foa.adapters.values",
    "Part": "foa.adapters.peers",
    "Peer": "foa.adapters.peers",
    "Plan": "foa.wire.records",
    "Refute": "foa.errors",
    "Resources": "foa.wire.records",
    "Retry": "foa.errors",
    "Settings": "foa.settings",
    "Skill": "foa.core.vcv.profile",
    "Spec": "foa.core.vcv.profile",
    "Subtask": "foa.wire.records",
    "TaskError": "foa.errors",
    "Type": "foa.adapters.values",
    "Value": "foa.wire.records",
    "agent": "foa.adapters.handlers",
    "cases": "foa.core.dag.cases.document",
    "clauses": "foa.core.dag.planfile",
    "run": "foa.cli.scripts",
    "submit": "foa.cli.scripts",
    "typed": "foa.core.dag.typed.planner",
}

__all__ = [
    "Ask",
    "Assignment",
    "BusError",
    "Client",
    "ConfigError",
    "Critique",
    "Decline",
    "FoaError",
    "Handler",
    "Outcome",
    "Outputs",
    "Part",
    "Peer",
    "Plan",
    "Refute",
    "Resources",
    "Retry",
    "Settings",
    "Skill",
    "Spec",
    "Subtask",
    "TaskError",
    "Type",
    "Value",
    "agent",
    "cases",
    "clauses",
    "run",
    "submit",
    "typed",
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
