"""Who proposes: the coordinator's own planners, and the agents that were asked; and what those are told.

Our own are *clauses* (the request's structure), *typed* (declared inputs and outputs of the agents found) and *cases*
(plans that worked for similar requests), so that a federation without planners plans all the same. One that an agent
repeats word for word is counted once.
"""

from typing import Any, Final

import msgspec

from foa.core.dag import cases, planfile, typed
from foa.core.dag.clauses import propose
from foa.core.dag.merge import Proposal, ballot, forms, reputation
from foa.core.dag.plan import check
from foa.core.machines.task.pending import Session, planning
from foa.core.machines.task.state import Live
from foa.core.vcv.vector import unpack
from foa.errors import ConfigError, ProposalError
from foa.wire.deliberation import Voice
from foa.wire.records import Given, Plan, Port, Value

MAX_TEXTS: Final = 64
FEW: Final = 16
"""From fewer ended requests nobody's voice is weighed: after one, whoever lost it would never be heard again."""

RULES: Final = cases.Rules()


def proposals(live: Live, session: Session) -> tuple[list[Proposal], list[Voice]]:
    """Return what was proposed for `session`, and who was refused and why."""
    asked, refused = _asked(live, session)
    known = {_content(one.plan) for one in asked}
    own = [one for one in _own(live, session) if _content(one.plan) not in known]
    return _weighed(own + asked, session, refused)


def _weighed(read: list[Proposal], session: Session, refused: list[Voice]) -> tuple[list[Proposal], list[Voice]]:
    """Return the proposals with what their planners' voices are worth here; who is worth too little is not heard."""
    ended = session.recalled.ended if session.recalled is not None else ()
    if len(ended) < FEW or not read:
        return read, refused
    vector = unpack(session.vector) if session.vector else None
    plans = {one.planner: one.plan for one in read if check(one.plan) is None}
    worth = reputation(ended, [one.planner for one in read], vector, forms(plans))
    chosen = ballot(plans, worth)
    heard = {one.planner for one in chosen}
    quiet = [
        Voice(name, refused=f"its plans for the like ended too badly to be heard ({worth[name]:.2f})")
        for name in plans
        if name not in heard
    ]
    return [*chosen, *(one for one in read if one.planner not in plans)], [*refused, *quiet]


def _own(live: Live, session: Session) -> list[Proposal]:
    ports = tuple(Port(given.name, given.value.type) for given in live.task.inputs)
    offers = typed.offers(session.hits)
    known = session.recalled
    made = (
        ("clauses", propose(session.text, ports)),
        ("typed", typed.propose(session.text, ports, offers)),
        ("cases", cases.by_near(session.text, known.cases, RULES, known.order) if known is not None else None),
    )
    return [Proposal(name, plan) for name, plan in made if plan is not None]


def _asked(live: Live, session: Session) -> tuple[list[Proposal], list[Voice]]:
    read: list[Proposal] = []
    refused: list[Voice] = []
    work = live.works.get(planning(session.target))
    for seat in work.seats if work else ():
        for given in seat.outputs:
            if given.value.type != "plan" or given.value.body is None:
                continue
            try:
                document = msgspec.json.decode(given.value.body, type=dict[str, Any])
                plan = msgspec.structs.replace(planfile.read(document), origin=(seat.agent,))
                read.append(Proposal(seat.agent, plan))
            except (msgspec.DecodeError, ConfigError, ProposalError, TypeError, ValueError, RecursionError) as error:
                refused.append(Voice(seat.agent, refused=str(error)[:500]))
        if seat.phase == "failed":
            refused.append(Voice(seat.agent, refused=seat.reason[:500]))
    return read, refused


def _content(plan: Plan) -> bytes:
    return msgspec.msgpack.encode(msgspec.structs.replace(plan, origin=()))


def texts(read: list[Proposal]) -> tuple[str, ...]:
    """Return the texts that are to be compared, each once."""
    return tuple(dict.fromkeys(subtask.text for one in read for subtask in one.plan.subtasks))[:MAX_TEXTS]


def material(live: Live, session: Session) -> tuple[Given, ...]:
    """Return what planners are given beside the request: who there is, what is given, and plans that worked."""
    given = [_json("given", "ports", [{"name": one.name, "type": one.value.type} for one in live.task.inputs])]
    if session.hits:
        given.append(_json("agents", "agents", typed.offers_document(typed.offers(session.hits))))
    if session.recalled is not None and session.recalled.cases:
        given.append(_json("cases", "cases", cases.cases_document(session.recalled.cases, session.recalled.order)))
    return tuple(given)


def _json(name: str, kind: str, document: Any) -> Given:
    return Given(name, Value(kind, body=msgspec.json.encode(document)))
