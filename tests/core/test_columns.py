"""The columns give the very verdicts of the gate, on any catalogue, whatever came and went before."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foa.core.machines.shard.catalogue import Catalogue
from foa.core.machines.shard.columns import Columns, Holders
from foa.core.machines.shard.retrieve import Plan, gather, plan
from foa.core.routing.exchange import Near
from foa.core.routing.gate import gate
from foa.wire.ids import Version
from foa.wire.records import Hit, Port, Query, Resources
from tests.core.index_net import profile_of, vcv_of

WORDS = st.sampled_from(["a", "b", "c", "d"])
LABELS = st.sampled_from(["gdpr", "hipaa", "eu"])
TYPES = st.sampled_from(
    ["text/csv", "text/*", "text/", "text/csv;header=present", "*/*", "outliers", "application/json"]
)
PRICES = st.sampled_from([0.0, 0.1, 0.30000000000000004, 1.0, 2.5])


def some(words: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(words, max_size=3).map(tuple)


@st.composite
def hits(draw: st.DrawFn) -> Hit:
    return Hit(
        agent=f"o/u/a{draw(st.integers(0, 40))}",
        version=Version(1, 1),
        cosine=0.0,
        skills=draw(some(WORDS)),
        holds=draw(some(LABELS)),
        requires=draw(some(LABELS)),
        outputs=tuple(Port("x", kind) for kind in draw(some(TYPES))),
        resources=Resources(price_call=draw(PRICES), price_1k=draw(PRICES)),
    )


@st.composite
def queries(draw: st.DrawFn) -> Query:
    return Query(
        text="x" * draw(st.integers(0, 2_000)),
        skills=draw(some(WORDS)),
        policies=draw(some(LABELS)),
        produces=draw(some(TYPES)),
        budget=draw(st.none() | PRICES),
        exclude=tuple(f"o/u/a{number}" for number in draw(st.lists(st.integers(0, 50), max_size=4))),
    )


@settings(deadline=None)
@given(st.lists(st.tuples(hits(), st.booleans()), max_size=120), st.lists(queries(), min_size=1, max_size=5))
def test_columns_say_what_the_gate_says(history: list[tuple[Hit, bool]], asked: list[Query]) -> None:
    columns, truth = Columns(), dict[str, Hit]()
    for hit, stays in history:
        if hit.agent in truth:
            columns.remove(truth.pop(hit.agent))
        if stays:
            columns.add(hit)
            truth[hit.agent] = hit
    assert len(columns) == len(truth)
    for query in asked:
        permitted = {agent for agent, hit in truth.items() if gate(query, hit) is None}
        assert set(columns.names(columns.permitted(query))) == permitted
        passed = columns.passing(query, columns.slots(truth)).tolist()
        assert [agent for agent, yes in zip(truth, passed, strict=True) if yes] == [a for a in truth if a in permitted]
        assert columns.estimate(query) == len(permitted)  # fewer than the sample: exact
        if columns.is_open(query):
            assert set(truth) - permitted <= set(query.exclude)


def test_holders_are_the_same_as_a_set_and_as_a_mask() -> None:
    few, many = Holders(), Holders()
    for slot in (3, 1, 7):
        few.add(slot, 1_000)
        many.add(slot, 100)
    few.discard(1)
    many.discard(1)
    assert few.mask is None
    assert many.mask is not None
    many.fit(200)
    for holders in (few, many):
        assert holders.slots().tolist() == [3, 7]
        assert holders.count == 2


def catalogue_of(count: int) -> Catalogue:
    catalogue = Catalogue()
    for number in range(count):
        profile = profile_of(
            number,
            holds=("half",) * (number % 2) + ("tenth",) * (number % 10 == 0) + ("hundredth",) * (number % 100 == 0),
            resources=Resources(price_call=float(number % 1000)),
        )
        catalogue.put(vcv_of(profile), number % 16)
        catalogue.mark(profile.agent, number % 16, online=True)
    return catalogue


@pytest.mark.slow
def test_few_are_gated_first_and_many_after_an_ample_search() -> None:
    catalogue = catalogue_of(6_000)
    assert plan(Query("x"), 10, catalogue) == Plan(16)
    assert plan(Query("x", exclude=("o/u/a1",) * 30), 10, catalogue) == Plan(40)
    ample = plan(Query("x", policies=("half",)), 10, catalogue)
    assert ample.among is None
    assert 25 <= ample.fetch <= 35
    for query, count in ((Query("x", policies=("hundredth",)), 60), (Query("x", budget=4.5), 30)):
        few = plan(query, 10, catalogue)
        assert few.fetch == 10
        assert few.among is not None
        assert len(few.among) == 4 * count


def test_an_ample_search_that_did_not_do_is_followed_by_an_exact_one() -> None:
    catalogue = catalogue_of(300)
    query = Query("x", policies=("tenth",))
    permitted = {f"org/unit/a{number}" for number in range(0, 300, 10)}
    near = tuple(Near(f"org/unit/a{number}", 0.5, 0.5) for number in range(1, 101))
    found = gather(query, 12, Plan(100), near, catalogue)
    assert [hit.agent for hit in found.hits] == [f"org/unit/a{number}" for number in range(10, 101, 10)]
    assert len(found.refused) == 3
    assert found.again is not None
    slots = np.frombuffer(found.again.among or b"", dtype="<i4").astype(np.intp)
    assert set(catalogue.columns.names(slots)) == permitted
