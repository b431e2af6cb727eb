"""All ready subtasks at once: who works on which, as one program (arXiv 2509.20175, section 3). Called by coordinators.

Maximise Σ score·x over subtasks and agents, with x in {0, 1} (an agent once per subtask), least <= team <= most for
every subtask, and no agent on more subtasks than it has free slots. Where not every ``least`` can be had, as many of
those seats as possible are filled, by weight; then as many subtasks as possible get somebody; then scores count.

This is a flow of largest gain from subtasks to agents, so successive augmenting paths of largest gain find an optimum
(Ford, Fulkerson 1962; Edmonds, Karp 1972): exact, without a solver to load. Gains are integers, which makes the three
goals one sum without rounding. Beyond a stated size a greedy choice with one pass of improvements stands for it.
"""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foa.wire.ids import AgentId
from foa.wire.records import MAX_TEAM

EXACT_UP_TO: Final = 1 << 21
"""Seats times subtasks times agents up to which the optimum is computed; measured in decisions/0016."""

UNKNOWN: Final = 1
"""Free slots of an agent whose capacity nobody knows."""

_SCORE: Final = 1 << 20
_WEIGHT: Final = 1 << 8
_NONE: Final = -(1 << 61)

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Want(NamedTuple):
    """A ready subtask: permitted agents with their scores, how many it needs and can use, how much it matters."""

    ident: str
    scores: Mapping[AgentId, float]
    least: int = 1
    most: int = 1
    weight: float = 1.0


class _Program(NamedTuple):
    """``gain`` of every subtask (row) and agent (column) where it is ``permitted``; both sorted by id.

    A row has ``most`` seats, a column ``slots``. A seat below ``least`` is worth ``bonus`` more, a row's first of
    those ``first`` more.
    """

    gain: Ints
    permitted: Flags
    bonus: Ints
    first: int
    least: Ints
    most: Ints
    slots: Ints


def assign(
    wants: Sequence[Want],
    capacity: Mapping[AgentId, int],
    *,
    exact_up_to: int = EXACT_UP_TO,
    unknown: int = UNKNOWN,
) -> dict[str, tuple[AgentId, ...]]:
    """Return every subtask's team, best first; () for who got nobody.

    ``capacity`` are free slots by agent, ``unknown`` those of an agent not in it. A score that is no finite number is
    not permitted; an agent whose score is not above 0 gets a seat below ``least`` only. Scores are told apart to 2^-20
    of the largest, weights to 2^-8. Of wants with one ident the first counts. Ties go to the smallest ids.
    """
    unique = {want.ident: want for want in reversed(wants)}
    rows = [unique[ident] for ident in sorted(unique)]
    agents = sorted({agent for want in rows for agent, score in want.scores.items() if isfinite(score)})
    if not agents:
        return {want.ident: () for want in rows}
    program = _program(rows, agents, [capacity.get(agent, unknown) for agent in agents])
    size = min(int(program.most.sum()), int(program.slots.sum())) * program.gain.size
    taken = _exact(program) if size <= exact_up_to else _greedy(program)
    teams: dict[str, tuple[AgentId, ...]] = {}
    for want, held in zip(rows, taken, strict=True):
        team = [agents[at] for at in np.flatnonzero(held).tolist()]
        teams[want.ident] = tuple(sorted(sorted(team), key=want.scores.__getitem__, reverse=True))
    return teams


def _program(rows: Sequence[Want], agents: Sequence[AgentId], slots: Sequence[int]) -> _Program:
    column = {agent: at for at, agent in enumerate(agents)}
    score = np.zeros((len(rows), len(agents)))
    permitted = np.zeros(score.shape, dtype=bool)
    for at, want in enumerate(rows):
        for agent, value in want.scores.items():
            if isfinite(value):
                score[at, column[agent]], permitted[at, column[agent]] = value, True
    most = np.array([min(max(0, want.most), MAX_TEAM, len(agents)) for want in rows], dtype=np.int64)
    least = np.minimum(most, np.array([max(0, want.least) for want in rows], dtype=np.int64))
    weight = np.array([max(0.0, want.weight) if isfinite(want.weight) else 0.0 for want in rows])
    seats = int(most.sum()) + 1
    # A first seat outweighs whatever all scores can differ by, a needed seat all first seats.
    first = 2 * seats * _SCORE
    return _Program(
        gain=_scaled(score, _SCORE),
        permitted=permitted,
        bonus=np.maximum(1, _scaled(weight, _WEIGHT)) * (first * (seats + 1)),
        first=first,
        least=least,
        most=most,
        slots=np.array([min(max(0, count), len(rows)) for count in slots], dtype=np.int64),
    )


