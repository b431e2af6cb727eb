"""What this account may do at the broker, tried where it harms nobody: in a partition that no federation has."""

from typing import Final

from foa.cli.checking.findings import Finding
from foa.cli.checking.probe import REFUSED, Probe
from foa.wire.envelope import Frame

NOWHERE: Final = 9999


async def check(probe: Probe) -> Finding:
    """Publish an empty frame on one topic of each kind, and tell which were taken."""
    topics, name = probe.topics, probe.node
    tried = {
        "submit tasks": topics.task(NOWHERE, name, "submit"),
        "award work": topics.request(f"{name}/nobody/x"),
        "answer as another": topics.answer(NOWHERE, name, f"{name}/nobody/x"),
        "show a vector": topics.vcv(NOWHERE, f"{name}/nobody/x"),
        "claim partitions": topics.own(NOWHERE),
        "write results": topics.task(NOWHERE, name, "result"),
        "drop letters": topics.letter(NOWHERE, name),
    }
    codes = await probe.publish([Frame(topic, b"") for topic in tried.values()])
    may = [what for what, code in zip(tried, codes, strict=True) if code < REFUSED]
    if len(may) == len(tried):
        return Finding("rights", "warn", "everything: there is no access control", "see 'foa broker init'")
    refused = [what for what in tried if what not in may]
    return Finding("rights", "ok", f"may {', '.join(may) or 'read'}; may not {', '.join(refused)}")
