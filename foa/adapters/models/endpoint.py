"""What a profile's ``[run.openai]`` declares, as one frozen record; strings that begin with $ name variables.

``base_url = "$OPENAI_BASE_URL"`` is taken from the environment when the agent starts, so that one profile serves
every machine. Read by `foa.adapters.runners.openai`; built by `foa.adapters.models.table`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec

from foa.errors import ConfigError

Format = Literal["auto", "json_schema", "json_object", "none"]
Bound = Literal["max_tokens", "max_completion_tokens"]
"""The field that bounds an answer: hosted reasoning models want the second."""

MAX_KEY: Final = 4096


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A model and how it is used. Prices are USD per million tokens; 0 for both leaves it to ``[resources]``.

    ``max_tokens`` 0 leaves the length of an answer to the server; ``requests_per_minute`` and ``concurrency`` 0 are
    no bound. ``schema`` is the JSON Schema that an answer must fit. The key itself is never part of this record.
    """

    base_url: str
    model: str
    prompt: str
    system: str = ""
    revise: str = ""
    critique: str = ""
    api_key_env: str = ""
    api_key_file: str = ""
    temperature: float | None = None
    max_tokens: int = 0
    max_tokens_as: Bound = "max_tokens"
    price_in_per_1m: float = 0.0
    price_out_per_1m: float = 0.0
    stream: bool = True
    read_timeout_s: float = 60.0
    retries: int = 2
    requests_per_minute: int = 0
    concurrency: int = 0
    schema: dict[str, Any] | None = None
    response_format: Format = "auto"

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables of the environment without which there is no endpoint."""
        return tuple(dict.fromkeys(text[1:] for text in (self.base_url, self.model) if text.startswith("$")))


def settled(endpoint: Endpoint, environ: Mapping[str, str], where: str) -> Endpoint:
    """Return `endpoint` with its variables replaced; ConfigError names the one that is not set, or no URL."""
    found = {}
    for key in ("base_url", "model"):
        text = getattr(endpoint, key)
        if text.startswith("$"):
            text = environ.get(text[1:], "").strip()
            if not text:
                example = "http://127.0.0.1:11434/v1" if key == "base_url" else "qwen3:8b"
                name = getattr(endpoint, key)[1:]
                raise ConfigError(f"{where}: run.openai.{key}: {name} is not set, for example: export {name}={example}")
        found[key] = text
    if not is_url(found["base_url"]):
        raise ConfigError(
            f"{where}: run.openai.base_url: {found['base_url'][:80]!r}: must be such as http://host:8000/v1"
        )
    return msgspec.structs.replace(endpoint, base_url=found["base_url"].rstrip("/"), model=found["model"])


def key_of(endpoint: Endpoint, environ: Mapping[str, str], where: str) -> str:
    """Return the key to send, "" for none: of ``api_key_file``, else of the variable, else of the file it names.

    As secrets are mounted for containers, ``NAME_FILE`` stands in for a variable NAME. A variable that is not set is
    no mistake: servers of one's own ask for no key.
    """
    name = endpoint.api_key_env
    file = endpoint.api_key_file or (environ.get(f"{name}_FILE", "") if name and name not in environ else "")
    key = environ.get(name, "") if name and not endpoint.api_key_file else ""
    if file:
        try:
            with Path(file).open(encoding="ascii") as lines:
                key = lines.read(MAX_KEY)
        except (OSError, UnicodeDecodeError) as error:
            source = "api_key_file" if endpoint.api_key_file else f"{name}_FILE"
            raise ConfigError(f"{where}: run.openai: {source}: {file} cannot be read as a key") from error
    key = key.strip()
    if not key.isprintable() or not key.isascii() or " " in key:
        raise ConfigError(f"{where}: run.openai: what {file or name} holds is no key: it has blanks or odd characters")
    return key


def is_url(text: str) -> bool:
    """Tell whether `text` is an http(s) URL with a host and nothing behind its path."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    plain = not (parts.query or parts.fragment or parts.username or parts.password)
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and plain and port != 0
