"""Good plans spoilt: what an imperfect planner hands in, made from the given plan with parts wrong at a stated rate."""

import re
from collections.abc import Sequence
from random import Random
from typing import Final

from foa.bench.plans.data import Graph, acyclic

_LITTLE: Final = frozenset(re.findall(r"\w+", "a an the of for to with in on at by from your my our their its it and"))
_VERBS: Final = {
    "add": "include", "ask": "inquire", "buy": "purchase", "call": "invoke", "cancel": "call off", "change": "modify",
    "check": "verify", "choose": "pick", "clean": "tidy", "confirm": "make sure of", "create": "make",
    "delete": "remove", "fill": "top up", "filter": "keep only", "find": "locate", "get": "obtain",
    "give": "hand over", "go": "head", "identify": "determine", "join": "combine", "learn": "study",
    "make": "prepare", "move": "shift", "open": "launch", "place": "put", "put": "place", "remove": "take away",
    "retrieve": "fetch", "search": "look", "select": "pick", "send": "dispatch", "set": "configure",
    "show": "display", "start": "begin", "take": "grab", "try": "attempt", "update": "revise", "use": "employ",
    "wait": "hold on", "write": "compose",
}  # fmt: skip
_PREFIXES: Final = ("make sure to", "you should", "as a step,", "next:")


def spoilt(graph: Graph, rate: float, foreign: Sequence[str], rng: Random) -> Graph:
    """Return `graph` with every part wrong with probability `rate`, independently, kind by kind.

    A subtask is left out (what came before it then comes before what came after it), reworded, or has a `foreign` one
    put beside it; an edge is left out, or the other way round unless that closes a cycle. One subtask always stays.
    """
    kept = [at for at in range(len(graph.nodes)) if rng.random() >= rate] or [rng.randrange(len(graph.nodes))]
    edges = list(_bridged(graph, frozenset(kept)))
    places = {at: place for place, at in enumerate(kept)}
    nodes = [reworded(graph.nodes[at], rng) if rng.random() < rate else graph.nodes[at] for at in kept]
    pairs = [(places[one], places[other]) for one, other in edges if rng.random() >= rate]
    for at in range(len(kept)):
        if rng.random() < rate and foreign:
            pairs.append((at, len(nodes)) if rng.getrandbits(1) else (len(nodes), at))
            nodes.append(rng.choice(foreign))
    turned = [(other, one) if rng.random() < rate else (one, other) for one, other in pairs]
    names = [(str(one), str(other)) for one, other in turned]
    return Graph(tuple(nodes), tuple((int(one), int(other)) for one, other in acyclic(names)))


def _bridged(graph: Graph, kept: frozenset[int]) -> list[tuple[int, int]]:
    """Return the edges among `kept`, with those that lead from one to the next through what is left out."""
    edges = dict.fromkeys(graph.edges)
    for gone in range(len(graph.nodes)):
        if gone in kept:
            continue
        before = [one for one, other in edges if other == gone]
        after = [other for one, other in edges if one == gone]
        edges = dict.fromkeys(edge for edge in edges if gone not in edge)
        edges.update(((one, other), None) for one in before for other in after if one != other)
    return list(edges)


def reworded(text: str, rng: Random) -> str:
    """Return `text` as somebody else would put it: another verb, without the little words, or with a phrase before."""
    words = text.split()
    verb = re.sub(r"\W", "", words[0]).lower() if words else ""
    how = rng.randrange(3)
    if how == 0 and verb in _VERBS:
        return " ".join((_VERBS[verb].capitalize(), *words[1:]))
    if how == 1:
        short = [word for word in words if word.lower() not in _LITTLE]
        return " ".join(short or words)
    return f"{rng.choice(_PREFIXES)} {text[:1].lower()}{text[1:]}"
