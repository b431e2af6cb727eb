"""Which of several texts the ready text agents work on."""

import pytest

import foa
from agents.html_page.handler import run as page
from agents.texts import meant, offered
from foa import Assignment, Value
from foa.wire.records import Given


def given(text: str, source: str = "", kind: str = "text/plain") -> Given:
    return Given("any", Value(kind, kind, text.encode()), source=source)


def test_an_input_that_is_named_is_meant() -> None:
    inputs = {"old": given("o"), "new": given("n"), "table": given("a,b", kind="text/csv")}
    assert meant(Assignment("keywords of the new notes", inputs=inputs)) == {"new": "n"}
    assert meant(Assignment("what is in the notes?", inputs=inputs)) == {"old": "o", "new": "n"}


def test_what_others_made_may_be_left_out() -> None:
    inputs = {"letter": given("dear"), "summary": given("short", "1-sum")}
    assert offered(Assignment("x", inputs=inputs), made=False) == {"letter": "dear"}
    assert offered(Assignment("x", inputs=inputs)) == {"letter": "dear", "summary": "short"}


def test_inputs_without_a_text_are_declined() -> None:
    with pytest.raises(foa.Decline):
        meant(Assignment("find its keywords", inputs={"table": given("a,b", kind="text/csv")}))


def test_without_inputs_it_is_the_words() -> None:
    assert meant(Assignment("count the words of: one two")) == {"text": "one two"}
    assert meant(Assignment("one two")) == {"text": "one two"}


def test_what_others_made_comes_with_the_markdown() -> None:
    inputs = {
        "readme": Given("readme", Value("text/markdown", "text/markdown", b"# Tide")),
        "facts": Given("facts", Value("text/plain", "text/plain", b"Links:\n- https://x.example"), source="1-links"),
        "letter": Given("letter", Value("text/plain", "text/plain", b"Dear Sir")),
    }
    made = page(Assignment("make a page", inputs=inputs))
    assert '<h1 id="tide">' in made
    assert "x.example" in made
    assert "Dear Sir" not in made
    assert "Dear Sir" in page(Assignment("make a page", inputs={"letter": inputs["letter"]}))
