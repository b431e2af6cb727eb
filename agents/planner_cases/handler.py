"""A planner: takes over what worked for a request like this one, and declines where nothing like it was done."""

from typing import Annotated, Any

import foa


async def run(request: str, cases: Annotated[Any, foa.Type("cases")]) -> Annotated[dict[str, Any], foa.Type("plan")]:
    """Return a plan document: subtasks, each with the ids it comes after."""
    found = foa.cases(request, cases)
    if found is None:
        raise foa.Decline("nothing like this request was done before")
    return found
