"""Pulls out of a text what it names: dates, amounts, links, addresses, and who is to do what. No language model."""

import re
from collections.abc import Callable
from typing import Final

import foa
from agents import texts

MAX_FOUND: Final = 200
_MONTH: Final = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|"
    r"Nov(?:ember)?|Dec(?:ember)?)"
)
_DATE: Final = re.compile(
    rf"\b(?:\d{{4}}-\d\d-\d\d|\d{{1,2}}[./]\d{{1,2}}[./]\d{{2,4}}|\d{{1,2}}(?:st|nd|rd|th)? {_MONTH}\.?(?:,? \d{{4}})?|"
    rf"{_MONTH}\.? \d{{1,2}}(?:st|nd|rd|th)?(?:,? \d{{4}})?\b|{_MONTH} \d{{4}})\b"
)
_SIGN: Final = r"(?:[$€£¥]|USD|EUR|GBP|CHF)"
_SUM: Final = r"\d{1,3}(?:[,.' ]\d{3})*(?:[.,]\d{1,2})?|\d+(?:[.,]\d{1,2})?"
_AMOUNT: Final = re.compile(
    rf"(?<!\w){_SIGN}\s?(?:{_SUM})(?!\d)|(?<![\w.,])(?:{_SUM})\s?(?:{_SIGN}|dollars|euros?|pounds)(?!\w)"
)
_LINK: Final = re.compile(r"\bhttps?://[^\s<>()\"'\]]*[^\s<>()\"'\].,;:!?]")
_MAIL: Final = re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b")
_LABEL: Final = re.compile(r"^\W*(?:action(?: item)?s?|to-?do|task)\s*:\s*", re.IGNORECASE)
_PROMISE: Final = re.compile(
    r"^(?P<who>[A-Z][\w.'-]*(?: (?:and |& )?[A-Z][\w.'-]*){0,3}) "
    r"(?:will|shall|must|is to|are to|to|promised to|agreed to) (?P<what>[a-z].+)$"
)
_BY: Final = re.compile(
    r"\s*,?\s*\b(?:by|before|until|till|no later than|due)\s+(?P<when>(?:\w+day, )?[^,;.]+?)\s*\.?$"
)
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_THINGS: Final = frozenset({"It", "This", "That", "They", "We", "The", "These", "There", "You", "I", "What"})
_BULLET: Final = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+")


def run(task: foa.Assignment, text: str = "") -> str:
    """Return a list of each kind of fact that the task's words ask for, or of all kinds that the text has."""
    found = "\n\n".join(texts.meant(task).values()) if task.inputs else text or task.text
    wanted = [kind for kind in _KINDS if re.search(kind.asked, task.text, re.IGNORECASE)] or list(_KINDS)
    lists = [(kind, list(dict.fromkeys(kind.find(found)))[:MAX_FOUND]) for kind in wanted]
    if len(wanted) == len(_KINDS):
        lists = [(kind, each) for kind, each in lists if each]
    if not lists:
        raise foa.Decline("inputs", "the text names no date, amount, link, address or action")
    return "\n\n".join(f"{kind.title}:\n" + ("\n".join(f"- {one}" for one in each) or "- none") for kind, each in lists)


def actions(text: str) -> list[str]:
    """Return who is to do what by when: "Tom: ask three dealers (by 20 March)"."""
    found = []
    for line in _lines(text):
        labelled = _LABEL.match(line)
        words = line[labelled.end() :] if labelled else line
        promise = _PROMISE.match(words.rstrip("."))
        if promise is None or promise["who"].split()[0] in _THINGS:
            found += [words.rstrip(".")] if labelled else []
            continue
        due = _BY.search(promise["what"])
        if labelled or due:
            what = promise["what"][: due.start()] if due else promise["what"]
            found.append(f"{promise['who']}: {what}" + (f" (by {due['when']})" if due else ""))
    return found


def _lines(text: str) -> list[str]:
    """Return sentences: lines that go on are put together, list items and labels begin a new one."""
    joined: list[str] = []
    for line in text.splitlines():
        words = _BULLET.sub("", line).strip()
        if joined and joined[-1] and words and not _BULLET.match(line) and not _LABEL.match(words):
            joined[-1] += f" {words}"
        else:
            joined.append(words)
    return [sentence for line in joined if line for sentence in _SENTENCE.split(line)]


class _Kind:
    """One kind of fact: the heading of its list, the words that ask for it, and how it is found."""

    def __init__(self, title: str, asked: str, find: Callable[[str], list[str]]) -> None:
        self.title, self.asked, self.find = title, asked, find


_KINDS: Final = (
    _Kind("Actions", r"\baction|\bto-?dos?\b|promise|\bwho\b.*\bwhat\b|\bagreed to\b|\btasks?\b", actions),
    _Kind("Dates", r"\bdates?\b|\bdeadline", _DATE.findall),
    _Kind("Amounts", r"\bamounts?\b|\bmoney\b|\bsums?\b|\bprices?\b|\bcosts?\b", _AMOUNT.findall),
    _Kind("Links", r"\blinks?\b|\burls?\b|\bweb addresses\b", _LINK.findall),
    _Kind("E-mail addresses", r"\be-?mails?\b|\bcontact", _MAIL.findall),
)
