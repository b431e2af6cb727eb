"""Notation: numbers and formulas in one way of writing, prose left alone, and nothing that hangs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foa.core.cluster.agreement import form, similarity
from foa.core.cluster.notation import reading
from foa.wire.records import Given, Value


def near(one: str, other: str) -> float:
    forms = [
        form((Given("out", Value("text/plain", media="text/plain", body=words.encode(errors="replace"))),))
        for words in (one, other)
    ]
    return similarity(*forms)


SAME = [
    ("42", "42.0"),
    ("$1,000", "1000"),
    ("50\\%", "50%"),
    ("18 dollars", "$18"),
    ("\\dfrac12", "\\frac{1}{2}"),
    ("\\frac{1}{2}", "0.5"),
    ("\\frac{x+2}{7}", "(x + 2)/7"),
    ("5\\sqrt3", "5 \\sqrt{3}"),
    ("x = 5", "5"),
    ("\\text{neither}", "Neither"),
    ("\\left(1, 2\\right)", "(1,2)"),
    ("90^\\circ", "90"),
]
DIFFERENT = [
    ("-2", "2"),
    ("\\frac{1}{2}", "\\frac{2}{1}"),
    ("16461", "16470"),
    ("2.5", "5.2"),
    ("(1,2)", "(2,1)"),
    ("3^x", "x^3"),
    ("18 cm", "18 m"),
    ("1000000", "1000001"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_one_claim_written_in_two_ways(one: str, other: str) -> None:
    assert near(one, other) == near(other, one) == 1.0


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_two_claims(one: str, other: str) -> None:
    assert near(one, other) < 0.9


def test_prose_is_no_formula() -> None:
    for words in ("the answer is 42", "We (all of us) agree", "", "-", "and so on / and on", "1" * 300):
        assert reading(words) is None
    assert near("it fell by -3.5 degrees overnight", "it fell by 3.5 degrees overnight") < 1.0


@given(st.text(alphabet="\\{}()frac sqrt0123456789./-^=,$%text", max_size=300))
def test_whatever_is_written_is_read_in_one_way(words: str) -> None:
    found = reading(words)
    assert found is None or found == reading(words)
    assert near(words, words) == 1.0


@pytest.mark.parametrize(
    "words", ["\\frac{" * 40, "{" * 256, "\\text{" * 40 + "}" * 40, "(" * 250, "1/0", "1e999", "9" * 256]
)
def test_deep_and_long_ones_do_no_harm(words: str) -> None:
    assert near(words, words) == 1.0
