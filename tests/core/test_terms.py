"""Words of a text: split, stemmed, hashed and counted, and how they travel."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foa.core.vcv.profile import Profile, Skill
from foa.core.vcv.terms import MAX_TERMS, counted, packed, spelled, stem, term, terms_of, unpacked, words

COUNTS = st.dictionaries(st.integers(0, 2**32 - 1), st.integers(1, 1_000), max_size=60)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("getTeamStats", "get team stats"),
        ("send_sms-now", "send sms now"),
        ("ABCmouse", "ab cmouse"),
        ("AI2sql", "ai2sql"),
        ("HTTPServer v2.1", "http server v2 1"),
        ("", ""),
    ],
)
def test_names_are_written_in_words(name: str, written: str) -> None:
    assert spelled(name) == written


def test_one_word_in_many_forms_is_one_term() -> None:
    assert len({stem(word) for word in ("translate", "translates", "translated", "translating", "translation")}) == 1
    assert stem("cats") == "cat"
    assert stem("bus") == "bus"
    assert stem("planning") == stem("plan")


def test_small_words_say_nothing_and_scripts_without_spaces_are_pairs() -> None:
    assert words("Can you please tell me what this is") == []
    assert words("Translate the getTeamStats report") == ["transl", "team", "stat", "report"]
    assert words("天気予報") == ["天気", "気予", "予報"]
    assert words("Погода в Москве") == ["погода", "в", "москве"]


def test_a_profile_is_found_by_all_that_it_says() -> None:
    skill = Skill("csv.clean", "Clean CSV", "drops bad rows", ("tables",), ("tidy this sheet",))
    counts = unpacked(terms_of(Profile("o/u/a", "Cleaner", "cleans tables", skills=(skill,))))
    assert counts[term("clean")] == 4
    assert counts[term(stem("tables"))] == 2
    assert term("sheet") in counts


@given(COUNTS)
def test_terms_travel(counts: dict[int, int]) -> None:
    assert unpacked(packed(counts)) == {each: min(times, 255) for each, times in counts.items()}


def test_the_most_frequent_terms_stay_within_the_bound() -> None:
    counts = {each: 1 + (each % 7 == 0) for each in range(2_000)}
    body = packed(counts)
    assert len(body) == 5 * MAX_TERMS <= 4096
    assert {each for each, times in counts.items() if times == 2} <= set(unpacked(body))


@pytest.mark.parametrize("body", [b"1234", b"\1\0\0\0\1" * 2, b"\2\0\0\0\1\1\0\0\0\1", b"\1\0\0\0\0", bytes(5 * 801)])
def test_bytes_of_strangers_are_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"terms|800"):
        unpacked(body)


@given(st.text(max_size=200))
def test_no_text_is_too_strange(text: str) -> None:
    assert unpacked(packed(counted((text,)))) == dict(counted((text,)))
