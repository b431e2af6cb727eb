"""A federation full of agents that only stand there: cards and capability vectors published on their behalf."""

import asyncio
from collections.abc import Callable
from itertools import product
from typing import Final

from foa.bus.mqtt.client import MqttBus
from foa.bus.port import Delivery, Facts, Options
from foa.core.vcv.build import build_vcv, texts_of
from foa.core.vcv.card import card_of
from foa.core.vcv.profile import Profile, Skill
from foa.nodes.client import Client
from foa.wire import codec
from foa.wire.envelope import Envelope, Frame, to_properties
from foa.wire.ids import Version, digest_of, partition_of

BATCH: Final = 64
_VERBS: Final = (
    "Translate",
    "Classify",
    "Summarise",
    "Index",
    "Check",
    "Forecast",
    "Convert",
    "Annotate",
    "Cluster",
    "Price",
)
_THINGS: Final = ("contracts", "invoices", "satellite images", "log files", "patient notes", "song lyrics", "tax forms",
                  "chess games", "weather reports", "source code")  # fmt: skip
_MANNERS: Final = ("for auditors", "in French", "by region", "every night", "with citations", "for children",
                   "in real time", "by colour", "for print", "by author")  # fmt: skip


class _Silent:
    """Listens to nothing."""

    def connected(self, facts: Facts) -> None:
        """Nothing to do."""

    def delivered(self, delivery: Delivery) -> None:
        """Nothing is subscribed to."""

    def disconnected(self, reason: str, *, final: bool) -> None:
        """Nothing to do."""

    def drained(self) -> None:
        """Nothing to do: publishing watches the backlog."""

    def turned(self) -> None:
        """Nothing is held back."""


def profiles(number: int) -> list[Profile]:
    """Return that many different made-up agents."""
    found: list[Profile] = []
    for at, (verb, thing, manner) in zip(range(number), product(_VERBS, _THINGS, _MANNERS), strict=False):
        found.append(_profile(at, f"{verb} {thing} {manner}"))
    found += [_profile(at, f"{found[at % 1000].description}, variant {at // 1000}") for at in range(len(found), number)]
    return found


def _profile(at: int, text: str) -> Profile:
    skill = Skill(f"work-{at}", text, text)
    return Profile(f"bench/crowd/agent-{at}", text, text, skills=(skill,))


async def register(client: Client, number: int, port: int, say: Callable[[str], None]) -> None:
    """Publish `number` agents, and return once a search finds the last of them."""
    bus = MqttBus(Options("bench/crowd/publisher", port=port), _Silent())
    await bus.open(5.0)
    crowd = profiles(number)
    for at in range(0, number, BATCH):
        await _publish(client, bus, crowd[at : at + BATCH])
        if at % (BATCH * 4) == 0:
            say(f"registered {min(number, at + BATCH)} of {number} agents")
    while bus.backlog:
        await asyncio.sleep(0.05)
    await bus.close()


async def _publish(client: Client, bus: MqttBus, crowd: list[Profile]) -> None:
    topics = client.topics
    vectors = await client.embed([texts_of(profile)["description"] for profile in crowd])
    online = to_properties(Envelope(status="online"))
    for profile, vector in zip(crowd, vectors.vectors, strict=True):
        card = card_of(profile, topics)
        named = dict.fromkeys(texts_of(profile), vector)
        vcv = build_vcv(profile, Version(1, 1), vectors.model, named, digest_of(card))
        partition = partition_of(profile.agent, topics.partitions)
        bus.publish(Frame(topics.discovery(profile.agent), card, retain=True, properties=online))
        bus.publish(Frame(topics.vcv(partition, profile.agent), codec.encode(vcv), retain=True))
