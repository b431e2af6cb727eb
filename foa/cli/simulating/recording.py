"""``foa record`` and ``foa replay``: what a live federation said, into a file, and from it through today's machines."""

import asyncio
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from foa.cli import output
from foa.cli.ending import FAILED, run_async
from foa.cli.loading import QUIET, options_of

if TYPE_CHECKING:
    from foa.bus.port import Delivery, Facts
    from foa.settings import Settings
    from foa.testing.sim.tape.file import Writer

RECORD_EXAMPLES: Final = """\b
Examples:
  foa record night.foarec                       until Ctrl-C
  foa record hour.foarec --minutes 60 --no-bodies
"""
REPLAY_EXAMPLES: Final = """\b
Examples:
  foa replay night.foarec
  foa replay night.foarec --json | jq .differences
"""
SHOWN: Final = 20

Minutes = Annotated[float | None, typer.Option(help="end after so many minutes; else at Ctrl-C")]
Size = Annotated[int, typer.Option("--max-mb", help="end at so many megabytes, before compression")]
NoBodies = Annotated[bool, typer.Option("--no-bodies", help="leave out inputs and outputs; requests' words stay")]


def record(
    ctx: typer.Context, file: Path, *, minutes: Minutes = None, most: Size = 256, no_bodies: NoBodies = False
) -> None:
    """Write all that a federation says into FILE, with times. Needs the rights of an operator; ends by itself if full.

    FILE holds what people asked, unless --no-bodies leaves out inputs and outputs: keep it like what is in it.
    """
    from foa.nodes.host import topics_of
    from foa.testing.sim.tape.file import Writer

    settings = options_of(ctx).load(QUIET).settings
    with Writer(file, most << 20, topics_of(settings), bodies=not no_bodies) as writer, suppress(KeyboardInterrupt):
        run_async(_record(settings, writer, minutes))
    full = "; it is full" if writer.full else ""
    print(f"{file}: {writer.frames} frames, {writer.written / 1e6:.1f} MB before compression{full}")


async def _record(settings: "Settings", writer: "Writer", minutes: float | None) -> None:
    """Listen to everything until the time is over, the file is full, or somebody interrupts."""
    ear = Ear(settings, writer)
    await ear.open()
    try:
        async with asyncio.timeout(None if minutes is None else 60.0 * minutes):
            await ear.over
    except TimeoutError:
        pass
    finally:
        await ear.close()


class Ear:
    """A session that hears everything of a federation. ``over`` is done when the file is full or the bus gone."""

    def __init__(self, settings: "Settings", writer: "Writer") -> None:
        """Nothing happens before `open`."""
        from foa.nodes.host import Place, options_of, session, topics_of

        loop = asyncio.get_running_loop()
        node = f"record-{secrets.token_hex(6)}"
        place = Place(node, node, session_s=0)
        self.over: asyncio.Future[None] = loop.create_future()
        self._writer = writer
        self._pattern = topics_of(settings)("#")
        self._timeout = settings.broker.connect_timeout_s
        self._loop = loop
        self._began = loop.time()
        self._bus = session(settings.broker.client, options_of(settings, place), self, loop)

    async def open(self) -> None:
        """Connect; BusError if that is not possible."""
        await self._bus.open(self._timeout)

    async def close(self) -> None:
        """Disconnect."""
        await self._bus.close()

    # What the bus tells its listener.

    def connected(self, facts: "Facts") -> None:
        """Listen to everything."""
        from foa.bus.port import Subscription

        del facts
        self._bus.subscribe([Subscription(self._pattern)])

    def delivered(self, delivery: "Delivery") -> None:
        """Write a frame down."""
        from foa.testing.sim.tape.file import Heard

        frame = delivery.frame
        at = self._loop.time() - self._began
        heard = Heard(
            at, frame.topic, frame.payload, frame.retain, frame.response_topic or "", frame.expiry_s, frame.properties
        )
        self._writer.write(heard)
        delivery.ack()
        if self._writer.full:
            self._end()

    def disconnected(self, reason: str, *, final: bool) -> None:
        """End if the bus is gone for good; until it is back there is nothing to hear."""
        del reason
        if final:
            self._end()

    def turned(self) -> None:
        """Nothing: frames are written as they come."""

    def drained(self) -> None:
        """Nothing: nothing is said."""

    def _end(self) -> None:
        if not self.over.done():
            self.over.set_result(None)


def replay(ctx: typer.Context, file: Path, as_json: output.Json = False) -> None:
    """Run a recording through today's machines in virtual time; exit 1 if a promise breaks.

    Agents answer as they did; coordinators decide anew, with words instead of a model for meaning. What ended otherwise
    than it did is shown, and is no fault by itself.
    """
    from foa.nodes.host import topics_of
    from foa.testing.sim.tape import file as tape
    from foa.testing.sim.tape import replay as replaying

    options = options_of(ctx)
    silent = as_json or options.json
    found = replaying.replay(tape.read(file), topics_of(options.load(QUIET).settings))
    if silent:
        output.as_json(
            {
                **found._asdict(),
                "violations": [one._asdict() for one in found.violations],
                "differences": [one._asdict() for one in found.differences],
            }
        )
    else:
        for violation in found.violations[:SHOWN]:
            print(f"{violation.word}: {violation.detail}")
        for one in found.differences[:SHOWN]:
            print(f"{one.task} ended {one.was} and ends {one.now or 'not at all'} now")
        print(
            f"{found.tasks} tasks, {found.agents} agents, {found.deaths} deaths: {len(found.violations)} violations, "
            f"{len(found.differences)} tasks end otherwise"
        )
    if found.violations:
        raise typer.Exit(FAILED)
