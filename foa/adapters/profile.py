"""``profile.toml`` to a `Declared`: the one place where authors' mistakes are explained.

Read by the CLI (``foa check``, ``foa up``) and by agent processes that run a profile. `problems` says every
mistake of a file at once, a line each with the key, the value and the mend; `load` raises the first.
pydantic is imported here and nowhere else on the way to an agent.
"""

import difflib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from foa.adapters.handlers import fulfilling
from foa.adapters.mistakes import explain
from foa.adapters.models.table import Table, endpoint_of, faults
from foa.adapters.runners.base import Declared, Run
from foa.core.vcv.profile import Profile, Skill, Spec
from foa.errors import ConfigError, WireError
from foa.wire.ids import agent_id, is_segment
from foa.wire.records import Port, Resources

FILE: Final = "profile.toml"
MAX_FILE: Final = 256 * 1024

_MEDIA: Final = re.compile(r"(\*|[a-z]+)/(\*|[a-z0-9][a-z0-9.+-]*)\Z")
_NAMED: Final = re.compile(r"[a-z][a-z0-9-]*\Z")
_NEAR: Final = {
    "csv": "text/csv", "text": "text/plain", "txt": "text/plain", "html": "text/html", "json": "application/json",
    "markdown": "text/markdown", "pdf": "application/pdf", "png": "image/png", "svg": "image/svg+xml",
    "xml": "application/xml", "yaml": "application/yaml", "string": "text/plain", "bytes": "application/octet-stream",
}  # fmt: skip


def _identity(text: str) -> str:
    try:
        return agent_id(text)
    except WireError as error:
        raise ValueError("must be org/unit/name, each of A-Z a-z 0-9 _ . -, such as acme/data/profiler") from error


def _segment(text: str) -> str:
    if not is_segment(text):
        raise ValueError("must be 1 to 64 characters of A-Z a-z 0-9 _ . -, such as find-outliers")
    return text


def _port_name(text: str) -> str:
    if not text.isidentifier() or len(text) > 64:  # noqa: PLR2004 - the wire's cap for names
        raise ValueError("must be a name such as table: letters, digits and _, at most 64")
    return text


def _type(text: str) -> str:
    near = difflib.get_close_matches(text.lower(), _NEAR, n=1, cutoff=0.85)
    if near:
        raise ValueError(f"is neither a media type nor a name of your own: did you mean {_NEAR[near[0]]}?")
    if not (_MEDIA.match(text) or _NAMED.match(text)) or len(text) > 128:  # noqa: PLR2004 - the wire's cap for types
        raise ValueError("use a media type like text/csv or a short name like outliers")
    return text


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be a URL such as https://example.org/agent")
    return text


def _place(text: str) -> str:
    file, _, name = text.rpartition(":")
    if not file.endswith(".py") or not name.isidentifier():
        raise ValueError("must be file.py:function, such as handler.py:run")
    return text


Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=512)]
Prose = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=8192)]
Word = Annotated[str, AfterValidator(_segment)]
Words = Annotated[tuple[Word, ...], Field(max_length=128)]
Lines = Annotated[tuple[Prose, ...], Field(max_length=64)]
Money = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Whole = Annotated[int, Field(ge=0, le=2**53)]
Place = Annotated[str, AfterValidator(_place)]


_ROLES: Final = ("revise", "critique", "plan", "synthesise")


