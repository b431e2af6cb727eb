"""Runs a Python function with a signature: inputs bound and decoded by its hints, its answer held to them.

Coroutine functions run on the loop, plain ones in threads (which cannot be interrupted: a plain function
that overstays is given up, and ends when it ends).
"""

import asyncio
import contextlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from foa.adapters.handlers import PLAN, PLAN_PORT, Assignment, Handler, Roles, Signature, wants_peers
from foa.adapters.peers import Critique, Peer, Proposal
from foa.adapters.runners.base import Outcome, critiques_of, lies, one_line, seconds_left, too_slow
from foa.adapters.runners.contract import Contract
from foa.adapters.runners.threads import Caught, Threads
from foa.adapters.values import Misfit, encode
from foa.core.vcv.profile import Profile
from foa.errors import AgentFailed, Ask, Decline, Refute, Retry, TaskError
from foa.wire.records import Given, Plan


class PythonRunner:
    """One function, with the signature it was declared by and what else the agent can do."""

    def __init__(self, handler: Handler[..., Any], timeout_s: float = 300.0) -> None:
        self.profile: Profile = handler.profile
        self.timeout_s = timeout_s
        self._threads = Threads(self.profile.agent, self.profile.resources.concurrency)
        self._adopt(handler.function, handler.signature, handler.roles)

    def _adopt(self, function: Callable[..., Any], signature: Signature, roles: Roles) -> None:
        outputs = self.profile.outputs
        if roles.plan is not None:  # the plan is the planner's output, not the draft's
            outputs = tuple(port for port in outputs if port != PLAN_PORT)
        self._draft = Contract(function, signature, self.profile.inputs, outputs)
        self._roles = roles

    async def start(self) -> None:
        """Nothing to make ready: the function is here."""

    async def close(self) -> None:
        """Nothing to give back: threads still at work are daemons, and end when they end."""

    async def run(self, assignment: Assignment) -> Outcome:
        """Bind, decode, call, check, encode."""
        return self._draft.encoded(await self._bound(assignment, self._draft))

    async def critique(
        self, assignment: Assignment, draft: Outcome, peers: tuple[Peer[Outcome], ...]
    ) -> Mapping[str, Critique]:
        """Hand the decoded drafts to the critic, if there is one."""
        if self._roles.critique is None:
            return {}
        said = await self._among_peers(assignment, self._roles.critique, draft, peers)
        return critiques_of(said, {peer.agent for peer in peers})

    async def revise(self, assignment: Assignment, draft: Outcome, peers: tuple[Outcome, ...]) -> Outcome | None:
        """Hand the decoded drafts to the reviser; a peer's draft that does not decode is left out."""
        if self._roles.revise is None:
            return None
        known = assignment.peers or tuple(Peer("", outputs) for outputs in peers)
        result = await self._among_peers(assignment, self._roles.revise, draft, known)
        return None if result is None else self._draft.encoded(result)

    async def plan(self, assignment: Assignment) -> Outcome | None:
        """Ask the planner for a plan; None if there is none."""
        if self._roles.plan is None:
            return None
        function, signature = self._roles.plan
        inputs = tuple(each.port for each in signature.parameters)
        result = await self._bound(assignment, Contract(function, signature, inputs, ()))
        try:
            proposal = result if isinstance(result, Proposal) else Proposal(_plan(result))
            return (Given(PLAN, encode(proposal.document(), PLAN)),)
        except (Misfit, TypeError, ValueError) as error:
            raise lies(f"plan: {error}") from error

    async def synthesise(self, assignment: Assignment) -> Outcome | None:
        """Ask for one answer made of the parts given; None if nobody here does that."""
        if self._roles.synthesise is None:
            return None
        function, signature = self._roles.synthesise
        inputs = tuple(each.port for each in signature.parameters)
        contract = Contract(function, signature, inputs, signature.outputs)
        return contract.encoded(await self._bound(assignment, contract))

    # --- the call ---------------------------------------------------------------------------------------

    async def _bound(self, assignment: Assignment, contract: Contract) -> Any:
        arguments = contract.arguments(assignment)
        if contract.signature.context:
            arguments[contract.signature.context] = self._tethered(assignment, contract.function)
        return await self._call(assignment, contract.function, **arguments)

    async def _among_peers(
        self, assignment: Assignment, function: Callable[..., Any], draft: Outcome, peers: Iterable[Peer[Outcome]]
    ) -> Any:
        """Call a function that takes a draft and those of others; one of them that does not decode is left out."""
        read = [replace(peer, outputs=self._draft.decoded(peer.outputs)) for peer in peers]
        read = [peer for peer in read if peer.outputs is not None]
        shown = read if wants_peers(function) else [peer.outputs for peer in read]
        arguments = [self._draft.decoded(draft), shown, self._tethered(assignment, function)]
        return await self._call(assignment, function, *arguments[: len(inspect.signature(function).parameters)])

    async def _call(self, assignment: Assignment, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call the author's code; whatever comes of it is a value, or one of the exceptions of `runners.base`."""
        seconds = seconds_left(self.timeout_s, assignment)
        call = partial(function, *args, **kwargs)
        result: Any = None
        try:
            async with asyncio.timeout(seconds):
                with Caught() as caught:
                    result = await (call() if inspect.iscoroutinefunction(function) else self._threads.call(call))
        except TimeoutError as error:
            raise too_slow(seconds) from error
        if caught.error is None:
            return result
        if isinstance(caught.error, Retry | Decline | AgentFailed | Ask | Refute):
            raise caught.error
        raise _failure(caught.error) from caught.error

    @staticmethod
    def _tethered(assignment: Assignment, function: Callable[..., Any]) -> Assignment:
        """Progress told from a thread is handed to the loop; what else an assignment takes may come from anywhere."""
        if inspect.iscoroutinefunction(function):
            return assignment
        loop, progress = asyncio.get_running_loop(), assignment.progress

        def tell(fraction: float, text: str = "") -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(progress, fraction, text)

        return replace(assignment, progress=tell)


def _plan(result: Any) -> Any:
    if isinstance(result, Mapping | list | tuple | Plan):
        return result
    raise lies(f"plan: got {type(result).__name__}, declared Proposal")


def _failure(error: BaseException) -> AgentFailed:
    """Say what the author's code raised and where; the chain keeps the whole traceback for the log."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        frames.append(trace)
        trace = trace.tb_next
    at = f" ({Path(frames[-1].tb_frame.f_code.co_filename).name}:{frames[-1].tb_lineno})" if frames else ""
    said = one_line(error)
    hopeless = isinstance(error, ImportError | TaskError)
    return AgentFailed(f"{type(error).__name__}{': ' if said else ''}{said}{at}", retryable=not hopeless)
