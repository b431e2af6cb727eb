"""Gates, scores, choice, merging."""

from math import exp
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foa.core.routing.choose import consider, decide, pick
from foa.core.routing.gate import expected_price, fits, gate, refusals
from foa.core.routing.merge import merge, merge_found
from foa.core.routing.score import Circumstances, Weights, alpha, input_shortfall, preferring
from foa.wire.ids import Version
from foa.wire.messages import Found
from foa.wire.records import Candidate, Hit, Port, Query, Resources

TEXT = "x" * 4000  # about 1000 tokens


def hit(name: str = "a", cosine: float = 0.6, spec: float = 0.5, **fields: Any) -> Hit:
    return Hit(f"o/u/{name}", Version(1, 1), cosine, spec, **fields)


@pytest.mark.parametrize(
    ("declared", "given", "good"),
    [
        ("text/csv", "text/csv", True),
        ("text/*", "text/csv", True),
        ("text/", "text/csv", True),
        ("text/csv", "text/csv;header=present", True),
        ("*/*", "image/png", True),
        ("text/csv", "text/plain", False),
        ("text", "text/csv", False),
        ("outliers", "outliers", True),
    ],
)
def test_types_fit_by_equality_or_prefix(declared: str, given: str, good: bool) -> None:
    assert fits(declared, given) is good


@pytest.mark.parametrize(
    ("word", "query", "fields"),
    [
        ("policy", Query("x", policies=("gdpr",)), {}),
        ("requires", Query("x"), {"requires": ("nda",)}),
        ("skills", Query("x", skills=("csv",)), {}),
        ("produces", Query("x", produces=("text/csv",)), {"outputs": (Port("o", "image/png"),)}),
        ("budget", Query(TEXT, budget=0.01), {"resources": Resources(price_call=0.005, price_1k=0.02)}),
        ("excluded", Query("x", exclude=("o/u/a",)), {}),
    ],
)
def test_each_gate_refuses_with_its_word_and_a_sentence(word: str, query: Query, fields: dict[str, Any]) -> None:
    refusal = gate(query, hit(**fields))
    assert refusal is not None
    assert refusal.word == word
    assert len(refusal.sentence) > 8
    (candidate,) = consider(query, [hit(**fields)], Weights())
    assert candidate.refused == str(refusal)


def test_all_reasons_are_told_and_the_permitted_pass() -> None:
    query = Query("x", policies=("gdpr",), skills=("csv",), produces=("text/csv",), budget=1.0)
    assert [r.word for r in refusals(query, hit())] == ["policy", "skills", "produces"]
    able = hit(holds=("gdpr",), requires=("gdpr",), skills=("csv",), outputs=(Port("o", "text/csv"),))
    assert gate(query, able) is None


def test_the_score_is_the_product_of_its_parts() -> None:
    query = Query(TEXT, budget=0.1)
    one = alpha(query, hit(resources=Resources(price_call=0.02)), Weights(), Circumstances(share=0.1))
    assert one.score == pytest.approx(one.cosine * one.spec * one.fit * one.cost)
    assert one.cost == pytest.approx(exp(-0.5 * 0.2))
    assert one.price == pytest.approx(0.02)
    assert one.fit == 1.0


def test_required_inputs_that_nobody_offers_are_a_shortfall() -> None:
    ports = (Port("t", "text/plain"), Port("f", "text/csv"), Port("o", "image/png", optional=True))
    assert input_shortfall(Query("x"), hit(inputs=ports)) == 0.5
    assert input_shortfall(Query("x", offered=("text/csv",)), hit(inputs=ports)) == 0.0
    one = alpha(Query("x"), hit(inputs=ports), Weights(), Circumstances())
    assert one.fit == pytest.approx(exp(-1.0))


def test_load_time_and_context_lower_the_fit() -> None:
    query, resources = Query(TEXT), Resources(concurrency=4, p95_ms=2000, context_tokens=500)
    free = alpha(Query("x"), hit(resources=resources), Weights(), Circumstances(left_ms=5000)).fit
    assert free == 1.0
    for around in (Circumstances(load=2), Circumstances(left_ms=1000)):
        assert alpha(Query("x"), hit(resources=resources), Weights(), around).fit < free
    assert alpha(query, hit(resources=resources), Weights(), Circumstances()).fit == pytest.approx(exp(-0.5))


def test_opposite_vectors_score_nothing_unless_all_named_skills_are_there() -> None:
    (refused,) = consider(Query("x"), [hit(cosine=-0.2)], Weights())
    assert refused.refused.startswith("unrelated")
    (named,) = consider(Query("x", skills=("csv",)), [hit(cosine=-0.2, skills=("csv",))], Weights())
    assert named.score > 0
    (weak,) = consider(Query("x"), [hit(cosine=0.1, spec=0.1)], Weights(floor=0.05))
    assert weak.refused


@given(st.floats(0, 10), st.floats(0, 10), st.floats(0.1, 100))
def test_scores_fall_as_cost_rises(cheap: float, more: float, share: float) -> None:
    scores = [
        alpha(Query("x"), hit(resources=Resources(price_call=price)), Weights(), Circumstances(share=share)).score
        for price in (cheap, cheap + more)
    ]
    assert scores[0] >= scores[1]