def _scaled(values: NDArray[np.float64], top: int) -> Ints:
    """Return `values` as integers, the largest by amount at `top`."""
    largest = float(np.abs(values).max(initial=0.0))
    return np.rint(values / largest * top).astype(np.int64) if largest > 0.0 else np.zeros(values.shape, dtype=np.int64)


# --- the optimum ------------------------------------------------------------------------------------------


def _exact(program: _Program) -> Flags:
    """Fill one seat after the other along the path of largest gain, until none gains anything."""
    taken = np.zeros(program.gain.shape, dtype=bool)
    used, load = np.zeros_like(program.most), np.zeros_like(program.slots)
    while (path := _best_path(program, taken, _start(program, used), load)) is not None:
        for at, (row, column) in enumerate(path):
            taken[row, column] = at % 2 == 0
        used[path[-1][0]] += 1
        load[path[0][1]] += 1
    return taken


def _start(program: _Program, used: Ints) -> Ints:
    """Return what one more seat is worth to every row before its score; `_NONE` where it is full."""
    needed = np.where(used < program.least, program.bonus + np.where(used == 0, program.first, 0), 0)
    return np.where(used < program.most, needed, _NONE)


def _best_path(program: _Program, taken: Flags, start: Ints, load: Ints) -> list[tuple[int, int]] | None:
    """Return the path of largest gain, from its free agent back to where it starts; None if none gains anything.

    Its pairs are by turns to be taken and to be given up. Bellman-Ford from all rows with a free seat: there is no
    cycle of positive gain, since what was taken so far is an optimum of its size.
    """
    rows, columns = start.copy(), np.full(load.shape, _NONE, dtype=np.int64)
    row_from, column_from = np.full(rows.shape, -1), np.full(columns.shape, -1)
    active = np.flatnonzero(rows > _NONE)
    while active.size:
        usable = program.permitted[active] & ~taken[active]
        reached = np.where(usable, program.gain[active] + rows[active, None], _NONE)
        best = reached.argmax(axis=0)
        value = reached[best, np.arange(columns.size)]
        better = np.flatnonzero(value > columns)
        columns[better], column_from[better] = value[better], active[best[better]]
        back = np.where(taken[:, better], columns[better] - program.gain[:, better], _NONE)
        value = back.max(axis=1, initial=_NONE)
        active = np.flatnonzero(value > rows)
        rows[active] = value[active]
        row_from[active] = better[back[active].argmax(axis=1)] if active.size else -1
    end = int(np.where(load < program.slots, columns, _NONE).argmax())
    if load[end] >= program.slots[end] or columns[end] <= 0:
        return None
    return _path(end, dict(enumerate(column_from.tolist())), dict(enumerate(row_from.tolist())))


def _path(end: int, column_from: Mapping[int, int], row_from: Mapping[int, int]) -> list[tuple[int, int]]:
    """Return the pairs to be taken and given up, by turns, from the agent `end` to the row that came from nowhere."""
    path: list[tuple[int, int]] = []
    while end >= 0:
        row = column_from[end]
        path.append((row, end))
        end = row_from[row]
        if end >= 0:
            path.append((row, end))
    return path


# --- beyond it --------------------------------------------------------------------------------------------


