import pytest

import foa
from agents.text_facts.handler import actions, run

TEXT = """Paid 1,200.50 EUR on 3 May 2025 and €40 on 2025-06-01; see https://a.example/x?y=1.
- Ada will call the port by Friday, 4 July.
- It will rain by noon.
Action: Bo Li and Cy to paint the boat
twice before June 2026.
Write to o.k@port.example, or on June 5, 2026.
"""


def test_every_kind_is_found_once_as_it_stands() -> None:
    said = run(foa.Assignment("extract"), TEXT + TEXT)
    assert said.split("\n\n") == [
        "Actions:\n- Ada: call the port (by Friday, 4 July)\n- Bo Li and Cy: paint the boat twice (by June 2026)",
        "Dates:\n- 3 May 2025\n- 2025-06-01\n- 4 July\n- June 2026\n- June 5, 2026",
        "Amounts:\n- 1,200.50 EUR\n- €40",
        "Links:\n- https://a.example/x?y=1",
        "E-mail addresses:\n- o.k@port.example",
    ]


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        ("pull out the amounts of money", ["Amounts"]),
        ("all dates and links", ["Dates", "Links"]),
        ("list who promised to do what by when", ["Actions"]),
    ],
)
def test_what_is_asked_for_is_listed(words: str, kinds: list[str]) -> None:
    said = run(foa.Assignment(words), TEXT)
    assert [block.partition(":")[0] for block in said.split("\n\n")] == kinds


def test_what_is_asked_for_and_not_there_is_said() -> None:
    assert run(foa.Assignment("list the links"), "Nothing here.") == "Links:\n- none"


def test_things_promise_nothing() -> None:
    assert actions("It will rain by noon. We will see by then. Eve will sing.") == []


def test_a_text_without_facts_is_declined() -> None:
    with pytest.raises(foa.Decline):
        run(foa.Assignment("extract what matters"), "Nothing here.")
