"""Write schemas/v1, files in broker/ and the table in docs/wire.md anew from foa.wire; --check tells if all is current.

In broker/ that is acl, people.acl, emqx.acl and mosquitto.conf: what ``foa broker init`` writes, for example accounts.
"""

import argparse
import sys
from pathlib import Path

from foa.cli.securing.mosquitto import Place, configuration
from foa.wire import schema
from foa.wire.acl import PEOPLE, SERVICES, Accounts, emqx, mosquitto
from foa.wire.codec import CARRIES
from foa.wire.topics import TABLE

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "schemas" / "v1"
WIRE = ROOT / "docs" / "wire.md"
BEGIN, END = "<!-- topics: generated -->\n", "<!-- end -->"


def documented(page: str) -> str:
    """Return `page` with the table of topics between its marks as `foa.wire` has it."""
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    rows = ["| topic below the root | carries | retained | QoS | who writes |", "|---|---|---|---|---|"]
    for rule in TABLE:
        carried = ", ".join(kind.__name__ for kind in CARRIES[rule.kind]) or JSON.get(rule.kind, "not yet")
        retained = "yes" if rule.retained else "no"
        rows.append(f"| `{rule.pattern}` | {carried} | {retained} | {rule.qos} | {rule.writer} |")
    return before + BEGIN + "\n".join(rows) + "\n" + END + after


ACCOUNTS: Accounts = {
    "coordinator": ("coordinator-1", "coordinator-2"),
    "index": ("index-1", "index-2"),
    "agent": ("acme/lab/translator",),
    "gateway": ("gateway",),
    "submitter": ("submitter",),
    "operator": ("operator",),
}
JSON = {"discovery": "an A2A Agent Card (JSON)", "door": "a task (JSON)", "outcome": "its result (JSON)"}


def wanted() -> dict[Path, bytes]:
    """Return every generated file and its content."""
    texts: dict[Path, str | bytes] = {FOLDER / name: text for name, text in schema.generate().items()}
    broker = ROOT / "broker"
    texts[broker / "acl"] = mosquitto.written({role: ACCOUNTS[role] for role in SERVICES})
    texts[broker / "people.acl"] = mosquitto.written({role: ACCOUNTS[role] for role in PEOPLE})
    texts[broker / "emqx.acl"] = emqx.written(ACCOUNTS)
    texts[broker / "mosquitto.conf"] = configuration(Place("secured", "broker/mosquitto.conf"))
    texts[WIRE] = documented(WIRE.read_text(encoding="utf-8"))
    return {path: text if isinstance(text, bytes) else text.encode() for path, text in texts.items()}


def stale() -> dict[Path, bytes | None]:
    """Return what differs from the files on disk; None for a file that should be gone."""
    files = wanted()
    changed: dict[Path, bytes | None] = {
        path: text for path, text in files.items() if not path.is_file() or path.read_bytes() != text
    }
    return changed | {path: None for path in FOLDER.rglob("*") if path.is_file() and path not in files}


def write(changes: dict[Path, bytes | None]) -> None:
    """Bring the files on disk up to date."""
    for path, text in changes.items():
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is not current")
    check = parser.parse_args().check
    changes = stale()
    for path in sorted(changes):
        print(f"{'stale' if check else 'wrote'} {path.relative_to(ROOT)}")
    if not check:
        write(changes)
        return 0
    if changes:
        print("run `make schemas` and commit what it writes")
    return 1 if changes else 0


if __name__ == "__main__":
    sys.exit(main())
