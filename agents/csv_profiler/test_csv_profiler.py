import math

import pytest

import foa
from agents.csv_profiler.handler import run

TABLE = b"""name,age,height,member,since,weight
Ann,30,1.70,true,2020-01-01,60
Bob,,1.80,false,2020-02-01,75
Cid,50,1.75,true,2020-03-01,70
Dan,40,1.90,true,2020-04-01,90
"""


def test_columns_are_described() -> None:
    profile = run(TABLE, foa.Assignment("profile this"))
    columns = {column.name: column for column in profile.columns}
    assert (profile.rows, profile.missing, profile.duplicates, profile.header) == (4, 1, 0, True)
    assert [columns[name].dtype for name in columns] == ["text", "integer", "number", "boolean", "date", "integer"]
    age = columns["age"]
    assert (age.count, age.missing, age.unique, age.mean, age.median) == (3, 1, 3, 40.0, 40.0)
    assert (age.min, age.max, age.std, age.q25, age.q75) == (30.0, 50.0, 10.0, 35.0, 45.0)
    assert columns["member"].top == [{"value": True, "count": 3}, {"value": False, "count": 1}]
    strongest = profile.correlations[0]
    assert {strongest.a, strongest.b} == {"height", "weight"}
    assert strongest.r == pytest.approx(0.98, abs=0.02)


@pytest.mark.parametrize("body", [b"x\n1\n", b"a,b\n,\n,\n", b"a,b\ninf,1\n2,-inf\n", b"a,b\n5,x\n5,x\n"])
def test_poor_tables_are_described_too(body: bytes) -> None:
    profile = run(body, foa.Assignment("profile this"))
    assert profile.rows >= 1
    assert not any(
        isinstance(cell, float) and math.isnan(cell) for each in profile.columns for cell in vars(each).values()
    )


def test_an_empty_table_is_declined() -> None:
    with pytest.raises(foa.Decline, match="empty"):
        run(b"", foa.Assignment("profile this"))
