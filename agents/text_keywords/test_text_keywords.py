import pytest

import foa
from agents.text_keywords.handler import keywords, run

TEXT = "The tide rises. The tide falls, and the harbour sleeps! Then the harbour wakes with the tide."


def test_what_is_said_often_is_key_and_common_words_are_not() -> None:
    said = run(foa.Assignment("keywords"), TEXT)
    assert said.splitlines()[0].startswith("Keywords: tide, harbour, ")
    assert "the" not in said.splitlines()[0].split(", ")
    assert "Words: 17 (10 different)" in said
    assert "Sentences: 3" in said


def test_the_same_words_give_the_same_keywords() -> None:
    words = ["ebb", "flow", "flow", "ebb", "sand"]
    assert keywords(words) == keywords(list(words)) == ["flow", "ebb", "sand"]


def test_no_words_are_declined() -> None:
    with pytest.raises(foa.Decline):
        run(foa.Assignment("1 2 3"), "1 2 3")
