"""Classical list scheduling on equal machines, the yardstick: longest remaining path first, no time lost in between."""

from heapq import heappop, heappush

from foa.bench.schedule.workflows import Workflow


def remaining(workflow: Workflow) -> list[float]:
    """Return, for every step, the seconds of the longest path that begins with it (its upward rank)."""
    after: list[list[int]] = [[] for _ in workflow.seconds]
    missing = [0] * len(workflow.seconds)
    for one, other in set(workflow.edges):
        after[other].append(one)  # backwards: who is before
        missing[one] += 1
    longest = list(workflow.seconds)
    below = [0.0] * len(longest)
    free = [at for at, count in enumerate(missing) if not count]
    while free:
        at = free.pop()
        longest[at] = workflow.seconds[at] + below[at]
        for before in after[at]:
            below[before] = max(below[before], longest[at])
            missing[before] -= 1
            if not missing[before]:
                free.append(before)
    return longest


def makespan(workflow: Workflow, machines: int) -> float:
    """Return the seconds that `machines` equal machines need by list scheduling (Graham 1969)."""
    rank = remaining(workflow)
    after: list[list[int]] = [[] for _ in rank]
    missing = [0] * len(rank)
    for one, other in set(workflow.edges):
        after[one].append(other)
        missing[other] += 1
    ready = [(-rank[at], at) for at, count in enumerate(missing) if not count]
    ready.sort()
    running: list[tuple[float, int]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < machines:
            _, at = heappop(ready)
            heappush(running, (now + workflow.seconds[at], at))
        now, done = heappop(running)
        ended = [done]
        while running and running[0][0] <= now:
            ended.append(heappop(running)[1])
        for at in ended:
            for other in after[at]:
                missing[other] -= 1
                if not missing[other]:
                    heappush(ready, (-rank[other], other))
    return now


def bound(workflow: Workflow, machines: int) -> float:
    """Return the seconds nobody can beat: the critical path, or all work shared evenly."""
    return max(*remaining(workflow), sum(workflow.seconds) / machines)
