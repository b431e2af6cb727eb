"""The Python SDK's heart: a decorated function whose type hints are its contract.

::

    @foa.agent("acme/tools/echo", description="Repeats what it is told", skills=["echo"])
    async def echo(text: str) -> str:
        return text

Parameters are inputs by name, the return hint is the output; `foa.adapters.values` says what a hint means
on the bus. A parameter annotated `Assignment` receives the context of the work. A ``str`` parameter named
``text`` receives text that was given, or else the subtask's own words; one named ``request`` always the
subtask's own words, unless an input is named so. The function is the draft; beside it an agent may have any of

    @echo.critique     (draft, peers[, task]) -> what is wrong with each peer's draft, and how good it is
    @echo.revise       (draft, peers[, task]) -> a better draft, or None: it stands
    @echo.plan         (request[, agents, cases, task]) -> Proposal: a plan for a task, before it is run
    @echo.synthesise   (parts[, request, task]) -> one answer made of what others did

each plain or async. Without *critique* nothing is said, without *revise* the draft stands; *plan* and *synthesise*
declare the skill of that name. Peers are drafts as the function returns them, or `Peer` records where the parameter
is annotated ``list[Peer]``. Read by `foa.adapters.runners`; nothing here runs anything.
"""

import inspect
import typing
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, ParamSpec, TypeVar

import msgspec

from foa.adapters.peers import Part, Peer
from foa.adapters.values import TEXT, Hint, Outputs, understand
from foa.core.vcv.profile import Profile, Skill, Spec
from foa.errors import ConfigError, WireError
from foa.wire.ids import agent_id, segment
from foa.wire.records import Effects, Given, Port, Resources

RESULT: Final = "result"
ASKED: Final = ("text", "request")
_AMONG_PEERS: Final = ("draft", "peers", "task")
PLAN: Final = "plan"
SYNTHESISE: Final = "synthesise"
PLAN_PORT: Final = Port(PLAN, PLAN, optional=True)
_OFFERED: Final = ("agents", "cases")
_SKILLS: Final = {
    PLAN: Skill(PLAN, "Plan a request", "Breaks a request into subtasks and their order."),
    SYNTHESISE: Skill(SYNTHESISE, "Make one answer of parts", "Makes one answer of the parts that others did."),
}

P = ParamSpec("P")
R = TypeVar("R")


def _silent(fraction: float, text: str = "") -> None:
    """Report progress to nobody."""


def _unheard(text: str) -> None:
    """Stream to nobody."""


def _unsure(confidence: float) -> None:
    """Tell nobody how sure one is."""


def _unbilled(usd: float, tokens_in: int = 0, tokens_out: int = 0) -> None:
    """Charge nobody."""


@dataclass(frozen=True)
class Assignment:
    """One piece of work: the subtask's words, its inputs (bodies here, not by reference) and its bounds.

    ``key`` is the idempotency key, the same over retries; ``left_ms`` is what remained when the work was
    handed over; ``budget`` is in USD; ``round`` is 0 for a draft. `progress` says how far the work is
    (0 to 1); call it as often as you like. `stream` shows watchers a piece of the answer while it is made;
    `charge` adds to the bill of this piece of work, which is otherwise the declared price of one call; `confident`
    says how sure of the answer its author is (0 to 1). ``answers`` are what people answered to questions (`foa.Ask`),
    oldest first; ``peers`` are, in a cluster, the others' last drafts.
    """

    text: str
    task: str = ""
    subtask: str = ""
    key: str = ""
    attempt: int = 1
    left_ms: int = 300_000
    budget: float | None = None
    policies: tuple[str, ...] = ()
    inputs: dict[str, Given] = field(default_factory=dict)
    progress: Callable[..., None] = _silent
    round: int = 0
    stream: Callable[[str], None] = _unheard
    charge: Callable[..., None] = _unbilled
    confident: Callable[[float], None] = _unsure
    answers: tuple[str, ...] = ()
    peers: tuple[Peer[tuple[Given, ...]], ...] = ()


def inputs_of(given: Iterable[Given]) -> dict[str, Given]:
    """Return values by name for `Assignment.inputs`; a name that comes twice is kept as ``source.name``."""
    found: dict[str, Given] = {}
    for each in given:
        key = each.name if each.name not in found else f"{each.source}.{each.name}"
        while key in found:
            key += "'"
        found[key] = each
    return found


