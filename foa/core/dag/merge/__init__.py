"""Several planners' plans made one, what a planner's voice is worth, and how it is told afterwards.

Called by the coordinator once the proposals are in. `consensus` merges, `subtasks` makes one subtask of several,
`ordering` votes on what comes before what, `weights` bounds what a voice is worth, `reputation` learns it, `record`
is what watchers are shown. All of it is pure; the same proposals make the same plan everywhere.
"""

from foa.core.dag.merge.consensus import DEFAULT, merge
from foa.core.dag.merge.record import recorded
from foa.core.dag.merge.reputation import Ended, Form, ballot, forms, reputation, worthy
from foa.core.dag.merge.terms import Dropped, Kept, MergeRules, Proposal, Report

__all__ = [
    "DEFAULT",
    "Dropped",
    "Ended",
    "Form",
    "Kept",
    "MergeRules",
    "Proposal",
    "Report",
    "ballot",
    "forms",
    "merge",
    "recorded",
    "reputation",
    "worthy",
]