class _Table(BaseModel):
    """One table of the file: unknown keys are mistakes, ``"3"`` is no number."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Skill(_Table):
    id: Word
    name: Line | None = None
    description: Prose
    tags: Annotated[tuple[Line, ...], Field(max_length=32)] = ()
    examples: Annotated[tuple[Prose, ...], Field(max_length=64)] = ()


class _Port(_Table):
    name: Annotated[str, AfterValidator(_port_name)]
    type: Annotated[str, AfterValidator(_type)]
    optional: bool = False


class _Resources(_Table):
    price_per_call: Money = 0.0
    price_per_1k_tokens: Money = 0.0
    latency_ms: Money = 0.0
    p95_ms: Money = 0.0
    concurrency: Annotated[int, Field(ge=1, le=10_000)] = 1
    context_tokens: Whole = 0
    memory_mb: Whole = 0
    throughput: Money = 0.0


class _Policies(_Table):
    holds: Words = ()
    requires: Words = ()


class _Spec(_Table):
    goals: Lines = ()
    tools: Lines = ()
    resources: Lines = ()
    rules: Lines = ()
    dos: Lines = ()
    donts: Lines = ()


class _Run(_Table):
    python: Place | None = None
    command: Annotated[tuple[Line, ...], Field(min_length=1, max_length=64)] | None = None
    http: Annotated[str, AfterValidator(_url)] | None = None
    openai: Table | None = None
    revise: Place | None = None
    critique: Place | None = None
    plan: Place | None = None
    synthesise: Place | None = None
    jobs: Annotated[tuple[Literal["critique", "plan", "synthesise"], ...], Field(max_length=3)] = ()
    timeout_s: Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)] = 300.0
    cwd: Line = "."
    env: Annotated[tuple[Line, ...], Field(max_length=64)] = ()

    @model_validator(mode="after")
    def _one_kind(self) -> "_Run":
        kinds = [name for name in ("python", "command", "http", "openai") if getattr(self, name) is not None]
        if len(kinds) != 1:
            got = " and ".join(kinds) or "none of them"
            raise ValueError(f"set exactly one of python, command, http and openai, got {got}")
        for role in _ROLES:
            if getattr(self, role) is not None and self.python is None:
                raise ValueError(f"{role} goes with python; a command or endpoint is sent the drafts itself")
        if self.jobs and self.command is None and self.http is None:
            raise ValueError('jobs goes with command and http; python names functions: plan = "handler.py:plan"')
        return self


class _File(_Table):
    agent: Annotated[str, AfterValidator(_identity)]
    name: Line
    description: Prose
    version: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$")] = "1.0.0"
    effects: Literal["none", "idempotent", "once"] = "idempotent"
    refines: bool = False
    skill: Annotated[tuple[_Skill, ...], Field(min_length=1, max_length=128)]
    input: Annotated[tuple[_Port, ...], Field(max_length=64)] = ()
    output: Annotated[tuple[_Port, ...], Field(min_length=1, max_length=64)]
    resources: _Resources = _Resources()
    policies: _Policies = _Policies()
    spec: _Spec = _Spec()
    run: _Run

    @model_validator(mode="after")
    def _consistent(self) -> "_File":
        for key, names in (
            ("skill ids", [skill.id for skill in self.skill]),
            ("input names", [port.name for port in self.input]),
            ("output names", [port.name for port in self.output]),
        ):
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise ValueError(f"{key} must differ: {twice!r} is there twice")
        teams = "refines = true" if self.refines else "run.critique" if self.run.critique else ""
        if self.effects == "once" and (teams or "critique" in self.run.jobs):
            teams = teams or 'run.jobs with "critique"'
            raise ValueError(f'effects = "once" and {teams} exclude each other: a team would act more than once')
        return self


_KEYS: Final = {
    name: tuple(table.model_fields)
    for name, table in (
        ("", _File), ("skill", _Skill), ("input", _Port), ("output", _Port), ("resources", _Resources),
        ("policies", _Policies), ("spec", _Spec), ("run", _Run), ("run.openai", Table),
    )
}  # fmt: skip


def path_of(path: Path) -> Path:
    """Return the profile file that `path` means: a folder's ``profile.toml``."""
    return path / FILE if path.is_dir() else path


def problems(path: Path) -> list[str]:
    """Return every mistake of a profile file, one line each; an empty list if it is sound."""
    file = path_of(path)
    document, problem = _read(file)
    if document is None:
        return [problem]
    try:
        parsed = _File.model_validate(document)
    except ValidationError as error:
        found = [dict(each) for each in error.errors(include_url=False)]
        return [f"{file.name}: {line}" for line in explain(found, _KEYS)]
    return [f"{file.name}: {line}" for line in (*_lost_files(file, parsed.run), *_model_faults(file, parsed))]


