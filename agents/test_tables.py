"""Any CSV: whatever its delimiter, encoding, header or preamble."""

from pathlib import Path

import pytest
import sklearn

import foa
from agents.tables import is_counter, numbers, read

DATA = Path(sklearn.__file__).parent / "datasets" / "data"


@pytest.mark.parametrize(
    ("body", "names", "first"),
    [
        (b"a,b\n1,2\n3,4\n", ["a", "b"], [1, 2]),
        (b"\xef\xbb\xbfa;b\r\n1;2\r\n3;4\r\n", ["a", "b"], [1, 2]),
        (b"a\tb\n1\t2\n", ["a", "b"], [1, 2]),
        (b"a|b|c\n1|2|x\n", ["a", "b", "c"], [1, 2, "x"]),
        (b"1,2\n3,4\n", ["c1", "c2"], [1, 2]),
        ("größe;preis\n1,5;2,25\n3,5;4,0\n".encode("latin-1"), ["größe", "preis"], [1.5, 2.25]),
        ("a,b\n1,2\n".encode("utf-16"), ["a", "b"], [1, 2]),
        (b"name,age\nAnn,3\nBob,4\n", ["name", "age"], ["Ann", 3]),
        (b'a,b\n"x, y",2\n"z",3\n', ["a", "b"], ["x, y", 2]),
        (b"a,a\n1,2\n", ["a", "a.2"], [1, 2]),
        (b"x\n1\n2\n", ["x"], [1]),
        (b"# a comment\na,b,c\n1,2,3\n4,5,6\n", ["a", "b", "c"], [1, 2, 3]),
        (b"\n\na,b\n1,2\n", ["a", "b"], [1, 2]),
        (b"a, b\n1, 2\n", ["a", "b"], [1, 2]),
        (b"a,b\n1,2,\n3,4,\n", ["a", "b", "c3"], None),
        (b"yes,no\nyes,no\nno,yes\n", ["c1", "c2"], ["yes", "no"]),
    ],
)
def test_shapes(body: bytes, names: list[str], first: list[object] | None) -> None:
    frame = read(body).frame
    if first is not None:
        assert list(frame.columns) == names
        assert frame.iloc[0].tolist() == first


@pytest.mark.parametrize(
    ("name", "shape"), [("iris", (150, 5)), ("wine_data", (178, 14)), ("breast_cancer", (569, 31))]
)
def test_the_odd_headers_of_scikit_learn(name: str, shape: tuple[int, int]) -> None:
    table = read((DATA / f"{name}.csv").read_bytes())
    assert table.frame.shape == shape
    assert len(numbers(table.frame).columns) == shape[1]
    assert table.notes == ("The table has no header; columns are named c1, c2 and so on.",)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the table is empty"),
        (b" \n\n", "the table is empty"),
        (b"a,b\n", "a header and no rows"),
        (b"\x89PNG\x00\x01", "binary, not text"),
        (",".join(f"x{i}" for i in range(2100)).encode() + b"\n1\n", "2100 columns"),
    ],
)
def test_what_is_no_table(body: bytes, reason: str) -> None:
    with pytest.raises(foa.Decline, match=reason):
        read(body)


def test_columns_that_number_the_rows() -> None:
    frame = read(b"id,x\n7,1\n8,5\n9,2\n").frame
    assert is_counter(frame["id"])
    assert not is_counter(frame["x"])
