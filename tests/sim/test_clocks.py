"""Wall clocks wrong by days, and set back between two lives: nothing changes, since nobody compares them."""

from typing import Any

from foa.core.effects import Key
from foa.core.machines import ownership
from foa.core.machines.client import Report, Submission
from foa.core.routing.rendezvous import order
from foa.testing import federation
from foa.testing.agents import Temper, profile
from foa.testing.world import Node, World
from foa.wire.records import Task

DAY_MS = 86_400_000
AGENT = "acme/tools/a1"


def skewed(node: Node, *days: int) -> None:
    """Have the lives of a node begin by a wall clock that is wrong by so many days, one after the other."""
    make = node._make

    def made(birth: int, life: Any) -> Any:
        return make(birth + (10 + days[min(node.lives, len(days)) - 1]) * DAY_MS, life)

    node._make = made


class Net:
    def __init__(self) -> None:
        self.world = World(3, federation.settings(agent__refresh_s=5.0))
        self.results: dict[str, str] = {}
        for name, days in (("c1", (9, -9)), ("c2", (-4, 7)), ("i1", (6, -6))):
            make = federation.index if name == "i1" else federation.coordinator
            skewed(make(self.world, name), *days)
        skewed(federation.agent(self.world, profile(AGENT, slots=4), Temper(), lambda _: None), 8, -8)
        self.client = federation.client(self.world, "u1", self._report)
        for node in self.world.nodes.values():
            node.start()
        self.run(3.0)

    def _report(self, report: Report) -> None:
        if report.kind == "result":
            self.results[report.id] = report.value.status

    def run(self, seconds: float) -> None:
        self.world.clock.run_until(self.world.clock.time() + seconds)

    def works(self, ident: str) -> bool:
        """Submit a task and tell whether it is done in a moment."""
        self.client.tell(
            Key("client", ident), Submission(Task(ident, "echo these words", skills=("echo",)), watch=False)
        )
        self.run(3.0)
        return self.results.get(ident) == "done"

    def owned(self, name: str) -> list[int]:
        state = self.world.nodes[name].driver.state(ownership.KEY)
        assert isinstance(state, ownership.State)
        return [p for p in range(4) if ownership.owned(state, p) is not None]


def test_clocks_that_are_wrong_by_days_change_nothing() -> None:
    net = Net()
    assert net.works("t0")
    for name in ("c1", "c2", "i1", "acme.tools.a1"):
        node = net.world.nodes[name]
        node.kill()
        net.run(3.0)
        node.start()
        net.run(8.0)
        assert net.works(f"t-{name}"), f"{name} came back with another clock"
    for name in ("c1", "c2"):
        assert net.owned(name) == [p for p in range(4) if order(p, ("c1", "c2"))[0] == name]
    for node in net.world.nodes.values():
        assert node.sink.errors == [], node.seat.name
