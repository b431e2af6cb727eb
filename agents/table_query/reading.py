"""What a request asks of a table: its words held against the table's own column names and values.

Nothing is guessed beyond that: a column is meant if its name stands in the request, or a word that no other column
has; a value is meant if it stands there as it does in the table.
"""

import re
from typing import Any, Final, Literal, NamedTuple

MAX_VALUES: Final = 2_000
Aggregate = Literal["sum", "mean", "median", "min", "max", "size"]

_AGGREGATES: Final[tuple[tuple[Aggregate, str], ...]] = (
    ("sum", r"total(s|led)?|sum(s|med)?( up)?|add(ed)? up|altogether"),
    ("mean", r"average(s|d)?|mean(s)?"),
    ("median", r"median(s)?"),
    ("size", r"count(s|ed)?|how many|number of"),
    ("min", r"minimum|lowest|smallest|least|earliest"),
    ("max", r"maximum|highest|largest|greatest|most|latest"),
)
_OVER: Final = r"(?P<over>more|greater|higher|larger|longer|older|later|over|above|exceed\w*|>=?)"
_UNDER: Final = r"(?P<under>less|fewer|lower|smaller|shorter|younger|earlier|under|below|<=?)"
_EQUAL: Final = (
    r"(?P<least>at least|no less than|no fewer than|from)|(?P<most>at most|no more than|up to)"
    r"|(?P<same>exactly|equal to|=)"
)
_NUMBER: Final = r"(?P<number>[-+]?\d+(?:\.\d+)?)\b"
_CONDITION: Final = re.compile(rf"(?:{_EQUAL}|{_OVER}|{_UNDER})(?:\s+than)?\s*{_NUMBER}", re.IGNORECASE)
_GROUP: Final = re.compile(
    r"\b(?:per|by|for (?:each|every)|(?:in|of|from) (?:each|every)|each|every)\s+(?:the\s+)?", re.IGNORECASE
)
_SORT: Final = re.compile(r"\b(?:sort\w*|order(?:ed)?|rank\w*)\b[^.;]*?\bby\s+(?:the\s+|their\s+)?", re.IGNORECASE)
_SORTS: Final = re.compile(r"\b(?:sort|order(?:ed)?|rank)\w*\b", re.IGNORECASE)
_DOWN: Final = re.compile(
    r"\b(?:desc\w*|(?:highest|largest|biggest|most\w*|latest|newest|greatest)(?: \w+)? first|from (?:high|large)\w*)\b",
    re.IGNORECASE,
)
_FIRST: Final = re.compile(r"\b(?:top|first|best|highest|largest|biggest|greatest)\s+(?P<n>\d+|\w+)\b", re.IGNORECASE)
_LAST: Final = re.compile(r"\b(?:bottom|lowest|smallest|worst|last|least)\s+(?P<n>\d+|\w+)\b", re.IGNORECASE)
_FIRST_N: Final = re.compile(
    r"\b(?P<n>\d+|two|three|four|five|six|seven|eight|nine|ten)\s+(?P<end>highest|largest|biggest|greatest|best|most|lowest|"
    r"smallest|least|worst)\b",
    re.IGNORECASE,
)
_WORDS: Final = {
    w: n for n, w in enumerate(("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"), 1)
}
_LOW: Final = frozenset({"lowest", "smallest", "least", "worst"})
_DROP: Final = r"\b(?:remov\w*|drop\w*|delet\w*|without|clean\w*|discard\w*|throw\w*|leav\w* out|exclud\w*|no)\b"
_TWICE: Final = re.compile(_DROP + r"[^.;]*?\b(?:duplicat\w*|repeated|doubles)\b|\bdeduplicat\w*", re.IGNORECASE)
_GAPS: Final = re.compile(
    _DROP + r"[^.;]*?\b(?:missing|empty|incomplete|blank|gaps|null|nan)\b|\bcomplete rows\b", re.IGNORECASE
)
_NOT: Final = re.compile(
    r"\b(?:not|except|without|other than|but|exclud\w*|remov\w*|drop\w*)(?:\s+(?:for|the|from|of|those))*\s*$",
    re.IGNORECASE,
)

_AND: Final = re.compile(r"\s*(?:,|,?\s*\b(?:and|or|nor)\b)\s*(?:the\s+|those\s+|of\s+)*", re.IGNORECASE)


class Condition(NamedTuple):
    """Rows whose ``column`` is in that relation to ``value``; ``in`` and ``not in`` take a tuple of values."""

    column: str
    relation: Literal[">", ">=", "<", "<=", "==", "in", "not in"]
    value: Any


class Wish(NamedTuple):
    """What is asked, in the order in which it is done: clean, keep, group, sort, cut.

    ``sort`` is (column, descending); a ``top`` below 0 takes the last ones by that order.
    """

    unique: bool = False
    whole: bool = False
    keep: tuple[Condition, ...] = ()
    groups: tuple[str, ...] = ()
    aggregate: Aggregate | None = None
    values: tuple[str, ...] = ()
    sort: tuple[str, bool] | None = None
    top: int | None = None


