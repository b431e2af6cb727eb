"""Which offered value goes into which input: pure, deterministic, explained when it fails.

Called by every runner just before a handler starts. The rule, in order: the same name and a fitting type;
then the type alone, nearest source first (a predecessor before the submitter, the later before the
earlier); then, for what is required and nothing else fits, a value whose *media* fits. A value is given
to one input only, unless by name. An optional input of a generic type (plain text, JSON, bytes) is taken
by name only: a stray dict is not somebody's options. So is a person's answer to a question: it is no text to work on.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from foa.adapters.values import GENERIC, TEXT, base
from foa.errors import Decline
from foa.wire.records import Given, Port

Bound = dict[str, tuple[Given, ...]]
_ANSWER: Final = re.compile(r"answer(-\d+)?")


def is_answer(given: Given) -> bool:
    """Tell whether a value is what a person answered to this agent's question."""
    return not given.source and given.value.type == TEXT and _ANSWER.fullmatch(given.name) is not None


def bind(ports: Sequence[Port], offered: Iterable[Given], many: frozenset[str] = frozenset()) -> Bound:
    """Return the values chosen for each port by name; ports in `many` take all that fit.

    Ports that got nothing are left out. Raises Decline("inputs", reason) if a required one is among them.
    """
    given = tuple(offered)
    chosen: Bound = {}
    taken: set[int] = set()
    _by_name(ports, given, many, chosen, taken)
    for port in ports:
        if port.name in many and port.name not in chosen:
            _give(port, [i for i, each in enumerate(given) if fits(port.type, each.value.type)], given, chosen, taken)
    open_ports = sorted((p for p in ports if p.name not in chosen and not _by_name_only(p)), key=lambda p: p.optional)
    for kind in dict.fromkeys(port.type for port in open_ports):
        _by_type([port for port in open_ports if port.type == kind], given, chosen, taken)
    for port in ports:
        if port.name not in chosen and not port.optional:
            _give(port, _nearest(given, taken, port.type, by_media=True)[:1], given, chosen, taken)
    _complain(ports, given, chosen)
    return chosen


def fits(wanted: str, offered: str) -> bool:
    """Tell whether a value of type `offered` may go where `wanted` is declared (``text/*`` takes any text)."""
    wanted, offered = base(wanted), base(offered)
    return wanted in {offered, "*/*"} or (wanted.endswith("/*") and offered.startswith(wanted[:-1]))


def _by_name_only(port: Port) -> bool:
    return port.optional and port.type in GENERIC


def _by_name(
    ports: Sequence[Port], given: tuple[Given, ...], many: frozenset[str], chosen: Bound, taken: set[int]
) -> None:
    for port in ports:
        same = [i for i, each in enumerate(given) if each.name == port.name and _may(port, each)]
        if port.name in many:
            same = [i for i, each in enumerate(given) if i in same or fits(port.type, each.value.type)] if same else []
        else:
            same = sorted(same, key=lambda i: _nearness(given, i))[-1:]
        _give(port, same, given, chosen, taken)


def _may(port: Port, each: Given) -> bool:
    return fits(port.type, each.value.type) or fits(port.type, each.value.media)


def _by_type(ports: list[Port], given: tuple[Given, ...], chosen: Bound, taken: set[int]) -> None:
    """Give the nearest values to ports of one type, in the order offered, so that (old, new) stays in order."""
    best = sorted(_nearest(given, taken, ports[0].type)[: len(ports)])
    for port, i in zip(ports, best, strict=False):
        _give(port, [i], given, chosen, taken)


def _nearest(given: tuple[Given, ...], taken: set[int], kind: str, *, by_media: bool = False) -> list[int]:
    free = [
        i
        for i, each in enumerate(given)
        if i not in taken and not is_answer(each) and fits(kind, each.value.media if by_media else each.value.type)
    ]
    return sorted(free, key=lambda i: _nearness(given, i), reverse=True)


def _nearness(given: tuple[Given, ...], i: int) -> tuple[bool, int]:
    return (given[i].source != "", i)


def _give(port: Port, which: list[int], given: tuple[Given, ...], chosen: Bound, taken: set[int]) -> None:
    if which:
        chosen[port.name] = tuple(given[i] for i in which)
        taken.update(which)


def _complain(ports: Sequence[Port], given: tuple[Given, ...], chosen: Bound) -> None:
    missing = [f"{port.name} ({port.type})" for port in ports if not port.optional and port.name not in chosen]
    if missing:
        offered = ", ".join(f"{each.name} ({each.value.type})" for each in given[:16]) or "nothing"
        raise Decline("inputs", f"needs {', '.join(missing)}; offered: {offered}")
