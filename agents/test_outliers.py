"""Three members, one answer: what the outlier agents have in common."""

from itertools import permutations
from types import ModuleType

import numpy as np
import pytest

import foa
from agents.outliers import MAX_ROWS, agree
from agents.outliers_forest import handler as forest
from agents.outliers_lof import handler as lof
from agents.outliers_robust import handler as robust
from agents.records import Odd, Outliers

MEMBERS = [robust, forest, lof]
PLANTED = [7, 50, 120]


def table(rows: int = 300, planted: list[int] = PLANTED) -> bytes:
    cells = np.random.default_rng(3).normal(size=(rows, 4))
    for row in planted:
        cells[row] += 12.0
    lines = [f"{i},{','.join(f'{cell:.4f}' for cell in row)},label" for i, row in enumerate(cells)]
    return ("id,a,b,c,d,kind\n" + "\n".join(lines)).encode()


@pytest.mark.slow
@pytest.mark.parametrize("member", MEMBERS)
def test_a_member_finds_what_was_planted(member: ModuleType) -> None:
    found = member.run(table())
    assert set(PLANTED) <= set(found.answer)
    assert len(found.answer) <= 15
    assert (found.considered, found.members) == (300, 1)
    assert {"a", "b", "c", "d"} >= set(found.rows[0].values)
    assert found == member.run(table())


@pytest.mark.slow
def test_members_agree_after_one_round_and_stay_agreed() -> None:
    drafts = [member.run(table()) for member in MEMBERS]
    first = [agree(own, [d for d in drafts if d is not own]) for own in drafts]
    assert first[0] == first[1] == first[2]
    assert set(PLANTED) <= set(first[0].answer)
    assert first[0].members == 3
    assert all(row.votes >= 2 for row in first[0].rows)
    assert agree(first[0], first[1:]) == first[0]


@pytest.mark.slow
def test_agreement_does_not_mind_order_or_absence() -> None:
    drafts = [member.run(table()) for member in MEMBERS]
    assert len({str(agree(a, [b, c])) for a, b, c in permutations(drafts)}) == 1
    pair = agree(drafts[0], [drafts[1]])
    assert set(PLANTED) <= set(pair.answer)
    assert agree(pair, [drafts[2]]) == agree(drafts[0], drafts[1:])
    assert agree(drafts[0], []) == drafts[0]


def test_a_stranger_is_a_member_too_and_nonsense_is_bounded() -> None:
    own = Outliers([1], [], "mine", 10, 1, {"mine": {1: 4.0}})
    stranger = Outliers([1, 2, 999_999, -1], [Odd(999_999)], "theirs", 10)
    found = agree(own, [stranger, Outliers([1], [], "third", 10)])
    assert (found.answer, found.members, found.rows[0].votes) == ([1], 3, 3)
    flood = Outliers([], [], "flood", 10, 1, {f"m{i}": dict.fromkeys(range(2_000), 1.0) for i in range(100)})
    assert len(agree(own, [flood]).ballots) == 32


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize(
    "body",
    [
        b"a,b\n1,2\n3,4\n",
        b"a,b\n1,1\n1,1\n1,2\n1,1\n1,1\n1,1\n",
        b"a,b\n1,\n,2\n3,inf\n4,5\n5,\n6,7\n",
        b"a\n" + b"\n".join(b"%d" % (i % 2) for i in range(30)),
    ],
)
def test_small_and_degenerate_tables(member: ModuleType, body: bytes) -> None:
    found = member.run(body)
    assert all(0 <= row < found.considered for row in found.answer)


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("body", [b"a,b\nx,y\nz,w\n", b"a,b\n1,1\n1,1\n", b"id\n1\n2\n3\n4\n", b""])
def test_nothing_to_stand_out_is_declined(member: ModuleType, body: bytes) -> None:
    with pytest.raises(foa.Decline):
        member.run(body)


@pytest.mark.slow
@pytest.mark.parametrize("member", MEMBERS)
def test_large_tables_are_bounded(member: ModuleType) -> None:
    cells = np.random.default_rng(1).normal(size=(MAX_ROWS + 1_000, 2)).round(2)
    cells[10] = 50.0
    body = b"a,b\n" + b"\n".join(b"%.2f,%.2f" % (a, b) for a, b in cells)
    found = member.run(body)
    assert found.considered == MAX_ROWS
    assert 10 in found.answer
    assert len(found.answer) <= 500