def read(text: str, numeric: list[str], values: dict[str, list[str]]) -> Wish:
    """Return what `text` asks of a table with those ``numeric`` columns, and other columns with these values."""
    names = _Names([*numeric, *values])
    mentioned = names.all(text)
    sort, unsorted = _sort(text, names)
    groups = tuple(dict.fromkeys(found for at in _GROUP.finditer(unsorted) if (found := names.at(unsorted, at.end()))))
    aggregate = next((kind for kind, words in _AGGREGATES if re.search(rf"\b(?:{words})\b", text, re.IGNORECASE)), None)
    top, low = _top(text)
    keep = (*_numbers(text, names, frozenset(numeric)), *_members(text, values))
    bounded = {each.column for each in keep}
    wanted = tuple(one for one in mentioned if one in numeric and one not in groups)
    if (
        top is not None
        and sort is None
        and not groups
        and (by := next((one for one in wanted if one not in bounded), ""))
    ):
        sort = (by, not low)
    single = aggregate not in (None, "size", "min", "max") and wanted and sort is None and top is None
    return Wish(
        unique=bool(_TWICE.search(text)),
        whole=bool(_GAPS.search(text)),
        keep=keep,
        groups=groups,
        aggregate=aggregate if groups or single else None,
        values=tuple(one for one in wanted if one not in bounded) if groups or single else (),
        sort=sort,
        top=top,
    )


class _Names:
    """The columns by the words that mean them: the whole name, or a word of it that no other has."""

    def __init__(self, columns: list[str]) -> None:
        split = {one: [word for word in re.split(r"[\W_]+", one.lower()) if word] for one in columns}
        uses: dict[str, int] = {}
        for words in split.values():
            for word in set(words):
                uses[word] = uses.get(word, 0) + 1
        known: dict[str, str] = {}
        for one, words in split.items():
            for phrase in (" ".join(words), *(word for word in words if len(word) > 2 and uses[word] == 1)):  # noqa: PLR2004 - "id" means too much
                known.setdefault(phrase, one)
        self._known = known
        phrases = sorted(known, key=lambda phrase: (-len(phrase), phrase))
        either = "|".join(re.escape(phrase).replace(r"\ ", r"[\W_]+") for phrase in phrases)
        self._pattern = re.compile(rf"(?<![^\W_])({either})(?:e?s)?(?![^\W_])", re.IGNORECASE)

    def _column(self, found: "re.Match[str]") -> str:
        return self._known[" ".join(re.split(r"[\W_]+", found[1].lower()))]

    def all(self, text: str) -> list[str]:
        """Return the columns that `text` names, each once, in order."""
        return list(dict.fromkeys(self._column(found) for found in self._pattern.finditer(text)))

    def at(self, text: str, start: int) -> str:
        """Return the column named just there; "" if it is none."""
        found = self._pattern.match(text, start)
        return self._column(found) if found else ""

    def near(self, text: str, start: int, end: int) -> list[str]:
        """Return the columns named around a place: just behind it, then before it (the nearest first), then later."""
        behind = self._pattern.match(text, end + len(text[end:]) - len(text[end:].lstrip()))
        before = [self._column(found) for found in self._pattern.finditer(text, 0, start)][::-1]
        later = [self._column(found) for found in self._pattern.finditer(text, end)]
        return [*([self._column(behind)] if behind else []), *before, *later]


def _sort(text: str, names: _Names) -> tuple[tuple[str, bool] | None, str]:
    """Return what to sort by, and the text without those words, so that "by" there groups nothing."""
    found = _SORT.search(text)
    column = names.at(text, found.end()) if found else ""
    if not found:
        return None, text
    rest = text[: found.start()] + "; " + text[found.end() :]
    return ((column, bool(_DOWN.search(text))) if column else None), rest


def _top(text: str) -> tuple[int | None, bool]:
    """Return how many rows are wanted (below 0: of the end) and whether the low ones are meant."""
    for pattern, low in ((_FIRST_N, False), (_FIRST, False), (_LAST, True)):
        for found in pattern.finditer(text):
            word = found["n"].lower()
            number = int(word) if word.isdigit() else _WORDS.get(word, 0)
            if number:
                return number, low or found.groupdict().get("end", "").lower() in _LOW
    return None, False


def _numbers(text: str, names: _Names, numeric: frozenset[str]) -> list[Condition]:
    """Return what is said of numbers: "more than 20 days", "fee above 3"."""
    conditions = []
    for found in _CONDITION.finditer(text):
        column = next((one for one in names.near(text, found.start(), found.end()) if one in numeric), "")
        if not column:
            continue
        over = found["over"] or found["least"]
        inclusive = bool(found["least"] or found["most"]) or (found["over"] or found["under"] or "").endswith("=")
        relation: Any = "==" if found["same"] else (">" if over else "<") + ("=" if inclusive else "")
        conditions.append(Condition(column, relation, float(found["number"])))
    return conditions


def _members(text: str, values: dict[str, list[str]]) -> list[Condition]:
    """Return what is said of words: the values of a column that stand in the request."""
    conditions = []
    for column, known in values.items():
        named: dict[bool, list[str]] = {True: [], False: []}
        either = "|".join(
            re.escape(value) for value in sorted(known[:MAX_VALUES], key=len, reverse=True) if len(value) > 1
        )
        if not either:
            continue
        pattern = re.compile(rf"(?<![^\W_])({either})(?:e?s)?(?![^\W_])", re.IGNORECASE)
        spelled = {value.lower(): value for value in known}
        end, wanted = 0, True
        for found in pattern.finditer(text):
            if not _AND.fullmatch(text, end, found.start()):  # "not A or B": what holds for A holds for B
                wanted = not _NOT.search(text, 0, found.start())
            named[wanted].append(spelled[found[1].lower()])
            end = found.end()
        if named[True]:
            conditions.append(Condition(column, "in", tuple(dict.fromkeys(named[True]))))
        if named[False]:
            conditions.append(Condition(column, "not in", tuple(dict.fromkeys(named[False]))))
    return conditions
