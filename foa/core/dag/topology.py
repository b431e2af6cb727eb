"""The shape of a plan: how wide, how deep, how much of its order is bound, and so how it is best run and joined.

After AdaptOrch, which lets width, depth and coupling of the task graph choose how agents are arranged. Called by the
coordinator once a plan stands. All is said of the order a plan means, never of the edges it is written with: renaming
subtasks and leaving out needless edges change nothing.

The order is taken apart in series and in parallel (Valdes, Tarjan, Lawler 1982): a *block* holds what is not ordered
towards one another, however indirectly, so blocks run one after the other; the *strands* of a block are the parts that
never wait for one another.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from foa.core.dag.plan import depth, order, predecessors, width
from foa.wire.deliberation import Topology
from foa.wire.records import Joining, Plan

MAX_EXACT: Final = 256
"""Above so many subtasks the width is that of the largest level, which is at most the largest antichain."""


class ShapeRules(msgspec.Struct, frozen=True):
    """From where a plan counts as what.

    ``tight``: coupling from which it is sequential though not quite a chain; ``wide``: the part of the subtasks that
    must be able to run side by side in a parallel plan; ``strands``: the part that must lie in strands of several
    subtasks in a hierarchical one.
    """

    tight: float = 0.95
    wide: float = 0.5
    strands: float = 0.5


class Shape(NamedTuple):
    """``width``: the most subtasks that never wait for one another; ``depth``: subtasks on the longest path.

    ``coupling`` in [0, 1] is the part of all pairs of subtasks whose order is bound: 2 · |{(a, b): a before b}| /
    (n · (n - 1)); 1 for a chain, 0 where all is independent or there is one subtask only.
    """

    topology: Topology
    width: int
    depth: int
    coupling: float


DEFAULT: Final = ShapeRules()


def measure(plan: Plan, rules: ShapeRules = DEFAULT) -> Shape:
    """Return the shape of a valid plan."""
    ordered = order(plan)
    count = len(ordered)
    bound_by = above(plan, ordered)
    bound = sum(mask.bit_count() for mask in bound_by)
    coupling = 2 * bound / (count * (count - 1)) if count > 1 else 0.0
    across = count - _matched(bound_by) if count <= MAX_EXACT else width(plan)
    return Shape(_topology(bound_by, across, coupling, rules), across, depth(plan), coupling)


def groups(plan: Plan) -> tuple[tuple[str, ...], ...]:
    """Return the subtasks of a valid plan in groups: strands, and between them what runs one after the other.

    The groups of one block never wait for one another; every edge between groups leads to a later one. Subtasks in a
    row are one group, so a chain is one group, and independent subtasks are one group each.
    """
    ordered = order(plan)
    bound_by = above(plan, ordered)
    found: list[list[int]] = []
    row: list[int] = []
    for block in _blocks(bound_by):
        if len(block) == 1:
            row += block
            continue
        found += [row] if row else []
        found += _strands(bound_by, block)
        row = []
    found += [row] if row else []
    return tuple(tuple(ordered[at] for at in group) for group in found)


def joining(shape: Shape, sinks: Sequence[Collection[str]], inner: Iterable[Collection[str]] = ()) -> Joining:
    """Return the synthesis that suits a plan, by the types its subtasks declare (``produces``).

    ``sinks`` are those of the subtasks nobody waits for, ``inner`` those of all others. Several sinks of one and the
    same type are merged; a single sink that yields what an earlier subtask yielded is rebased on it; all else, and
    what declares no types, is put side by side.
    """
    kinds = [frozenset(types) for types in sinks]
    if shape.topology != "sequential" and len(kinds) > 1 and len(kinds[0]) == 1 and len(frozenset(kinds)) == 1:
        return "merge"
    if len(kinds) == 1 and any(not kinds[0].isdisjoint(types) for types in inner):
        return "rebase"
    return "concatenate"


def _topology(masks: Sequence[int], across: int, coupling: float, rules: ShapeRules) -> Topology:
    count = len(masks)
    if count <= 1:
        return "single"
    if coupling >= rules.tight:
        return "sequential"
    strands = [strand for block in _blocks(masks) for strand in _strands(masks, block) if len(block) > 1]
    if all(len(strand) == 1 for strand in strands):
        return "parallel" if across >= rules.wide * count else "mixed"
    long = [strand for strand in strands if 1 < len(strand) < count]
    if len(long) > 1 and sum(map(len, long)) >= rules.strands * count:
        return "hierarchical"
    return "mixed"


def above(plan: Plan, ordered: Sequence[str]) -> list[int]:
    """Return, for every place in the order, the places of all it waits for, however far, as bits."""
    place = {one: at for at, one in enumerate(ordered)}
    before = predecessors(plan)
    masks: list[int] = []
    for one in ordered:
        mask = 0
        for other in before[one]:
            mask |= masks[place[other]] | 1 << place[other]
        masks.append(mask)
    return masks


def _blocks(masks: Sequence[int]) -> list[list[int]]:
    """Return the blocks in order.

    A block ends where all so far is before all that follows, that is, where everything later waits for everything so
    far: in a topological order such a cut lies behind a prefix.
    """
    count = len(masks)
    common = (1 << count) - 1
    after = [0] * (count + 1)
    after[count] = common
    for at in range(count - 1, -1, -1):
        after[at] = after[at + 1] & masks[at]
    blocks: list[list[int]] = [[]]
    for at in range(count):
        blocks[-1].append(at)
        prefix = (1 << (at + 1)) - 1
        if at + 1 < count and after[at + 1] & prefix == prefix:
            blocks.append([])
    return blocks


def _strands(masks: Sequence[int], block: Sequence[int]) -> list[list[int]]:
    """Return the connected parts of a block, by their first places."""
    inside = sum(1 << at for at in block)
    parts: list[int] = []
    for at in block:
        joined = (masks[at] & inside) | 1 << at
        apart = [part for part in parts if not part & joined]
        for part in parts:
            joined |= part if part & joined else 0
        parts = [*apart, joined]
    return sorted([at for at in block if part >> at & 1] for part in parts)


def _matched(masks: Sequence[int]) -> int:
    """Return the size of a largest matching of subtasks to predecessors, however far, each used once a side.

    Subtasks less that are the fewest chains that cover the plan (Fulkerson 1956), which are as many as the largest
    antichain has members (Dilworth 1950).
    """
    below = [0] * len(masks)
    taken: dict[int, int] = {}
    for at, mask in enumerate(masks):
        for other in _bits(mask):
            below[other] |= 1 << at
    return sum(_augment(at, below, taken) for at in range(len(masks)))


def _augment(start: int, below: Sequence[int], taken: dict[int, int]) -> bool:
    """Look breadth first for a free partner of `start`, and rearrange the matching along the way to it."""
    free = ~sum(1 << at for at in taken)
    seen = 0
    came: dict[int, int] = {}
    queue = [start]
    for one in queue:
        new = below[one] & ~seen
        seen |= new
        if end := new & free:
            return _rematch(start, one, (end & -end).bit_length() - 1, came, taken)
        for other in _bits(new):
            came[taken[other]] = one
            queue.append(taken[other])
    return False


def _rematch(start: int, one: int, partner: int, came: dict[int, int], taken: dict[int, int]) -> bool:
    held = {holder: at for at, holder in taken.items()}
    while True:
        taken[partner] = one
        if one == start:
            return True
        one, partner = came[one], held[one]


def _bits(mask: int) -> Iterable[int]:
    while mask:
        yield (mask & -mask).bit_length() - 1
        mask &= mask - 1
