"""What a type checker is told: `make types` reads this file; a wrong ignore in it is an error (strict mypy)."""

from importlib import resources
from typing import Any, assert_type

import foa
from foa.bus.port import Bus, Listener, Options
from foa.core.effects import Effect, Event, Step
from foa.settings import Settings, resolve
from foa.wire import codec, messages
from foa.wire.envelope import Envelope, from_properties
from foa.wire.topics import Topic, Topics


@foa.agent("acme/tools/shout", description="Says it louder", skills=["shout"])
def shout(text: str, times: int = 1) -> str:
    return text.upper() * times


@foa.agent("acme/tools/wait", description="Answers later")
async def later(text: str) -> dict[str, int]:
    return {text: len(text)}


def test_the_package_says_that_it_is_typed() -> None:
    assert resources.files("foa").joinpath("py.typed").is_file()


def test_a_decorated_function_keeps_its_type() -> None:
    assert_type(shout("a"), str)
    assert_type(shout("a", times=2), str)
    assert shout("a", times=2) == "AA"


def _refused_by_the_type_checker() -> None:
    shout(5)  # type: ignore[arg-type]
    shout("a", colour="red")  # type: ignore[call-arg]
    foa.agent("acme/tools/x", effects="twice")  # type: ignore[arg-type]
    foa.agent()  # type: ignore[call-arg]
    messages.Cancel(task=5)  # type: ignore[arg-type]
    Options(client_id="a").client_id = "b"  # type: ignore[misc]
    Settings().wire.root = "b"  # type: ignore[misc]


async def _kept_by_the_type_checker() -> None:
    assert_type(await later("a"), dict[str, int])


def test_the_wire_is_typed() -> None:
    message = codec.decode(codec.encode(messages.Cancel("t")))
    assert isinstance(message, messages.Cancel)
    assert_type(message, messages.Cancel)
    assert_type(message.task, str)
    assert_type(from_properties(()), Envelope)
    assert_type(Topics().parse("foa/v1/own/1"), Topic)


def test_settings_are_typed() -> None:
    settings, sources = resolve([])
    assert_type(settings.broker.keep_alive_s, int)
    assert_type(sources, dict[str, str])


def _protocols(bus: Bus, listener: Listener, step: Step[Any], event: Event) -> list[Effect]:
    """Name what machines and shells are written against, so that its loss is a type error here."""
    bus.unsubscribe(())
    listener.drained()
    assert event is not None
    assert step is not None
    return []
