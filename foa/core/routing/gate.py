"""The gates before every score: policy, requirements, skills, types, budget. Never learned, never traded.

Index nodes apply them to what they found, deciders again to what they were told. A refusal is a word for
machines and a sentence for people; both end in the decision's record. The model of vectors is no gate here: index
nodes embed anew what another model made, so that two models are never compared in the first place.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from foa.wire.records import Hit, Query, Resources

CHARS_PER_TOKEN: Final = 4
OWN_TEXT: Final = "text/plain"
"""Every request has a text of its own, so that this type is always offered."""


class Refusal(NamedTuple):
    """Why an agent may not have the work: ``word`` is fixed, ``sentence`` says it in full."""

    word: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.word}: {self.sentence}"


def fits(declared: str, given: str) -> bool:
    """Tell whether type `given` is one of `declared`: equal, below its media prefix, or with parameters.

    ``text/*`` and ``text/`` take ``text/csv``; ``text/csv`` takes ``text/csv;header=present``.
    """
    if declared == given or declared in {"*/*", "*"}:
        return True
    base = given.partition(";")[0].strip()
    prefix = declared.removesuffix("*")
    return declared == base or (prefix.endswith("/") and base.startswith(prefix))


def expected_tokens(query: Query) -> float:
    """Return about how many tokens the request itself has."""
    return len(query.text) / CHARS_PER_TOKEN


def expected_price(query: Query, resources: Resources) -> float:
    """Return what one call will cost in USD as declared: per call, and per 1k tokens of the request."""
    return resources.price_call + resources.price_1k * expected_tokens(query) / 1_000


def refusals(query: Query, hit: Hit) -> Iterator[Refusal]:
    """Yield every reason why `hit` may not have what `query` asks, the gravest first."""
    lacking = [label for label in query.policies if label not in hit.holds]
    if lacking:
        yield Refusal("policy", f"does not hold {', '.join(lacking)}")
    unnamed = [label for label in hit.requires if label not in query.policies]
    if unnamed:
        yield Refusal("requires", f"takes only tasks that name {', '.join(unnamed)}")
    if hit.agent in query.exclude:
        yield Refusal("excluded", "was excluded by the asker, for instance after it failed")
    if hit.outputs and "plan" not in query.skills and all(port.type == "plan" for port in hit.outputs):
        yield Refusal("planner", "only plans, and this is work")
    unskilled = [skill for skill in query.skills if skill not in hit.skills]
    if unskilled:
        yield Refusal("skills", f"lacks {', '.join(unskilled)}")
    missing = [kind for kind in query.produces if not any(fits(kind, port.type) for port in hit.outputs)]
    if missing:
        yield Refusal("produces", f"does not produce {', '.join(missing)}")
    if query.budget is not None and (price := expected_price(query, hit.resources)) > query.budget:
        yield Refusal("budget", f"costs about {price:.6g} USD, {query.budget:.6g} are left")


def gate(query: Query, hit: Hit) -> Refusal | None:
    """Return the gravest reason why `hit` may not have what `query` asks; None if it may."""
    return next(refusals(query, hit), None)
