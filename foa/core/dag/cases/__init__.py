"""The cases planner: plans that worked, kept as vectors, taken over for a new request; and what they teach of order.

Called by the coordinator, by benches and by an agent that was given cases. Nothing here looks ahead: a plan is
proposed from cases that ended before, and learned from after its own task has ended.
"""

from foa.core.dag.cases.document import cases_document, read_cases
from foa.core.dag.cases.memory import is_worth, kept, nearest
from foa.core.dag.cases.order import Model
from foa.core.dag.cases.planner import by_near, learned, propose
from foa.core.dag.cases.records import MAX_CASES, Case, Near, Recall, Recalled, Rules, Worked

__all__ = [
    "MAX_CASES",
    "Case",
    "Model",
    "Near",
    "Recall",
    "Recalled",
    "Rules",
    "Worked",
    "by_near",
    "cases_document",
    "is_worth",
    "kept",
    "learned",
    "nearest",
    "propose",
    "read_cases",
]
