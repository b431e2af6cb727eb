"""The ``foa`` program: its commands, what all of them take, and what each way to end exits with.

Options of ``foa`` itself (``--broker``, ``--set`` …) may stand anywhere on the line. Commands raise; the one
handler here turns that into one line on standard error and an exit code, never a traceback.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NoReturn, cast

import typer

from foa.cli import agents, broker, demo, nodes, tasks
from foa.cli.checking import doctor
from foa.cli.dlq import letters
from foa.cli.ending import FAILED, INTERRUPTED, exit_code
from foa.cli.keys import commands as keys
from foa.cli.learning import commands as learning
from foa.cli.loading import options
from foa.cli.operating import draining, members
from foa.cli.searching import explaining, finding
from foa.cli.simulating import commands as simulating
from foa.cli.simulating import recording
from foa.errors import FoaError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

EXTENSIONS: Final = "foa.commands"
"""The entry point group through which other packages (and ``foa.bench``) add commands: name = typer app."""

_VALUED: Final = ("--broker", "--root", "--config", "--set", "--log-level")
# typer brings click along or uses the one installed, by version; either way its BadParameter is one of these.
_CLICK_ERROR: Final = cast("type[Exception]", typer.BadParameter.__mro__[2])

EPILOG: Final = """\b
Examples:
  foa demo                                  from nothing to a result, on this machine
  foa up                                    a broker, two coordinators, an index node, the ready agents
  foa task submit "Summarise this" --input text=notes.txt
  foa task list

\b
Settings: the command line, then FOA_* in the environment, then foa.toml, then defaults; see 'foa config show'.
Exit codes: 0 fine, 1 the task failed or something is wrong, 2 your mistake, 3 no broker, 4 not found, 130 Ctrl-C.
"""

app = typer.Typer(
    name="foa",
    help="A federation of agents over MQTT: they find each other by meaning, split work, and deliver.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("up", epilog=nodes.UP_EXAMPLES)(nodes.up)
app.command("demo", epilog=demo.EXAMPLES)(demo.demo)
app.add_typer(broker.app, name="broker", epilog=broker.EXAMPLES)
nodes.app.command("list", epilog=members.EXAMPLES)(members.list_nodes)
app.add_typer(nodes.app, name="node")
app.command("drain", epilog=draining.EXAMPLES)(draining.drain)
app.add_typer(agents.app, name="agent")
app.add_typer(tasks.app, name="task")
app.add_typer(letters.app, name="dlq")
app.command("search", epilog=finding.EXAMPLES)(finding.search)
app.command("explain", epilog=explaining.EXAMPLES)(explaining.explain)
app.add_typer(learning.app, name="learn")
app.command("sim", epilog=simulating.EXAMPLES)(simulating.sim)
app.command("record", epilog=recording.RECORD_EXAMPLES)(recording.record)
app.command("replay", epilog=recording.REPLAY_EXAMPLES)(recording.replay)
app.add_typer(keys.app, name="key")
app.command("doctor", epilog=doctor.EXAMPLES)(doctor.doctor)
app.add_typer(doctor.config, name="config")


def _version(asked: bool) -> None:
    if asked:
        from foa import __version__

        typer.echo(f"foa {__version__}")
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    *,
    broker: Annotated[str | None, typer.Option(help="the broker: mqtt://host[:port]", metavar="URL")] = None,
    root: Annotated[str | None, typer.Option(help="topic root of the federation, such as foa/v1")] = None,
    config: Annotated[Path | None, typer.Option(help="settings file instead of ./foa.toml", metavar="FILE")] = None,
    sets: Annotated[list[str] | None, typer.Option("--set", help="one setting; again for more", metavar="K=V")] = None,
    level: Annotated[str | None, typer.Option("--log-level", help="debug, info, warning or error")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print data as JSON where there is data")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="say which")] = False,
) -> None:
    """Take what all commands take."""
    del version
    ctx.obj = options(sets or [], broker, root, level, config)._replace(json=as_json)


def hoisted(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the root's own options among `arguments`, which belong in front, and the rest."""
    front: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in _VALUED:
            front += [word, *([value] if (value := next(words, None)) is not None else [])]
        elif word.startswith(tuple(f"{name}=" for name in _VALUED)):
            front.append(word)
        else:
            rest.append(word)
    return front, rest


def _extend(rest: Sequence[str]) -> None:
    """Add the commands of other packages, if one may be meant: looking for them takes its time."""
    word = next((each for each in rest if not each.startswith("-")), "")
    known = {each.name for each in app.registered_commands} | {each.name for each in app.registered_groups}
    if word in known:
        return
    from importlib.metadata import entry_points

    for point in entry_points(group=EXTENSIONS):
        if point.name not in known:
            app.add_typer(point.load() if word else _named(point), name=point.name)


def _named(point: "EntryPoint") -> typer.Typer:
    """Return what the list of commands says of an extension: the first line of its package, which loads quickly."""
    from importlib import import_module

    package = import_module(point.module.partition(".main")[0])
    shown = typer.Typer(help=(package.__doc__ or point.name).splitlines()[0], rich_markup_mode=None)
    shown.callback(invoke_without_command=True)(lambda: None)
    return shown


def run(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the program and exit."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(main(arguments))


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    try:
        front, rest = hoisted(arguments)
        _extend(rest)
        command = typer.main.get_command(app)
        return int(command.main(front + rest, prog_name="foa", standalone_mode=False) or 0)
    except _CLICK_ERROR as error:
        return _usage(error)
    except FoaError as error:
        typer.echo(f"foa: {error}", err=True)
        return exit_code(error)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        sys.stdout = None  # whoever read us is gone: nothing is left to be flushed
        return FAILED


def _usage(error: BaseException) -> int:
    """Say a mistake on the line in one line, and where to read on; without arguments the help itself is said."""
    context = getattr(error, "ctx", None)
    said = getattr(error, "format_message", lambda: str(error))()
    if "Usage:" in said:
        typer.echo(said)
        return 0
    path = context.command_path if context is not None else "foa"
    typer.echo(f"foa: {said.rstrip('.')}; see '{path} --help'", err=True)
    return 2
