"""Runs a program: the document on its stdin, its answer on stdout, in a process group of its own.

Exit 0 is an answer, 75 (EX_TEMPFAIL) is Retry, 64 (EX_USAGE) is Decline, anything else has failed; the last
line of stderr is the reason. The program sees PATH, HOME, LANG and the variables that its profile names,
nothing else. When its time is out, or the work is withdrawn, the whole group is ended.
"""

import asyncio
import contextlib
import os
import shutil
import signal
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Final

from foa.adapters.handlers import Assignment
from foa.adapters.runners.base import (
    MAX_ANSWER,
    Declared,
    check_environment,
    garbage,
    one_line,
    seconds_left,
    too_slow,
)
from foa.adapters.runners.document import Conversation
from foa.errors import AgentFailed, ConfigError, Decline, Retry

RETRY: Final = 75
DECLINE: Final = 64
MAX_STDERR: Final = 64 * 1024
GRACE_S: Final = 0.5
_ALWAYS: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")


class CommandRunner(Conversation):
    """One program per call."""

    def __init__(self, declared: Declared) -> None:
        self.profile = declared.profile
        self._declared = declared
        self._run = declared.run
        self.timeout_s = declared.run.timeout_s
        self.jobs = declared.run.jobs
        self._cwd = Path(declared.run.cwd or declared.path.parent)

    async def start(self) -> None:
        """Check that the program and the variables it needs are there."""
        program = self._run.command[0]
        found = shutil.which(str(self._cwd / program)) if "/" in program else shutil.which(program)
        if found is None:
            raise ConfigError(f"{self._declared.path}: run.command: program {program!r} was not found")
        self._program = found
        check_environment(self._declared)

    async def close(self) -> None:
        """Nothing outlives a call."""

    async def _talk(self, document: bytes, assignment: Assignment) -> bytes:
        seconds = seconds_left(self._run.timeout_s, assignment)
        process = await self._spawn()
        try:
            async with asyncio.timeout(seconds):
                said, complaint = await _exchange(process, document)
        except TimeoutError as error:
            raise too_slow(seconds) from error
        finally:
            await _end(process)
        return _judged(process.returncode, said, complaint)

    async def _spawn(self) -> Process:
        wanted = (*_ALWAYS, *self._run.env)
        environment = {name: os.environ[name] for name in wanted if name in os.environ}
        try:
            return await asyncio.create_subprocess_exec(
                self._program,
                *self._run.command[1:],
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                cwd=self._cwd,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise AgentFailed(f"{self._run.command[0]} could not be started: {error}") from error


async def _exchange(process: Process, document: bytes) -> tuple[bytes, bytes]:
    """Write the document and read both streams to their ends, then wait for the exit."""
    said, complaint, _ = await asyncio.gather(
        _read(process.stdout, MAX_ANSWER, strict=True), _read(process.stderr, MAX_STDERR), _feed(process, document)
    )
    await process.wait()
    return said, complaint


async def _feed(process: Process, document: bytes) -> None:
    """Write the document; a program need not read it."""
    stdin = process.stdin
    assert stdin is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        stdin.write(document)
        await stdin.drain()
    stdin.close()


async def _read(stream: asyncio.StreamReader | None, most: int, *, strict: bool = False) -> bytes:
    """Return what a stream says: all of it, or (not `strict`) its last `most` bytes."""
    assert stream is not None
    kept = bytearray()
    while part := await stream.read(65_536):
        kept += part
        if len(kept) > most:
            if strict:
                raise garbage(f"more than {most // 1024 // 1024} MiB")
            del kept[: len(kept) - most]
    return bytes(kept)


async def _end(process: Process) -> None:
    """End what is left of the group: asked first, then made to."""
    if process.returncode is None:
        _signal(process, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), GRACE_S)
    _signal(process, signal.SIGKILL)
    process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001 - the only way to give up unread pipes
    await process.wait()


def _signal(process: Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _judged(code: int | None, said: bytes, complaint: bytes) -> bytes:
    if code == 0:
        return said
    lines = complaint.decode("utf-8", "replace").strip().splitlines()
    reason = one_line(lines[-1]) if lines else ""
    if code == RETRY:
        raise Retry(reason or "asked to be tried again")
    if code == DECLINE:
        raise Decline("declined", reason or "declined")
    raise AgentFailed(f"exit code {code}{': ' if reason else ''}{reason}")
