import pytest

import foa
from agents.table_query.handler import run

TABLE = b"""ship,port,tons,days_late
Aurora,Bergen,120,0
Borealis,Oslo,80,5
Cirrus,Bergen,200,2
Cirrus,Bergen,200,2
Draco,Oslo,,9
Electra,Narvik,40,1
"""


def ask(text: str) -> list[str]:
    return run(TABLE, foa.Assignment(text)).decode().splitlines()[1:]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("keep only the ships of Bergen", ["Aurora,Bergen,120,0", *["Cirrus,Bergen,200,2"] * 2]),
        ("all but those of Bergen and Oslo", ["Electra,Narvik,40,1"]),
        ("those more than 4 days late", ["Borealis,Oslo,80,5", "Draco,Oslo,,9"]),
        ("tons at least 120 and days_late below 2", ["Aurora,Bergen,120,0"]),
        ("remove duplicates and rows with missing values of Bergen", ["Aurora,Bergen,120,0", "Cirrus,Bergen,200,2"]),
        ("add up the tons per port", ["Bergen,520", "Oslo,80", "Narvik,40"]),
        ("how many ships are there for each port?", ["Bergen,3", "Oslo,2", "Narvik,1"]),
        ("what is the average of days_late by port", ["Bergen,1.33333333333", "Oslo,7", "Narvik,1"]),
        ("total tons", ["640"]),
        ("sort by days late, highest first, and give me the top 2", ["Draco,Oslo,,9", "Borealis,Oslo,80,5"]),
        ("the three lowest tons", ["Electra,Narvik,40,1", "Borealis,Oslo,80,5", "Aurora,Bergen,120,0"]),
    ],
)  # fmt: skip
def test_what_is_asked_of_a_table(text: str, rows: list[str]) -> None:
    assert ask(text) == rows


def test_words_that_name_nothing_in_the_table_are_declined() -> None:
    with pytest.raises(foa.Decline, match="asks nothing"):
        ask("translate this into Norwegian")
