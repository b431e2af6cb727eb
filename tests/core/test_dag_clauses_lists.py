"""The clauses planner on requests that list their steps, and on what is pasted beside a request."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foa.core.dag.clauses import MAX_CLAUSES, listing, propose
from foa.core.dag.clauses.lists import in_sequence, is_step, step
from foa.core.dag.clauses.material import without_material
from foa.core.dag.plan import check, reduced
from foa.wire.records import Plan


def texts(plan: Plan) -> list[str]:
    return [one.text for one in plan.subtasks]


def listed(goal: str, *steps: str, sign: str = "- ") -> str:
    return goal + "\n" + "\n".join(sign + one for one in steps)


RECIPE = ("Boil the water", "Pour the water over the tea", "Drink the tea")
STRETCHES = ("Stretch your arms", "Bend your knees", "Lift your heels")


# --- what the steps are -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "goal",
    ["How to make tea", "Make tea.", "I am cold. Please make me some tea with hot water!", "Tea for beginners"],
)
def test_a_request_that_lists_its_steps_is_those_steps(goal: str) -> None:
    plan = propose(listed(goal, *RECIPE))
    assert texts(plan) == list(RECIPE)
    assert plan.edges == tuple(pairwise(one.id for one in plan.subtasks))
    assert listing(listed(goal, *RECIPE)) == (goal, RECIPE)


def test_what_the_list_does_not_spell_out_is_still_to_be_done() -> None:
    plan = propose("Download the archive from the server.\n- Plot revenue by region\n- Plot churn by month")
    assert texts(plan)[0] == "Download the archive from the server"
    assert len(plan.subtasks) == 3


@pytest.mark.parametrize(
    "text",
    [
        "Compare the following fruits:\n- apples\n- pears\n- plums",
        "Summarize these notes\n- The meeting was long and boring\n- Bob was late\n- We are over budget",
        "Which of these is best?\n- red\n- green",
    ],
)
def test_a_list_of_things_is_no_list_of_steps(text: str) -> None:
    assert listing(text) is None
    assert len(propose(text).subtasks) == 1


def test_steps_stay_as_they_were_written() -> None:
    steps = ("Find the tallest tree.", "Then give them some water", "Take a photo of it", "Don't climb it", "Print it")
    assert texts(propose(listed("How to greet a tree", *steps))) == list(steps)


def test_advice_and_steps_with_their_condition_are_steps() -> None:
    steps = ("Be patient.", "Don't judge", "From the joined table, select the names")
    assert texts(propose(listed("How to get along.", *steps))) == list(steps)


def test_a_list_below_a_question_is_how_to_answer_it() -> None:
    steps = ("Identify the brand on the cart", "Select one of the four choices")
    assert texts(propose(listed("What do these horses market?", *steps))) == list(steps)


def test_one_step_that_spells_out_the_request_is_the_plan() -> None:
    assert texts(propose(listed("What is the area of the screen?", "Calculate the area."))) == ["Calculate the area."]


def test_one_request_beside_material_stands_without_it() -> None:
    page = "Your task is to: put a tomato in the oven.The action list you can take: 1. go to {place}\n2. open {box}"
    assert texts(propose(page)) == ["put a tomato in the oven"]


def test_one_item_is_no_list() -> None:
    assert listing(listed("How to make tea", "Boil the water")) is None


# --- their order ------------------------------------------------------------------------------------------


def test_steps_that_nothing_ties_stand_side_by_side() -> None:
    assert propose(listed("How to warm up", *STRETCHES)).edges == ()


def test_numbers_say_an_order() -> None:
    plan = propose("How to warm up\n1. Stretch your arms\n2. Bend your knees\n3. Lift your heels")
    assert len(plan.edges) == 2


def test_a_step_that_speaks_of_another_ties_the_list() -> None:
    assert len(propose(listed("How to warm up", *STRETCHES[:2], "After that, lift your heels")).edges) == 2


def test_parts_that_a_request_puts_side_by_side_do_not_wait() -> None:
    goal = "Tell me the weather in Oslo. Also, convert 20 euros to dollars. Additionally, find a poem about the sea."
    steps = ("Retrieve the weather in Oslo", "Convert 20 euros to dollars", "Find a poem about the sea")
    assert propose(listed(goal, *steps)).edges == ()


def test_two_steps_are_a_procedure() -> None:
    assert in_sequence("", [step("Stretch your arms"), step("Bend your knees")])
    assert not in_sequence("", [step("Stretch your arms")])


def test_what_may_be_a_step() -> None:
    assert all(map(is_step, ("Find it", "X-ray the leg", "Spray on some water", "Please hurry", "search[red shoes]")))
    assert not any(map(is_step, ("apples", "The meeting was long", "We were late", "", "In the morning there is fog")))


# --- what is pasted beside a request ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "pasted",
    [
        "The api list you can use: {'find(x)': 'Find it, then write it', 'send(y)': 'Send the mail and delete it'}",
        "The action list you can take: 1. go to {place}\n2. take {thing}\n3. open {box}\nwhere {box} is a box",
        "You have the following tools available: search, translate, send an email",
        "These are the tables and fields you can query: {'users': ['id', 'name']}",
    ],
)
def test_what_is_offered_for_use_is_not_to_be_done(pasted: str) -> None:
    plan = propose(f"Count the users in Oslo, then plot the counts.\n{pasted}")
    assert texts(plan) == ["Count the users in Oslo", "plot the counts"]
    assert without_material(f"Count the users.\n{pasted}").strip() == "Count the users."


def test_a_request_goes_on_after_what_was_pasted() -> None:
    text = "The tools you can use: search, sort\n\nFind three papers and summarize them."
    assert without_material(text).strip() == "Find three papers and summarize them."


def test_a_request_that_is_nothing_else_stays() -> None:
    text = "The tools you can use: search, sort"
    assert texts(propose(text)) == [text]


def test_what_happened_is_not_asked_for() -> None:
    text = "Looking around you, you see a cabinet and a desk. Put the book on the desk, then close the cabinet."
    assert [one.id for one in propose(text).subtasks] == ["1-put", "2-close"]


# --- laws -------------------------------------------------------------------------------------------------

words = st.lists(
    st.sampled_from(
        ["find", "the", "file", "it", "also", "then", "tools you can use:", "Anna", "- ", "\n- ", "1. ", "."]
    ),
    max_size=40,
)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(words.map(" ".join) | st.text(max_size=200))
def test_any_text_gives_a_valid_plan(text: str) -> None:
    plan = propose(text)
    assert check(plan) is None
    assert plan == reduced(plan)
    assert plan == propose(text)
    found = listing(text)
    assert found is None or 1 <= len(found.steps) <= MAX_CLAUSES
    assert len(without_material(text)) <= len(text)