class Parameter(msgspec.Struct, frozen=True):
    """One input of a function: its name, its hint, and whether it may be left out."""

    name: str
    hint: Hint
    optional: bool

    @property
    def asked(self) -> bool:
        """Whether the subtask's own words stand in for a value that was not given."""
        return self.hint.type == TEXT and self.hint.python is str and self.name in ASKED and not self.hint.many

    @property
    def port(self) -> Port:
        """What is declared to the federation."""
        return Port(self.name, self.hint.type, optional=self.optional or self.asked)


class Signature(msgspec.Struct, frozen=True):
    """What a function takes and gives. ``context`` names its `Assignment` parameter ("" if it has none).

    ``record`` is its `Outputs` class, or None where there is one output, called "result". ``parts`` names its
    parameter of parts to be made one ("" if it has none).
    """

    parameters: tuple[Parameter, ...]
    results: dict[str, Hint]
    context: str = ""
    record: type[Outputs] | None = None
    parts: str = ""

    @property
    def outputs(self) -> tuple[Port, ...]:
        """What is declared to the federation."""
        return tuple(Port(name, hint.type, optional=hint.optional) for name, hint in self.results.items())


def signature_of(function: Callable[..., Any]) -> Signature:
    """Read a function's contract off its hints; ConfigError if they cannot be understood."""
    name = getattr(function, "__qualname__", repr(function))
    hints = _hints(function, name)
    parameters: list[Parameter] = []
    context = parts = ""
    for each in inspect.signature(function).parameters.values():
        if each.kind not in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY):
            raise ConfigError(
                f"{name}: parameter {each.name!r} must have a name of its own, as inputs are given by name"
            )
        if hints.get(each.name) is Assignment:
            context = each.name
            continue
        if typing.get_args(hints.get(each.name)) in ((Part,), (Part, ...)):
            parts = each.name
            continue
        hint = understand(hints.get(each.name, Any))
        parameters.append(Parameter(each.name, hint, hint.optional or each.default is not each.empty))
    returned = hints.get("return", Any)
    if isinstance(returned, type) and issubclass(returned, Outputs):
        fields = typing.get_type_hints(returned, include_extras=True)
        results = {key: understand(hint) for key, hint in fields.items()}
        return Signature(tuple(parameters), results, context, returned, parts)
    return Signature(tuple(parameters), {RESULT: understand(returned)}, context, parts=parts)


def _hints(function: Callable[..., Any], name: str) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError, AttributeError) as error:
        raise ConfigError(f"{name}: a type hint cannot be read: {error}") from error


