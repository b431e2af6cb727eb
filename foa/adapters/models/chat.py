"""The client of a chat-completions endpoint: one question, one answer, streamed or whole.

It keeps the pace, tries again while that can help and time is left, follows no redirect, reads no more than
`MAX_ANSWER` bytes, and raises only Retry and AgentFailed. Cancelling `Chat.ask` closes the connection, which is how
servers learn that nobody listens any more. httpx is imported by `Chat.open`.
"""

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator, Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from foa.adapters.models.endpoint import Endpoint
from foa.adapters.models.limits import Pace, Tokens, pause, used
from foa.adapters.models.reading import (
    TRANSIENT,
    Garbled,
    Said,
    Stream,
    Told,
    complaint,
    one_line,
    retry_after,
    whole,
)
from foa.errors import AgentFailed, ConfigError, Retry

if TYPE_CHECKING:
    import httpx

MAX_ANSWER: Final = 8 * 1024 * 1024
MAX_COMPLAINT: Final = 4_096
CONNECT_S: Final = 10.0

Messages = Sequence[dict[str, str]]


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked: the conversation, how long it may take, how long the answer may be (0: as the server likes).

    ``schema`` is the JSON Schema that the answer must fit, None where it need not fit any. ``heard`` is called with
    each piece of an answer that is streamed, ``spent`` once for each call that used tokens, also if it broke off.
    """

    messages: Messages
    seconds: float
    max_tokens: int = 0
    schema: dict[str, Any] | None = None
    heard: Callable[[str], None]
    spent: Callable[[Tokens], None]


class _Trouble(Exception):
    """Another try may mend this; ``after`` is what the server told to wait."""

    def __init__(self, detail: str, after: float | None = None) -> None:
        super().__init__(detail)
        self.after = after


class Chat:
    """One endpoint and one process's use of it. Open it before asking, close it in the end."""

    def __init__(self, endpoint: Endpoint, key: str, rng: Random) -> None:
        """`endpoint` has its variables replaced; `key` is sent as a bearer token and shown to nobody else."""
        self._endpoint = endpoint
        self._key = key
        self._rng = rng
        self._url = f"{endpoint.base_url}/chat/completions"
        self._pace = Pace(endpoint.requests_per_minute)
        self._flying = asyncio.Semaphore(endpoint.concurrency or 2**31)
        self._client: httpx.AsyncClient | None = None

    def open(self) -> None:
        """Make the client; ConfigError if httpx is not installed."""
        try:
            import httpx  # noqa: PLC0415 - an agent that is no model agent does not carry it
        except ImportError as error:
            raise ConfigError(
                "run.openai: needs httpx, which is not installed: pip install 'federation-of-agents[models]'"
            ) from error
        headers = {"Accept-Encoding": "identity", "Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        self._client = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(self._endpoint.read_timeout_s, connect=CONNECT_S, pool=None),
            follow_redirects=False,
            trust_env=not _is_here(self._url),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=8),
        )

    async def close(self) -> None:
        """Close what is open."""
        if self._client is not None:
            await self._client.aclose()

    async def ask(self, question: Question) -> Said:
        """Return the answer; Retry when trying again later may help, AgentFailed otherwise."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + question.seconds
        attempt = 0
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    async with self._flying:
                        await self._take_turn(deadline)
                        return await self._once(question)
            except TimeoutError as error:
                raise AgentFailed(f"took longer than {question.seconds:.3g} s") from error
            except _Trouble as trouble:
                wait = pause(attempt, trouble.after, self._rng)
                attempt += 1
                if attempt > self._endpoint.retries or loop.time() + wait >= deadline:
                    raise Retry(self._silenced(str(trouble)), after=wait) from trouble
                await asyncio.sleep(wait)

    async def _take_turn(self, deadline: float) -> None:
        """Wait until the pace allows a call; Retry at once if that is later than the deadline."""
        now = asyncio.get_running_loop().time()
        wait = self._pace.wait(now)
        if now + wait >= deadline:
            raise Retry(f"{self._endpoint.requests_per_minute} requests per minute are used up", after=wait)
        self._pace.begin(now + wait)
        await asyncio.sleep(wait)

    async def _once(self, question: Question) -> Said:
        import httpx  # noqa: PLC0415 - loaded by `open` already

        assert self._client is not None, "open() comes first"
        body = msgspec.json.encode(self._body(question))
        try:
            async with self._client.stream("POST", self._url, content=body) as reply:
                if reply.status_code != httpx.codes.OK:
                    raise await self._refusal(reply)
                return await self._answer(reply, question, len(body))
        except httpx.TimeoutException as error:
            raise _Trouble(f"{self._url} said nothing for {self._endpoint.read_timeout_s:g} s") from error
        except httpx.TransportError as error:
            raise _Trouble(f"{self._url} cannot be reached: {one_line(error) or type(error).__name__}") from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise AgentFailed(f"{self._url}: {one_line(error)}", retryable=False) from error

    def _body(self, question: Question) -> dict[str, Any]:
        endpoint = self._endpoint
        body: dict[str, Any] = {"model": endpoint.model, "messages": list(question.messages)}
        if endpoint.temperature is not None:
            body["temperature"] = endpoint.temperature
        if question.max_tokens:
            body[endpoint.max_tokens_as] = question.max_tokens
        kind = endpoint.response_format
        if question.schema is not None and kind in {"auto", "json_schema"}:
            named = {"name": "answer", "schema": question.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        elif kind == "json_object":
            body["response_format"] = {"type": "json_object"}
        if endpoint.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return body

    # --- answers ------------------------------------------------------------------------------------------

    async def _answer(self, reply: "httpx.Response", question: Question, asked: int) -> Said:
        try:
            if reply.headers.get("content-type", "").startswith("text/event-stream"):
                said = await self._streamed(reply, question, asked)
            else:
                said = whole(b"".join([piece async for piece in _bounded(reply)]))
        except Told as error:
            raise AgentFailed(self._silenced(str(error))) from error
        except Garbled as error:
            raise AgentFailed(self._silenced(f"answered garbage: {error}")) from error
        question.spent(used(said.counted, asked, len(said.text.encode("utf-8", "replace"))))
        return said

    async def _streamed(self, reply: "httpx.Response", question: Question, asked: int) -> Said:
        """Read events as they come. What broke off was generated nevertheless: it is counted, and not asked again."""
        import httpx  # noqa: PLC0415 - loaded by `open` already

        stream = Stream()
        whole_answer = False
        try:
            with contextlib.suppress(httpx.TransportError):  # the same as an end too early: judged below
                async for piece in _bounded(reply):
                    for text in stream.feed(piece):
                        question.heard(text)
                    if stream.ended:
                        break
            whole_answer = stream.complete
        finally:
            said = stream.said
            if not whole_answer and said.text:
                question.spent(used(said.counted, asked, len(said.text.encode("utf-8", "replace"))))
        if whole_answer:
            return said
        if not said.text:
            raise _Trouble(f"{self._url} broke off before its answer began")
        raise AgentFailed(f"{self._url} broke off in the middle of its answer")

    # --- refusals -----------------------------------------------------------------------------------------

    async def _refusal(self, reply: "httpx.Response") -> Exception:
        """Return what a status other than 200 means; what may pass is `_Trouble`."""
        status = reply.status_code
        said = b""
        async for piece in reply.aiter_raw():
            said += piece
            if len(said) > MAX_COMPLAINT:
                break
        told = complaint(said[:MAX_COMPLAINT])
        detail = self._silenced(f"HTTP {status} from {self._url}{': ' if told else ''}{told}")
        if status in TRANSIENT or status >= 500:  # noqa: PLR2004 - the server's own fault
            return _Trouble(detail, retry_after(reply.headers.get("retry-after", ""), reply.headers.get("date", "")))
        return AgentFailed(f"{detail}{self._mend(status)}", retryable=False)

    def _mend(self, status: int) -> str:
        endpoint = self._endpoint
        if status in {401, 403}:
            if endpoint.api_key_file:
                return f"; mend: put a key that it takes into {endpoint.api_key_file}"
            if endpoint.api_key_env:
                return f"; mend: export {endpoint.api_key_env}=… with a key that it takes"
            return '; mend: name the variable that holds the key, api_key_env = "OPENAI_API_KEY"'
        if status == 404:  # noqa: PLR2004 - not found
            return f"; mend: check base_url, and that it has the model {endpoint.model!r}"
        if 300 <= status < 400:  # noqa: PLR2004 - redirects
            return "; mend: redirects are not followed, set base_url to where it leads if you trust that"
        return ""

    def _silenced(self, text: str) -> str:
        """Servers repeat keys in their complaints: ours goes no further."""
        return text.replace(self._key, "***") if self._key else text


async def _bounded(reply: "httpx.Response") -> AsyncIterator[bytes]:
    """Yield the body as it comes; Garbled if it is packed (it was asked not to be) or too long."""
    if reply.headers.get("content-encoding", "identity") != "identity":
        raise Garbled(f"content-encoding {reply.headers['content-encoding']!r}, asked for none")
    size = 0
    async for piece in reply.aiter_raw():
        size += len(piece)
        if size > MAX_ANSWER:
            raise Garbled(f"more than {MAX_ANSWER // 1024 // 1024} MiB")
        yield piece


def _is_here(url: str) -> bool:
    """Tell whether `url` is this machine, where no proxy of the environment leads."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
