"""What scripts call: `foa.run` puts a decorated function on the bus, `foa.submit` hands in a task and waits.

Both take their settings from where the command line takes them. No typer in here: a script that runs an
agent loads nothing it does not need.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from foa.cli.ending import INTERRUPTED, exit_code, run_async
from foa.cli.loading import QUIET, Options, options
from foa.errors import FoaError, Refused

if TYPE_CHECKING:
    from foa.adapters.handlers import Handler
    from foa.nodes.client import Outcome
    from foa.nodes.host import Host
    from foa.settings import Settings

T = TypeVar("T")


def run(handler: "Handler[..., Any]", arguments: Sequence[str] | None = None) -> None:
    """Run the agent that a function decorated with ``@foa.agent`` declares, until Ctrl-C or SIGTERM.

    Takes ``--broker``, ``--root``, ``--set`` and ``--instance`` from the script's own command line (or
    `arguments`). A mistake ends the script with one line and the exit code that ``foa`` would have.
    """
    try:
        asked = _parser(handler).parse_args(arguments)
        chosen = options(asked.set, asked.broker, asked.root, asked.log_level)
        run_async(_serve(handler, chosen.load().settings, asked.instance))
    except FoaError as error:
        sys.stderr.write(f"foa: {error}\n")
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _parser(handler: Any) -> argparse.ArgumentParser:
    about = f"Runs the agent {handler.profile.agent}." if hasattr(handler, "profile") else None
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--broker", metavar="URL", help="the broker: mqtt://host[:port]")
    parser.add_argument("--root", help="topic root of the federation")
    parser.add_argument("--log-level", help="debug, info, warning or error")
    parser.add_argument("--set", metavar="K=V", action="append", default=[], help="one setting; again for more")
    parser.add_argument("--instance", type=int, default=0, help="number of this replica")
    return parser


async def _serve(handler: "Handler[..., Any]", settings: "Settings", instance: int) -> None:
    from foa.adapters.runners import runner_of
    from foa.nodes.agent import AgentHost

    runner = runner_of(handler)
    runner.profile = replica(runner.profile, instance)
    await serve_host(lambda: AgentHost(runner, settings))


def replica(profile: Any, instance: int) -> Any:
    """Return `profile` under the name of its replica `instance`; 0 is the plain one."""
    import msgspec

    return msgspec.structs.replace(profile, agent=f"{profile.agent}-{instance}") if instance else profile


async def serve_host(
    make: "Callable[[], Host]", leave: "Callable[[Host], Coroutine[Any, Any, None]] | None" = None
) -> None:
    """Run the host that `make` returns until a signal, until it was drained, or its bus gives up (Refused says why)."""
    from foa.nodes.federation import READY
    from foa.nodes.host import DRAINED

    host = make()
    async with host:
        print(f"{host.place.client_id} {READY}", flush=True)
        try:
            reason = await asyncio.shield(host.stopped)
        except asyncio.CancelledError:
            if leave is not None:
                await leave(host)
            raise
    if reason != DRAINED:
        raise Refused(f"{host.place.client_id}: {reason}")
    print(f"{host.place.client_id} {reason}", flush=True)


def submit(text: str, settings: "Settings | None" = None, **demands: Any) -> "Outcome":
    """Submit a task, wait for its end, and return how it ended; works in scripts, threads and notebooks.

    ``demands`` are those of `Client.submit`: ``inputs`` (by name: str, bytes, JSON), ``budget``, ``deadline_s``,
    ``policies``, ``skills``, ``team``, ``prefer``, ``plan``, ``id``. ``outcome.output`` is the first output,
    ``outcome.checked()`` raises TaskError unless the task was done. Raises BusError without a broker; the task is kept
    then, and sent along with the next one from this folder (`node.state_dir`).
    """
    chosen = settings or Options({}).load(QUIET).settings
    return _anywhere(_submit(text, chosen, demands))


async def _submit(text: str, settings: "Settings", demands: Mapping[str, Any]) -> "Outcome":
    from foa.nodes.client import Client

    async with Client(settings, patient=True) as client:
        submitted = client.submit(text, **demands)
        await client.reach(settings.broker.connect_timeout_s)
        return await submitted.result()


def _anywhere(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` here or, where a loop runs already (a notebook), in a thread with a loop of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(main)
    with ThreadPoolExecutor(1, "foa-submit") as pool:
        return pool.submit(asyncio.run, main).result()
