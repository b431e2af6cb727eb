import pytest

import foa
from agents.summariser.handler import run, split

TEXT = """The broker carries messages between agents. Agents publish messages to the broker and read
messages from the broker.
Dr. Smith, who likes tea (e.g. green tea), lives in Berlin. The weather was mild on Tuesday.
When an agent dies, the broker tells the other agents, and another agent takes over its messages.
Some people prefer coffee! A coordinator is an agent that owns messages of a task. Lunch is at noon.
"""


def test_sentences_of_the_original_in_their_order() -> None:
    summary = run(TEXT, foa.Assignment("summarise this"))
    chosen = split(summary)
    assert len(chosen) == 2
    assert all(sentence in split(TEXT) for sentence in chosen)
    assert "broker" in summary
    assert "Lunch" not in summary


@pytest.mark.parametrize(("asked", "number"), [("in one sentence", 1), ("3 sentences please", 3), ("a lot", 2)])
def test_the_number_asked_for(asked: str, number: int) -> None:
    assert len(split(run(TEXT, foa.Assignment(asked)))) == number


def test_abbreviations_end_no_sentence() -> None:
    assert split("Dr. Smith met J. Doe, e.g. here. Then he left.\n\nA heading\n\nMore.") == [
        "Dr. Smith met J. Doe, e.g. here.",
        "Then he left.",
        "A heading",
        "More.",
    ]


def test_list_items_are_sentences_and_headings_are_left_out() -> None:
    text = "1. Water\nThe pump failed twice.\n- Ann will buy a pump.\n- Bob will dig for the pump.\n\n2. Party\nNone.\n"
    assert split(text)[:4] == [
        "Water The pump failed twice.",
        "Ann will buy a pump.",
        "Bob will dig for the pump.",
        "Party None.",
    ]
    headed = "Harbour news\n\nThe harbour froze.\n\nHarbour and ships\n\nShips left the harbour."
    assert run(headed, foa.Assignment("in one sentence")) in ("The harbour froze.", "Ships left the harbour.")


def test_repetition_is_taken_once() -> None:
    text = "Agents find each other by meaning. " * 5 + "They split work by agreement. Then they deliver."
    assert run(text, foa.Assignment("in 3 sentences")).count("by meaning") == 1


def test_short_and_empty_texts() -> None:
    assert run("One sentence only", foa.Assignment("x")) == "One sentence only"
    with pytest.raises(foa.Decline):
        run(" \n ", foa.Assignment("x"))


def test_a_request_that_brings_no_text_is_not_summarised() -> None:
    with pytest.raises(foa.Decline, match="the request itself"):
        run("write a short report about it", foa.Assignment("write a short report about it"))
    assert run("Summarise this: The sea froze. It rained.", foa.Assignment("Summarise this: The sea froze. It rained."))
