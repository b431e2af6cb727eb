import asyncio
from pathlib import Path

import pytest

import foa
from foa.cli.agents import runner_at
from foa.testing.models import ModelServer, Says

HERE = Path(__file__).parent


def test_it_does_what_is_asked_with_what_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    server = ModelServer(Says("Drei Eier kosten einen Euro."))
    pieces: list[str] = []

    async def go() -> bytes | None:
        async with server:
            monkeypatch.setenv("OPENAI_BASE_URL", server.url)
            monkeypatch.setenv("OPENAI_MODEL", "tiny")
            runner = runner_at(str(HERE))
            await runner.start()
            found = await runner.run(foa.Assignment("Translate {inputs} into German", stream=pieces.append))
            await runner.close()
            return found[0].value.body

    assert asyncio.run(go()) == b"Drei Eier kosten einen Euro."
    assert "".join(pieces) == "Drei Eier kosten einen Euro."
    assert server.asked[0].prompt.startswith("Translate {inputs} into German\n")


def test_without_an_endpoint_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(foa.ConfigError, match="OPENAI_BASE_URL is not set, for example: export"):
        asyncio.run(runner_at(str(HERE)).start())
