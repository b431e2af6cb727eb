"""How a task's plan came about, how it was changed, and how its clusters came to their answers: from what was recorded.

For `explaining`; nothing here is computed again, only put into words, tables and JSON.
"""

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from foa.cli import output
from foa.cli.charts import WIDE
from foa.cli.watching.lines import agreement, change, flat

if TYPE_CHECKING:
    from foa.wire.deliberation import Deliberation, Edit
    from foa.wire.messages import Result, State

SHAPES: Final = {
    "single": "one subtask",
    "sequential": "one after the other",
    "parallel": "side by side",
    "hierarchical": "by level, each planned when it begins",
    "mixed": "as its arrows say",
}


class Cluster(msgspec.Struct, frozen=True):
    """How the agents on a subtask came to one answer.

    ``credit`` is each member's part in it, ``confidence`` what each says of its own answer, ``votes`` the credits each
    spent on whose answer; empty where nothing of that was recorded.
    """

    subtask: str
    strategy: str
    agents: tuple[str, ...]
    attempt: int
    rounds: int
    agreed: bool
    credit: dict[str, float] = {}
    confidence: dict[str, float] = {}
    votes: dict[str, dict[str, float]] = {}


def clusters(message: "State | Result") -> list[Cluster]:
    """Return what is recorded of each subtask that more than one agent worked on, or that has a strategy."""
    from foa.wire.messages import Result

    found = []
    if isinstance(message, Result):
        for part in message.parts:
            credit = {agent: part.credit[agent] for agent in sorted(part.credit)}
            found.append(
                Cluster(part.subtask, part.strategy, part.agents, part.attempt, part.rounds, part.agreed, credit)
            )
    else:
        strategies = {each.id: each.strategy for each in message.plan.subtasks} if message.plan is not None else {}
        for work in message.work:
            seats = work.seats
            found.append(
                Cluster(
                    work.id,
                    strategies.get(work.id, ""),
                    tuple(seat.agent for seat in seats),
                    work.attempt,
                    max((seat.rounds for seat in seats), default=0),
                    work.phase == "done",
                    confidence={seat.agent: seat.confidence for seat in seats if seat.confidence is not None},
                    votes={seat.agent: dict(seat.votes) for seat in seats if seat.votes},
                )
            )
    return [each for each in found if len(each.agents) > 1 or each.strategy]


def deliberations(message: "State | Result", subtask: str) -> "list[Deliberation]":
    """Return how the task was planned ("", "planning"), or what planned or brought about `subtask`."""
    if subtask in {"", "planning"}:
        return [each for each in message.deliberations if not subtask or not each.subtask]
    return [
        each
        for each in message.deliberations
        if each.subtask == subtask or any(subtask in {kept.id, f"{each.subtask}.{kept.id}"} for kept in each.kept)
    ]


def edits(message: "State | Result", subtask: str) -> "list[Edit]":
    """Return the changes of the plan ("": all), or those that concern `subtask`."""
    return [each for each in message.edits if subtask in {"", each.subtask, *each.added, *each.removed}]


def names(message: "State | Result") -> list[str]:
    """Return the subtasks of which anything of this is recorded."""
    known = ["planning"] if message.deliberations else []
    for each in message.deliberations:
        inside = f"{each.subtask}." if each.subtask else ""
        known += [each.subtask, *(kept.id if kept.id.startswith(inside) else inside + kept.id for kept in each.kept)]
    for edit in message.edits:
        known += [edit.subtask, *edit.added, *edit.removed]
    known += [cluster.subtask for cluster in clusters(message)]
    return list(dict.fromkeys(filter(None, known)))


def data(message: "State | Result", subtask: str) -> dict[str, Any]:
    """Return all of it as JSON has it: the planners' own plans included."""
    recorded: dict[str, Sequence[msgspec.Struct]] = {
        "deliberations": deliberations(message, subtask),
        "edits": edits(message, subtask),
        "clusters": [each for each in clusters(message) if subtask in {"", each.subtask}],
    }
    return {name: [_plain(each) for each in found] for name, found in recorded.items()}


def _plain(value: Any) -> Any:
    """Return a record and all within it as plain values, what has its default included."""
    if isinstance(value, msgspec.Struct):
        return {name: _plain(inner) for name, inner in msgspec.structs.asdict(value).items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return {name: _plain(each) for name, each in value.items()} if isinstance(value, dict) else value


def planning(message: "State | Result", subtask: str) -> Iterator[str]:
    """Yield how the plan came about."""
    for each in deliberations(message, subtask):
        yield ""
        first, *planners = agreement(each)
        yield from _filled(first, "", "  ")
        yield from _filled(f"it runs {SHAPES.get(each.shape, each.shape)}", "  ", "  ")
        yield from planners[: len(each.voices)]
        for kept in each.kept:
            yield from _filled(f"{kept.id}: from {', '.join(kept.planners)}", "    kept      ", " " * 16)
        for dropped in each.dropped:
            of = f" of {dropped.planner}" if dropped.planner else ""
            yield from _filled(f"{dropped.what}{of}: {dropped.reason}", "    not kept  ", " " * 16)


def changes(found: "Sequence[Edit]") -> Iterator[str]:
    """Yield how the plan was changed while it ran, each with its reason."""
    if found:
        yield "\nchanges of the plan"
    for each in found:
        yield from _filled(change(each), f"  {each.at_ms / 1000:7.2f} s  ", " " * 13)


def together(message: "State | Result", subtask: str) -> Iterator[str]:
    """Yield how the members of clusters came to one answer, and each one's part in it."""
    found = [each for each in clusters(message) if subtask in {"", each.subtask}]
    if found:
        yield "\nanswers of several"
    for each in found:
        how = f"by {each.strategy}" if each.strategy else "as its owner chose"
        agreed = "" if each.agreed else ", without agreement"
        many = f"{each.rounds} round{'' if each.rounds == 1 else 's'}"
        yield flat(f"  {each.subtask}: {len(each.agents)} agents, {how}, {many}{agreed}")
        for agent in dict.fromkeys((*each.agents, *each.credit)):
            said = [
                f"credit {each.credit[agent]:.2f}" if agent in each.credit else "",
                f"sure by {each.confidence[agent]:.2f}" if agent in each.confidence else "",
                "votes " + ", ".join(f"{who} {spent:g}" for who, spent in sorted(each.votes[agent].items()))
                if agent in each.votes
                else "",
            ]
            yield flat(f"    {agent}  {'; '.join(filter(None, said))}").rstrip()


def _filled(text: str, first: str, then: str) -> list[str]:
    return textwrap.wrap(output.printable(text), WIDE, initial_indent=first, subsequent_indent=then) or [first]
