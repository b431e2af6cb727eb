"""Words of a text as they are compared: names split, small words left out, endings cut, hashed; without numpy.

An agent counts the words of its profile once and publishes them with its capability vector; an index node counts
those of each query. Cutting endings by a short table (ours, after Harman's S stemmer, 1991, with more endings) is
crude and enough: better stemmers, subwords and character n-grams were measured and bring nothing beside a vector.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b
from struct import iter_unpack, pack
from typing import Final

from foa.core.vcv.profile import Profile

MAX_TERMS: Final = 800
"""Terms of one agent, 5 bytes each: 4,000 bytes. The most frequent stay, ties by hash."""

MAX_TEXT: Final = 32_768
"""Characters of one text that are read for words."""

_SMALL_TEXT: Final = """
a about also an and any are as at be been but by can could did do does find for from get give had has have he help her
his how i if in into is it its just know let like me more most my need no not of on or other our out please she should
show so some tell than that the their them then there these they this to up use used using want was we were what when
where which who why will with would you your am us
"""
_SMALL: Final = frozenset(_SMALL_TEXT.split())
"""Words that say nothing about a task: articles, pronouns, and the verbs that any request may begin with."""

_ENDINGS_TEXT: Final = """
ations ation ators ator ating ated ates ate ingly ings ing edly ies ied ions ion ments ment ers er ors or ed es ly s e y
"""
_ENDINGS: Final = tuple(_ENDINGS_TEXT.split())
"""The first that fits is cut, so longer ones stand before their own endings."""

_LEAST_STEM: Final = 3
_SHORT: Final = 4
_ENTRY: Final = "<IB"
_MOST_COUNTED: Final = 255

_WORD: Final = re.compile(r"[^\W_]+")
_LOWER_UPPER: Final = re.compile(r"([a-z0-9])([A-Z])")
_ACRONYM: Final = re.compile(r"([A-Z]+)([A-Z][a-z])")
_UNSPACED: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")


def spelled(name: str) -> str:
    """Return a name as lower-case words: ``getTeamStats``, ``get_team-stats`` are ``get team stats``."""
    apart = _ACRONYM.sub(r"\1 \2", _LOWER_UPPER.sub(r"\1 \2", name.replace("_", " ")))
    return " ".join(_WORD.findall(apart)).lower()


@lru_cache(maxsize=16_384)
def stem(word: str) -> str:
    """Return a lower-case word without its ending; at least three letters stay."""
    if len(word) <= _SHORT:
        return word[:-1] if len(word) == _SHORT and word.endswith("s") and not word.endswith("ss") else word
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _LEAST_STEM:
            word = word[: -len(ending)]
            break
    return word[:-1] if len(word) > _LEAST_STEM and word[-1] == word[-2] and word[-1] not in "ls" else word


def words(text: str) -> list[str]:
    """Return the words of `text` that may say something, stemmed, in order; scripts without spaces as pairs."""
    found: list[str] = []
    for word in spelled(text[:MAX_TEXT]).split():
        if _UNSPACED.fullmatch(word):
            found += [word[at : at + 2] for at in range(max(1, len(word) - 1))]
        elif word not in _SMALL:
            found.append(stem(word))
    return found


@lru_cache(maxsize=65_536)
def term(word: str) -> int:
    """Return a word's 32-bit hash: what travels."""
    return int.from_bytes(blake2b(word.encode(), digest_size=4).digest(), "little")


def counted(texts: Iterable[str]) -> Counter[int]:
    """Return how often each term is in `texts`."""
    return Counter(term(word) for text in texts for word in words(text))


def texts_with_words(profile: Profile) -> list[str]:
    """Return the texts of a profile by whose words it may be found."""
    texts = [profile.name, profile.description]
    for skill in profile.skills:
        texts += [skill.id, skill.name, skill.description, *skill.tags, *skill.examples]
    return texts


def terms_of(profile: Profile) -> bytes:
    """Return the terms of a profile as they travel: 5 bytes each, rising by hash."""
    return packed(counted(texts_with_words(profile)))


def packed(counts: Mapping[int, int]) -> bytes:
    """Return counted terms as bytes, the most frequent `MAX_TERMS` of them."""
    kept = sorted(counts, key=lambda each: (-counts[each], each))[:MAX_TERMS]
    return b"".join(pack(_ENTRY, each, min(counts[each], _MOST_COUNTED)) for each in sorted(kept))


def unpacked(body: bytes) -> dict[int, int]:
    """Return the terms in `body` and their counts; ValueError if it is not what `packed` writes."""
    if len(body) % 5 or len(body) > 5 * MAX_TERMS:
        raise ValueError(f"{len(body)} bytes are no terms: 5 each, at most {MAX_TERMS}")
    counts = dict(iter_unpack(_ENTRY, body))
    if len(counts) != len(body) // 5 or list(counts) != sorted(counts) or 0 in counts.values():
        raise ValueError("terms must rise, and be there at least once")
    return counts
