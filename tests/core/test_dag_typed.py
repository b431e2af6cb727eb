"""The typed planner: cheapest routes against brute force, what requests name, bridges, detours, hostile documents."""

from itertools import combinations
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foa.core.dag import planfile
from foa.core.dag import typed as t
from foa.core.dag.plan import ancestors, check, depth, order
from foa.core.dag.typed.layout import OWN_TEXT
from foa.core.dag.typed.planner import inferred
from foa.core.dag.typed.routes import cheapest, cost, reachable
from foa.core.routing import gate
from foa.wire.ids import Version
from foa.wire.records import Hit, Plan, Port, Resources, Subtask

KINDS = ("a", "b", "c", "d", "e", "text/csv", "text/*", OWN_TEXT)
RULES = t.RouteRules(search=100_000)


def offer(
    name: str, needs: str, yields: str, price: float = 0.0, *, maybe: str = "", relevance: float = 0.0
) -> t.Offer:
    ports = [Port(f"i{at}", kind) for at, kind in enumerate(needs.split())]
    ports += [Port(f"m{at}", kind, optional=True) for at, kind in enumerate(maybe.split())]
    outputs = tuple(Port(kind.rpartition("/")[2], kind) for kind in yields.split())
    return t.Offer(f"o/u/{name}", f"does {name}", name, tuple(ports), outputs, price, 0.0, relevance)


kinds = st.lists(st.sampled_from(KINDS), max_size=3, unique=True)


@st.composite
def offered(draw: st.DrawFn, most: int = 8) -> list[t.Offer]:
    count = draw(st.integers(0, most))
    return [
        offer(
            f"n{at}",
            " ".join(draw(kinds)),
            " ".join(draw(kinds) or ["a"]),
            draw(st.integers(0, 30)) / 100,
            maybe=" ".join(draw(kinds)),
            relevance=draw(st.sampled_from([0.0, 0.5, 1.0])),
        )
        for at in range(count)
    ]


def closure(known: set[str], offers: list[t.Offer]) -> set[str]:
    """Forward chaining, written apart from the code under test."""
    known, grown = set(known), True
    while grown:
        grown = False
        for one in offers:
            needs = [port.type for port in one.inputs if not port.optional]
            if all(any(t.fits(need, each) for each in known) for need in needs):
                new = {port.type for port in one.outputs} - known
                grown = grown or bool(new)
                known |= new
    return known


def yields_all(start: list[str], wanted: list[str], offers: list[t.Offer]) -> bool:
    known = closure(set(start), offers)
    return all(any(t.fits(kind, each) for each in known) for kind in wanted)


def brute(start: list[str], wanted: list[str], offers: list[t.Offer]) -> int | None:
    """Return the least cost of any subset that yields all."""
    return min(
        (
            sum(cost(one, RULES) for one in some)
            for size in range(len(offers) + 1)
            for some in combinations(offers, size)
            if yields_all(start, wanted, list(some))
        ),
        default=None,
    )


def unmet(plan: Plan, start: list[str]) -> list[tuple[str, str]]:
    named = {one.id: one for one in plan.subtasks}
    return [
        (one.id, need)
        for one in plan.subtasks
        for need in one.needs
        if not any(t.fits(need, kind) for kind in start)
        and not any(t.fits(need, kind) for above in ancestors(plan, one.id) for kind in named[above].produces)
    ]


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(offered(), kinds, kinds)
def test_a_route_costs_as_little_as_any_subset(offers: list[t.Offer], start: list[str], wanted: list[str]) -> None:
    found = cheapest(start, wanted, offers, RULES)
    best = brute(start, wanted, offers)
    assert (found is None) == (best is None)
    if found is not None:
        assert sum(cost(one, RULES) for one in found) == best
        for at in range(len(found)):
            needs = [port.type for port in found[at].inputs if not port.optional]
            assert yields_all(start, needs, list(found[:at]))


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(offered(), kinds, kinds, st.integers(0, 30))
def test_without_a_search_the_route_is_still_one_and_never_cheaper(
    offers: list[t.Offer], start: list[str], wanted: list[str], search: int
) -> None:
    found = cheapest(start, wanted, offers, t.RouteRules(search=search))
    best = brute(start, wanted, offers)
    assert (found is None) == (best is None)
    if found is not None:
        assert yields_all(start, wanted, list(found))
        assert sum(cost(one, RULES) for one in found) >= (best or 0)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(offered(), kinds, kinds)
