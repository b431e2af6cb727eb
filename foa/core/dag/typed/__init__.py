"""The typed planner: plans, detours and bridges over the inputs and outputs that agents declare, without words.

Called by a planner agent (`typed`), and by the coordinator where a merged plan lacks an input (`bridged`) or a
subtask can no longer be done as planned (`detour`). A type is what a port declares: a media type or an agreed name.
"""

from foa.core.dag.typed.layout import route
from foa.core.dag.typed.mending import Bridged, bridged, detour
from foa.core.dag.typed.offers import Offer, fits, offers, offers_document, read_offers
from foa.core.dag.typed.planner import demanded, propose, typed
from foa.core.dag.typed.routes import RouteRules

__all__ = [
    "Bridged",
    "Offer",
    "RouteRules",
    "bridged",
    "demanded",
    "detour",
    "fits",
    "offers",
    "offers_document",
    "propose",
    "read_offers",
    "route",
    "typed",
]
