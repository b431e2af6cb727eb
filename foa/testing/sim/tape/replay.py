"""A recording run again: what was submitted, what agents answered and when, who died, through today's machines.

A recording becomes a scenario whose agents follow a script. Submissions, cancels, words, deaths and births come at
their times; coordinators and index nodes decide anew. So a bug seen live is seen again, and mended it is gone.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from foa.core import effects as fx
from foa.core.vcv.card import profile_of
from foa.core.vcv.profile import Profile
from foa.errors import WireError
from foa.nodes.window import event_of
from foa.testing.people import Person, Words
from foa.testing.sim.faults import Blow, Storm
from foa.testing.sim.observing.invariants import Violation
from foa.testing.sim.run import Run
from foa.testing.sim.scenario import Actor, Scenario
from foa.testing.sim.script import Line
from foa.testing.sim.tape.file import Heard
from foa.testing.workload import Errand
from foa.wire.envelope import Frame
from foa.wire.ids import node_of
from foa.wire.messages import Asking, Award, Blob, Cancel, Declined, Done, Failed, Input, Presence, Result, Submit
from foa.wire.topics import Topics

SETTLING_S: Final = 2.0
"""How long a federation has to find itself before what was recorded begins."""

DOOR: Final = "door"
"""The client in whose name those submit who left no address."""

FOR_GOOD_S: Final = 1e6


class Difference(NamedTuple):
    """A task that ended otherwise: its status when it was recorded, and now ("": it did not end)."""

    task: str
    was: str
    now: str


class Replayed(NamedTuple):
    """What came of it."""

    tasks: int
    agents: int
    deaths: int
    violations: tuple[Violation, ...]
    differences: tuple[Difference, ...]


class _Tape:
    """Gathers what frames tell."""

    def __init__(self) -> None:
        self.ups: dict[tuple[str, str], list[tuple[float, bool]]] = {}
        self.profiles: dict[str, Profile] = {}
        self.submits: dict[str, tuple[float, Submit, str]] = {}
        self.cancels: dict[str, float] = {}
        self.words: dict[str, list[tuple[float, Input]]] = {}
        self.awards: dict[str, tuple[float, Award]] = {}
        self.answers: dict[str, tuple[float, Done | Failed | Declined | Asking]] = {}
        self.results: dict[str, Result] = {}

    def hear(self, heard: Heard, topics: Topics) -> None:
        """Take one frame in; what cannot be read says nothing."""
        frame = Frame(heard.topic, heard.payload, properties=heard.properties)
        try:
            event = event_of(frame, topics)
        except WireError:
            return
        at = 0.0 if heard.retained else heard.at
        if isinstance(event, fx.Cleared):
            if event.topic.kind == "discovery":
                self._up("agent", event.topic.agent, at, alive=False)
            return
        self._message(event, at, heard, topics)

    def _message(self, event: fx.Received, at: float, heard: Heard, topics: Topics) -> None:
        match event.message:
            case Presence() as seen if seen.role in {"coordinator", "index"}:
                self._up(seen.role, seen.node, at, alive=seen.alive)
            case Blob(body) if event.topic.kind == "discovery":
                self._card(event, body, at)
            case Submit() as said if said.task.id not in self.submits:
                self.submits[said.task.id] = (at, said, _client(heard.reply_to, topics))
            case Cancel() as said:
                self.cancels.setdefault(said.task, at)
            case Input() as said:
                self.words.setdefault(said.task, []).append((at, said))
            case Award() as award:
                self.awards.setdefault(award.award, (at, award))
            case Done() | Failed() | Declined() | Asking() as answer:
                self.answers.setdefault(answer.award, (at, answer))
            case Result() as result if event.topic.kind == "result":
                self.results.setdefault(result.task, result)
            case _:
                pass

    def _card(self, event: fx.Received, body: bytes, at: float) -> None:
        agent = event.topic.agent
        try:
            self.profiles[agent] = profile_of(body, agent)
        except WireError:
            return
        self._up("agent", agent, at, alive=event.envelope.status != "offline")

    def _up(self, kind: str, name: str, at: float, *, alive: bool) -> None:
        known = self.ups.setdefault((kind, name), [])
        if not known or known[-1][1] is not alive:
            known.append((at, alive))


def scenario_of(tape: Iterable[Heard], topics: Topics) -> tuple[Scenario, dict[str, str]]:
    """Return what was recorded as a scenario, and how its tasks ended, by id."""
    heard = _Tape()
    end = 0.0
    for frame in tape:
        heard.hear(frame, topics)
        end = max(end, frame.at)
    actors = _actors(heard)
    names = {actor.name for actor in actors}
    clients = sorted({client for _, _, client in heard.submits.values()} or {DOOR})
    actors += [Actor("client", client) for client in clients if client not in names]
    blows: list[Blow] = []
    for (kind, name), ups in sorted(heard.ups.items()):
        node = node_of(name) if kind == "agent" else name
        if node in names:
            blows += _deaths(node, ups)
    errands = [_errand(ident, heard) for ident in heard.submits]
    deadlines = [errand.task.deadline_ms / 1000 for errand in errands]
    scenario = Scenario(
        0,
        tuple(actors),
        tuple(sorted(errands, key=lambda errand: errand.at)),
        Storm(blows=tuple(sorted(blows, key=lambda blow: blow.at))),
        storm_s=end + SETTLING_S + 1.0,
        patience_s=max(deadlines, default=0.0) + 60.0,
    )
    return scenario, {ident: result.status for ident, result in heard.results.items() if ident in heard.submits}


def replay(tape: Iterable[Heard], topics: Topics) -> Replayed:
    """Run a recording again, and say what broke and what ended otherwise."""
    scenario, was = scenario_of(tape, topics)
    run = Run(scenario)
    outcome = run.run()
    now = {ident: results[0].status for ident, results in run.inspector.results.items()}
    differences = [Difference(ident, was[ident], now.get(ident, "")) for ident in was if now.get(ident) != was[ident]]
    return Replayed(
        len(scenario.errands),
        len(scenario.names("agent")),
        len(scenario.storm.blows),
        outcome.violations,
        tuple(differences),
    )


def _client(reply_to: str, topics: Topics) -> str:
    try:
        topic = topics.parse(reply_to)
    except WireError:
        return DOOR
    return topic.node or DOOR


def _actors(heard: _Tape) -> list[Actor]:
    """Return who was there; a federation without one of the two kinds that it needs gets one."""
    actors: list[Actor] = []
    for (kind, name), ups in sorted(heard.ups.items()):
        starts = next((at for at, alive in ups if alive), None)
        if starts is None:
            continue
        late = starts + SETTLING_S if starts else 0.0
        if kind == "agent":
            profile = heard.profiles[name]
            actors.append(Actor("agent", node_of(name), late, profile=profile, script=_script(name, heard)))
        else:
            actors.append(Actor(kind, name, late))  # type: ignore[arg-type]
    for kind in ("coordinator", "index"):
        if not any(actor.kind == kind for actor in actors):
            actors.append(Actor(kind, f"{kind}-1"))  # type: ignore[arg-type]
    return actors


def _script(agent: str, heard: _Tape) -> tuple[Line, ...]:
    mine = [(at, award) for at, award in heard.awards.values() if award.agent == agent]
    return tuple(_line(at, award, heard.answers.get(award.award)) for at, award in sorted(mine, key=lambda it: it[0]))


def _line(at: float, award: Award, answered: tuple[float, Any] | None) -> Line:
    task, subtask = award.task, award.subtask.id
    if answered is None:
        return Line(task, subtask, "silent")
    when, answer = answered
    delay = max(0.0, when - at)
    match answer:
        case Done():
            return Line(
                task, subtask, "done", delay, answer.outputs, answer.usage.cost, getattr(answer, "confidence", None)
            )
        case Failed():
            return Line(
                task, subtask, "failed", delay, code=answer.code, reason=answer.reason, retryable=answer.retryable,
                refutes=answer.refutes,
            )  # fmt: skip
        case Asking():
            return Line(task, subtask, "asking", delay, reason=answer.question, options=answer.options)
        case _:
            return Line(task, subtask, "declined", delay, code=answer.code, reason=answer.reason)


def _deaths(node: str, ups: list[tuple[float, bool]]) -> list[Blow]:
    """Return a node's deaths, each up to its next birth."""
    begun, found = False, []
    for number, (at, alive) in enumerate(ups):
        if begun and not alive:
            back = next((later for later, up in ups[number + 1 :] if up), at + FOR_GOOD_S)
            found.append(Blow(at + SETTLING_S, "kill", (node,), back - at))
        begun = begun or alive
    return found


def _errand(ident: str, heard: _Tape) -> Errand:
    at, submit, client = heard.submits[ident]
    cancelled = heard.cancels.get(ident)
    says = tuple(Words(max(0.0, when - at), said) for when, said in heard.words.get(ident, ()))
    return Errand(
        "recorded",
        at + SETTLING_S,
        client,
        submit.task,
        None if cancelled is None else cancelled + SETTLING_S,
        Person("silent"),
        says,
    )