def test_a_plan_of_a_route_brings_every_input_and_all_that_is_wanted(
    offers: list[t.Offer], start: list[str], wanted: list[str]
) -> None:
    plan = t.route(start, wanted, offers, RULES)
    found = cheapest(start, wanted, offers, RULES)
    assert (plan is None) == (not found)
    if plan is None or found is None:
        return
    assert check(plan) is None
    assert len(plan.subtasks) == len(found)
    assert [one.id for one in plan.subtasks] == sorted(one.id for one in plan.subtasks)
    assert unmet(plan, start) == []
    made = [*start, *(kind for one in plan.subtasks for kind in one.produces)]
    assert all(any(t.fits(kind, each) for each in made) for kind in wanted)
    assert plan == t.route(start, wanted, offers[::-1], RULES)
    read = planfile.read(planfile.write(plan))
    assert (read.subtasks, sorted(read.edges)) == (plan.subtasks, list(plan.edges))


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(offered(), kinds, kinds)
def test_what_is_reachable_is_what_forward_chaining_yields(
    offers: list[t.Offer], start: list[str], wanted: list[str]
) -> None:
    expected = [kind for kind in sorted(wanted) if yields_all(start, [kind], offers)]
    assert list(reachable(start, wanted, offers)) == expected


def test_what_feeds_two_is_there_once_and_paid_once() -> None:
    offers = [
        offer("base", "a", "b", 0.10),
        offer("left", "b", "c"),
        offer("right", "b", "d"),
        offer("alone-c", "a", "c", 0.07),
        offer("alone-d", "a", "d", 0.07),
        offer("join", "c d", "e"),
    ]
    plan = t.route(["a"], ["e"], offers)
    assert plan is not None
    # As trees, c and d cost 0.07 + step each by themselves and 0.10 + two steps over b; together b is cheaper.
    assert [one.skills[0] for one in plan.subtasks] == ["base", "left", "right", "join"]
    assert len(plan.edges) == 4


def test_cheap_beats_short_relevant_beats_cheap_and_caps_hold() -> None:
    direct, one, two = offer("direct", "a", "c", 0.5), offer("one", "a", "b"), offer("two", "b", "c")
    assert [x.skill for x in cheapest(["a"], ["c"], [direct, one, two]) or ()] == ["one", "two"]
    near = offer("near", "a", "c", 0.0005, relevance=1.0)
    assert [x.skill for x in cheapest(["a"], ["c"], [offer("far", "a", "c"), near]) or ()] == ["near"]
    assert cheapest(["a"], ["c"], [one, two], t.RouteRules(size=1)) is None
    assert t.route(["a"], ["c"], [one, two], t.RouteRules(depth=1)) is None
    slow = offer("slow", "a", "c")._replace(latency_ms=60_000.0)
    assert [x.skill for x in cheapest(["a"], ["c"], [slow, one, two]) or ()] == ["one", "two"]


def test_a_type_too_long_for_a_subtask_is_not_used() -> None:
    assert t.route(["a"], ["x" * 65], [offer("long", "a", "x" * 65)]) is None


DATA = [
    offer("profile", "text/csv", "table-profile"),
    offer("outliers", "text/csv", "outliers"),
    offer("charts", "text/csv", "charts", maybe="table-profile outliers"),
    offer("report", "text/csv table-profile", "text/html", maybe="outliers charts"),
    offer("review", "text/html text/csv", "review"),
    offer("summarise", "", OWN_TEXT, maybe=OWN_TEXT),
]
TABLE = (Port("table", "text/csv"),)


@pytest.mark.parametrize(
    ("text", "skills"),
    [
        ("Find the outliers and write an HTML report", ["outliers", "profile", "report"]),
        ("Draw a chart of this csv", ["charts"]),
        ("Write up a report and have it reviewed", ["profile", "report", "review"]),
        ("Make a table profile", ["profile"]),
    ],
)
def test_what_a_request_names_is_planned(text: str, skills: list[str]) -> None:
    plan = t.propose(text, TABLE, DATA)
    assert plan is not None
    assert plan.origin == ("typed",)
    assert [one.skills[0] for one in plan.subtasks] == skills
    last = plan.subtasks[-1]
    assert last.needs or last.skills == ("charts",)


