"""What must hold in every run: some of it is looked at in every step, the rest once all is over."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from foa.bus.mqtt.broker.records import Message
from foa.core import effects as fx
from foa.core.effects import Effect, Event
from foa.core.machines import match, ownership
from foa.core.machines.client import Report
from foa.core.machines.task.state import Live
from foa.core.routing.rendezvous import order
from foa.errors import WireError
from foa.testing.agents import Begun, answer_to
from foa.testing.federation import WALL_S
from foa.testing.sim.observing.laws import Book
from foa.testing.workload import Errand
from foa.testing.world import Node, World
from foa.wire import codec
from foa.wire.messages import AnyMessage, Asking, Award, Declined, Done, Draft, Failed, Input, Result, Withdrawn
from foa.wire.records import Task

CENT: Final = 1e-9
MOMENT_S: Final = 0.01
PLAIN: Final = frozenset({"planned", "cancelled", "budgeted", "joined", "guests", "large"})
"""Sorts whose answer is known beforehand where the plan has no edges."""

ALMOST: Final = 0.02
"""Rounding of sums that travel as float32."""


TORN: Final = "a second result: two failures at once"
"""What docs/guarantees.md does not promise is counted by this word: the only one that is."""


class Violation(NamedTuple):
    """A promise that was broken: its word, and how."""

    word: str
    detail: str


class Inspector:
    """Watches one run. ``found`` are the violations so far."""

    def __init__(self, world: World, torn: tuple[float, ...] = ()) -> None:
        """``torn``: when the broker forgot what it retained while a coordinator was down as well."""
        self._world = world
        self._torn = torn
        self.found: list[Violation] = []
        self.submitted: dict[str, tuple[float, Task]] = {}
        self.results: dict[str, list[Result]] = {}
        self.accepted: dict[str, int] = {}
        self.told: dict[str, list[Result]] = {}
        self.rejected: dict[str, str] = {}
        self.begun: dict[tuple[str, str], list[Begun]] = {}
        self.heard: set[str] = set()
        self.met: Counter[str] = Counter()
        self._agreed: set[str] = set()
        self._books: dict[tuple[str, str], Book] = {}
        self._teams: dict[tuple[str, str], dict[str, int]] = {}
        self._drafts: dict[tuple[str, str], dict[str, dict[tuple[bytes, int | None], int]]] = {}
        self._awards: dict[str, str] = {}
        self._active: dict[tuple[str, str, int, str], set[str]] = {}

    def blame(self, word: str, detail: str) -> None:
        """Note a violation."""
        self.found.append(Violation(word, f"{self._world.clock.time():.3f} {detail}"))
        self._world.trace("inspector", f"VIOLATION {word}", detail)

    # --- while it runs ----------------------------------------------------------------------------------

    def witness(self, message: Message) -> None:
        """See a publication in the broker's order; results are kept."""
        packet = message.packet
        if "/channel/" in packet.topic or "/request/" in packet.topic:
            self._clustered(message)
        if packet.topic.endswith("/result") and packet.payload and "/task/" in packet.topic:
            said = _decoded(packet.payload)
            if isinstance(said, Result):
                self.results.setdefault(said.task, []).append(said)
                self._punctual(said)
                self._world.trace("broker", "result", f"{said.task} {said.status} by {message.origin} {said.epoch}")

    def _punctual(self, result: Result) -> None:
        """Nothing expires before its deadline, whoever owned it meanwhile."""
        begun = self.submitted.get(result.task)
        if begun is not None and result.status == "expired":
            at, task = begun
            early = at + task.deadline_ms / 1000 - self._world.clock.time()
            if early > MOMENT_S:
                self.blame("early", f"{result.task} expired {early:.3f} s before its deadline")

    def report(self, report: Report) -> None:
        """Hear what a client is told."""
        self._world.trace("client", report.kind, f"{report.id} {getattr(report.value, 'status', '')}")
        match report.kind:
            case "accepted":
                self.accepted[report.id] = self.accepted.get(report.id, 0) + 1
            case "rejected":
                self.rejected[report.id] = report.value.reason
                self.blame("rejected", f"{report.id}: {report.value.reason}")
            case "result":
                self.told.setdefault(report.id, []).append(report.value)
            case "heard":
                self.heard.add(report.id)
            case "required":
                self.met["asked"] += 1
            case _:
                pass

    def start(self, begun: Begun) -> None:
        """See a handler start."""
        job = begun.job
        self._world.trace(begun.agent, "begins", f"{job.award.task}/{job.award.subtask.id} {job.award.award}")
        if begun.beside:
            self.blame("dedup", f"{begun.agent} began {job.award.award} while it works on it")
        lacking = set(job.award.policies + job.award.subtask.policies) - set(begun.holds)
        if lacking:
            self.blame("policy", f"{begun.agent} began {job.award.task} without {sorted(lacking)}")
        starts = self.begun.setdefault((job.award.task, job.award.subtask.id), [])
        starts.append(begun)
        if "charge" in job.award.subtask.skills and len(starts) > 1 and not job.award.subtask.consent:
            agents = ", ".join(f"{one.agent} {one.job.award.award}" for one in starts)
            self.blame("once", f"{job.award.task}/{job.award.subtask.id} was started {len(starts)} times: {agents}")

    def look(self, node: str, before: Any, event: Event, after: Any, effects: list[Effect]) -> None:
        """Look at one step of one task at one coordinator."""
        if isinstance(before, Live) or isinstance(after, Live):
            live = after if isinstance(after, Live) else before
            for fault in self._books.setdefault((node, live.task.id), Book()).step(before, event, after, effects):
                self.blame(*fault)
            self._meet(before, after)
        if isinstance(event, fx.Received) and isinstance(event.message, Asking | Declined | Done | Failed):
            self._over(event.message.award)
        sent = [effect.message for effect in effects if isinstance(effect, fx.Publish)]
        for message in sent:
            if isinstance(message, Withdrawn):
                self._over(message.award)
        self._awarded([message for message in sent if isinstance(message, Award)])

    def _meet(self, before: Any, after: Any) -> None:
        """Count what changed in a plan, so that a run tells what it has met."""
        if isinstance(before, Live) and isinstance(after, Live) and before.edits is not after.edits:
            self.met.update(f"edit:{edit.kind}" for edit in after.edits[len(before.edits) :])

    def says(self, said: Input) -> None:
        """Hear what a person says."""
        if said.approve:
            self._agreed.add(said.task)
        self.met["said:refute" if said.refute else "said:answer"] += 1

    def _over(self, award: str) -> None:
        for active in self._active.values():
            active.discard(award)

    def _awarded(self, awards: list[Award]) -> None:
        holds = {node.program.context.profile.agent: node.program.context.profile.holds for node in self._agents()}
        batches: dict[tuple[str, str, int, str], set[str]] = {}
        for award in awards:
            seat = (award.task, award.key, award.epoch.n, award.epoch.node)
            batches.setdefault(seat, set()).add(award.award)
            if self._awards.setdefault(award.award, award.agent) != award.agent:
                self.blame("award-id", f"{award.award} was given to {self._awards[award.award]} and {award.agent}")
            lacking = set(award.policies + award.subtask.policies) - set(holds.get(award.agent, ()))
            if lacking:
                self.blame("policy", f"{award.agent} was awarded {award.task} without {sorted(lacking)}")
        for seat, batch in batches.items():
            active = self._active.setdefault(seat, set())
            if active:
                self.blame("two-awards", f"{seat}: {sorted(batch)} beside {sorted(active)}")
            active |= batch

    def _agents(self) -> Iterable[Any]:
        return (node for node in self._world.of("agent") if node.lives)

    def _clustered(self, message: Message) -> None:
        """Count what is said in a cluster's channel: one frame a member and round, and one for the draft."""
        said = _decoded(message.packet.payload)
        if isinstance(said, Award) and said.team is not None:
            self.met["guests"] += bool(said.team.guests)
            self._teams.setdefault((said.task, said.team.id), {})[said.award] = said.team.rounds
        elif isinstance(said, Draft):
            frames = self._drafts.setdefault((said.task, said.cluster), {}).setdefault(said.award, {})
            frames[message.packet.payload, message.packet.packet_id] = said.round  # a broken link has one sent again

    def _spoken(self) -> None:
        """Hold the frames of every cluster against k * n + n."""
        for cluster, awards in self._drafts.items():
            known = self._teams.get(cluster, {})
            most = sum(1 + rounds for rounds in known.values())
            frames = sum(map(len, awards.values()))
            self.met["frames:cluster"] += frames
            self.met["clusters"] += 1
            if frames > most:
                self.blame("frames", f"{cluster}: {frames} frames of {awards}, at most {most}")

    # --- when all is over -------------------------------------------------------------------------------

    def settled(self, errands: Iterable[Errand]) -> bool:
        """Tell whether every client knows how its tasks ended."""
        return all(errand.task.id in self.told or errand.task.id in self.rejected for errand in errands)

    def close(self, errands: Iterable[Errand]) -> None:
        """Look at how it all ended."""
        for errand in errands:
            self._ended(errand)
        for node in self._world.nodes.values():
            self._clean(node)
        self._owned()
        self._learned()
        self._spoken()

    def _ended(self, errand: Errand) -> None:
        ident = errand.task.id
        told, results = self.told.get(ident, []), self.results.get(ident, [])
        if not told:
            self.blame("lost", f"{ident}: no result ({'accepted' if ident in self.accepted else 'never accepted'})")
        if not results:
            return
        first, last = results[0], results[-1]
        if last != first and any(self.submitted[ident][0] <= when for when in self._torn):
            self.met[TORN] += 1
        elif last != first:
            self.blame("retained", f"{ident}: the first result was {_brief(first)}, in the end it is {_brief(last)}")
        for result in told:
            if (result.status, _bodies(result)) != (first.status, _bodies(first)):
                self.blame("told", f"{ident}: the client was told {_brief(result)}, the first was {_brief(first)}")
        self._right(errand, first)

    def _right(self, errand: Errand, result: Result) -> None:
        """Hold a result against what was asked."""
        task = errand.task
        if task.budget is not None and result.cost > task.budget + CENT:
            self.blame("budget", f"{task.id} cost {result.cost} of {task.budget}")
        if errand.sort == "hopeless" and result.status == "done":
            self.blame("hopeless", f"{task.id} was done")
        steps = task.plan.subtasks if task.plan is not None else ()
        if result.status == "done" and any(step.approve for step in steps) and task.id not in self._agreed:
            self.blame("consent", f"{task.id} was done and nobody said yes")
        plain = (
            errand.sort in PLAIN
            and result.plan == task.plan
            and not any("/joins/" in one.agent for one in result.outputs)
        )
        if result.status == "done" and plain and task.plan is not None and not task.plan.edges:
            wanted = {answer_to(subtask, task.inputs) for subtask in task.plan.subtasks}
            bodies = (given.value.body for given in result.outputs)
            got = {body for body in bodies if body is None or not body.startswith(b"nonsense")}
            if not got <= wanted or len(result.outputs) != len(task.plan.subtasks):
                self.blame("answer", f"{task.id}: {sorted(map(str, got))}")

    def _clean(self, node: Node) -> None:
        """Nothing may be left over, and nothing may have gone wrong inside."""
        name = node.seat.name
        for error in node.sink.errors:
            self.blame("step", error)
        states = node.driver._states  # noqa: SLF001 - whoever looks for leaks must look inside
        roots = set(node.program.roots)
        left = sorted(f"{key.kind} {key.id} {type(states[key]).__name__}" for key in states if key not in roots)
        if left:
            self.blame("leak", f"{name} still has {', '.join(left[:4])}")
        for key, state in states.items():
            held = [field for field in _EMPTY.get(key.kind, ()) if getattr(state, field)]
            if held:
                self.blame(
                    "leak", f"{name}/{key.kind} still holds {[(one, getattr(state, one)) for one in held]}"[:400]
                )

    def _owned(self) -> None:
        """Every partition has one owner, the one whom the rendezvous puts first."""
        nodes = self._world.of("coordinator")
        for partition in range(self._world.topics.partitions):
            owners = [
                node.seat.name
                for node in nodes
                if (state := node.driver.state(ownership.KEY)) is not None
                and ownership.owned(state, partition) is not None
            ]
            first = order(partition, [node.seat.name for node in nodes])[0]
            if owners != [first]:
                self.blame("owner", f"partition {partition} should be {first}'s and is {owners}")

    def _learned(self) -> None:
        """Every reward is counted by one coordinator, and what they know together is the same to all."""
        named: Counter[str] = Counter()
        weights: dict[str, list[float]] = {}
        now = WALL_S + self._world.clock.time()
        for node in self._world.of("coordinator"):
            state = node.driver.state(match.KEY)
            if state is None or state.ledger is None:
                continue
            if state.loads:
                self.blame("load", f"{node.seat.name} still counts {dict(state.loads)}")
            for node_, bucket in state.ledger.shelves():
                held = state.ledger.shelf(node_, bucket) if node_ == node.seat.name else None
                named.update(f"{counted.award}.{counted.change}" for counted in (held.recent if held else ()))
            for agent in state.ledger.agents():
                weight = state.ledger.tally(agent).moments.weight * state.ledger.scale(now)
                weights.setdefault(agent, []).append(weight)
        for award in [award for award, times in named.items() if times > 1]:
            self.blame("reward", f"{award} is counted {named[award]} times")
        for agent, seen in weights.items():
            if max(seen) - min(seen) > ALMOST:
                self.blame("model", f"of {agent} coordinators know {seen} rewards")


_EMPTY: Final[dict[str, tuple[str, ...]]] = {
    "agent": ("running", "waiting", "clusters"),
    "lookup": ("jobs", "asked", "loads"),
    "blobs": ("wanted", "listening"),
}


def _decoded(payload: bytes) -> AnyMessage | None:
    try:
        return codec.decode(payload)
    except WireError:
        return None


def _bodies(result: Result) -> Counter[tuple[str, str]]:
    """Return what a result says, whether inline or by reference is not compared."""
    return Counter((given.name, str(given.value.ref or given.value.body)) for given in result.outputs)


def _brief(result: Result) -> str:
    return f"{result.status} {result.code} {result.reason} under {result.epoch.n} of {result.epoch.node}"
