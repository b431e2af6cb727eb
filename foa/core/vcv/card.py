"""Profiles to A2A cards and back. What A2A has no field for travels in two extensions, so that cards round-trip.

`CONTRACT` holds inputs, outputs, resources, policies, effects and Spec; `VCV` points to the topic of the
capability vector, which is never in the card. Called by the agent machine (its own card) and by index
nodes (a stranger that published a card alone).
"""

import re
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from foa.core.vcv.profile import Profile, Skill, Spec
from foa.errors import WireError
from foa.wire import card as wire
from foa.wire.ids import agent_id, partition_of
from foa.wire.records import Effects, Names, Port, Resources
from foa.wire.topics import Topics

CONTRACT: Final = "urn:foa:contract:1"
VCV: Final = "urn:foa:vcv:1"
BINDING: Final = "MQTT5"
A2A_VERSION: Final = "1.0"

Ports = Annotated[tuple[Port, ...], Meta(max_length=64)]


class Contract(msgspec.Struct, frozen=True, omit_defaults=True):
    """The params of the `CONTRACT` extension: the part of a profile that the standard has no field for."""

    inputs: Ports = ()
    outputs: Ports = ()
    resources: Resources = Resources()
    holds: Names = ()
    requires: Names = ()
    effects: Effects = "idempotent"
    refines: bool = False
    spec: Spec = Spec()


def card_of(profile: Profile, topics: Topics) -> bytes:
    """Return the card of `profile`; WireError("card") names its size if that is over 64 KiB."""
    contract = Contract(
        inputs=profile.inputs,
        outputs=profile.outputs,
        resources=profile.resources,
        holds=profile.holds,
        requires=profile.requires,
        effects=profile.effects,
        refines=profile.refines,
        spec=profile.spec,
    )
    vector = topics.vcv(partition_of(profile.agent, topics.partitions), profile.agent)
    return wire.encode(
        wire.Card(
            name=profile.name,
            description=profile.description,
            version=profile.version,
            supported_interfaces=(wire.Interface(f"mqtt:{topics.request(profile.agent)}", BINDING, A2A_VERSION),),
            capabilities=wire.Capabilities(
                extensions=(
                    wire.Extension(VCV, "Where the versioned capability vector is kept.", params={"topic": vector}),
                    wire.Extension(
                        CONTRACT, "Inputs, outputs, price, policies and Spec.", params=msgspec.to_builtins(contract)
                    ),
                )
            ),
            default_input_modes=_modes(profile.inputs),
            default_output_modes=_modes(profile.outputs),
            skills=tuple(wire.CardSkill(s.id, s.name, s.description, s.tags, s.examples) for s in profile.skills),
        )
    )


def profile_of(body: bytes, agent: str) -> Profile:
    """Return the profile in a card that `agent` published; WireError("card") if it cannot be understood.

    A stranger's card without our extension takes any one of its modes as input (none is required), yields
    one of its output modes, costs nothing it told us of, holds no policy, is never put on a team, and is
    run once at most, as it promised nothing about repeats.
    """
    card = wire.decode(body)
    contract = _contract(card)
    return Profile(
        agent=agent_id(agent),
        name=card.name,
        description=card.description,
        version=card.version,
        skills=tuple(Skill(s.id, s.name, s.description, s.tags, s.examples or ()) for s in card.skills),
        **{name: getattr(contract, name) for name in contract.__struct_fields__},
    )


def _contract(card: wire.Card) -> Contract:
    params = wire.extension(card, CONTRACT)
    if params is None:
        inputs, outputs = _ports(card.default_input_modes), _ports(card.default_output_modes)
        return Contract(inputs=inputs, outputs=outputs, effects="once")
    try:
        return msgspec.convert(params, Contract)
    except (msgspec.ValidationError, RecursionError) as error:
        raise WireError("card", f"{CONTRACT}: {error}"[:400]) from error


def _modes(ports: tuple[Port, ...]) -> tuple[str, ...]:
    """Return the media types of ports; what has a name of its own is written as JSON."""
    modes = [port.type if "/" in port.type else "application/json" for port in ports]
    return tuple(dict.fromkeys(modes)) or ("text/plain",)


def _ports(modes: tuple[str, ...]) -> Ports:
    """Return one optional port per mode, named after it (``text/csv`` is csv): modes are alternatives."""
    ports: dict[str, Port] = {}
    for mode in modes:
        name = re.sub(r"[^A-Za-z0-9]+", "_", mode.rpartition("/")[2])[:48].strip("_") or "any"
        while name in ports:
            name += "_"
        ports[name[:64]] = Port(name[:64], mode, optional=True)
    return tuple(ports.values())
