from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import sklearn

import foa
from agents.chart_maker.handler import run
from agents.records import Odd, Outliers, Pair, TableProfile

DATA = Path(sklearn.__file__).parent / "datasets" / "data"
ASKED = foa.Assignment("chart what matters")


@pytest.mark.slow
def test_what_matters_is_charted() -> None:
    body = (DATA / "wine_data.csv").read_bytes()
    outliers = Outliers([59, 121], [Odd(121, 4.0, 2, {"c4": 28.5})])
    profile = TableProfile(178, [], correlations=[Pair("c1", "c13", 0.64)])
    charts = run(body, ASKED, profile, outliers)
    assert [chart.title for chart in charts] == ["Distributions", "Strongest correlation", "Rows that stand out"]
    assert "c1 and c13" in charts[1].caption
    for chart in charts:
        assert len(chart.svg) <= 60_000
        assert ET.fromstring(chart.svg).tag.endswith("svg")
    assert charts == run(body, ASKED, profile, outliers)


@pytest.mark.parametrize(
    ("body", "title"),
    [
        (b"a,b\n1,\n2,3\n4,\n", "Missing values"),
        (b"name,kind\nx,y\nz,y\n", "Values of name"),
        (b"x\n1\n1\n", "Values of x"),
        (b"$a_b^$,<b>\n1,2\n2,1\n9,3\n", "Strongest correlation"),
    ],
)
def test_any_table_has_a_chart(body: bytes, title: str) -> None:
    assert title in [chart.title for chart in run(body, ASKED)]


def test_what_others_say_of_another_table_does_no_harm() -> None:
    profile = TableProfile(3, [], correlations=[Pair("no", "a", 1.0), Pair("a", "a", 1.0)])
    outliers = Outliers([-1, 10**9], [Odd(10**9), Odd(1, 3.0, 1, {"no": 1.0})])
    titles = [chart.title for chart in run(b"a,b\n1,2\n2,1\n9,3\n", ASKED, profile, outliers)]
    assert titles == ["Distributions", "Strongest correlation", "Rows that stand out"]


def test_totals_are_bars_in_the_order_of_the_table() -> None:
    (chart,) = run(b"kind,tons\nElm,30\nAsh,20\nOak,10\n", ASKED)
    assert chart.title == "tons by kind"
    places = [chart.svg.index(f">{name}<") for name in ("Oak", "Ash", "Elm")]
    assert places == sorted(places)  # drawn from below
    assert run(b"kind,tons\nElm,30\nElm,20\nOak,10\n", ASKED)[0].title != "tons by kind"
