from dataclasses import replace

import pytest

import foa
from agents.records import Chart, Column, Odd, Outliers, Pair, TableProfile
from agents.report_writer.handler import run
from agents.report_writer.pictures import clean

TABLE = b"x,<b>\n1,2.5\n2,3.25\n1000.5,4\n"
PROFILE = TableProfile(
    rows=3,
    columns=[
        Column("x", "number", missing=0, unique=3, mean=334.5, max=1000.5, min=1.0),
        Column("<b>", "number", missing=0, unique=3, mean=3.25),
    ],
    correlations=[Pair("x", "<b>", 0.8)],
    notes=["<i> 3 notes"],
)
OUTLIERS = Outliers([2], [Odd(2, 9.0, 3, {"x": 1000.5})], "a + b + c", considered=3, members=3)
ASKED = foa.Assignment("write a report")


def test_numbers_say_what_they_are() -> None:
    page = run(TABLE, PROFILE, ASKED)
    assert (
        '<span data-fact="{&quot;column&quot;: &quot;x&quot;, &quot;stat&quot;: &quot;mean&quot;}">334.5</span>' in page
    )
    assert "<code>&lt;b&gt;</code>" in page
    assert "What stands out" not in page


def test_the_agreement_is_told() -> None:
    page = run(TABLE, PROFILE, ASKED, OUTLIERS)
    assert '<span data-said="outliers">3</span> methods (a, b, c) looked at' in page
    assert "in the eyes of a majority" in page
    alone = run(TABLE, PROFILE, ASKED, replace(OUTLIERS, members=1, method="a"))
    assert "One method alone (a) flags" in alone


def test_charts_of_others_are_made_harmless() -> None:
    svg = (
        '<?xml version="1.0"?><!DOCTYPE svg><svg xmlns="http://www.w3.org/2000/svg" onload="x()">'
        '<script>alert(1)</script><a href="https://x.org"><path d="M0 0"/></a><g onclick="x"><path d="M1 1"/></g>'
        '<style>@import url(https://x.org)</style><use href="https://x.org/#a"/><image href="https://x.org/a.png"/>'
        '<foreignObject><body/></foreignObject><rect fill="url(https://x.org)" width="1"/></svg>'
    )
    page = run(TABLE, PROFILE, ASKED, None, [Chart("<T>", "c", svg)])
    assert '<path d="M1 1" />' in page
    assert "&lt;T&gt;" in page
    for gone in ("<script", "onload", "onclick", "x.org", "<a ", "foreignObject", "@import"):
        assert gone not in page


@pytest.mark.parametrize(
    "svg", ["", "<svg", "<p/>", "<svg/>", '<svg xmlns="x"><!ENTITY a "b"></svg>', "<svg>" + "<g>" * 300_000]
)
def test_what_is_no_picture_is_left_out(svg: str) -> None:
    assert clean(svg) == ""


@pytest.mark.parametrize("columns", [[], [Column("other")]])
def test_a_profile_of_another_table_is_declined(columns: list[Column]) -> None:
    with pytest.raises(foa.Decline, match="another table"):
        run(TABLE, TableProfile(3, columns), ASKED)


def test_what_others_say_of_another_table_is_left_out() -> None:
    page = run(TABLE, PROFILE, ASKED, Outliers([99], [Odd(99, 1.0, 1, {"x": 1})]), [Chart("", "", "")])
    assert "What stands out" in page
    assert "most unusual values" not in page
    assert "<figure>" not in page
