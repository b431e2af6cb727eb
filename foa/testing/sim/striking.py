"""What goes wrong happens here: blows fall on nodes and on the broker, and are mended after their time."""

from collections.abc import Callable
from functools import partial
from typing import Final

from foa.bus.memory import Loss
from foa.bus.mqtt.broker.records import Message
from foa.core.effects import Key
from foa.testing.sim.faults import Blow
from foa.testing.sim.observing.coverage import Coverage
from foa.testing.world import Node, World

LEAVE: Final = {"coordinator": "ownership", "agent": "agent"}
"""The machine that is told to leave, by the kind of node."""

LEAVE_S: Final = 1.0
"""How long a node that leaves gives others time to take over."""

FLAP_S: Final = 0.4
SOON_S: Final = 0.3
AFTERMATH_S: Final = 1.0
"""How long a blow counts as being there after it was mended."""

Cover = Callable[[str], None]
StandUp = Callable[[Node], None]


class Striker:
    """Strikes the nodes of a world."""

    def __init__(self, world: World, coverage: Coverage, cover: Cover, stand_up: StandUp) -> None:
        self._world = world
        self._coverage = coverage
        self._cover = cover
        self._stand_up = stand_up
        self._saved: dict[float, list[Message]] = {}
        self._strikes: dict[str, Callable[[Node, Blow], None]] = {
            "kill": self._kill,
            "kill-sending": self._kill_sending,
            "kill-step": self._kill_step,
            "kill-commit": self._kill_step,
            "abort": lambda node, _: node.bus.abort(),
            "cut": self._cut,
            "lapse": self._lapse,
            "freeze": self._freeze,
            "ghost": self._ghost,
            "flap": self._flap,
            "drain": self._drain,
        }

    def plan(self, blow: Blow) -> None:
        """Have a blow fall at its time."""
        clock = self._world.clock
        clock.call_at(blow.at, partial(self._strike, blow))
        if blow.kind == "autosave":
            clock.call_at(max(0.0, blow.at - blow.age), partial(self._save, blow))

    def calm(self) -> None:
        """Mend everything: nobody is struck any more."""
        network = self._world.network
        network.restart_broker()
        for node in self._world.nodes.values():
            node.fuse = None
            if node.alive:
                node.bus.fuse = None
            network.heal(node.seat.client_id)
            node.thaw()
            self._stand_up(node)

    def _strike(self, blow: Blow) -> None:
        world = self._world
        world.trace("storm", blow.kind, f"{' '.join(blow.nodes)} {blow.lasts:.3f}")
        nodes = [world.nodes[name] for name in blow.nodes if name in world.nodes]
        self._cover(f"{blow.kind}:{nodes[0].seat.kind if nodes else 'broker'}")
        label = f"{blow.kind}:{nodes[0].seat.kind}" if nodes else blow.kind
        self._coverage.begin(label)
        self._later(blow.lasts + AFTERMATH_S, partial(self._coverage.end, label))
        if not blow.nodes:
            self._broker(blow)
        for node in nodes:
            if node.alive:
                self._strikes[blow.kind](node, blow)

    def _later(self, seconds: float, callback: Callable[[], None]) -> None:
        self._world.clock.call_at(self._world.clock.time() + seconds, callback)

    # --- the broker -------------------------------------------------------------------------------------

    def _save(self, blow: Blow) -> None:
        """Remember what the broker retains: what an autosave of now would bring back."""
        network = self._world.network
        self._saved[blow.at] = list(network.broker.router.retained.matching("#", network.clock.time()))

    def _broker(self, blow: Blow) -> None:
        network, loss = self._world.network, blow.loss
        if blow.kind == "autosave":
            loss = Loss(retained=1.0, since=max(0.0, blow.at - blow.age))
        network.crash_broker(loss)
        if blow.kind == "autosave":
            for message in self._saved.pop(blow.at, ()):
                network.broker.router.retained.put(message)
        self._later(blow.lasts, network.restart_broker)

    # --- nodes ------------------------------------------------------------------------------------------

    def _kill(self, node: Node, blow: Blow) -> None:
        node.kill()
        self._later(blow.lasts, partial(self._stand_up, node))

    def _kill_sending(self, node: Node, blow: Blow) -> None:
        node.kill_while_sending(blow.times)
        self._later(blow.lasts, partial(self._stand_up, node))

    def _kill_step(self, node: Node, blow: Blow) -> None:
        """Have it die at a step of its own, whenever that comes, and stand up soon after."""
        node.fuse = blow.fuse
        for times in range(1, 4):
            self._later(times * max(blow.lasts, SOON_S), partial(self._stand_up, node))

    def _cut(self, node: Node, blow: Blow) -> None:
        network = self._world.network
        network.partition(node.seat.client_id, blow.way)
        self._later(blow.lasts, partial(network.heal, node.seat.client_id))

    def _lapse(self, node: Node, blow: Blow) -> None:
        self._cut(node, blow._replace(way="both"))
        self._later(blow.lasts / 2, partial(self._world.network.lapse, node.seat.client_id))

    def _freeze(self, node: Node, blow: Blow) -> None:
        node.freeze()
        self._later(blow.lasts, node.thaw)

    def _ghost(self, node: Node, blow: Blow) -> None:
        self._freeze(node, blow)
        self._world.network.lapse(node.seat.client_id)

    def _flap(self, node: Node, blow: Blow) -> None:
        """Kill it again and again, just after it was there."""
        for number in range(blow.times):
            self._later(number * FLAP_S, node.kill)
            self._later((number + 0.5) * FLAP_S, partial(self._stand_up, node))

    def _drain(self, node: Node, blow: Blow) -> None:
        machine = LEAVE.get(node.seat.kind)
        if machine is not None:
            node.tell(Key(machine), "leave")
        life = node.life
        self._later(LEAVE_S, lambda: node.close() if node.life is life else None)
        self._later(LEAVE_S + blow.lasts + 0.1, partial(self._stand_up, node))
