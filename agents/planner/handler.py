"""A planner: splits a request by its own structure, and offers that as a plan."""

from typing import Annotated, Any

import foa


async def run(request: str) -> Annotated[dict[str, Any], foa.Type("plan")]:
    """Return a plan document: subtasks, each with the ids it comes after."""
    return foa.clauses(request)
