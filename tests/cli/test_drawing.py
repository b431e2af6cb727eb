"""Plans as SVG: every box once and where no other is, arrows forward, and nothing of a stranger's text is markup."""

import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foa.cli import tasks
from foa.cli.main import main
from foa.cli.planning.drawing import svg, wrapped
from foa.cli.planning.files import picture_of
from foa.cli.watching.picture import Picture
from foa.core.dag.layout import Size, layers, placed
from foa.wire.ids import Epoch
from foa.wire.messages import State
from foa.wire.records import Plan, Seat, Subtask, Task, Work

SVG = "{http://www.w3.org/2000/svg}"
SIZE = Size(100.0, 40.0, 30.0, 10.0)
ALLOWED = {"svg", "title", "defs", "marker", "path", "rect", "g", "text"}


def state(plan: Plan, *work: Work, text: str = "x") -> State:
    return State(Task("t", text), Epoch(1, "c"), 1, 1, plan=plan, work=work)


def chain(number: int) -> Plan:
    ids = [f"s{at}" for at in range(number)]
    return Plan(tuple(Subtask(each, "Do it") for each in ids), tuple(pairwise(ids)))


def fan(number: int) -> tuple[list[str], list[tuple[str, str]]]:
    ids = ["first", *(f"s{at}" for at in range(number)), "last"]
    return ids, [edge for each in ids[1:-1] for edge in (("first", each), (each, "last"))]


@st.composite
def graphs(draw: Any) -> tuple[list[str], list[tuple[str, str]]]:
    ids = [f"n{at}" for at in range(draw(st.integers(1, 24)))]
    numbers = st.integers(0, len(ids) - 1)
    pairs = draw(st.lists(st.tuples(numbers, numbers), max_size=40))
    return ids, [(ids[min(pair)], ids[max(pair)]) for pair in pairs if pair[0] != pair[1]]


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(graphs())
def test_boxes_never_overlap_and_arrows_go_forward(graph: tuple[list[str], list[tuple[str, str]]]) -> None:
    ids, edges = graph
    found = placed(ids, edges, SIZE)
    assert sorted(found.middles) == sorted(ids)
    boxes = list(found.middles.values())
    for at, (along, across) in enumerate(boxes):
        assert 0 <= along - 50 <= along + 50 <= found.along
        assert -1e-6 <= across - 20 <= across + 20 <= found.across + 1e-6
        for other_along, other_across in boxes[at + 1 :]:
            assert abs(along - other_along) >= 130 or abs(across - other_across) >= 50 - 1e-6
    assert set(found.arrows) == set(edges)
    for (first, second), points in found.arrows.items():
        assert points[0] == (found.middles[first][0] + 50, found.middles[first][1])
        assert points[-1] == (found.middles[second][0] - 50, found.middles[second][1])
        assert [along for along, _ in points] == sorted(along for along, _ in points)
        for (along, across), (_, aside) in zip(points[1::2], points[2::2], strict=False):
            assert across == aside, "straight within a layer"
            for box_along, box_across in boxes:
                assert abs(along + 50 - box_along) > 1 or abs(across - box_across) >= 20, "beside every box it passes"


def test_a_page_is_no_wider_than_it_must_be() -> None:
    ids, edges = fan(200)
    found = layers(ids, edges)
    assert max(list(found.values()).count(number) for number in set(found.values())) <= 24
    lanes = {point for points in placed(ids, edges, SIZE).arrows.values() for point in points[1:-1]}
    assert len(lanes) < 50, "a fan's long edges share their lanes"


def test_what_is_on_a_cycle_or_leads_nowhere_is_drawn_all_the_same() -> None:
    found = placed(["a", "b", "c"], [("a", "b"), ("b", "a"), ("c", "gone"), ("c", "c")], SIZE)
    assert sorted(found.middles) == ["a", "b", "c"]
    assert found.arrows == {}
    assert placed([], [], SIZE).middles == {}


def test_the_same_plan_is_the_same_picture() -> None:
    picture = picture_of(state(chain(9)))
    assert svg(picture) == svg(picture_of(state(chain(9))))


@pytest.mark.parametrize("number", [1, 2, 20, 200])
def test_every_subtask_has_a_box_with_its_agents_and_phase(number: int) -> None:
    work = Work("s0", "running", 1, (Seat("acme/a/x", "w", 1), Seat("acme/a/y", "w", 1), Seat("acme/a/z", "w", 1)))
    root = ET.fromstring(svg(picture_of(state(chain(number), work))))
    texts = ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]
    assert [each for each in texts if each.startswith("s") and each[1:].isdecimal()] == [
        f"s{at}" for at in range(number)
    ]
    assert {"acme/a/x", "acme/a/y +1", "▶", "▶ running"} <= set(texts)
    arrows = [each for each in root.iter(f"{SVG}path") if each.get("marker-end")]
    assert len(arrows) == number - 1
    assert all(float(root.get(each, "0")) > 0 for each in ("width", "height"))


def test_a_task_without_a_plan_says_so() -> None:
    assert "it has no plan yet" in svg(Picture("t", "x"))


NASTY = st.text(max_size=80) | st.sampled_from(
    ["</text><script>alert(1)</script>", '" onload="alert(1)', "]]>", "<!-- ", "&amp;&lt;", "\x00\x1b[2J\ufffe\ud800"]
)


@settings(max_examples=60, deadline=None)
@given(NASTY, NASTY, NASTY)
def test_what_strangers_write_is_text_and_nothing_else(ident: str, text: str, agent: str) -> None:
    plan = Plan((Subtask(ident, text), Subtask("b", text)), ((ident, "b"),))
    drawn = svg(picture_of(state(plan, Work(ident, "running", 1, (Seat(agent, "w", 1),)), text=text)))
    root = ET.fromstring(drawn.encode())
    for each in root.iter():
        assert each.tag.removeprefix(SVG) in ALLOWED
        assert not [name for name in each.attrib if name.startswith("on") or "href" in name or name == "style"]


@given(st.text(max_size=200), st.integers(2, 30), st.integers(1, 4))
def test_labels_fit(text: str, columns: int, most: int) -> None:
    lines = wrapped(text, columns, most)
    assert len(lines) <= most
    assert all(len(line) <= columns for line in lines)


def test_labels_are_whole_where_they_fit_and_say_so_where_they_do_not() -> None:
    assert wrapped("a short label", 20, 1) == ["a short label"]
    assert wrapped("one two three four", 9, 2) == ["one two", "three…"]
    assert wrapped("一二三四五", 4, 3) == ["一二", "三四", "五"]


def test_show_and_explain_draw_into_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from foa.cli.searching import explaining

    monkeypatch.chdir(tmp_path)
    for module in (tasks, explaining):
        monkeypatch.setattr(module, "one_kept", lambda settings, task: state(chain(3)))
    for number, command in enumerate((["task", "show"], ["explain"])):
        file = Path(f"{number}.svg")
        assert main([*command, "t", "--svg", str(file)]) == 0
        assert capsys.readouterr().out == f"{file}\n"
        assert ET.fromstring(file.read_text()).tag == f"{SVG}svg"
    assert main(["task", "show", "t", "--svg", "-"]) == 0
    assert capsys.readouterr().out == Path("0.svg").read_text()
    assert main(["task", "show", "t", "--svg", "0.svg/no"]) == 2
    assert capsys.readouterr().err.startswith("foa: ")
