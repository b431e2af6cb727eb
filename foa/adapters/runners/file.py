"""Runs ``file.py:function`` beside a profile.

The file is loaded as a module of a package of its own, whose folder is the profile's: two agents never share
a module by accident, and ``from .helper import x`` finds the file beside it.
"""

import asyncio
import importlib
import sys
from hashlib import blake2b
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from foa.adapters.binding import fits
from foa.adapters.handlers import Handler, Roles, Signature, among_peers, fulfilling, planner, signature_of, synthesiser
from foa.adapters.runners.base import Declared, check_environment, one_line
from foa.adapters.runners.python import PythonRunner
from foa.adapters.runners.threads import Threads
from foa.adapters.values import Hint
from foa.errors import ConfigError
from foa.wire.records import Port


class FileRunner(PythonRunner):
    """A `PythonRunner` whose function is found at `start`, in the file that a profile names."""

    def __init__(self, declared: Declared) -> None:
        self._declared = declared
        self.profile = declared.profile
        self.timeout_s = declared.run.timeout_s
        self._threads = Threads(self.profile.agent, self.profile.resources.concurrency)

    async def start(self) -> None:
        """Load the file off the loop; ConfigError if it does not fit its profile."""
        check_environment(self._declared)
        await asyncio.get_running_loop().run_in_executor(None, self._load)

    def _load(self) -> None:
        target = self._attribute(self._declared.run.python)
        if isinstance(target, Handler):
            function, signature, roles = target.function, target.signature, target.roles
        else:
            function, signature, roles = target, signature_of(target), Roles()
        roles = self._beside(roles)
        self._declares(roles)
        self._adopt(function, self._fitted(signature), roles)

    def _beside(self, roles: Roles) -> Roles:
        """Return what the agent can do beside its draft: what its profile names, else what its file decorates."""
        run = self._declared.run
        for name in ("critique", "revise"):
            if place := getattr(run, name):
                roles = msgspec.structs.replace(roles, **{name: among_peers(self._attribute(place), name)})
        if run.plan:
            roles = msgspec.structs.replace(roles, plan=planner(self._attribute(run.plan)))
        if run.synthesise:
            roles = msgspec.structs.replace(roles, synthesise=synthesiser(self._attribute(run.synthesise)))
        return roles

    def _declares(self, roles: Roles) -> None:
        """Nobody finds a planner by a skill that is not declared: the profile is read before the file is."""
        lost = [skill.id for skill in fulfilling(self.profile, roles.named).skills if skill not in self.profile.skills]
        if lost:
            raise ConfigError(
                f'{self._declared.path}: run.{lost[0]}: is missing, add {lost[0]} = "file.py:function" to declare it'
            )

    def _attribute(self, place: str) -> Any:
        file, _, name = place.rpartition(":")
        module = _module(self._declared.path.parent, file)
        found = getattr(module, name, None)
        if not callable(found):
            raise ConfigError(f"{self._declared.path}: run: {file} has no function {name!r}")
        return found

    def _fitted(self, signature: Signature) -> Signature:
        """Hold a function against the profile; the profile's types rule, hints say how they are decoded."""
        ports = {port.name: port for port in self.profile.inputs}
        for each in signature.parameters:
            self._agree("input", each.name, each.hint, ports.get(each.name), needed=not (each.optional or each.asked))
        lost = sorted(ports.keys() - {each.name for each in signature.parameters})
        if lost:
            raise ConfigError(
                f"{self._declared.path}: input {lost[0]!r}: {self._declared.run.python} has no such parameter"
            )
        outputs = {port.name: port for port in self.profile.outputs}
        if signature.record is not None:
            for name, hint in signature.results.items():
                self._agree("output", name, hint, outputs.get(name), needed=True)
        parameters = tuple(
            msgspec.structs.replace(p, hint=_typed(p.hint, ports.get(p.name))) for p in signature.parameters
        )
        return msgspec.structs.replace(signature, parameters=parameters)

    def _agree(self, what: str, name: str, hint: Hint, port: Port | None, *, needed: bool) -> None:
        where = f"{self._declared.path}: {what} {name!r}"
        if port is None:
            if needed:
                raise ConfigError(f"{where}: {self._declared.run.python} has it, the profile does not declare it")
        elif hint.named and not fits(port.type, hint.type):
            raise ConfigError(f"{where}: declared {port.type!r}, {self._declared.run.python} says {hint.type!r}")
        elif what == "input" and port.optional and needed:
            raise ConfigError(f"{where}: declared optional, {self._declared.run.python} has no default for it")


def _typed(hint: Hint, port: Port | None) -> Hint:
    return hint if port is None else msgspec.structs.replace(hint, type=port.type)


def _module(folder: Path, file: str) -> ModuleType:
    """Import `file` as a module of a package whose path is its own folder."""
    path = (folder / file).resolve()
    package = f"foa_agent_{blake2b(str(path.parent).encode(), digest_size=6).hexdigest()}"
    if package not in sys.modules:
        parent = ModuleType(package)
        parent.__path__ = [str(path.parent)]
        sys.modules[package] = parent
    try:
        return importlib.import_module(f"{package}.{path.stem}")
    except (ImportError, SyntaxError, OSError, ConfigError) as error:
        raise ConfigError(f"{path}: cannot be loaded: {type(error).__name__}: {one_line(error)}") from error
