"""What is done to the processes of a run: kills, stops, full disks, cut cables. Called by `storm`, one at a time.

Each fault picks its victim by the work in flight there, seeded where several have some; each wound is told to the
witness at the moment it is done. Faults that last go on by themselves.
"""

import asyncio
import resource
import time
from collections.abc import Awaitable, Callable, Coroutine
from random import Random
from typing import Any, Final

from foa.bench.chaos.plan import FaultKind
from foa.bench.chaos.proxy import Proxy
from foa.bench.chaos.town import Resident, Role, Town, expect
from foa.bench.chaos.witness import Spot, Witness

BEYOND_S: Final = 2.0
"""How long a ghost stays silent after the broker has given it up."""
GIVEN_UP: Final = 1.5
"""A broker waits for so many keep-alives."""
LURE_S: Final = 1.0
"""How long an index node is watched for a question that reaches it."""
FULL_S: Final = (2.0, 6.0)
CUT_S: Final = (1.0, 8.0)


class Faults:
    """Hurts a town. ``idle`` counts kills that met no work, ``missed`` faults that found nobody to hurt."""

    def __init__(
        self,
        town: Town,
        witness: Witness,
        proxies: dict[str, Proxy],
        rng: Random,
        keep_alive_s: float,
        note: Callable[[str], None],
    ) -> None:
        """`rng` decides what is left open by the work in flight; `note` writes a line into the trace."""
        self._note = note
        self.missed: dict[str, int] = {}
        self.last = ""
        self._town = town
        self._witness = witness
        self._proxies = proxies
        self._rng = rng
        self._ghost_s = keep_alive_s * GIVEN_UP + BEYOND_S
        self._lasting: set[asyncio.Task[None]] = set()
        self._kinds: dict[FaultKind, Callable[[], Awaitable[bool]]] = {
            "coordinator": lambda: self._kill("coordinator"),
            "agent": lambda: self._kill("agent"),
            "client": lambda: self._kill("client"),
            "broker": lambda: self._kill("broker"),
            "index": self._kill_index,
            "ghost": self._ghost,
            "restart": self._restart,
            "disk": self._disk,
            "cut": self._cut,
        }

    async def do(self, kind: FaultKind) -> None:
        """Do one fault; a kind that finds nobody to hurt is counted as missed."""
        if not await self._kinds[kind]():
            self.missed[kind] = self.missed.get(kind, 0) + 1

    async def over(self) -> None:
        """Wait for the faults that last."""
        while self._lasting:
            await asyncio.wait(set(self._lasting))

    def cancel(self) -> None:
        """Give up faults that last; the town lets its stopped processes go on by itself."""
        for each in self._lasting:
            each.cancel()

    # --- victims ----------------------------------------------------------------------------------------------

    def _held(self, resident: Resident) -> set[Spot]:
        """Return the work in flight at a process."""
        see = self._witness
        match resident.role:
            case "coordinator":
                return see.owned(resident.identity)
            case "agent":
                return see.awarded(resident.identity)
            case "index":
                return see.asked(resident.identity)
            case "client":
                return see.submitted(resident.identity)
            case _:
                return see.all()

    def _victim(self, *roles: Role, among: set[str] | None = None) -> Resident | None:
        """Return one that may be hurt, at best one with work in flight."""
        able = [each for role in roles for each in self._town.able(role) if among is None or each.name in among]
        busy = [each for each in able if self._held(each)]
        return self._rng.choice(busy or able) if able else None

    def _wound(self, kind: str, resident: Resident) -> None:
        held = self._held(resident)
        name = kind if kind == resident.role else f"{kind}-{resident.role}"
        self._witness.wound(name, resident.identity, time.monotonic(), held)
        self.last = f"{name} {resident.name} ({len(held)} held)"
        self._note(f"FAULT {self.last}")

    # --- faults -----------------------------------------------------------------------------------------------

    async def _kill(self, role: Role) -> bool:
        victim = self._victim(role)
        if victim is None:
            return False
        self._town.kill(victim.name)
        self._wound(role, victim)
        return True

    async def _kill_index(self) -> bool:
        """Kill an index node that has just been asked: stopped first, so that it does not answer before it is hit."""
        victim = self._victim("index")
        if victim is None:
            return False
        await self._town.freeze(victim.name)
        ends = time.monotonic() + LURE_S
        while not self._witness.asked(victim.identity) and time.monotonic() < ends:
            await asyncio.sleep(0.005)
        self._town.kill(victim.name)
        self._wound("index", victim)
        await self._town.thaw(victim.name)
        return True

    async def _restart(self) -> bool:
        victim = self._victim("broker")
        if victim is None:
            return False
        self._town.end(victim.name)
        self._wound("restart", victim)
        return True

    async def _ghost(self) -> bool:
        victim = self._victim("coordinator", "agent", "index")
        if victim is None:
            return False
        self._town.wounded[victim.name] = "frozen"
        await self._town.freeze(victim.name)
        self._wound("ghost", victim)
        self._last(victim, self._thaw(victim))
        return True

    async def _thaw(self, victim: Resident) -> None:
        await asyncio.sleep(self._ghost_s)
        expect(self._town, victim.name)
        await self._town.thaw(victim.name)

    async def _disk(self) -> bool:
        """Let no file of a process grow, as on a full disk."""
        victim = self._victim("coordinator", "index", "agent")
        if victim is None:
            return False
        self._town.wounded[victim.name] = "full"
        expect(self._town, victim.name)
        pid = self._town.pid(victim.name)
        _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, most))
        self._wound("disk", victim)
        self._last(victim, self._empty(victim, pid, most))
        return True

    async def _empty(self, victim: Resident, pid: int, most: int) -> None:
        await asyncio.sleep(self._rng.uniform(*FULL_S))
        if victim.name in self._town.up and self._town.pid(victim.name) == pid:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))

    async def _cut(self) -> bool:
        victim = self._victim("coordinator", "index", "agent", "client", among=set(self._proxies))
        if victim is None:
            return False
        proxy = self._proxies[victim.name]
        how = self._rng.choice((proxy.drop, proxy.stall, proxy.deafen))
        self._town.wounded[victim.name] = "cut"
        how()
        self._wound("cut", victim)
        self._last(victim, self._mend(proxy))
        return True

    async def _mend(self, proxy: Proxy) -> None:
        await asyncio.sleep(self._rng.uniform(*CUT_S))
        proxy.mend()
        if self._rng.random() < 0.5:  # noqa: PLR2004 - every second time the cable comes back as it was
            proxy.drop()

    def _last(self, victim: Resident, work: Coroutine[Any, Any, None]) -> None:
        """Let a fault go on by itself; its victim is whole again afterwards."""

        async def heal() -> None:
            try:
                await work
            finally:
                self._town.wounded.pop(victim.name, None)

        task = asyncio.get_running_loop().create_task(heal())
        self._lasting.add(task)
        task.add_done_callback(self._lasting.discard)
