"""One workflow through a whole federation in virtual time: broker, index, coordinator, client, and N equal agents.

All machines and the codec are the production ones (`foa.testing.world`); an agent takes as long as the recording says
the step took. So the makespan has everything that coordination costs in round trips, and nothing of what Python costs.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

from foa.bench.schedule.workflows import Workflow, plan_of
from foa.core.effects import Key
from foa.core.machines.agent.state import Job, Yielded
from foa.core.machines.client import Report, Submission
from foa.core.vcv.profile import Profile
from foa.errors import FoaError
from foa.nodes.agent import AgentProgram, will_of
from foa.nodes.ports import Done, Service
from foa.testing import agents as scripted
from foa.testing import federation
from foa.testing.mortal import Life
from foa.testing.world import Birth, Node, Seat, World
from foa.wire.ids import node_of
from foa.wire.messages import Result
from foa.wire.records import Given, Task, Value

WARM_S: Final = 5.0
"""Virtual seconds until everybody knows everybody."""

WEEK_MS: Final = 7 * 86_400_000
STEP_S: Final = 60.0


class Replayed(NamedTuple):
    """What came of one run: seconds from submission to result, and how often an agent was given a step."""

    makespan: float
    begun: int


class Hands:
    """The services of an agent that takes as long as the step's weight says, and yields its name."""

    def __init__(self, life: Life, begun: Callable[[], None]) -> None:
        self._life = life
        self._begun = begun
        self._work: dict[str, Any] = {}

    def services(self) -> dict[str, Service]:
        """Return the services by name."""
        return {"handler": self._handler, "cancel": self._cancel}

    def _handler(self, job: Job, done: Done) -> None:
        self._begun()
        when = self._life.time() + job.award.subtask.weight
        self._work[job.award.award] = self._life.call_at(when, partial(self._finish, job, done))

    def _finish(self, job: Job, done: Done) -> None:
        self._work.pop(job.award.award, None)
        body = job.award.subtask.id.encode()
        done(Yielded((Given("result", Value("text/plain", "text/plain", body)),)), "")

    def _cancel(self, award: str, done: Done) -> None:
        del done
        if (handle := self._work.pop(award, None)) is not None:
            handle.cancel()


class Run:
    """A federation with `machines` equal agents of one slot each."""

    def __init__(self, machines: int) -> None:
        # As shipped, but for what would fill hours of virtual time with signs of life.
        self.world = World(
            1,
            federation.settings(
                broker__keep_alive_s=3600,
                coordinator__lease_ms=600_000,
                coordinator__refresh_s=300,
            ),
        )
        self.begun = 0
        self.results: list[tuple[float, Result]] = []
        federation.coordinator(self.world, "c1")
        federation.index(self.world, "i1")
        for number in range(machines):
            self._agent(scripted.profile(f"bench/steps/a{number:03}", skills=("run",), slots=1))
        self.client: Node = federation.client(self.world, "u1", self._report)

    def _agent(self, profile: Profile) -> None:
        world, name = self.world, node_of(profile.agent)

        def make(birth: int, life: Life) -> Birth:
            program = AgentProgram(profile, birth, world.settings, world.topics)
            return Birth(program, Hands(life, self._begin).services(), will_of(program.context))

        world.add(Seat("agent", profile.agent, name), make)

    def _begin(self) -> None:
        self.begun += 1

    def _report(self, said: Report) -> None:
        if isinstance(said.value, Result):
            self.results.append((self.world.clock.time(), said.value))

    def play(self, workflow: Workflow) -> Replayed:
        """Submit the workflow, and return how long it took; FoaError if it did not end in a result."""
        clock = self.world.clock
        for node in self.world.nodes.values():
            node.start()
        clock.run_until(WARM_S)
        task = Task("bench", "a recorded workflow", plan=plan_of(workflow), deadline_ms=WEEK_MS)
        self.client.driver.tell(Key("client", task.id), Submission(task, watch=False))
        begun = clock.time()
        while not self.results and clock.time() < begun + WEEK_MS / 1000:
            clock.run_until(clock.time() + STEP_S)
        if not self.results or self.results[0][1].status != "done":
            said = self.results[0][1] if self.results else None
            raise FoaError(f"{workflow.id}: {said.reason if said else 'no result within a week'}")
        return Replayed(self.results[0][0] - begun, self.begun)


def replay(workflow: Workflow, machines: int) -> Replayed:
    """Return what came of `workflow` with so many agents."""
    return Run(machines).play(workflow)