def load(path: Path) -> Declared:
    """Return what a profile file (or its folder) declares; ConfigError is its first mistake, the rest counted."""
    found = problems(path)
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise ConfigError(found[0] + more)
    file = path_of(path).resolve()
    parsed = _File.model_validate(_read(file)[0])
    roles = (*(role for role in _ROLES[1:] if getattr(parsed.run, role) is not None), *parsed.run.jobs)
    return Declared(fulfilling(_profile(parsed), roles), _run(parsed.run, file), file)


def _read(file: Path) -> tuple[dict[str, Any] | None, str]:
    try:
        text = file.read_bytes()
        if len(text) > MAX_FILE:
            return None, f"{file.name}: {len(text)} bytes, at most {MAX_FILE} are read"
        return _tuples(tomllib.loads(text.decode())), ""
    except FileNotFoundError:
        return None, f"{file}: there is no such file; an agent's folder holds a {FILE}"
    except OSError as error:
        return None, f"{file}: cannot be read: {error.strerror}"
    except UnicodeDecodeError as error:
        return None, f"{file.name}: is not UTF-8 text: byte {error.start} is {error.object[error.start]:#04x}"
    except tomllib.TOMLDecodeError as error:
        return None, f"{file.name}: is not TOML: {error}"


def _tuples(value: Any) -> Any:
    """Make tuples of lists, so that strict validation takes them for what they are."""
    if isinstance(value, dict):
        return {key: _tuples(each) for key, each in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _lost_files(file: Path, run: _Run) -> Iterator[str]:
    for key in ("python", *_ROLES):
        place = getattr(run, key)
        if place is not None and not (file.parent / place.rpartition(":")[0]).is_file():
            yield f'run.{key}: "{place}": {place.rpartition(":")[0]} does not exist in {file.parent}'
    if not (file.parent / run.cwd).is_dir():
        yield f'run.cwd: "{run.cwd}": there is no such folder'


def _model_faults(file: Path, parsed: _File) -> Iterator[str]:
    if parsed.run.openai is not None:
        inputs = [port.name for port in parsed.input]
        outputs = {port.name: port.type for port in parsed.output}
        yield from faults(parsed.run.openai, inputs, outputs, file.parent, refines=parsed.refines)


def _profile(parsed: _File) -> Profile:
    price = parsed.resources
    return Profile(
        agent=parsed.agent,
        name=parsed.name,
        description=parsed.description,
        version=parsed.version,
        skills=tuple(Skill(s.id, s.name or s.id, s.description, s.tags, s.examples) for s in parsed.skill),
        inputs=tuple(Port(port.name, port.type, port.optional) for port in parsed.input),
        outputs=tuple(Port(port.name, port.type, port.optional) for port in parsed.output),
        resources=Resources(
            price_call=price.price_per_call,
            price_1k=price.price_per_1k_tokens,
            **price.model_dump(exclude={"price_per_call", "price_per_1k_tokens"}),
        ),
        holds=parsed.policies.holds,
        requires=parsed.policies.requires,
        effects=parsed.effects,
        refines=parsed.refines,
        spec=msgspec.convert(parsed.spec.model_dump(), Spec),
    )


def _run(run: _Run, file: Path) -> Run:
    return Run(
        python=run.python or "",
        command=run.command or (),
        http=run.http or "",
        openai=None if run.openai is None else endpoint_of(run.openai, file.parent),
        revise=run.revise or "",
        critique=run.critique or "",
        plan=run.plan or "",
        synthesise=run.synthesise or "",
        jobs=run.jobs,
        timeout_s=run.timeout_s,
        cwd=str((file.parent / run.cwd).resolve()),
        env=run.env,
    )
