"""One piece of work with a model: its time, its budget, its bill, and who watches it.

Made by `foa.adapters.runners.openai` for each award and round; `ask` is what `structured` calls.
"""

import asyncio
import re
from typing import Any, Final

import msgspec

from foa.adapters.handlers import Assignment
from foa.adapters.models.chat import Chat, Question
from foa.adapters.models.endpoint import Endpoint
from foa.adapters.models.limits import BYTES_PER_TOKEN, LEAST_TOKENS, Prices, Tokens
from foa.adapters.models.structured import Messages
from foa.errors import AgentFailed, Decline

_THOUGHT: Final = re.compile(r"\A\s*<think>.*?</think>\s*", re.DOTALL)
"""What some models say to themselves first; it is streamed and billed, and no part of the answer."""

PIECE: Final = 24
"""Characters that are gathered before watchers are shown them."""

TYPICAL_TOKENS: Final = 256
"""Where the length of an answer has no bound, progress is told as if this were half of it."""


class Session:
    """Asks a model within what one award may take; ``spent`` is in USD."""

    def __init__(
        self,
        chat: Chat,
        endpoint: Endpoint,
        prices: Prices,
        assignment: Assignment,
        *,
        seconds: float,
        budget: float | None,
        schema: dict[str, Any] | None = None,
        window: int = 0,
        aloud: bool = False,
    ) -> None:
        """`window` is how many tokens the model takes (0: not known); `aloud` streams what it says to watchers."""
        self._chat = chat
        self._prices = prices
        self._assignment = assignment
        self._budget = budget
        self._window = window
        self._max_tokens = endpoint.max_tokens
        self._schema = schema
        self._extra = 0 if schema is None else len(msgspec.json.encode(schema))
        self._ends = asyncio.get_running_loop().time() + seconds
        self._aloud = aloud
        self._waiting = ""
        self._heard = 0
        self._bound = 0
        self.spent = 0.0

    async def ask(self, messages: Messages) -> str:
        """Return the answer's text; Decline what the budget or the model's window does not hold."""
        size = sum(len(each["content"].encode("utf-8", "replace")) for each in messages) + self._extra
        self._bound = self._longest(size, len(messages))
        self._fit(size)
        self._heard, self._waiting = 0, ""
        said = await self._chat.ask(
            Question(
                messages=messages,
                seconds=max(0.001, self._ends - asyncio.get_running_loop().time()),
                max_tokens=self._bound,
                schema=self._schema,
                heard=self._listen,
                spent=self._charge,
            )
        )
        if said.refusal or said.finish == "content_filter":
            raise Decline("refused", f"the model will not answer: {said.refusal[:300] or 'its content filter objects'}")
        if said.finish == "length":
            bound = f"{self._bound} tokens" if self._bound else "the server's own bound"
            raise AgentFailed(f"its answer was cut off at {bound}: raise max_tokens or the budget", retryable=False)
        return _THOUGHT.sub("", said.text)

    def _longest(self, size: int, messages: int) -> int:
        if self._budget is None:
            return self._max_tokens
        left = self._budget - self.spent
        longest = self._prices.longest(left, size, messages, self._max_tokens)
        if longest is None:
            raise Decline("budget", f"at worst more than the {max(left, 0.0):.6g} USD left, for {LEAST_TOKENS} tokens")
        return longest

    def _fit(self, size: int) -> None:
        tokens = size // BYTES_PER_TOKEN + self._max_tokens
        if self._window and tokens > self._window:
            raise Decline("inputs", f"about {tokens} tokens with the answer, its model takes {self._window}")

    def _listen(self, text: str) -> None:
        self._heard += len(text)
        self._waiting += text
        if len(self._waiting) >= PIECE:
            self._show()

    def _show(self) -> None:
        """Show watchers what was gathered, and how far the answer is."""
        if not self._waiting:
            return
        if self._aloud:
            self._assignment.stream(self._waiting)
        self._waiting = ""
        tokens = self._heard / BYTES_PER_TOKEN
        self._assignment.progress(min(0.99, tokens / (self._bound or tokens + TYPICAL_TOKENS)), "")

    def _charge(self, tokens: Tokens) -> None:
        self._show()
        usd = self._prices.of(tokens.tokens_in, tokens.tokens_out)
        self.spent += usd
        self._assignment.charge(usd, tokens.tokens_in, tokens.tokens_out)
        self._assignment.progress(0.99, str(tokens))
