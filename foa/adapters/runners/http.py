"""Runs an HTTP endpoint: the document is POSTed, the answer is the body of the reply.

2xx is an answer; 429 and 503 are Retry (``Retry-After`` is obeyed); any other 4xx or a redirect would be the
same again and has failed for good; 5xx and broken connections have failed for now. The standard library
in a thread: no HTTP client stays in the memory of agents that need none.
"""

import asyncio
import contextlib
import http.client
import urllib.error
import urllib.request
from email.message import Message
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, Final
from urllib.parse import quote

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
from foa.adapters.runners.threads import Threads
from foa.errors import AgentFailed, Retry

MAX_RETRY_S: Final = 3_600.0
_BUSY: Final = (429, 503)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A task's data goes where its profile says and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        """Follow nothing; the 3xx becomes an error."""


class HttpRunner(Conversation):
    """One POST per call."""

    def __init__(self, declared: Declared) -> None:
        self.profile = declared.profile
        self._run = declared.run
        self.timeout_s = declared.run.timeout_s
        self.jobs = declared.run.jobs
        self._opener = urllib.request.build_opener(_NoRedirect)
        self._declared = declared
        self._threads = Threads(declared.profile.agent, declared.profile.resources.concurrency)

    async def start(self) -> None:
        """Check the environment; the endpoint may come up later, its absence is a failure that is tried again."""
        check_environment(self._declared)

    async def close(self) -> None:
        """Nothing to give back: requests in flight end with their time."""

    async def _talk(self, document: bytes, assignment: Assignment) -> bytes:
        seconds = seconds_left(self._run.timeout_s, assignment)
        post = urllib.request.Request(  # noqa: S310 - the profile allows http and https alone
            self._run.http,
            document,
            {"Content-Type": "application/json", "Accept": "*/*", "Idempotency-Key": quote(assignment.key)},
            method="POST",
        )
        try:
            async with asyncio.timeout(seconds):
                return await self._threads.call(partial(self._post, post, seconds))
        except TimeoutError as error:
            raise too_slow(seconds) from error

    def _post(self, post: urllib.request.Request, seconds: float) -> bytes:
        try:
            with self._opener.open(post, timeout=seconds) as reply:
                body: bytes = reply.read(MAX_ANSWER + 1)
                cut = bool(reply.length) and len(body) <= MAX_ANSWER
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error) from error
        except TimeoutError:
            raise
        except (OSError, http.client.HTTPException) as error:
            raise AgentFailed(f"{self._run.http} cannot be reached: {one_line(error)}") from error
        if cut:
            raise AgentFailed(f"{self._run.http} broke off in the middle of its answer")
        if len(body) > MAX_ANSWER:
            raise garbage(f"more than {MAX_ANSWER // 1024 // 1024} MiB")
        return body


def _refusal(error: urllib.error.HTTPError) -> Retry | AgentFailed:
    said = ""
    with contextlib.suppress(OSError, http.client.HTTPException):
        said = one_line(error.read(400).decode("utf-8", "replace"))
    detail = f"HTTP {error.code} {error.reason}{': ' if said else ''}{said}"
    if error.code in _BUSY:
        return Retry(detail, after=_after(error.headers))
    return AgentFailed(detail, retryable=error.code >= 500)  # noqa: PLR2004 - the server's own fault


def _after(headers: Message) -> float:
    """Return the seconds of ``Retry-After``, a number or (against the reply's own clock) a date."""
    text = headers.get("Retry-After", "").strip()
    with contextlib.suppress(ValueError, TypeError):
        if text.isdecimal():
            return min(float(text), MAX_RETRY_S)
        wait = parsedate_to_datetime(text) - parsedate_to_datetime(headers.get("Date", ""))
        return min(max(wait.total_seconds(), 0.0), MAX_RETRY_S)
    return 0.0