def test_an_optional_input_is_brought_where_somebody_yields_it() -> None:
    plan = t.propose("charts in an html report", TABLE, DATA)
    assert plan is not None
    by_skill = {one.skills[0]: one.id for one in plan.subtasks}
    assert (by_skill["charts"], by_skill["report"]) in plan.edges
    assert (by_skill["profile"], by_skill["charts"]) in plan.edges


@pytest.mark.parametrize("ports", [(), (Port("text", OWN_TEXT),)])
def test_text_alone_is_refused(ports: tuple[Port, ...]) -> None:
    assert t.propose("Summarise this text", ports, DATA) is None
    assert t.propose("Translate and summarise", ports, DATA, [OWN_TEXT]) is None


def test_nothing_typed_is_refused_and_said_wants_are_taken() -> None:
    assert t.propose("Hello there", TABLE, DATA) is None
    assert t.propose("Hello there", (), []) is None
    plan = t.propose("Hello there", TABLE, DATA, ["review", "nobody-has-this"])
    assert plan is not None
    assert plan.subtasks[-1].produces == ("review",)


def test_the_requests_own_words_are_an_input_where_the_others_do_not_do() -> None:
    offers = [offer("forecast", OWN_TEXT, "weather"), offer("map", "weather", "image/png")]
    plan = t.propose("a png of tomorrow's weather in Basel", (), offers)
    assert plan is not None
    first = plan.subtasks[0]
    assert first.text == "does forecast: a png of tomorrow's weather in Basel"
    assert first.needs == ()
    strict = t.propose("png", (Port("x", "weather"),), offers)
    assert strict is not None
    assert [one.skills for one in strict.subtasks] == [("map",)]


def test_the_most_relevant_offers_say_what_is_wanted() -> None:
    offers = [offer("odd", "text/csv", "oddities", relevance=0.8), offer("other", "text/csv", "others", relevance=0.5)]
    assert inferred("show me strange rows", ["text/csv"], offers) == ("oddities",)
    faint = [one._replace(relevance=0.1) for one in offers]
    assert inferred("show me strange rows", ["text/csv"], faint) == ()


