"""The retriever: what it proposes against scoring everyone, evidence that it takes in, and what it says of a match."""

import numpy as np
import pytest

from foa.adapters.index import retriever as module
from foa.adapters.index.exact import ExactIndex
from foa.adapters.index.memories import FOUND_BY, Memories
from foa.adapters.index.retriever import Probe, Retriever
from foa.core.learn.evidence_estimate import NOISE
from foa.core.learn.evidence_vector import shortened
from foa.core.vcv.relevance import LEXICAL, PRIOR
from foa.core.vcv.terms import counted, packed
from foa.core.vcv.vector import Floats, normalised, pack
from foa.wire.lessons import Exemplar

DIM = 16
WORDS = [f"{a}{b}{c}k" for a in "bdfgm" for b in "aeiou" for c in "lnrtz"]


def short(vector: Floats) -> bytes:
    """Return a vector as evidence has it."""
    return shortened(pack(vector))


def _retriever() -> Retriever:
    return Retriever(ExactIndex(DIM), ExactIndex(DIM), DIM)


def _crowd(number: int) -> tuple[Retriever, Floats, list[str]]:
    """Return a retriever with agents of random vectors and words, and queries like some of them."""
    rng = np.random.default_rng(3)
    found = _retriever()
    vectors = normalised(rng.standard_normal((number, DIM)))
    texts = [" ".join(rng.choice(WORDS, 4)) for _ in range(number)]
    for at, (vector, text) in enumerate(zip(vectors, texts, strict=True)):
        found.upsert(f"a{at:04}", pack(vector), pack(vector), (), packed(counted((text,))))
    asked = rng.choice(number, 30)
    queries = normalised(vectors[asked] + 0.2 * rng.standard_normal((30, DIM)))
    return found, queries, [f"please {texts[rng.integers(number)]}" for _ in asked]


def test_proposals_lose_next_to_nothing_against_scoring_everyone(monkeypatch: pytest.MonkeyPatch) -> None:
    found, queries, texts = _crowd(1_000)
    probes = [Probe(vector, text) for vector, text in zip(queries, texts, strict=True)]
    proposed = found.search(probes, 10)
    monkeypatch.setattr(module, "ALL", 10_000)
    whole = found.search(probes, 10)
    same = sum(len({m.key for m in some} & {m.key for m in every}) for some, every in zip(proposed, whole, strict=True))
    assert same >= 0.97 * 10 * len(probes)
    assert [some[0] for some in proposed] == [every[0] for every in whole]


def test_a_match_says_what_it_is_made_of() -> None:
    found = _retriever()
    x, y = np.eye(DIM)[0], np.eye(DIM)[1]
    found.upsert("a", pack(x), pack(y), (), packed(counted(("translate german poems",))))
    found.upsert("b", pack(normalised(x + y)), pack(x), (), packed(counted(("weather",))))
    first, second = found.search([Probe(normalised(x), "Translations of poems, please")], 5)[0]
    assert (first.key, second.key) == ("a", "b")
    assert first.parts.cosine == pytest.approx(1.0)
    assert first.parts.spec == pytest.approx(0.0)
    assert first.parts.lexical > 0.0 == second.parts.lexical
    assert first.parts.relevance == pytest.approx(min(1.0, PRIOR * (1.0 + LEXICAL * first.parts.lexical)), abs=1e-6)
    assert second.parts.relevance == pytest.approx(PRIOR * 0.5**0.5, abs=1e-3)
    assert found.search([Probe(normalised(x))], 5, among=["b", "b", "c"])[0] == (second,)
    assert found.search([], 5) == ()
    assert _retriever().search([Probe(normalised(x), "text")], 5) == ((),)


def test_an_agent_is_found_by_what_it_did_well_and_not_by_what_it_did_badly() -> None:
    found = _retriever()
    task, other = np.eye(DIM)[0], np.eye(DIM)[5]
    found.upsert("near", pack(normalised(task + 0.8 * other)), pack(task))
    found.upsert("far", pack(np.eye(DIM)[1]), pack(task))
    assert _first(found, task) == "near"
    found.remember("near", [Exemplar("w1", short(task), 0.0, 1.0), Exemplar("w2", short(task), 0.0, 2.0)], 2.0)
    found.remember("far", [Exemplar("w3", short(task), 1.0, 3.0)], 3.0)
    match = found.search([Probe(normalised(task))], 2)[0][0]
    assert match.key == "far"
    assert match.parts.cosine == pytest.approx(0.0)
    assert match.parts.mass == pytest.approx(1.0, abs=1e-3)
    assert match.parts.evidence > 0.7
    assert _first(found, other) == "near"
    found.upsert("far", pack(np.eye(DIM)[2]), pack(task))
    assert _first(found, task) == "far"
    found.remember("far", [], 4.0)
    found.remember("near", [], 4.0)
    assert _first(found, task) == "near"


