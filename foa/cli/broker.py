"""``foa broker``: run the embedded broker, and make what a secured federation needs, for it and for Mosquitto alike."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from foa.cli import output
from foa.cli.loading import options_of
from foa.cli.nodes import Parent, follow_parent, identities, numbered, ready_agents, say
from foa.errors import ConfigError

if TYPE_CHECKING:
    from foa.cli.securing.folder import Folder
    from foa.wire.acl import Role

EXAMPLES: Final = """\b
Examples:
  foa broker                                     anybody on this machine may connect, nothing is encrypted
  foa broker init secured && foa broker --secured secured
  foa broker --store broker.sqlite               what must survive its death does
  foa broker --host 0.0.0.0 --users users.txt    a password for each user; no access control
"""
INIT_EXAMPLES: Final = """\b
Examples:
  foa broker init secured                                    this machine, the ready agents
  foa broker init secured --host broker.lan --agents my_agents
  foa broker --secured secured                               the embedded broker on it
  mosquitto -c secured/mosquitto.conf                        or Mosquitto
  foa --config secured/clients/coordinator-1.toml node coordinator
"""
ACCOUNT_EXAMPLES: Final = """\b
Examples:
  foa broker account list secured
  foa broker account add secured acme/lab/translator --role agent
  foa broker account add secured ann --role submitter
  foa broker account remove secured ann && kill -HUP "$(pidof mosquitto)"
"""

RENEW_EXAMPLES: Final = """\b
Examples:
  foa broker renew secured
"""
CERTIFICATE_EXAMPLES: Final = """\b
Examples:
  foa broker certificate secured coordinator-1
"""
HASH_EXAMPLES: Final = """\b
Examples:
  foa broker hash users.txt
