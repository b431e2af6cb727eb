"""Writes a ledger's batches in a thread of its own, one at a time; what changes meanwhile is the next batch."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from foa.bus.mqtt.broker.keeping.ledger import Ledger
from foa.bus.mqtt.broker.ports import Store
from foa.errors import BusError

BATCH_S: Final = 0.001  # between the first change and its batch: deliveries acknowledged meanwhile are never written
FEW: Final = 32  # rows: after a batch of no more the next begins at once, for who publishes one by one waits for it
RETRY_S: Final = 2.0  # between attempts while the store fails


class Writer:
    """Between a broker's ledger and its store. While the store fails the broker goes on from memory."""

    def __init__(self, ledger: Ledger, store: Store, flush: Callable[[], None], say: Callable[[str], None]) -> None:
        """`flush` is called in the loop once answers that waited for a batch are in their connections' outputs."""
        self._ledger = ledger
        self._store = store
        self._flush = flush
        self._say = say
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, "broker-store")
        self._busy = self._closing = False
        self._running: asyncio.Future[None] | None = None
        self._rows = 0

    def soon(self) -> None:
        """Write what is noted, a moment later."""
        if self._busy or self._closing or self._ledger.idle:
            return
        self._busy = True
        if self._ledger.stats.store_failing:
            self._loop.call_later(RETRY_S, self._begin)
        elif self._rows > FEW:
            self._loop.call_later(BATCH_S, self._begin)
        else:
            self._begin()

    async def close(self) -> None:
        """Write what is left, as far as that is possible, and let go of the store."""
        self._closing = True
        if self._running is not None:
            await asyncio.wait([self._running])
        self._thread.shutdown()
        try:
            self._store.write(self._ledger.take())
        except BusError as error:
            self._say(f"the store is behind: {error}")
        self._ledger.written(done=True)
        self._store.close()

    def _begin(self) -> None:
        """Hand a batch to the thread; after a failure only once a probe went well."""
        work = self._store.probe
        if not self._ledger.stats.store_failing:
            rows = self._ledger.take()
            self._rows = len(rows)
            work = partial(self._store.write, rows)
        self._running = self._loop.run_in_executor(self._thread, work)
        self._running.add_done_callback(self._end)

    def _end(self, done: "asyncio.Future[None]") -> None:
        ledger, error = self._ledger, done.exception()
        failed_before = ledger.stats.store_failing
        if error is not None and not isinstance(error, BusError):
            raise error
        if error is not None and not failed_before:
            self._say(f"cannot write the store: {error}; going on from memory, trying again every {RETRY_S:g} s")
        elif error is None and failed_before:
            self._say("the store can be written again")
        ledger.written(done=error is None)
        self._flush()
        self._busy, self._running = False, None
        self.soon()
