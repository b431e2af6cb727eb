"""Two federations, one sealed and one not, take turns at the same tasks; and what the guard alone does, per frame."""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Final

import msgspec

from foa.adapters.keys import keyfile, trustfile
from foa.bench.brokers import running
from foa.bench.roundtrip import TEXT, Call, Figures, load
from foa.errors import FoaError, WireError
from foa.nodes.client import Client
from foa.nodes.federation import Federation, Member
from foa.settings import Settings
from foa.wire.envelope import Frame
from foa.wire.topics import Topics
from foa.wire.trust.guard import Guard, Rules
from foa.wire.trust.policy import Entry, Grant, Trust

ROLES: Final = ("agent", "coordinator", "index", "submitter", "operator")
BODY: Final = bytes(600)
CALLS: Final = 500
IN_FLIGHT: Final = 50

Say = Callable[[str], None]


def alone(rounds: int) -> Figures:
    """Return what the guard does in microseconds a frame of 600 bytes: medians over `rounds`."""
    now, topics = time.time_ns() // 1000, Topics()
    alice, mallory = keyfile.seeded(b"a" * 32), keyfile.seeded(b"m" * 32)
    rules, verify = Rules(), keyfile.Verifier()
    sender, stranger = (Guard(rules, topics, now, key=each.key, sign=each.sign) for each in (alice, mallory))
    receiver = Guard(rules, topics, now, verify=verify)
    receiver.trusting(Trust((Entry("alice", alice.key, (Grant("agent"), Grant("coordinator"))),)))
    answer, claim = Frame(topics.answer(1, "t", "a/b/c"), BODY), Frame(topics.own(1), BODY)
    live, stored = sender.seal(answer, now), sender.seal(claim, now)

    def admit(frame: Frame) -> None:
        with suppress(WireError):
            receiver.admit(topics.parse(frame.topic), frame, now)

    forged = msgspec.structs.replace(live, payload=BODY + b"x")
    foreign = stranger.seal(answer, now)
    work: dict[str, Callable[[], object]] = {
        "seal_us": lambda: sender.seal(answer, now),
        "verify_us": lambda: admit(live),
        "verified_before_us": lambda: admit(stored),
        "refuse_unsigned_us": lambda: admit(answer),
        "refuse_unknown_us": lambda: admit(foreign),
        "refuse_forged_us": lambda: admit(forged),
    }
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, call in work.items():
            began = time.perf_counter()
            for _ in range(CALLS):
                call()
            times[name].append((time.perf_counter() - began) / CALLS * 1e6)
    return {name: round(statistics.median(found), 2) for name, found in times.items()}


async def together(tasks: int, rounds: int, say: Say) -> Figures:
    """Return what one echo task costs in a bare and in a sealed federation that take turns, and the ratios."""
    ratios: list[float] = []
    many: list[float] = []
    medians: dict[str, list[float]] = {"bare_task_p50_us": [], "sealed_task_p50_us": []}
    async with AsyncExitStack() as stack:
        bare, sealed = [await _federation(stack, sealed, say) for sealed in (False, True)]
        for number in range(rounds):
            ours = (bare, sealed) if number % 2 == 0 else (sealed, bare)
            one = {client: (await load(_task(client), tasks, 1)).at(0.5) for client in ours}
            per_s = {client: (await load(_task(client), tasks * 4, IN_FLIGHT)).per_s for client in ours}
            medians["bare_task_p50_us"].append(one[bare])
            medians["sealed_task_p50_us"].append(one[sealed])
            ratios.append(one[sealed] / one[bare])
            many.append(per_s[sealed] / per_s[bare])
            say(f"round {number + 1}: {one[bare]:.0f} us bare, {one[sealed]:.0f} us sealed, ×{ratios[-1]:.2f}")
    found = {name: round(statistics.median(values), 1) for name, values in medians.items()}
    return found | {
        "ratio_p50": round(statistics.median(ratios), 3),
        "ratio_throughput": round(statistics.median(many), 3),
    }


async def _federation(stack: AsyncExitStack, sealed: bool, say: Say) -> Client:  # noqa: FBT001 - two places call it
    """Start a broker, a coordinator, an index node and an echo agent; return a client of theirs."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="foa-bench-")))
    port = await stack.enter_async_context(running("embedded", folder))
    settings = {"broker.url": f"mqtt://127.0.0.1:{port}", "index.model": "hash", "log.level": "warning"}
    if sealed:
        key, trust = folder / "house.key", folder / "trust.toml"
        grants = tuple(trustfile.grant(role, "bench") for role in ROLES)
        trustfile.append(trust, Entry("house", keyfile.new(key), grants, voices="each"))
        settings |= {"security.key": str(key), "security.trust": str(trust)}
    ours = {f"FOA_{name.replace('.', '_').upper()}": value for name, value in settings.items()}
    environment = {**os.environ, **ours, "FOA_NODE_STATE_DIR": str(folder / "state")}
    federation = await stack.enter_async_context(Federation(environment, folder, say))
    echo = Path(__file__).parents[3] / "agents" / "echo"
    await federation.start(
        [
            Member("coordinator-1", ("node", "coordinator", "--name", "coordinator-1")),
            Member("index-1", ("node", "index", "--name", "index-1")),
            Member("echo", ("agent", "run", str(echo))),
        ]
    )
    client = await stack.enter_async_context(Client(Settings.from_mapping(settings, "bench")))
    await load(_task(client), 20, 1)
    return client


def _task(client: Client) -> Call:
    async def one() -> None:
        outcome = await client.submit(TEXT, skills=("echo",)).result()
        if outcome.checked().output != TEXT:
            raise FoaError(f"echo answered {outcome.output!r}")

    return one