@st.composite
def needy(draw: st.DrawFn) -> Plan:
    size = draw(st.integers(1, 7))
    names = draw(st.permutations([f"n{at}" for at in range(size)]))
    pairs = [(names[one], names[other]) for one in range(size) for other in range(one + 1, size)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    subtasks = [
        Subtask(
            one,
            "t",
            needs=tuple(draw(kinds)),
            produces=tuple(draw(kinds)),
            policies=draw(st.sampled_from([(), ("eu",)])),
        )
        for one in names
    ]
    return Plan(tuple(subtasks), tuple(edges))


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(needy(), kinds, offered(5))
def test_a_bridged_plan_is_sound_whole_and_done(plan: Plan, start: list[str], offers: list[t.Offer]) -> None:
    made = t.bridged(plan, start, offers)
    assert check(made.plan) is None
    assert made.plan.subtasks[: len(plan.subtasks)] == plan.subtasks
    assert set(plan.edges) <= set(made.plan.edges)
    assert {one.id for one in made.plan.subtasks} == {one.id for one in plan.subtasks} | set(made.added)
    open_ = [(ident, kind) for ident, kind in unmet(made.plan, start) if not t.fits(kind, OWN_TEXT)]
    assert sorted(open_) == sorted(made.missing)
    again = t.bridged(made.plan, start, offers)
    assert again == t.Bridged(made.plan, (), made.missing)
    assert made == t.bridged(plan, start, offers[::-1])


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(needy(), kinds, offered(5))
def test_what_is_missing_nobody_can_bring(plan: Plan, start: list[str], offers: list[t.Offer]) -> None:
    made = t.bridged(plan, start, offers)
    named = {one.id: one for one in made.plan.subtasks}
    for ident, kind in made.missing:
        above = [each for other in ancestors(made.plan, ident) for each in named[other].produces]
        assert not yields_all([*start, *above], [kind], offers)


def test_a_gap_is_closed_by_an_edge_or_by_a_route_with_the_same_policies() -> None:
    plan = Plan(
        (Subtask("write", "t", needs=("charts",), policies=("eu",)), Subtask("draw", "t", produces=("charts",)))
    )
    assert t.bridged(plan, [], []).plan.edges == (("draw", "write"),)
    lone = Plan((Subtask("check", "t", needs=("review",), policies=("eu",)),))
    made = t.bridged(lone, ["text/csv"], DATA)
    assert [one.skills for one in made.plan.subtasks[1:]] == [("profile",), ("report",), ("review",)]
    assert {one.policies for one in made.plan.subtasks} == {("eu",)}
    assert order(made.plan)[-1] == "check"
    assert t.bridged(lone, [], DATA) == t.Bridged(lone, (), (("check", "review"),))


def test_text_is_never_missing_but_made_of_something_else_comes_first() -> None:
    plan = Plan(
        (
            Subtask("hear", "t", needs=("audio/wav",), produces=(OWN_TEXT,)),
            Subtask("sum", "t", needs=(OWN_TEXT,), produces=(OWN_TEXT,)),
            Subtask("turn", "t", needs=(OWN_TEXT,), produces=(OWN_TEXT,)),
        )
    )
    made = t.bridged(plan, ["audio/wav"], [])
    assert set(made.plan.edges) == {("hear", "sum"), ("hear", "turn")}
    assert made.missing == ()


@pytest.mark.slow
def test_a_plan_that_needs_the_impossible_a_thousand_times_takes_no_long() -> None:
    needs = tuple(f"t{at}" for at in range(128))
    plan = Plan(tuple(Subtask(f"n{at:04d}", "t", needs=needs, produces=("x/*",)) for at in range(128)))
    made = t.bridged(plan, [], [offer(f"a{at}", f"t{at}", f"t{at + 1}") for at in range(128)])
    assert made.plan == plan
    assert len(made.missing) == 128 * 128


def test_an_invalid_plan_comes_back_as_it_is() -> None:
    broken = Plan((Subtask("a", "t", needs=("b",)),), (("a", "a"),))
    assert t.bridged(broken, [], []) == t.Bridged(broken, (), ())


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(needy(), kinds, offered(), st.sampled_from(["n0", "n3", "nobody"]), st.booleans())
def test_a_detour_yields_the_same_by_others(
    plan: Plan, available: list[str], offers: list[t.Offer], ident: str, bar: bool
) -> None:
    excluded = [one.agent for one in offers[:2]] if bar else []
    found = next((one for one in plan.subtasks if one.id == ident), None)
    made = t.detour(plan, ident, available, offers, excluded)
    if found is None or not found.produces:
        assert made is None
        return
    start = [one for one in available if not any(t.fits(kind, one) for kind in found.produces)]
    others = [one for one in offers if one.agent not in excluded]
    assert (made is None) == (not yields_all(start, list(found.produces), others))
    if made is not None:
        assert check(made) is None
        assert unmet(made, start) == []
        assert {one.id for one in made.subtasks}.isdisjoint(one.id for one in plan.subtasks)
        assert all(one.policies == found.policies for one in made.subtasks)
        kinds_made = [kind for one in made.subtasks for kind in one.produces]
        assert all(any(t.fits(kind, each) for each in kinds_made) for kind in found.produces)
        assert all(one.skills[0] not in {each.skill for each in offers[:2]} or not bar for one in made.subtasks)


def test_a_detour_goes_over_another_type_when_an_agent_is_gone() -> None:
    plan = Plan((Subtask("make", "turn it into html", produces=("text/html",), weight=2.0),))
    offers = [offer("direct", "text/csv", "text/html"), offer("one", "text/csv", "x"), offer("two", "x", "text/html")]
    straight = t.detour(plan, "make", ["text/csv"], offers)
    around = t.detour(plan, "make", ["text/csv"], offers, ["o/u/direct"])
    assert straight is not None
    assert around is not None
    assert len(straight.subtasks) == 1
    assert [one.skills for one in around.subtasks] == [("one",), ("two",)]
    assert [one.text for one in around.subtasks] == ["does one", "turn it into html"]
    assert {one.weight for one in around.subtasks} == {2.0}
    assert depth(around) == 2


def a_hit(agent: str, **more: Any) -> Hit:
    return Hit(agent, Version(1, 1), 0.5, **more)


def test_hits_become_offers_planners_and_the_mute_do_not() -> None:
    port = (Port("x", "b"),)
    hits = [
        a_hit("o/u/two", skills=("s-1", "s_2"), outputs=port, name="Two", resources=Resources(0.1, 0.2, 30.0)),
        a_hit("o/u/mute", skills=("s",)),
        a_hit("o/u/planner", skills=("plan",), outputs=port),
        a_hit("o/u/one", skills=("s-1",), outputs=port, relevance=0.7),
    ]
    one, two = t.offers(hits)
    assert (one.agent, one.text, one.skill, one.relevance) == ("o/u/one", "s 1", "s-1", 0.7)
    assert (two.text, two.skill, two.latency_ms, two.relevance) == ("Two: s 1, s 2", "", 30.0, 0.5)
    assert two.price == pytest.approx(0.3)


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(offered())
def test_a_document_of_offers_reads_back(offers: list[t.Offer]) -> None:
    document = msgspec.json.decode(msgspec.json.encode(t.offers_document(offers)))
    assert list(t.read_offers(document)) == offers


words = st.text(max_size=9) | st.sampled_from(["o/u/a", "agent", "text", "type", "name", "outputs", "price", "inputs"])
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=6),
    max_leaves=30,
)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(anything, anything, st.text(max_size=60))
def test_no_document_does_harm(agents: object, types: object, request: str) -> None:
    assert all(isinstance(one, t.Offer) for one in t.read_offers([agents, *DATA]))
    made = t.typed(request, agents, types)
    assert made is None or planfile.read(made)