def _greedy(program: _Program) -> Flags:
    """Fill needed seats, the weightiest rows and best pairs first, then the rest; improve scores once.

    Rows of one weight that find no free agent have others make room, however many have to move (Kuhn 1955), before
    lighter rows are looked at: so of the first goal this is the optimum as well, of the scores it need not be.
    """
    taken = np.zeros(program.gain.shape, dtype=bool)
    load = np.zeros_like(program.slots)
    closed = np.zeros(load.shape, dtype=bool)
    row_of, column_of = np.nonzero(program.permitted)
    gain = program.gain[row_of, column_of]
    ordered = np.lexsort((column_of, row_of, -gain))
    for bonus in sorted(set(program.bonus.tolist()), reverse=True):
        rows = program.bonus == bonus
        pairs = [(int(row_of[at]), int(column_of[at])) for at in ordered if rows[row_of[at]]]
        _fill(taken, load, program.slots, np.minimum(1, program.least), pairs)
        _fill(taken, load, program.slots, program.least, pairs)
        _make_room(program, taken, load, closed, np.flatnonzero(rows).tolist())
    good = [(int(row_of[at]), int(column_of[at])) for at in ordered if gain[at] > 0]
    _fill(taken, load, program.slots, program.most, good)
    _exchange(program, taken, load)
    return taken


def _fill(taken: Flags, load: Ints, slots: Ints, upto: Ints, pairs: Sequence[tuple[int, int]]) -> None:
    missing = (upto - taken.sum(axis=1)).tolist()
    free = (slots - load).tolist()
    for row, column in pairs:
        if missing[row] > 0 and free[column] > 0 and not taken[row, column]:
            taken[row, column] = True
            missing[row] -= 1
            free[column] -= 1
            load[column] += 1


def _make_room(program: _Program, taken: Flags, load: Ints, closed: Flags, rows: Sequence[int]) -> None:
    """Fill the needed seats that have no free agent by way of others that move, the rows' first seats first.

    What a search met in vain leads nowhere ever after, so these agents are ``closed`` to later ones.
    """
    for upto in (np.minimum(1, program.least), program.least):
        for row in rows:
            while taken[row].sum() < upto[row]:
                path = _way(program, taken, load, closed, row)
                for at, (one, column) in enumerate(path):
                    taken[one, column] = at % 2 == 0
                if not path:
                    break
                load[path[0][1]] += 1


def _way(program: _Program, taken: Flags, load: Ints, closed: Flags, start: int) -> list[tuple[int, int]]:
    """Return a shortest path from a free agent back to `start`, as `_best_path` does; [] closes what was met."""
    seen = closed.copy()
    column_from: dict[int, int] = {}
    row_from: dict[int, int] = {start: -1}
    queue = [start]
    for row in queue:
        new = np.flatnonzero(program.permitted[row] & ~taken[row] & ~seen)
        seen[new] = True
        column_from.update((column, row) for column in new.tolist())
        free = new[load[new] < program.slots[new]]
        if free.size:
            return _path(int(free[program.gain[row, free].argmax()]), column_from, row_from)
        for column in new.tolist():
            for other in np.flatnonzero(taken[:, column]).tolist():
                if other not in row_from:
                    row_from[other] = column
                    queue.append(other)
    closed |= seen
    return []


def _exchange(program: _Program, taken: Flags, load: Ints) -> None:
    """Go once over what is taken: change each for a better free agent, or with another row where that gains more."""
    gain, permitted = program.gain, program.permitted
    others, theirs = np.nonzero(taken)
    for at in range(others.size):
        row, column = others[at], theirs[at]
        may = permitted[row, theirs] & ~taken[row, theirs] & permitted[others, column] & ~taken[others, column]
        swap = np.where(may, gain[row, theirs] + gain[others, column] - gain[row, column] - gain[others, theirs], 0)
        move = np.where((load < program.slots) & permitted[row] & ~taken[row], gain[row] - gain[row, column], 0)
        best, instead = int(swap.argmax()), int(move.argmax())
        if max(swap[best], move[instead]) <= 0:
            continue
        taken[row, column] = False
        if move[instead] >= swap[best]:
            load[column] -= 1
            load[instead] += 1
        else:
            taken[others[best], theirs[best]] = False
            taken[others[best], column] = True
            instead, theirs[best] = int(theirs[best]), column
        taken[row, instead] = True
        theirs[at] = instead
