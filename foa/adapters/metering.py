"""What an author's code says while it works: progress, pieces of the answer, charges; from any thread.

Called by the agent's node, one meter per piece of work. Pieces are gathered, so that however often they come few
frames leave; charges are added up and told before the work's end is. Whoever speaks after that is not heard.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from math import isfinite
from typing import Any, Final, Protocol

from foa.core.machines.agent.state import Charged, Progressed

EVERY_S: Final = 0.2
"""So far apart two frames with pieces of an answer are at least."""

PIECE: Final = 4_096
"""So many characters of an answer one frame carries at most."""

MOST: Final = 65_536
"""So many characters of an answer are shown while it is made; what goes beyond is in the answer itself."""


class Handle(Protocol):
    """A call to come."""

    def cancel(self) -> None:
        """Call it off."""


class Loop(Protocol):
    """As much of an event loop as a meter needs."""

    def time(self) -> float:
        """Return the seconds of its clock."""

    def call_at(self, when: float, callback: Callable[..., Any], *args: Any) -> Handle:
        """Call `callback` at ``when``."""

    def call_soon_threadsafe(self, callback: Callable[..., Any], *args: Any) -> Any:
        """Call `callback` on the loop; RuntimeError once that is closed."""


class Meter:
    """The voice of one piece of work. ``tell`` is called on the loop with `Progressed` and `Charged`."""

    def __init__(self, tell: Callable[[Any], None], loop: Loop | None = None) -> None:
        """Make one on `loop`, by default the one that runs."""
        self._loop: Loop = loop or asyncio.get_running_loop()
        self._tell = tell
        self._lock = threading.Lock()
        self._pieces: list[str] = []
        self._waiting = 0
        self._shown = 0
        self._owed: list[Charged] = []
        self._timer: Handle | None = None
        self._due = 0.0
        self._over = False
        self.confidence: float | None = None

    def progress(self, fraction: float, text: str = "") -> None:
        """Say how far the work is."""
        self._soon(self._told, Progressed(float(fraction), str(text)))

    def stream(self, text: str) -> None:
        """Show a piece of the answer."""
        with self._lock:
            piece = str(text)[: max(0, MOST - self._shown)]
            self._shown += len(piece)
            first = not self._waiting
            self._waiting += len(piece)
            if piece:
                self._pieces.append(piece)
        if piece and first:
            self._soon(self._arm)

    def charge(self, usd: float, tokens_in: int = 0, tokens_out: int = 0) -> None:
        """Add to the bill, in USD and tokens; ValueError for what is no amount."""
        charged = Charged(float(usd), int(tokens_in), int(tokens_out))
        if not isfinite(charged.usd) or charged.usd < 0 or min(charged[1:]) < 0:
            raise ValueError(f"charge({usd!r}, {tokens_in!r}, {tokens_out!r}): amounts are finite and not negative")
        with self._lock:
            first = not self._owed
            self._owed.append(charged)
        if first:
            self._soon(self._bill)

    def confident(self, confidence: float) -> None:
        """Say how sure of the answer its author is, from 0 to 1; ValueError for anything else."""
        if not 0.0 <= float(confidence) <= 1.0:
            raise ValueError(f"confident({confidence!r}): from 0 to 1")
        self.confidence = float(confidence)

    def close(self) -> None:
        """Tell what is owed, and nothing after it; pieces still waiting are in the answer that follows."""
        self._bill()
        self._over = True
        if self._timer is not None:
            self._timer.cancel()

    # --- on the loop ------------------------------------------------------------------------------------

    def _soon(self, callback: Callable[..., None], *args: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(callback, *args)

    def _told(self, message: Any) -> None:
        if not self._over:
            self._tell(message)

    def _bill(self) -> None:
        with self._lock:
            owed, self._owed = self._owed, []
        if owed:
            usd, tokens_in, tokens_out = map(sum, zip(*owed, strict=True))
            self._told(Charged(usd, int(tokens_in), int(tokens_out)))

    def _arm(self) -> None:
        if not self._over and self._timer is None:
            self._timer = self._loop.call_at(max(self._loop.time(), self._due), self._show)

    def _show(self) -> None:
        """Send one frame's worth, and come back for the rest."""
        self._timer = None
        with self._lock:
            text = "".join(self._pieces)
            piece, rest = text[:PIECE], text[PIECE:]
            self._pieces, self._waiting = [rest] if rest else [], len(rest)
        if piece:
            self._due = self._loop.time() + EVERY_S
            self._told(Progressed(0.0, "", piece))
        if rest:
            self._arm()
