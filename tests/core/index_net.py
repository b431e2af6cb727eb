"""A tiny bus and clock for index nodes and lookups: retained messages, filters, timers, instant services."""

from dataclasses import dataclass, field
from random import Random
from typing import Any

from foa.adapters.embed import HashEmbedder
from foa.adapters.embed import serve as embed
from foa.adapters.index.exact import ExactIndex
from foa.adapters.index.port import VectorIndex, serve
from foa.core.effects import (
    Cleared,
    Effect,
    Elapsed,
    Event,
    Key,
    Online,
    Publish,
    Received,
    Request,
    Returned,
    Sleep,
    Subscribe,
    Tell,
    Told,
    Unsubscribe,
    Wake,
)
from foa.core.machines import lookup, shard
from foa.core.routing.exchange import Answer, Asked, Keep, Upsert
from foa.core.vcv.build import build_vcv, texts_of
from foa.core.vcv.profile import Profile, Skill
from foa.wire.envelope import EMPTY, Envelope
from foa.wire.ids import Version, partition_of
from foa.wire.messages import Ask, Blob, Embed, Found, Presence, Vcv, Vectors
from foa.wire.topics import Topics

TOPICS = Topics("foa/v1", 16)
MODEL = HashEmbedder()
ME = Key("test")


def matches(pattern: str, topic: str) -> bool:
    wanted, levels = pattern.split("/"), topic.split("/")
    for at, level in enumerate(wanted):
        if level == "#":
            return True
        if at >= len(levels) or level not in {"+", levels[at]}:
            return False
    return len(wanted) == len(levels)


@dataclass
class Node:
    name: str
    state: Any
    step: Any
    index: VectorIndex = field(default_factory=lambda: ExactIndex(MODEL.dim))
    patterns: dict[str, None] = field(default_factory=dict)
    timers: dict[str, float] = field(default_factory=dict)
    kept: dict[str, Keep] = field(default_factory=dict)
    told: list[Answer] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    deaf: bool = False


