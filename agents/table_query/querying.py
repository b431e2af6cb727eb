"""A wish carried out on a data frame."""

from typing import Any, Final

import foa
from agents import tables

from .reading import MAX_VALUES, Condition, Wish, read

_RELATIONS: Final = {">": "gt", ">=": "ge", "<": "lt", "<=": "le", "==": "eq"}


def answer(body: bytes, text: str) -> bytes:
    """Return the table that `text` asks for as CSV; Decline if it asks nothing of this table, or leaves no row."""
    frame = tables.read(body).frame
    numeric = [str(name) for name in tables.numbers(frame).columns]
    others = {
        str(name): [str(value) for value in frame[name].dropna().unique()[:MAX_VALUES]]
        for name in frame.columns
        if str(name) not in numeric
    }
    wish = read(text, numeric, others)
    if wish == Wish():
        raise foa.Decline("request", f"it asks nothing of the columns {', '.join(map(str, frame.columns))[:200]}")
    found = _cut(_sorted(_grouped(_kept(_cleaned(frame, wish), wish), wish, numeric), wish), wish)
    csv: str = found.to_csv(index=False, lineterminator="\n", float_format=lambda number: f"{number:.12g}")
    return csv.encode()


def _cleaned(frame: Any, wish: Wish) -> Any:
    frame = frame.drop_duplicates() if wish.unique else frame
    return frame.dropna() if wish.whole else frame


def _kept(frame: Any, wish: Wish) -> Any:
    for each in wish.keep:
        frame = frame[_holds(frame[each.column], each)]
    return frame


def _holds(column: Any, each: Condition) -> Any:
    if each.relation == "in":
        return column.astype(str).isin(each.value)
    if each.relation == "not in":
        return ~column.astype(str).isin(each.value)
    return getattr(column, _RELATIONS[each.relation])(each.value)


def _grouped(frame: Any, wish: Wish, numeric: list[str]) -> Any:
    if wish.aggregate is None and not wish.groups:
        return frame
    kind = wish.aggregate or "size"
    if not wish.groups:
        return frame[list(wish.values)].agg([kind])
    by = frame.groupby(list(wish.groups), sort=False)
    values = list(wish.values) or [name for name in numeric if name not in wish.groups]
    if kind == "size" or not values:
        return by.size().reset_index(name="count")
    return by[values].agg(kind).reset_index()


def _sorted(frame: Any, wish: Wish) -> Any:
    if wish.sort is None or wish.sort[0] not in frame.columns:
        return frame
    column, down = wish.sort
    return frame.sort_values(column, ascending=not down, kind="stable")


def _cut(frame: Any, wish: Wish) -> Any:
    return frame if wish.top is None else frame.head(wish.top)