def test_preferences_bend_the_weights() -> None:
    dear, cheap = hit("a", 0.65, resources=Resources(price_call=1.0)), hit("b", 0.5)
    for prefer, winner in (("balanced", "b"), ("cost", "b"), ("quality", "a")):
        best = consider(Query("x"), [dear, cheap], preferring(Weights(), prefer))[0]  # type: ignore[arg-type]
        assert best.agent == f"o/u/{winner}", prefer
    slow = hit("c", 0.65, resources=Resources(latency_ms=900))
    best = consider(Query("x"), [slow, cheap], preferring(Weights(), "latency"), left_ms=1000)[0]
    assert best.agent == "o/u/b"


def test_the_busy_are_refused_and_ties_go_by_id() -> None:
    found = consider(Query("x"), [hit("c"), hit("b"), hit("a")], Weights(), {"o/u/a": 1})
    assert [c.agent for c in found] == ["o/u/b", "o/u/c", "o/u/a"]
    assert found[2].refused.startswith("busy")


REFINES: dict[str, Any] = {"refines": True, "outputs": (Port("o", "text/plain"),)}


def test_a_team_forms_by_itself_only_of_close_peers_that_refine() -> None:
    hits = [
        hit("a", 0.8, **REFINES), hit("b", 0.7, **REFINES), hit("c", 0.79), hit("d", 0.5, **REFINES),
        hit("e", 0.75, refines=True, outputs=(Port("o", "image/png"),)), hit("f", 0.78, effects="once", **REFINES),
        hit("g", 0.69, **REFINES), hit("h", 0.68, **REFINES), hit("i", 0.67, **REFINES),
    ]  # fmt: skip
    decision = decide(Query("x"), hits, Weights(), subtask="s")
    assert decision.chosen == ("o/u/a", "o/u/b", "o/u/g", "o/u/h")
    assert decide(Query("x"), hits[2:4], Weights(), subtask="s").chosen == ("o/u/c",)
    assert decide(Query("x"), hits, Weights(), subtask="s", team=5).chosen == tuple(f"o/u/{n}" for n in "acebg")
    assert decide(Query("x"), [hit("f", 0.9, effects="once"), *hits], Weights(), subtask="s", team=3).chosen == (
        "o/u/f",
    )


def test_a_decision_tells_everything() -> None:
    told = Candidate("o/u/z", cosine=0.9, refused="policy: no")
    decision = decide(Query("x", budget=1.0), [hit("a"), hit("b", 0.5, requires=("nda",))], Weights(), subtask="s",
                      attempt=2, refused=(told,), covered=64)  # fmt: skip
    assert (decision.subtask, decision.attempt, decision.covered) == ("s", 2, 64)
    assert [(c.agent, bool(c.refused)) for c in decision.candidates] == [
        ("o/u/a", False), ("o/u/b", True), ("o/u/z", True),
    ]  # fmt: skip
    nobody = decide(Query("x"), [], Weights(), subtask="s", refused=(told,))
    assert nobody.chosen == ()
    assert "nobody" in nobody.reason
    assert pick(decision.candidates, [], 1)[0] == ()
    many = decide(Query("x"), [hit(f"n{n}") for n in range(200)], Weights(), subtask="s")
    assert len(many.candidates) == 64
    msgspec.msgpack.decode(msgspec.msgpack.encode(many), type=type(many))


HITS = st.lists(
    st.builds(
        lambda n, counter, tenths: Hit(f"o/u/{n}", Version(1, counter), round(tenths / 10 + counter / 100, 3)),
        st.integers(0, 30), st.just(1), st.integers(-10, 10),
    ),
    max_size=40, unique_by=lambda h: h.agent,
)  # fmt: skip


@given(HITS, st.integers(1, 10), st.lists(st.integers(0, 3), min_size=40, max_size=40))
def test_top_k_of_the_shards_is_top_k_of_the_whole(hits: list[Hit], k: int, where: list[int]) -> None:
    shards = [[h for h, shard in zip(hits, where, strict=False) if shard in (n, 3)] for n in range(3)]
    tops = [merge([shard], k) for shard in shards]
    assert merge(tops, k) == merge([hits], k)
    assert merge(reversed(tops), k) == merge(tops, k)
    assert merge([merge(tops, k)], k) == merge(tops, k)


def test_the_higher_version_of_an_agent_is_kept() -> None:
    old, new = hit("a", 0.9), msgspec.structs.replace(hit("a", 0.2), version=Version(1, 2))
    assert merge([[old], [new]], 5) == (new,)


def test_answers_merge_with_what_they_covered_and_refused() -> None:
    one = Found(((hit("a"),),), (1, 2), "m", refused=((Candidate("o/u/b", cosine=0.9, refused="policy"),),))
    two = Found(((hit("b", 0.7),),), (2, 3), "m", refused=((Candidate("o/u/c", cosine=0.1, refused="skills"),),))
    found = merge_found((one, two, Found(hits=())), 1, 5, (b"v",))
    assert [h.agent for h in found.hits[0]] == ["o/u/b", "o/u/a"]
    assert found.covered == (1, 2, 3)
    assert [c.agent for c in found.refused[0]] == ["o/u/c"]
    assert merge_found((), 2, 5) == Found(hits=((), ()))


def test_the_price_counts_calls_and_tokens() -> None:
    assert expected_price(Query(TEXT), Resources(price_call=0.1, price_1k=0.02)) == pytest.approx(0.12)