class Handler(Generic[P, R]):
    """A function with its profile; call it as before, hand it to `foa.run` to put it on the bus."""

    def __init__(self, function: Callable[P, R], profile: Profile, signature: Signature) -> None:
        self.function = function
        self.signature = signature
        self.roles = Roles()
        self._profile = profile
        self.__doc__ = function.__doc__
        self.__name__ = getattr(function, "__name__", profile.name)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself, without any bus."""
        return self.function(*args, **kwargs)

    @property
    def profile(self) -> Profile:
        """What the federation is told; a handler that critiques or revises refines."""
        return fulfilling(self._profile, self.roles.named)

    def critique(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Name the function ``(draft, peers, task)`` that says what is wrong with each peer's draft."""
        self.roles = msgspec.structs.replace(self.roles, critique=among_peers(function, "critique"))
        return function

    def revise(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Name the function ``(draft, peers, task)`` that answers the drafts of its cluster with a better one."""
        self.roles = msgspec.structs.replace(self.roles, revise=among_peers(function, "revise"))
        return function

    def plan(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Name the function ``(request, agents, cases, task)`` that proposes a plan for a whole task."""
        self.roles = msgspec.structs.replace(self.roles, plan=planner(function))
        return function

    def synthesise(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Name the function ``(parts, request, task)`` that makes one answer of what others did."""
        self.roles = msgspec.structs.replace(self.roles, synthesise=synthesiser(function))
        return function


class Roles(msgspec.Struct, frozen=True):
    """What an agent can do beside its draft; the last two with what they take."""

    critique: Callable[..., Any] | None = None
    revise: Callable[..., Any] | None = None
    plan: tuple[Callable[..., Any], Signature] | None = None
    synthesise: tuple[Callable[..., Any], Signature] | None = None

    @property
    def named(self) -> tuple[str, ...]:
        """The names of those it has."""
        return tuple(name for name in self.__struct_fields__ if getattr(self, name) is not None)


def fulfilling(profile: Profile, roles: Collection[str]) -> Profile:
    """Return `profile` with all that its `roles` imply: that it refines, and the skills and output it is found by."""
    known = {skill.id for skill in profile.skills}
    skills = tuple(skill for name, skill in _SKILLS.items() if name in roles and name not in known)
    plans = PLAN in roles and all(port.type != PLAN for port in profile.outputs)
    return msgspec.structs.replace(
        profile,
        skills=(*profile.skills, *skills),
        outputs=(*profile.outputs, PLAN_PORT) if plans else profile.outputs,
        refines=profile.refines or "revise" in roles or "critique" in roles,
    )


def among_peers(function: Callable[..., Any], role: str) -> Callable[..., Any]:
    """Return `function` if it takes (draft, peers) or (draft, peers, task); ConfigError otherwise."""
    taken = inspect.signature(function).parameters.values()
    plain = all(each.kind is each.POSITIONAL_OR_KEYWORD for each in taken)
    if not plain or len(taken) not in (2, 3):
        raise ConfigError(f"{function.__qualname__}: a {role} function takes ({', '.join(_AMONG_PEERS)})")
    return function


def wants_peers(function: Callable[..., Any]) -> bool:
    """Tell whether a function among peers takes `Peer` records rather than bare drafts."""
    hints = _hints(function, function.__qualname__)
    hint = hints.get(list(inspect.signature(function).parameters)[1])
    return any(each is Peer or typing.get_origin(each) is Peer for each in typing.get_args(hint))


def planner(function: Callable[..., Any]) -> tuple[Callable[..., Any], Signature]:
    """Return `function` with what it takes; ``agents`` and ``cases`` may be missing. ConfigError if unreadable."""
    return function, _role(function)


def _role(function: Callable[..., Any]) -> Signature:
    """Read what a role takes: what may be missing is optional, and the task's words need no hint."""
    signature = signature_of(function)
    parameters = tuple(
        msgspec.structs.replace(
            each,
            optional=each.optional or each.name in _OFFERED,
            hint=Hint(str, TEXT) if each.name in ASKED and each.hint.python is Any else each.hint,
        )
        for each in signature.parameters
    )
    return msgspec.structs.replace(signature, parameters=parameters)


def synthesiser(function: Callable[..., Any]) -> tuple[Callable[..., Any], Signature]:
    """Return `function` with what it takes; ConfigError unless one parameter is annotated ``list[Part]``."""
    signature = _role(function)
    if not signature.parts:
        raise ConfigError(f"{function.__qualname__}: a synthesise function takes parts: list[foa.Part]")
    return function, signature


def agent(
    identity: str,
    *,
    description: str = "",
    name: str = "",
    version: str = "1.0.0",
    skills: Iterable[Skill | str] = (),
    examples: Iterable[str] = (),
    resources: Resources | None = None,
    holds: Iterable[str] = (),
    requires: Iterable[str] = (),
    effects: Effects = "idempotent",
    refines: bool = False,
    spec: Spec | None = None,
) -> Callable[[Callable[P, R]], Handler[P, R]]:
    """Declare a function to be the agent `identity` (org/unit/name).

    ``description`` is by default the first paragraph of the function's docstring; ``examples`` are requests
    it would take, added to the skills given as words. Raises ConfigError if the declaration is not sound.
    """

    def declare(function: Callable[P, R]) -> Handler[P, R]:
        signature = signature_of(function)
        about = description or " ".join((inspect.getdoc(function) or "").split("\n\n")[0].split())
        profile = Profile(
            agent=_identity(identity),
            name=name or _title(identity.rpartition("/")[2]),
            description=about,
            version=version,
            skills=tuple(_skill(each, about, tuple(examples)) for each in skills),
            inputs=tuple(each.port for each in signature.parameters),
            outputs=signature.outputs,
            resources=resources or Resources(),
            holds=tuple(holds),
            requires=tuple(requires),
            effects=effects,
            refines=refines,
            spec=spec or Spec(),
        )
        return Handler(function, _sound(profile), signature)

    return declare


def _identity(text: str) -> str:
    try:
        return agent_id(text)
    except WireError as error:
        raise ConfigError(f"foa.agent: {error.detail}") from error


def _skill(skill: Skill | str, about: str, examples: tuple[str, ...]) -> Skill:
    if isinstance(skill, Skill):
        return skill
    try:
        return Skill(segment(skill, "skill"), _title(skill), about, examples=examples)
    except WireError as error:
        raise ConfigError(f"foa.agent: {error.detail}") from error


def _title(word: str) -> str:
    return word.replace("-", " ").replace("_", " ").capitalize()


def _sound(profile: Profile) -> Profile:
    """Hold a declaration against the caps of the wire, here where its author can still mend it."""
    if not profile.description:
        raise ConfigError(f"{profile.agent}: say what it does: description=… or a docstring, agents are found by it")
    try:
        return msgspec.convert(msgspec.to_builtins(profile), Profile)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{profile.agent}: {error}") from error
