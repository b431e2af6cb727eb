"""The ``foa`` program as tests run it: to its end, or until it says a line; each in a folder of its own."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.house.tree import ROOT

WAIT_S = 60.0
HASH = {"FOA_INDEX_MODEL": "hash"}


def environment(changes: Mapping[str, str] = HASH) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("FOA_")}
    return {**kept, "PYTHONPATH": str(ROOT), **changes}


def foa(*arguments: str, cwd: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run ``foa`` to its end."""
    command = [sys.executable, "-m", "foa", *arguments]
    kept = environment({**HASH, **changes})
    return subprocess.run(command, cwd=cwd, env=kept, capture_output=True, text=True, timeout=WAIT_S, check=False)


class Program:
    """A process that stays; its lines are read as they come."""

    def __init__(self, command: list[str], cwd: Path, changes: Mapping[str, str] = HASH) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment(changes),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def until(self, word: str) -> str:
        """Return the first line with `word`; fail with all that was said if it does not come."""
        ends = time.monotonic() + WAIT_S
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, ends - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                raise AssertionError(f"{word!r} was never said: {self.said}")
            self.said.append(line)
            if word in line:
                return line

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal (0: none, it ends by itself) and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(WAIT_S)
        finally:
            self.process.kill()
            self._reader.join()
            assert self.process.stdout is not None
            self.process.stdout.close()
        return code


@contextmanager
def running(*arguments: str, cwd: Path, changes: Mapping[str, str] = HASH) -> Iterator[Program]:
    """Run ``foa`` as long as the block."""
    program = Program([sys.executable, "-m", "foa", *arguments], cwd, changes)
    try:
        yield program
    finally:
        program.end()


def alive(pid: int) -> bool:
    """Tell whether a process runs (one that ended and was not waited for does not)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def all_gone(pids: list[int], within_s: float = 15.0) -> bool:
    """Wait until none of `pids` runs."""
    ends = time.monotonic() + within_s
    while any(map(alive, pids)):
        if time.monotonic() > ends:
            return False
        time.sleep(0.02)
    return True


SLEEPER = {
    "profile.toml": """
agent = "acme/tools/sleeper"
name = "Sleeper"
description = "Sleeps for a long while: waits, naps, dozes."
[[skill]]
id = "sleep"
description = "Sleeps until it is told to stop."
examples = ["sleep for a while", "take a nap"]
[[output]]
name = "text"
type = "text/plain"
[run]
python = "handler.py:run"
""",
    "handler.py": """
import asyncio
import foa

async def run(task: foa.Assignment) -> str:
    task.progress(0.1, "sleeping")
    await asyncio.sleep(60)
    return "awake"
""",
}


def write_agents(folder: Path) -> Path:
    """Write the sleeper and a copy of the ready echo agent."""
    for name, text in SLEEPER.items():
        (folder / "sleeper").mkdir(parents=True, exist_ok=True)
        (folder / "sleeper" / name).write_text(text)
    (folder / "echo").mkdir()
    for name in ("profile.toml", "handler.py"):
        (folder / "echo" / name).write_text((ROOT / "agents" / "echo" / name).read_text())
    return folder
