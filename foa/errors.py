"""Every exception foa raises.

::

    FoaError
    ├─ WireError       cannot be understood    -> dead letter, never retried
    ├─ BusError        cannot be carried       -> retried by the bus only
    │  ├─ Refused      the broker said no, for good (credentials, take-over)
    │  └─ TooLarge     a frame the broker never takes
    ├─ DiskError       cannot be kept          -> tried again for a moment, then the node ends and others take over
    ├─ TaskError       cannot be done          -> travels as data, both ways
    │  ├─ NoRoute            nobody permitted and able was found
    │  ├─ DeadlineExceeded   the deadline came first
    │  ├─ PolicyDenied       a policy label or required skill forbids it
    │  ├─ BudgetExceeded     the budget does not reach
    │  ├─ Cancelled          somebody asked for it to end
    │  └─ AgentFailed        the agent's own failure (retryable or not)
    ├─ ProposalError   a peer's plan is invalid -> that proposal is dropped
    ├─ ConfigError     the user's mistake      -> one line, exit 2
    ├─ Retry           raised by an agent's author: try again, maybe later
    ├─ Decline         raised by an agent's author: not for me, and why
    ├─ Ask             raised by an agent's author: a person must say something first
    └─ Refute          raised by an agent's author: an input is wrong, its subtask is to be done again

A peer's fault is a value inside ``foa.core``; our own fault is an exception. No third-party exception
leaves ``foa.bus`` or ``foa.adapters``: it is wrapped here and chained.
"""


class FoaError(Exception):
    """Root of the tree; catch it to catch everything foa raises."""


class WireError(FoaError):
    """Bytes, a topic or a header that cannot be understood. ``reason`` names the dead-letter topic."""

    def __init__(self, reason: str, detail: str) -> None:
        """Keep ``reason`` (one topic segment) apart from ``detail`` (a sentence for people)."""
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class BusError(FoaError):
    """The broker could not be reached, or did not take what was sent."""


class Refused(BusError):
    """The broker said no for good: wrong credentials, banned, or another process took the identity."""


class TooLarge(BusError):
    """A frame is larger than the broker takes: it can never be sent."""


class DiskError(FoaError):
    """What a node must keep could not be written: its disk is full, or broken."""


class TaskError(FoaError):
    """A task or subtask ended without a result; ``code`` is the word that travels on the wire."""

    code = "failed"


class NoRoute(TaskError):
    """Nobody permitted and able was found in time."""

    code = "no-route"


class DeadlineExceeded(TaskError):
    """The deadline came first."""

    code = "deadline"


class PolicyDenied(TaskError):
    """A policy label or a required skill forbids every candidate."""

    code = "policy"


class BudgetExceeded(TaskError):
    """What is left of the budget does not reach for any candidate."""

    code = "budget"


class Cancelled(TaskError):
    """The submitter or an operator asked for the task to end."""

    code = "cancelled"


class AgentFailed(TaskError):
    """The agent's own failure; ``retryable`` says whether another attempt could help."""

    code = "agent-failed"

    def __init__(self, detail: str, *, retryable: bool = True) -> None:
        """Carry the agent's own words and whether to try again."""
        super().__init__(detail)
        self.retryable = retryable


class ProposalError(FoaError):
    """A peer's plan is invalid; the proposal is dropped and the peer told why."""


class ConfigError(FoaError):
    """The user's mistake: one line that names the key, the value and the mend."""


class Retry(FoaError):
    """Raised by an agent's author: the same subtask may succeed later (``after`` seconds)."""

    def __init__(self, detail: str = "", *, after: float = 0.0) -> None:
        """Wait at least ``after`` seconds before the next attempt."""
        super().__init__(detail)
        self.after = after


class Decline(FoaError):
    """Raised by an agent's author: this subtask is not for this agent, and why."""


class Ask(FoaError):
    """Raised by an agent's author: a person must answer first; the work is awarded again with the answer."""

    def __init__(self, question: str, *, options: tuple[str, ...] = ()) -> None:
        """Ask `question`; ``options`` are answers to choose from, none where any words will do."""
        super().__init__(question)
        self.question = question
        self.options = options


class Refute(FoaError):
    """Raised by an agent's author: what subtask ``source`` yielded is wrong; it is done again, and this after it."""

    def __init__(self, source: str, reason: str) -> None:
        """Name the subtask (an input's ``source``) and say what is wrong with its output."""
        super().__init__(f"{source}: {reason}")
        self.source = source
        self.reason = reason


_BY_CODE = {kind.code: kind for kind in (NoRoute, DeadlineExceeded, PolicyDenied, BudgetExceeded, Cancelled)}


def task_error(code: str, text: str) -> TaskError:
    """Return the exception for a task that ended without a result, by the word that came over the wire."""
    if code == AgentFailed.code:
        return AgentFailed(text)
    return _BY_CODE.get(code, TaskError)(text)