def test_the_experienced_are_proposed_among_many() -> None:
    found, queries, _ = _crowd(1_000)
    far = found.search([Probe(-queries[0])], 1)[0][0].key
    found.remember(far, [Exemplar("w", short(queries[0]), 1.0, 1.0)], 1.0)
    assert _first(found, queries[0]) == far
    found.remove(far)
    assert far not in found
    assert _first(found, queries[0]) != far, "it is away"
    vector = pack(-queries[0])
    found.upsert(far, vector, vector)
    assert _first(found, queries[0]) == far, "and back, with what it did"
    found.remember(far, [], 2.0)
    assert _first(found, queries[0]) != far


def test_memories_are_bounded_and_leave_foreign_vectors_out() -> None:
    memories = Memories(ExactIndex(DIM), DIM, most=3)
    x = normalised(np.eye(DIM)[0])
    memories.put("a", x, [Exemplar(f"w{n}", short(x), 1.0, float(n)) for n in range(2)], 1.0)
    memories.put("b", x, [Exemplar(f"w{n}", short(x), 1.0, float(n)) for n in range(2)], 1.0)
    memories.put("c", x, [Exemplar("w", short(x), 1.0, 1.0)], 1.0)
    assert [memories.evidence(x, [key])[1][0] for key in "abc"] == pytest.approx([2.0, 1.0, 0.0], abs=1e-3)
    memories.remove("a")
    memories.put("c", x, [Exemplar("w", short(x), 1.0, 1.0), Exemplar("v", bytes(4), 1.0, 2.0)], 1.0)
    assert memories.evidence(x, ["c"])[1] == pytest.approx([1.0], abs=1e-3)


def test_nobody_is_proposed_for_what_it_did_badly() -> None:
    memories = Memories(ExactIndex(DIM), DIM)
    x = normalised(np.eye(DIM)[0])
    memories.put("bad", x, [Exemplar("w", short(x), 0.0, 1.0)], 1.0)
    memories.put("good", x, [Exemplar("w", short(x), 1.0, 1.0)], 1.0)
    assert memories.propose(x, 5) == ("good",)
    assert memories.evidence(x, ["bad"])[0][0] < 0.0
    memories.put("good", x, [Exemplar("w", short(x), 1.0, 1.0), Exemplar("v", short(x), 0.0, 2.0)], 2.0)
    assert memories.propose(x, 5) == ("good",), "a failure does not change by what it is found"
    memories.put("good", x, [Exemplar("w", short(x), 0.0, 3.0)], 3.0)
    assert memories.propose(x, 5) == ()


def test_an_agent_is_found_by_its_latest_successes_only() -> None:
    memories = Memories(ExactIndex(DIM), DIM)
    x, y = normalised(np.eye(DIM)[0]), normalised(np.eye(DIM)[1])
    done = [Exemplar(f"w{at:03}", short(x), 1.0, 1.0 + at) for at in range(FOUND_BY)]
    memories.put("a", x, [Exemplar("first", short(y), 1.0, 0.0), *done], 40.0)
    assert len(memories.index.near(y, 100)) <= FOUND_BY
    assert memories.evidence(y, ["a"])[1][0] == pytest.approx(1.0, abs=0.3), "and judged by all"
    memories.remove("a")
    assert memories.propose(x, 5) == ()


def test_a_success_that_words_foretold_adds_less() -> None:
    x, y = normalised(np.eye(DIM)[0]), normalised(np.eye(DIM)[1])
    memories = Memories(ExactIndex(DIM), DIM)
    memories.put("plain", y, [Exemplar("w", short(x), 1.0, 1.0)], 1.0)
    memories.put("worded", y, [Exemplar("w", short(x), 1.0, 1.0, 0.5)], 1.0)
    plain, worded = memories.evidence(x, ["plain", "worded"])[0]
    assert plain - worded == pytest.approx(PRIOR * LEXICAL * 0.5 / (1 + NOISE), abs=1e-3)


def test_terms_that_nobody_packed_are_refused_before_anything_changes() -> None:
    found = _retriever()
    with pytest.raises(ValueError, match="terms"):
        found.upsert("a", pack(np.eye(DIM)[0]), pack(np.eye(DIM)[0]), (), b"xyz")
    assert not len(found)


def _first(found: Retriever, vector: Floats) -> str:
    return found.search([Probe(normalised(vector))], 1)[0][0].key
