"""A planner: the cheapest way from what is given to what is asked for, over the inputs and outputs agents declare."""

from typing import Annotated, Any

import foa


async def run(
    request: str,
    agents: Annotated[list[Any], foa.Type("agents")],
    given: Annotated[list[Any] | None, foa.Type("ports")] = None,
) -> Annotated[dict[str, Any], foa.Type("plan")]:
    """Return a plan document; decline where nothing but text is given and wanted, or no agents lead there."""
    plan: dict[str, Any] | None = foa.typed(request, agents, given or [])
    if plan is None:
        raise foa.Decline("plan", "no types lead from what is given to what is asked for")
    return plan
