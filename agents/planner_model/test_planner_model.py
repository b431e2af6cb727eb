import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

import foa
from foa.cli.agents import runner_at
from foa.testing.models import ModelServer, Says

GOOD = '{"subtask": [{"id": "count", "text": "Count the words", "after": []}, {"id": "sum", "text": "Sum up", "after": ["count"]}]}'  # noqa: E501 - one answer
CYCLE = GOOD.replace('"after": []', '"after": ["sum"]')
LOST = GOOD.replace('["count"]', '["cuont"]')
EXTRA = GOOD.replace('"after": []', '"after": [], "owner": "me"')


def planned(monkeypatch: pytest.MonkeyPatch, server: ModelServer, **inputs: Any) -> dict[str, Any]:
    async def go() -> bytes | None:
        async with server:
            monkeypatch.setenv("OPENAI_BASE_URL", server.url)
            monkeypatch.setenv("OPENAI_MODEL", "tiny")
            runner = runner_at(str(Path(__file__).parent))
            await runner.start()
            try:
                return (await runner.run(foa.Assignment("Count the words, then sum up", inputs=inputs)))[0].value.body
            finally:
                await runner.close()

    plan: dict[str, Any] = json.loads(asyncio.run(go()) or b"")
    return plan


def test_a_plan_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    server = ModelServer(Says(f"```json\n{GOOD}\n```"))
    assert planned(monkeypatch, server) == json.loads(GOOD)
    prompt = server.asked[0].prompt
    assert "The request to plan:\nCount the words, then sum up\n" in prompt
    assert "Agents that are there (their offers):\n(none)\n" in prompt
    assert server.asked[0].document["response_format"]["type"] == "json_schema"


@pytest.mark.parametrize(
    ("first", "told"),
    [
        (CYCLE, "cycle"),
        (LOST, "did you mean 'count'?"),
        (EXTRA, "unknown field `owner`"),
        ('{"subtask": []}', "length >= 1"),
        ("I cannot plan", "malformed"),
    ],
)
def test_it_is_told_once_what_is_wrong(monkeypatch: pytest.MonkeyPatch, first: str, told: str) -> None:
    server = ModelServer(Says(first), Says(GOOD))
    assert planned(monkeypatch, server) == json.loads(GOOD)
    assert told in server.asked[1].prompt


def test_wrong_twice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(foa.TaskError, match="answered garbage, and again when told what was wrong"):
        planned(monkeypatch, ModelServer(Says(CYCLE), Says(LOST)))
