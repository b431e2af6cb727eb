"""The coordinator: owns partitions, and runs the tasks in them."""

from collections.abc import Callable, Mapping
from functools import partial
from time import monotonic
from typing import Any, Final

from foa.core import effects as fx
from foa.core.effects import Key, Step
from foa.core.machines import blobs, cases, lookup, match, memory, ownership, vigil
from foa.core.machines.task import machine as task
from foa.core.machines.task.entry import admission
from foa.core.machines.task.state import Context, Rules, Shadow
from foa.core.routing.score import Weights
from foa.core.routing.voices import Voice
from foa.nodes.births import born
from foa.nodes.host import Host, Place, named, presence_will, ring_of, topics_of
from foa.settings import Settings
from foa.wire.ids import partition_of
from foa.wire.topics import Topics

_TASK_KINDS: Final = frozenset({"submit", "cancel", "input", "state", "result", "answer", "ack"})
_MATCH_KINDS: Final = frozenset({"learn", "evidence", "feedback"})


class CoordinatorProgram:
    """The machines of a coordinator: ownership, one per task, and the lookup they share."""

    def __init__(
        self,
        node: str,
        birth: int,
        settings: Settings,
        topics: Topics,
        wall: float = 0.0,
        ups: tuple[float, ...] = (),
        *,
        voice: Voice | None = None,
    ) -> None:
        """`birth` grows with every start of the node: peers tell its lives apart by it.

        `wall` added to the node's clock gives seconds since 1970; `ups` are when earlier lives began, by that clock.
        `voice` says whose voice an agent has where voices count.
        """
        self.roots: tuple[Key, ...] = (
            ownership.KEY, lookup.KEY, memory.KEY, match.KEY, blobs.KEY, cases.KEY, vigil.KEY, admission.KEY,
        )  # fmt: skip
        terms = admission.terms_of(settings.coordinator.submitters)
        context = Context(topics, _task_rules(settings), wall)
        self._topics = topics
        self._first: dict[Key, Callable[[], Any]] = {
            ownership.KEY: lambda: ownership.State(node, birth, topics, _ownership_rules(settings), ups=ups),
            memory.KEY: lambda: memory.State(topics),
            cases.KEY: cases.State,
            vigil.KEY: lambda: vigil.State(topics, settings.coordinator.grace_ms / 1000, settings.broker.backoff_max_s),
            admission.KEY: lambda: admission.State(
                admission.Rules(settings.coordinator.open, settings.coordinator.quota, terms)
            ),
            blobs.KEY: lambda: blobs.State(topics),
            match.KEY: lambda: match.new(
                match.Setup(topics=topics, node=node, wall=wall, rules=_match_rules(settings, terms))
            ),
            lookup.KEY: lambda: lookup.new(
                lookup.Setup(
                    topics=topics,
                    node=node,
                    answer_s=settings.index.ask_ms / 1000,
                    ttl_s=3 * settings.coordinator.refresh_s,
                    reuse_s=settings.index.reuse_ms / 1000,
                    voice=voice,
                )
            ),
        }
        self.steps: Mapping[str, Step[Any]] = {
            ownership.KEY.kind: ownership.step,
            lookup.KEY.kind: lookup.step,
            memory.KEY.kind: memory.step,
            vigil.KEY.kind: vigil.step,
            cases.KEY.kind: cases.step,
            match.KEY.kind: match.step,
            blobs.KEY.kind: blobs.step,
            "task": admission.counting(partial(task.step, context)),
            admission.KEY.kind: partial(admission.step, context),
        }

    def birth(self, key: Key) -> Any | None:
        """Return the first state of a machine; a task begins as its heir sees it."""
        if key.kind == "task":
            return Shadow(partition_of(key.id, self._topics.partitions))
        first = self._first.get(key)
        return None if first is None else first()

    def route(self, event: fx.Received | fx.Cleared, known: Callable[[Key], bool]) -> tuple[Key, ...]:
        """Say whose event it is; what concerns a task not known here is judged by the ownership machine."""
        topic = event.topic
        if topic.kind in _TASK_KINDS:
            key = Key("task", topic.task)
            return (key,) if known(key) else () if topic.kind == "ack" else (ownership.KEY,)
        if topic.kind in _MATCH_KINDS:
            return (match.KEY,)
        if topic.kind == "discovery":
            return (vigil.KEY,)
        if topic.kind == "blob":  # the plan of a large task that is taken over
            return (blobs.KEY,)
        if topic.kind in {"own", "door", "control"} or (topic.kind == "presence" and topic.name == "coordinator"):
            return (ownership.KEY,)
        return (lookup.KEY,) if topic.kind in {"presence", "reply"} else ()


def _ownership_rules(settings: Settings) -> ownership.Rules:
    return ownership.Rules(
        refresh_s=settings.coordinator.refresh_s,
        reclaim_s=settings.coordinator.claim_ms / 1000,
        return_s=settings.broker.backoff_max_s + settings.coordinator.grace_ms / 1000,
    )


def weights_of(settings: Settings) -> Weights:
    """Return how candidates are scored; ``foa search`` scores as we do."""
    chosen = settings.matching
    return Weights(shortfall=chosen.shortfall, cost=chosen.cost, related=chosen.related)


def _task_rules(settings: Settings) -> Rules:
    chosen = settings.coordinator
    return Rules(
        accept_s=chosen.accept_ms / 1000,
        lease_s=chosen.lease_ms / 1000,
        grace_s=chosen.grace_ms / 1000,
        patience_s=chosen.patience_ms / 1000,
        planners=chosen.planners,
        plan_s=chosen.plan_timeout_ms / 1000,
        candidates=settings.matching.retrieve,
        rounds=settings.cluster.rounds,
        round_s=settings.cluster.round_ms / 1000,
        inline_bytes=settings.wire.inline_limit,
        event_s=chosen.event_ms / 1000,
        learning=True,  # whether it learns or not, the matchmaker knows who is at work and whose turn it is
        depth=chosen.depth,
        strategy=settings.cluster.strategy,
        team=settings.cluster.team,
        escalate=settings.cluster.escalate,
        remember_s=min(300.0, settings.wire.retention_s),
        weights=weights_of(settings),
        letters_s=chosen.letters_s,
    )


def _match_rules(settings: Settings, terms: Mapping[str, admission.Terms]) -> match.Rules:
    chosen = settings.learning
    return match.Rules(
        on=chosen.on,
        explore=chosen.explore,
        patience=chosen.patience,
        tau_s=chosen.forget_s,
        publish_s=chosen.publish_ms / 1000,
        probe=chosen.probe,
        cost=chosen.cost,
        latency=chosen.latency,
        evidence=chosen.evidence,
        shares={name: one.share for name, one in terms.items()},
    )


def coordinator(settings: Settings) -> Host:
    """Return a coordinator, ready to be entered."""
    topics, node = topics_of(settings), named(settings, "coordinator")
    life, now = born(settings.node.state_dir, settings.node.name), monotonic()
    ring = ring_of(settings, node)
    voice = None if ring is None else ring.voice
    program = CoordinatorProgram(node, life.number, settings, topics, life.wall(now), life.ups(now), voice=voice)
    will = presence_will(topics, "coordinator", node, life.number)
    return Host(Place(node, node, will), program, {}, settings, ring)
