import json
from typing import Any

import pytest

import foa
from agents.reviewer.handler import run

TABLE = b"x,y\n1,2\n2,4.5\n3,6\n4,\n"
ASKED = foa.Assignment("check every number in this report against the data")


def span(text: str, **mark: Any) -> str:
    return f"<span data-fact='{json.dumps(mark)}'>{text}</span>"


RIGHT = [
    span("4", stat="rows"),
    span("2", stat="columns"),
    span("1", stat="missing"),
    span("2.5", stat="mean", column="x"),
    span("1.29", stat="std", column="x"),
    span("2.50", stat="median", column="x"),
    span("1.75", stat="q25", column="x"),
    span("4.17", stat="mean", column="y"),
    span("1", stat="missing", column="y"),
    span("3", stat="unique", column="y"),
    span("6.00", stat="value", column="y", row=2),
    span("0.9897", stat="correlation", a="x", b="y"),
    span("1.0e1", stat="sum", column="x"),
    span("\N{MINUS SIGN}0.00", stat="skew", column="x"),
]


def test_right_numbers_are_right() -> None:
    review = run("<p>" + " and ".join(RIGHT), TABLE, ASKED)
    assert (review["wrong"], review["ok"], review["checked"]) == ([], True, len(RIGHT))
    assert review["answer"] == f"all {len(RIGHT)} numbers are right"


@pytest.mark.parametrize(
    ("wrong", "reason", "actual"),
    [
        (span("5", stat="rows"), "is another number", 4.0),
        (span("2.6", stat="mean", column="x"), "is another number", 2.5),
        (span("3", stat="mean", column="x"), "is another number", 2.5),
        (span("many", stat="rows"), "is no number", 4.0),
        (span("", stat="rows"), "is no number", 4.0),
        (span("1", stat="mode", column="x"), "cannot be recomputed: there is no statistic 'mode'", None),
        (span("1", stat="mean", column="z"), "cannot be recomputed: there is no column 'z'", None),
        (span("1", stat="value", column="x", row=9), "cannot be recomputed: there is no row 9", None),
        (span("1", stat="correlation", a="x"), "cannot be recomputed: b", None),
        ("<b data-fact='{'>1</b>", "cannot be recomputed: Expecting property name", None),
        ("<b data-fact='[]'>1</b>", "cannot be recomputed: list indices", None),
        ("<b data-fact>1</b>", "cannot be recomputed: Expecting value", None),
    ],
)
def test_wrong_numbers_are_named(wrong: str, reason: str, actual: float | None) -> None:
    review = run(f"<p>{RIGHT[0]}<p>{wrong}</p>", TABLE, ASKED)
    assert (review["ok"], review["answer"]) == (False, "1 of 2 numbers are wrong")
    assert review["wrong"][0]["reason"].startswith(reason)
    assert review["wrong"][0].get("is") == actual


def test_unmarked_numbers_are_counted() -> None:
    page = (
        "<html><head><title>2024</title><style>a{width:3px}</style></head><body>In 2024, 1,234.5 rows of"
        f" <code>x1</code> (up 12%)<svg><text>9</text></svg> <i data-said='outliers'>3 of 4</i> {RIGHT[0]} x2 <br> 7"
    )
    review = run(page, TABLE, ASKED)
    assert (review["unmarked"], review["quoted"], review["ok"]) == (4, 2, True)
    assert review["unmarked_examples"] == ["2024,", "1,234.5", "12%", "7"]


@pytest.mark.parametrize("page", ["", "no numbers", "<p>5</p>", "<span data-fact='{}'", "</div></p><p"])
def test_nothing_to_check_is_not_ok(page: str) -> None:
    review = run(page, TABLE, ASKED)
    assert not review["ok"]
    assert review["answer"].startswith("nothing to check")


def test_broken_html_is_no_obstacle() -> None:
    review = run(f"<div><p>{RIGHT[0][:-7]}</p></div><b>{RIGHT[3]}", TABLE, ASKED)
    assert (review["checked"], review["ok"]) == (2, True)
