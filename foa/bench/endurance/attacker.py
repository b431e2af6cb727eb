"""The process that floods: it hears what it may, makes it hostile, and publishes that at a rate; damaged packets too.

``python -m foa.bench.endurance.attacker RATE SEED NAME`` connects as the settings in its environment say. It
reads ``on`` and ``off`` from standard input, and writes what it did as one line of JSON when that closes.
"""

import asyncio
import json
import os
import sys
import time
from collections import Counter, deque
from random import Random
from typing import Final
from urllib.parse import urlsplit

from foa.bus.mqtt.client import MqttBus
from foa.bus.port import Delivery, Facts, Subscription
from foa.errors import BusError
from foa.nodes.host import PORT, Place, options_of
from foa.settings import Settings, from_env, resolve
from foa.testing.fuzzing.mutate import damaged, hostile
from foa.testing.fuzzing.streams import PACKETS
from foa.testing.fuzzing.tape import Tape
from foa.wire.envelope import Frame
from foa.wire.ids import node_of

HEARD: Final = 256
TURN_S: Final = 0.01
BACKLOG: Final = 4000
"""Frames waiting to be acknowledged above which it waits: a flood, no suicide."""

TAPE: Final = 64
RAW_S: Final = 0.2
"""Seconds between two connections that speak damaged MQTT."""

REFUSED: Final = 0x80


class Attacker:
    """A client that wishes nobody well."""

    def __init__(self, settings: Settings, rate: float, seed: int, name: str) -> None:
        """Connect with `open`; flood while `on`."""
        self.on = False
        self.counts: Counter[str] = Counter()
        self._rng = Random(seed)
        self._rate = rate
        self._root = settings.wire.root
        self._heard: deque[Frame] = deque(maxlen=HEARD)
        self._url = urlsplit(settings.broker.url)
        self.bus = MqttBus(options_of(settings, Place(name, node_of(name), session_s=0)), self)

    def connected(self, facts: Facts) -> None:
        """Listen to all that one may."""
        del facts
        self.counts["connected"] += 1
        self.bus.subscribe([Subscription(f"{self._root}/#", no_local=True)])

    def delivered(self, delivery: Delivery) -> None:
        """Remember what honest nodes say."""
        self._heard.append(delivery.frame)
        self.counts["heard"] += 1
        delivery.ack()

    def disconnected(self, reason: str, *, final: bool) -> None:
        """Count it; the bus connects again."""
        del reason, final
        self.counts["disconnected"] += 1

    def turned(self) -> None:
        """Nothing is held back."""

    def drained(self) -> None:
        """Nothing to do: the flood looks at the backlog itself."""

    async def flood(self) -> None:
        """Publish at the rate while `on`, for ever."""
        due, last = 0.0, time.monotonic()
        while True:
            await asyncio.sleep(TURN_S)
            now = time.monotonic()
            due, last = (min(self._rate, due + (now - last) * self._rate) if self.on else 0.0), now
            heard = tuple(self._heard)
            while due >= 1.0 and heard:
                due -= 1.0
                self._publish(hostile(Tape(self._rng.randbytes(TAPE)), heard))

    def _publish(self, frame: Frame) -> None:
        if self.bus.backlog > BACKLOG:
            self.counts["held"] += 1
            return
        try:
            self.bus.publish(frame, self._received)
        except BusError:  # what cannot be written at all
            self.counts["unwritable"] += 1
        else:
            self.counts["sent"] += 1

    def _received(self, code: int) -> None:
        self.counts[f"receipt {code:#04x}" if code >= REFUSED else "taken"] += 1

    async def babble(self) -> None:
        """Open connections that speak damaged MQTT, one after the other, while `on`."""
        while True:
            await asyncio.sleep(RAW_S)
            if self.on:
                self.counts["raw"] += 1
                tape = Tape(self._rng.randbytes(TAPE))
                words = PACKETS[tape.number(2)] + damaged(tape, tape.choice(PACKETS), PACKETS)
                try:
                    reader, writer = await asyncio.open_connection(self._url.hostname, self._url.port or PORT)
                    writer.write(words)
                    async with asyncio.timeout(RAW_S):
                        await reader.read()
                except (OSError, TimeoutError):
                    continue
                finally:
                    writer.close()


async def run(rate: float, seed: int, name: str) -> None:
    """Obey standard input until it closes, then say what was done."""
    settings, _ = resolve([("the environment", from_env(os.environ))])
    attacker = Attacker(settings, rate, seed, name)
    await attacker.bus.open(10.0)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    working = [loop.create_task(attacker.flood()), loop.create_task(attacker.babble())]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while line := await reader.readline():
        attacker.on = line.strip() == b"on"
    for task in working:
        if task.done():
            task.result()  # neither ends by itself: whatever ended it is our fault, and told
        task.cancel()
    await asyncio.gather(*working, return_exceptions=True)
    await attacker.bus.close()
    sys.stdout.write(json.dumps(attacker.counts) + "\n")


if __name__ == "__main__":
    asyncio.run(run(float(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
