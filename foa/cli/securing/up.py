"""``foa up --secure``: the folder beside the state of the federation, made at the first start and used ever after."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foa.bus.mqtt.broker.access import files
from foa.bus.process import STORE
from foa.cli.securing.folder import CLIENTS, CREDENTIALS, FEDERATION, TRUST, Federation, Folder
from foa.nodes.federation import Member

if TYPE_CHECKING:
    from foa.wire.acl import Role


def secured(
    path: Path, accounts: "Mapping[Role, Sequence[str]]", port: int, root: str, changes: dict[str, Any]
) -> tuple[str, str, Member]:
    """Return the broker's URL, the options that reach it as a submitter, and the broker; set what its children need.

    The broker listens on one port: people's settings name the same.
    """
    made = (path / FEDERATION).exists()
    folder = Folder.opened(path) if made else Folder.create(path, Federation(("127.0.0.1",), port, port, root))
    folder.add({**accounts, "submitter": ["submitter"], "operator": ["operator"]})
    url = f"mqtts://127.0.0.1:{port}"
    moved = f" --broker {url}" if folder.federation.people_port != port else ""
    changes |= {"broker.url": url, "broker.ca": path / files.CA, "broker.password_file": path / CREDENTIALS}
    if folder.federation.sealed:
        changes |= {"security.key": path / CLIENTS, "security.trust": path / TRUST}
    member = Member(
        "broker",
        ("broker", "--port", str(port), "--secured", str(path), "--store", str(path.parent / STORE)),
        last=True,
    )
    return url, f"{moved} --config {folder.client('submitter')}", member