"""
PEOPLE: Final = "submitter=submitter,operator=operator"

app = typer.Typer(rich_markup_mode=None)
account = typer.Typer(help="Who has an account in a secured federation.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(account, name="account", epilog=ACCOUNT_EXAMPLES)

At = Annotated[Path, typer.Argument(help="the folder that 'foa broker init' made", show_default=False)]


@app.callback(invoke_without_command=True)
def broker(
    ctx: typer.Context,
    *,
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(help="port to listen on; 0: a free one  [default: 1883, 8883 with TLS]", min=0, max=65_535),
    ] = None,
    users: Annotated[Path | None, typer.Option(help="password file; without it everybody may")] = None,
    secured: Annotated[Path | None, typer.Option(help="folder of 'foa broker init': TLS, accounts, rules")] = None,
    cert: Annotated[Path | None, typer.Option(help="certificate (PEM) to serve TLS with")] = None,
    key: Annotated[Path | None, typer.Option(help="its private key")] = None,
    store: Annotated[
        Path | None, typer.Option(help="file to keep in what must survive the broker; without it nothing does")
    ] = None,
    limit: Annotated[
        list[str] | None, typer.Option(help="change a cap: NAME=NUMBER, as max_messages_per_s=500; may be repeated")
    ] = None,
    parent: Parent = False,
) -> None:
    """Run the embedded MQTT 5 broker: for one machine, nothing to install."""
    if ctx.invoked_subcommand is not None:
        return
    from foa.bus.mqtt.broker.__main__ import Serving, run

    people = 0
    if secured is not None:
        known = _opened(secured).federation
        port, people = (known.port, known.people_port) if port is None else (port, 0)
    if port is None:
        port = 1883 if cert is None else 8883
    follow_parent(parent)
    run(Serving(host, port, users, secured, cert, key, store, people, tuple(limit or ())), parent=False)


@app.command("init", epilog=INIT_EXAMPLES)
def init(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(help="folder to make")],
    *,
    host: Annotated[list[str] | None, typer.Option(help="name or address of the broker; again for more")] = None,
    coordinators: Annotated[int, typer.Option(help="accounts of coordinators", min=0, max=1000)] = 2,
    indices: Annotated[int, typer.Option(help="accounts of index nodes", min=0, max=1000)] = 2,
    agents: Annotated[str, typer.Option(help="folder of agents; none: add them later")] = "",
    people: Annotated[str, typer.Option(help="role=name of people and their tools")] = PEOPLE,
    port: Annotated[int, typer.Option(help="port of processes; people's is the next", min=1, max=65_534)] = 8883,
    days: Annotated[int, typer.Option(help="how long certificates hold", min=1, max=3650)] = 825,
    unsealed: Annotated[bool, typer.Option("--unsealed", help="nothing is signed: accounts and rules alone")] = False,
    again: Annotated[bool, typer.Option("--if-missing", help="do nothing if the folder is there")] = False,
) -> None:
    """Make certificates, accounts, access control and settings files of a secured federation, all in one folder."""
    from foa.cli.securing.folder import FEDERATION, Federation, Folder

    if again and (folder / FEDERATION).exists():
        return
    hosts = tuple(host or ["127.0.0.1"])
    root = options_of(ctx).load().settings.wire.root
    accounts = {**numbered(coordinators, indices), "agent": identities(every(agents)), **_people(people)}
    made = Folder.create(folder, Federation(hosts, port, port + 1, root, days, not unsealed, accounts))
    say(f"{len(made.names)} accounts, certificates for {days} days, and the broker's configuration are in {folder}:")
    say(f"  foa broker --secured {folder}             the embedded broker, or")
    say(f"  mosquitto -c {folder}/mosquitto.conf")
    say(f"  foa --config {folder}/local.toml node coordinator --name coordinator-1     and so on, on this machine")
    say(f"  foa --config {folder}/clients/submitter.toml task submit 'echo hello'")


@app.command("renew", epilog=RENEW_EXAMPLES)
def renew(folder: At) -> None:
    """Make a new certificate for the broker; clients need nothing new. Restart the broker after it."""
    _opened(folder).renew()
    say(f"{folder}: a new certificate; restart the broker")


@app.command("certificate", epilog=CERTIFICATE_EXAMPLES)
def certificate(folder: At, name: Annotated[str, typer.Argument(help="the account")]) -> None:
    """Make a client certificate for an account: broker.cert and broker.key instead of a password."""
    cert, key = _opened(folder).certify(name)
    say(f'cert = "{cert}"')
    say(f'key = "{key}"')


@app.command("hash", epilog=HASH_EXAMPLES)
def hashed(path: Annotated[Path, typer.Argument(help="file of name:password lines")]) -> None:
    """Replace the plain passwords in a file by salted hashes; Mosquitto reads it too."""
    import secrets

    from foa.bus.mqtt.broker.access import files, passwords

    found = passwords.read(files.text_of(path), str(path))
    done = {
        name: word if passwords.is_hashed(word) else passwords.hashed(word, secrets.token_bytes(passwords.SALT_BYTES))
        for name, word in found.items()
    }
    output.write_atomically(path, passwords.written(done).encode())
    path.chmod(0o600)
    say(f"{path}: {len(done)} accounts")


@account.command("list")
def listed(ctx: typer.Context, folder: At, as_json: output.Json = False) -> None:
    """Show who has an account, and in which role."""
    opened = _opened(folder)
    rows = [
        {"account": name, "role": role, "settings": str(opened.client(name))} for name, role in opened.names.items()
    ]
    if as_json or options_of(ctx).json:
        output.as_json(rows)
    else:
        output.table(rows, ("account", "role", "settings"), "no accounts")


@account.command("add")
def add(
    folder: At,
    names: Annotated[list[str], typer.Argument(help="identities: a node's name, or an agent's org/unit/agent")],
    role: Annotated[str, typer.Option(help="coordinator, index, agent, gateway, submitter or operator")] = "agent",
) -> None:
    """Give accounts; their settings files are made with a random password each."""
    opened = _opened(folder)
    for name in opened.add({_role(role): names}):
        say(str(opened.client(name)))
    _tell_broker()


@account.command("remove")
def remove(folder: At, name: Annotated[str, typer.Argument(help="the account")]) -> None:
    """Take an account away: it may do nothing any more once the broker has read its files again."""
    _opened(folder).remove(name)
    _tell_broker()


def _tell_broker() -> None:
    say("the broker takes it in at a signal: kill -HUP PID")


def _opened(folder: Path) -> "Folder":
    from foa.cli.securing.folder import Folder

    return Folder.opened(folder)


def _role(text: str) -> "Role":
    from foa.wire.acl import ROLES

    found = next((role for role in ROLES if role == text), None)
    if found is None:
        raise ConfigError(f"--role {text}: must be one of {', '.join(ROLES)}")
    return found


def _people(text: str) -> "dict[Role, list[str]]":
    found: dict[Role, list[str]] = {}
    for each in filter(None, text.split(",")):
        role, sign, name = each.partition("=")
        if not sign:
            raise ConfigError(f"--people {text}: must be role=name,role=name, such as submitter=ann,operator=bob")
        found.setdefault(_role(role), []).append(name)
    return found


def every(agents: str) -> list[Path]:
    """Return all folders of agents in `agents`: "" is the ready ones', "none" none; ConfigError if none is there."""
    if agents == "none":
        return []
    folder = Path(agents) if agents else ready_agents()
    found = sorted(folder.glob("*/profile.toml")) or sorted(folder.glob("profile.toml"))
    if not found:
        raise ConfigError(f"--agents {folder}: holds no */profile.toml; give a folder of agents, or none")
    return [path.parent for path in found]
