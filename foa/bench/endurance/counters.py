"""What the processes of a federation counted, read from the metrics that each shows over HTTP."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

PATIENCE_S: Final = 5.0


async def counted(ports: Mapping[str, int]) -> Counter[str]:
    """Return every counter summed over all processes, as ``name`` or ``name:label``; of who does not answer nothing."""
    pages = await asyncio.gather(*(asyncio.to_thread(_page, port) for port in ports.values()))
    found: Counter[str] = Counter()
    for page in pages:
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                if sample.name.endswith(("_total", "_count")):
                    label = next(iter(sample.labels.values()), "")
                    found[f"{sample.name}:{label}" if label else sample.name] += int(sample.value)
    return found


def _page(port: int) -> str:
    try:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE_S) as answer:
            return str(answer.read().decode())
    except (URLError, OSError):
        return ""
