"""``foa key new|show|trust``. What is printed is public; private keys never leave their files."""

import datetime as dt
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from foa.cli import output
from foa.cli.loading import options_of
from foa.errors import ConfigError

if TYPE_CHECKING:
    from foa.wire.trust.policy import Entry

TRUST_FILE: Final = "trust.toml"

NEW_EXAMPLES: Final = """\b
Examples:
  foa key new coordinator-1.key
  export FOA_SECURITY_KEY=coordinator-1.key     this process signs with it
"""
SHOW_EXAMPLES: Final = """\b
Examples:
  foa key show coordinator-1.key
  foa key show coordinator-1.key --trust trust.toml     and what it may do
"""
TRUST_EXAMPLES: Final = """\b
Examples:
  foa key trust coordinator-1.key --name c1 --as coordinator:coordinator-1
  foa key trust index-1.key --name i1 --as index
  foa key trust sales.key --name sales --as 'agent:acme/sales/*'
  foa key trust ann.key --name ann --as submitter --as operator --until 2027-01-01
  foa key trust house.key --name house --as 'agent:acme/*' --voices each

\b
Roles: agent, coordinator, index, gateway (each with :NAME, in which * stands for any ending), submitter, operator.
Of agents that share a key one counts where voices count, unless --voices each says that you vouch for each.
"""

app = typer.Typer(
    help="Make keys, look at them, and say whom to trust with what.", no_args_is_help=True, rich_markup_mode=None
)

As = Annotated[list[str], typer.Option("--as", help="role, or role:name; again for more", metavar="ROLE[:NAME]")]
Into = Annotated[Path | None, typer.Option("--trust", help=f"trust file; else security.trust, else {TRUST_FILE}")]


@app.command("new", epilog=NEW_EXAMPLES)
def new(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="file to write the private key to; it must not exist")],
    as_json: output.Json = False,
) -> None:
    """Make an Ed25519 key in FILE, readable by you alone, and print its public key."""
    from foa.adapters.keys import keyfile

    key = keyfile.new(file)
    if as_json or options_of(ctx).json:
        output.as_json({"file": str(file), "key": key})
    else:
        typer.echo(key)


@app.command("show", epilog=SHOW_EXAMPLES)
def show(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="file of a private key")],
    trust: Into = None,
    as_json: output.Json = False,
) -> None:
    """Print the public key of FILE, and what the trust file says of it."""
    from foa.adapters.keys import keyfile, trustfile

    key = keyfile.load(file, "FILE").key
    path = _trust_file(ctx, trust)
    known = trustfile.load(path, "--trust") if path.exists() or trust is not None else None
    entry = known.by_key().get(key) if known is not None else None
    if as_json or options_of(ctx).json:
        output.as_json(
            {"file": str(file), "key": key, "trust": str(path) if known is not None else None, **_told(entry)}
        )
        return
    typer.echo(key)
    if entry is not None:
        typer.echo(f"  {path}: {entry.name}, as {', '.join(_told(entry)['as'])}")
    elif known is not None:
        typer.echo(f"  {path}: does not name it; see 'foa key trust --help'")


@app.command("trust", epilog=TRUST_EXAMPLES)
def trust_key(
    ctx: typer.Context,
    key: Annotated[str, typer.Argument(help="file of a private key, or the public key as 'foa key show' prints it")],
    *,
    roles: As,
    name: Annotated[str, typer.Option(help="the holder; the keys of one holder have one name")],
    until: Annotated[str, typer.Option(help="day from which the key is good no more", metavar="YYYY-MM-DD")] = "",
    voices: Annotated[str, typer.Option(help="one: its agents are one voice; each: they count one by one")] = "one",
    trust: Into = None,
    as_json: output.Json = False,
) -> None:
    """Add a key to the trust file, with what it may do. Nodes read the file again by themselves."""
    from foa.adapters.keys import keyfile, trustfile
    from foa.wire.trust.policy import Entry
    from foa.wire.trust.seal import is_key

    public = key if is_key(key) else keyfile.load(Path(key), "KEY").key
    if voices not in {"one", "each"}:
        raise ConfigError(f"--voices {voices}: must be one or each")
    grants = tuple(trustfile.grant(role, "--as") for role in roles)
    entry = Entry(name, public, grants, ends=_day(until), voices="each" if voices == "each" else "one")
    path = _trust_file(ctx, trust)
    trustfile.append(path, entry)
    if as_json or options_of(ctx).json:
        output.as_json({"trust": str(path), "key": public, **_told(entry)})
    else:
        typer.echo(f"{path}: {name} may speak as {', '.join(_told(entry)['as'])}")


def _trust_file(ctx: typer.Context, given: Path | None) -> Path:
    return given or Path(options_of(ctx).load().settings.security.trust or TRUST_FILE)


def _told(entry: "Entry | None") -> dict[str, Any]:
    """Return what a trust file says of a key, for people and programs."""
    if entry is None:
        return {"name": None, "as": []}
    roles = [grant.role if grant.name == "*" else f"{grant.role}:{grant.name}" for grant in entry.grants]
    return {"name": entry.name, "as": roles, "voices": entry.voices}


def _day(text: str) -> float:
    if not text:
        return inf
    try:
        return dt.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=dt.UTC).timestamp()
    except ValueError as error:
        raise ConfigError(f"--until {text}: must be a day such as 2027-01-01") from error
