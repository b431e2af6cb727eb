"""One subtask of several that mean the same: whose words it has, and what of their demands it takes over.

What opens doors must have been asked for by half of them (skills, types); what closes doors by one (policies, a
person's consent, care with repeating).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import median_low
from typing import Final

import msgspec

from foa.core.dag.align import Group, Item, Matrix, central
from foa.wire.ids import MAX_SEGMENT
from foa.wire.records import MAX_SKILLS, Strategy, Subtask

_LONG: Final = 2
_SLACK: Final = 200


def named(items: Sequence[Item], near: Matrix, groups: Iterable[Group]) -> dict[Group, Subtask]:
    """Return each group's subtask: the wording of its central item, under an id of its own."""
    leads = {group: central(_sober(group, items), near) for group in groups}
    taken: set[str] = set()
    found: dict[Group, Subtask] = {}
    for group, lead in sorted(leads.items(), key=lambda pair: (items[pair[1]].subtask.id, pair[1])):
        name, number = items[lead].subtask.id, 2
        while name in taken:
            name, number = f"{items[lead].subtask.id[: MAX_SEGMENT - 5]}-{number}", number + 1
        taken.add(name)
        found[group] = combined(items[lead].subtask, [items[at].subtask for at in group], name)
    return found


def _sober(group: Group, items: Sequence[Item]) -> Group:
    """Return the items whose text is not much longer than the others': a vector does not show what is appended."""
    most = _LONG * median_low(len(items[at].subtask.text) for at in group) + _SLACK
    return tuple(at for at in group if len(items[at].subtask.text) <= most)


def combined(lead: Subtask, members: Sequence[Subtask], name: str) -> Subtask:
    """Return the members as one subtask: what half of them ask for, but every policy that any of them names."""
    half = len(members) / 2
    return msgspec.structs.replace(
        lead,
        id=name,
        skills=_said(lead.skills, [one.skills for one in members], half),
        policies=_said(lead.policies, [one.policies for one in members], 1),
        needs=_said(lead.needs, [one.needs for one in members], half),
        produces=_said(lead.produces, [one.produces for one in members], half),
        team=median_low(one.team for one in members),
        weight=median_low(one.weight for one in members),
        consent=all(one.consent for one in members),
        approve=any(one.approve for one in members),
        strategy=_strategy(lead.strategy, Counter(one.strategy for one in members if one.strategy)),
        depth=max(one.depth for one in members),
    )


def _said(lead: tuple[str, ...], said: Sequence[tuple[str, ...]], enough: float) -> tuple[str, ...]:
    """Return the words that at least `enough` members say, the lead's own first."""
    if not any(said):
        return ()
    counts = Counter(word for words in said for word in dict.fromkeys(words))
    kept = [word for word in (*dict.fromkeys(lead), *sorted(set(counts).difference(lead))) if counts[word] >= enough]
    return tuple(kept[:MAX_SKILLS])


def _strategy(lead: Strategy, counts: Mapping[Strategy, int]) -> Strategy:
    """Return what most name, of equals the lead's, then the first by name; "" if nobody names one."""
    return min(counts, key=lambda one: (-counts[one], one != lead, one)) if counts else ""
