import pytest

from agents.outliers_forest.handler import revise, run

ROWS = [f"{i % 7},{(i * 3) % 11},{(i * 5) % 13}" for i in range(60)]


@pytest.mark.slow
def test_a_wild_row_is_found_and_kept() -> None:
    ROWS[17] = "90,-80,200"
    found = run("\n".join(["a,b,c", *ROWS]).encode())
    assert 17 in found.answer
    assert found.rows[0].row == 17
    assert 17 in revise(found, [found]).answer
