"""Candidates as tables: every part of alpha, what the learner expected, and who was refused by which gate.

Shown are recorded numbers; nothing here scores anybody.
"""

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from foa.cli import output
from foa.cli.charts import WIDE, short

if TYPE_CHECKING:
    from foa.wire.records import Candidate

GATES: Final = "policy, requirements, exclusions, skills, types, budget, slots, being related at all"
ALPHA: Final = "alpha = relevance × fit × spec × cost; relevance is made of meaning, words and finished tasks"
AGENT_WIDTH: Final = 23
_DIGITS: Final = 6


def row(candidate: "Candidate") -> dict[str, Any]:
    """Return a candidate as ``--json`` prints it: every field, whether it differs from its default or not."""
    import msgspec

    fields = msgspec.structs.asdict(candidate)
    return {key: round(value, _DIGITS) if isinstance(value, float) else value for key, value in fields.items()}


def permitted(candidates: Sequence["Candidate"]) -> "list[Candidate]":
    """Return those that no gate refused, in the order given."""
    return [candidate for candidate in candidates if not candidate.refused]


def agent(name: str) -> str:
    """Return an agent's id so short that a table of several columns fits a terminal."""
    return short(name, AGENT_WIDTH)


def parts(candidates: Sequence["Candidate"], marks: Mapping[str, str]) -> list[dict[str, str]]:
    """Return rows of alpha and its factors; `marks` stand in front, by agent."""
    return [
        {
            "": marks.get(each.agent, ""),
            "agent": agent(each.agent),
            "alpha": f"{each.score:.4f}",
            "relevance": f"{each.cosine if each.relevance is None else each.relevance:.3f}",
            "meaning": f"{each.cosine:.3f}",
            "words": "" if each.relevance is None else f"{each.words:.2f}",
            "done": f"{each.done:.2f} of {each.mass:.3g}" if each.mass > 0.0 else "",
            "fit": f"{each.fit:.3f}",
            "spec": f"{each.spec:.3f}",
            "cost": f"{each.cost:.3f}",
            "price": f"{each.price:.6g}",
        }
        for each in candidates
    ]


PARTS: Final = ("agent", "alpha", "relevance", "meaning", "words", "done", "fit", "spec", "cost")


def expectations(candidates: Sequence["Candidate"], marks: Mapping[str, str]) -> list[dict[str, str]]:
    """Return rows of what was expected of each: the learner's reward with its width, and from how many rewards."""
    return [
        {
            "": marks.get(each.agent, ""),
            "agent": agent(each.agent),
            "expected reward": "" if each.mean is None else f"{each.mean:.3f} ± {each.width:.3f}",
            "bound": "" if each.mean is None else f"{each.mean + each.width:.3f}",
            "from rewards": "" if each.mean is None else f"{each.seen:.1f}",
            "price": f"{each.price:.6g}",
            "turn": "newcomer's turn" if each.probe else "",
        }
        for each in candidates
    ]


EXPECTATIONS: Final = ("agent", "expected reward", "bound", "from rewards", "price", "turn")


def verdicts(candidates: Sequence["Candidate"]) -> str:
    """Return in a sentence how many passed every gate, and how many each gate refused."""
    words = Counter(each.refused.partition(":")[0] for each in candidates if each.refused)
    refused = ", ".join(f"{count} {output.printable(word)}" for word, count in words.items())
    passed = len(candidates) - words.total()
    return f"{passed} of {len(candidates)} passed ({GATES})" + (f"; refused: {refused}" if refused else "")


def refusals(candidates: Sequence["Candidate"], indent: str = "") -> Iterator[str]:
    """Yield a text per refused candidate: who, how near it was in meaning, and the verdict of the gate."""
    for each in candidates:
        if each.refused:
            verdict = output.printable(" ".join(each.refused.split()))
            line = f"✗ {agent(each.agent):<{AGENT_WIDTH}}  meaning {each.cosine:.3f}  {verdict}"
            yield textwrap.fill(line, WIDE, initial_indent=indent, subsequent_indent=f"{indent}    ")


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], indent: str = "") -> None:
    """Print rows in columns below `indent`, with a column for marks in front if there is any mark."""
    marked = any(row.get("") for row in rows)
    kept = [column for column in columns if column == "agent" or any(row.get(column) for row in rows)]
    output.table(rows, (*(("",) if marked else ()), *kept), "", indent)
