import asyncio

import pytest

import foa
from agents.planner_cases.handler import run

PLAN = {
    "subtask": [
        {"id": "book", "text": "Book a flight to Oslo"},
        {"id": "tell", "text": "Tell Anna", "after": ["book"]},
    ]
}
CASE = {"request": "Please book a flight to Oslo, then tell Anna", "similarity": 0.9, "score": 1.0, "plan": PLAN}


def test_it_says_a_past_plan_in_the_words_of_the_request() -> None:
    plan = asyncio.run(run("Please book a flight to Rome, then tell Bob", {"cases": [CASE]}))
    first, second = plan["subtask"]
    assert first["text"] == "Book a flight to Rome"
    assert second["text"] == "Tell Bob"
    assert second["after"] == [first["id"]]


@pytest.mark.parametrize("cases", [[], {}, None, "none", [CASE | {"similarity": 0.2}], [{"plan": 3}]])
def test_it_declines_without_a_similar_case(cases: object) -> None:
    with pytest.raises(foa.Decline):
        asyncio.run(run("Please book a flight to Rome, then tell Bob", cases))