def test_hostile_offers_are_left_out() -> None:
    good = t.offers_document([DATA[0]])[0]
    bad = [
        {**good, "agent": "no agent"},
        {**good, "agent": "o/u/1", "price": -1.0},
        {**good, "agent": "o/u/2", "latency_ms": float("inf")},
        {**good, "agent": "o/u/3", "relevance": float("nan")},
        {**good, "agent": "o/u/4", "outputs": []},
        {**good, "agent": "o/u/5", "outputs": good["outputs"] * 65},
        {**good, "agent": "o/u/6", "skill": "s" * 65},
    ]
    assert t.read_offers([*bad, good, good]) == (DATA[0],)
    many = [{**good, "agent": f"o/u/a{at}"} for at in range(5_000)]
    assert len(t.read_offers(many)) == 512


@given(
    st.sampled_from([*KINDS, "text/", "*/*", "text/html;v=1"]), st.sampled_from([*KINDS, "text/csv;h=1", "text/csv "])
)
def test_types_fit_as_at_the_gates(declared: str, kind: str) -> None:
    assert t.fits(declared, kind) == gate.fits(declared, kind)


def test_the_door_of_planner_agents_gives_a_plan_file() -> None:
    document = t.typed("an html report please", t.offers_document(DATA), ["text/csv"])
    assert document is not None
    plan = planfile.read(msgspec.json.decode(msgspec.json.encode(document)))
    assert [one.produces for one in plan.subtasks] == [("table-profile",), ("text/html",)]
    assert plan.subtasks[1].needs == ("text/csv", "table-profile")
    assert t.typed("an html report please", "no offers", None) is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Put all of it together as an HTML page", ("text/html",)),
        ("turn the links into a small web page", ("text/html",)),
        ("give me the top 5 as a CSV table", ("text/csv",)),
        ("summarise this HTML page", ()),
        ("draw it as a poem", ()),
        ("write it as a PDF", ()),
    ],
)
def test_a_form_that_words_demand_is_declared_if_somebody_yields_it(text: str, kind: tuple[str, ...]) -> None:
    pages = t.Offer("a/b/pages", "pages", "", (), (Port("page", "text/html"),), 0.0, 0.0)
    tables = t.Offer("a/b/tables", "tables", "", (), (Port("rows", "text/csv"),), 0.0, 0.0)
    plan = t.demanded(Plan((Subtask("one", text), Subtask("two", text, produces=("own",)))), (pages, tables))
    assert [one.produces for one in plan.subtasks] == [kind, ("own",)]