class Net:
    def __init__(self, seed: int = 0) -> None:
        self.now = 0.0
        self.rng = Random(seed)
        self.nodes: dict[str, Node] = {}
        self.retained: dict[str, Publish] = {}
        self.sent: list[Publish] = []
        self.profiles: dict[bytes, Profile] = {}
        self.embedded: list[tuple[str, ...]] = []
        self.queue: list[tuple[str, Event]] = []
        self.lost_replays: set[str] = set()

    # --- nodes ---

    def shard(self, name: str, epoch: int = 1, kept: dict[str, Keep] | None = None, **knobs: Any) -> Node:
        setup = shard.Setup(topics=TOPICS, node=name, epoch=epoch, model=MODEL.model, dim=MODEL.dim, **knobs)
        node = self.nodes[name] = Node(name, shard.new(setup, (kept or {}).values()), shard.step)
        for agent, entry, online in (kept or {}).values():
            node.kept[agent] = Keep(agent, entry, online)
            if entry is not None and online:
                serve(node.index, Upsert(agent, entry.c, entry.e, entry.others))
        self.feed(name, Online(False))
        return node

    def lookup(self, name: str = "asker", **knobs: Any) -> Node:
        node = self.nodes[name] = Node(name, lookup.new(lookup.Setup(topics=TOPICS, node=name, **knobs)), lookup.step)
        self.feed(name, Online(False))
        return node

    def kill(self, name: str) -> None:
        node = self.nodes.pop(name)
        will = Presence(name, "index", node.state.setup.epoch, alive=False)
        self.publish(Publish(TOPICS.presence("index", name), will, retain=True))

    # --- agents ---

    def agent(self, profile: Profile, counter: int = 1, *, status: str = "online", vector: bool = True) -> None:
        card = f"{profile.agent} {counter}".encode()
        self.profiles[card] = profile
        self.publish(Publish(TOPICS.discovery(profile.agent), Blob(body=card), Envelope(status=status), retain=True))
        if vector:
            self.publish(Publish(vcv_topic(profile.agent), vcv_of(profile, counter), retain=True))

    # --- bus ---

    def publish(self, frame: Publish) -> None:
        self.sent.append(frame)
        if frame.retain:
            if frame.message is None:
                self.retained.pop(frame.topic, None)
            else:
                self.retained[frame.topic] = frame
        for node in list(self.nodes.values()):
            if not node.deaf and any(matches(pattern, frame.topic) for pattern in node.patterns):
                self.queue.append((node.name, event_of(frame, retained=False)))

    def feed(self, name: str, event: Event) -> None:
        self.queue.append((name, event))
        self.drain()

    def drain(self) -> None:
        while self.queue:
            name, event = self.queue.pop(0)
            node = self.nodes.get(name)
            if node is not None:
                node.state, effects = node.step(node.state, event, self.now, self.rng)
                for effect in effects:
                    self.perform(node, effect)

    def perform(self, node: Node, effect: Effect) -> None:
        node.effects.append(effect)
        match effect:
            case Publish():
                self.publish(effect)
            case Subscribe(patterns):
                self.subscribe(node, patterns)
            case Unsubscribe(patterns):
                for pattern in patterns:
                    node.patterns.pop(pattern, None)
            case Wake(timer, at):
                node.timers[timer] = at
            case Sleep(timer):
                node.timers.pop(timer, None)
            case Request():
                self.request(node, effect)
            case Tell(_, message):
                node.told.append(message)
            case _:
                pass

    def subscribe(self, node: Node, patterns: tuple[str, ...]) -> None:
        for pattern in patterns:
            node.patterns[pattern] = None
            for topic, frame in list(self.retained.items()):
                if matches(pattern, topic) and topic not in self.lost_replays:
                    self.queue.append((node.name, event_of(frame, retained=True)))

    def request(self, node: Node, effect: Request) -> None:
        returned = (node.name, Returned(effect.token, self.serve(node, effect.service, effect.argument)))
        if effect.token:
            self.queue.insert(0 if effect.service == "index" else len(self.queue), returned)

    def serve(self, node: Node, service: str, argument: Any) -> Any:
        if service == "index":
            return serve(node.index, argument)
        if service == "keep":
            node.kept.pop(argument.agent, None)
            if argument.entry is not None:
                node.kept[argument.agent] = argument
            return None
        if service == "embed":
            self.embedded.append(argument)
            return embed(MODEL, argument)
        return self.profiles.get(argument[1])

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        self.drain()
        while True:
            due = sorted(
                (at, node.name, timer) for node in self.nodes.values() for timer, at in node.timers.items() if at <= end
            )
            if not due:
                break
            at, name, timer = due[0]
            self.now = max(self.now, at)
            del self.nodes[name].timers[timer]
            self.feed(name, Elapsed(timer))
        self.now = end

    # --- asking ---

    def ask(self, ask: Ask | Embed, by: str = "asker", token: str = "t") -> Node:
        self.feed(by, Told(ME, Asked(token, ask)))
        return self.nodes[by]

    def found(self, ask: Ask, by: str = "asker") -> Found:
        node = self.ask(ask, by)
        self.run(5.0)
        found = node.told[-1].found
        assert isinstance(found, Found)
        return found


def event_of(frame: Publish, *, retained: bool) -> Event:
    topic = TOPICS.parse(frame.topic)
    if frame.message is None or isinstance(frame.message, bytes):
        return Cleared(topic)
    return Received(topic, frame.message, frame.envelope or EMPTY, retained, frame.reply_to, frame.correlation)


def vcv_topic(agent: str) -> str:
    return TOPICS.vcv(partition_of(agent, TOPICS.partitions), agent)


def vcv_of(profile: Profile, counter: int = 1) -> Vcv:
    texts = texts_of(profile)
    vectors: Vectors = embed(MODEL, tuple(texts.values()))
    return build_vcv(profile, Version(1, counter), MODEL.model, dict(zip(texts, vectors.vectors, strict=True)))


WORDS = ("csv", "pdf", "translate", "summarise", "plot", "forecast", "review", "deploy", "test", "search", "index")


def profile_of(number: int, **fields: Any) -> Profile:
    rng = Random(number)
    words = rng.sample(WORDS, 3)
    skill = Skill(words[0], words[0].title(), " and ".join(words), examples=(f"please {words[0]} the {words[1]}",))
    agent = f"org/unit/a{number}"
    return Profile(agent, f"Agent {number}", f"I {' '.join(words)} things", skills=(skill,), **fields)
