"""``[run.openai]`` of a profile: which keys there are, and every mistake that one key alone does not show.

Called by `foa.adapters.profile` only; pydantic is imported here as it is there.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from foa.adapters.models.endpoint import Bound, Endpoint, Format, is_url
from foa.adapters.models.shape import Unheld, type_of
from foa.adapters.models.template import ROUND, WORDS, names, unknown
from foa.adapters.values import is_json, is_text, media_of

MAX_SCHEMA: Final = 256 * 1024


def _url(text: str) -> str:
    if not (text.startswith("$") and text[1:].isidentifier()) and not is_url(text):
        raise ValueError("must be a URL such as http://127.0.0.1:11434/v1, or $NAME of a variable that holds it")
    return text


def _model(text: str) -> str:
    if text.startswith("$") and not text[1:].isidentifier():
        raise ValueError("must be a model's name, or $NAME of a variable that holds it")
    return text


def _variable(text: str) -> str:
    if not text.isidentifier():
        raise ValueError("must be the name of a variable of the environment, such as OPENAI_API_KEY, never the key")
    return text


Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=512)]
Prompt = Annotated[str, StringConstraints(min_length=1, max_length=65_536)]
Price = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


class Table(BaseModel):
    """The keys of ``[run.openai]``."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    base_url: Annotated[Line, AfterValidator(_url)]
    model: Annotated[Line, AfterValidator(_model)]
    prompt: Prompt
    system: Prompt | None = None
    revise: Prompt | None = None
    critique: Prompt | None = None
    api_key_env: Annotated[Line, AfterValidator(_variable)] | None = None
    api_key_file: Line | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    max_tokens_as: Bound = "max_tokens"
    price_in_per_1m: Price = 0.0
    price_out_per_1m: Price = 0.0
    stream: bool = True
    read_timeout_s: Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)] = 60.0
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    requests_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    concurrency: Annotated[int, Field(ge=1, le=10_000)] | None = None
    response_format: Format = "auto"
    json_schema: Line | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "Table":
        if self.api_key_env is not None and self.api_key_file is not None:
            raise ValueError("api_key_env and api_key_file exclude each other: keep the one that holds the key")
        if self.response_format == "json_schema" and self.json_schema is None:
            raise ValueError('response_format = "json_schema" needs json_schema = "file.json", or leave it away')
        return self


def faults(
    table: Table, inputs: Sequence[str], outputs: Mapping[str, str], folder: Path, *, refines: bool
) -> Iterator[str]:
    """Yield what is wrong with prompts, the schema and output types (by name), a line each with key, value and mend."""
    yield from _unwritable(outputs)
    allowed = (*WORDS, *(name for name in inputs if name not in WORDS))
    for key, more in (("prompt", ()), ("critique", ROUND[:2]), ("revise", ROUND)):
        template = getattr(table, key)
        if template is not None and (fault := unknown(template, (*allowed, *more))):
            yield f"run.openai.{key}: {fault}"
    if not names(table.prompt):
        yield "run.openai.prompt: has no placeholder: write {text} where the words of the work belong"
    clash = next((name for name in inputs if name in (*WORDS[1:], *ROUND)), None)
    if clash is not None:
        yield f"input: {clash!r}: is a placeholder's name in prompts, call the input something else"
    for key in ("revise", "critique"):
        if getattr(table, key) is not None and not refines:
            yield f"run.openai.{key}: goes with refines = true at the top of the file"
    if table.json_schema is not None:
        try:
            _schema(folder / table.json_schema)
        except (OSError, ValueError) as error:
            yield f'run.openai.json_schema: "{table.json_schema}": {_said(error)}'


def _unwritable(outputs: Mapping[str, str]) -> Iterator[str]:
    for name, kind in outputs.items():
        media = media_of(kind)
        if not (is_json(media) or is_text(media)):
            yield f'output: {name!r}: "{kind}": a language model gives text or JSON, such as text/markdown'


def _said(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror}; name a JSON file beside the profile"
    return " ".join(str(error).split())[:300]


def _schema(file: Path) -> dict[str, Any]:
    """Return the schema in `file`; OSError, or ValueError if it is no JSON object or asks for what is not held."""
    body = file.read_bytes()
    if len(body) > MAX_SCHEMA:
        raise Unheld(f"is {len(body)} bytes, at most {MAX_SCHEMA} are read")
    document: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
    type_of(document)
    return document


def endpoint_of(table: Table, folder: Path) -> Endpoint:
    """Return what a table without faults declares."""
    given: Mapping[str, Any] = table.model_dump(exclude_none=True, exclude={"json_schema", "api_key_file"})
    return Endpoint(
        **given,
        schema=None if table.json_schema is None else _schema(folder / table.json_schema),
        api_key_file="" if table.api_key_file is None else str((folder / table.api_key_file).resolve()),
    )
