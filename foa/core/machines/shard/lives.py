"""Of which life an agent's card is, and until when it is believed: a will comes late, or never.

A card names the life it is of; the will of an older one says nothing of a younger. A card that expires is said again
by its agent before it does: one that was not is that of an agent that died together with the broker.
"""

from typing import NamedTuple

from foa.wire.ids import AgentId


class Term(NamedTuple):
    """The life a card is of, for how long it was good when it came (seconds), and until when that is."""

    life: int
    lasts: float
    ends: float


class Lives:
    """The terms of the agents whose cards are known; mutable, and as bounded as the catalogue of cards is."""

    def __init__(self) -> None:
        self._terms: dict[AgentId, Term] = {}

    def is_late(self, agent: AgentId, life: int, *, online: bool) -> bool:
        """Tell whether a card that says offline is of an older life than the one known to be online."""
        known = self._terms.get(agent)
        return not online and known is not None and life < known.life

    def note(self, agent: AgentId, life: int, expiry_s: int | None, now: float) -> None:
        """Take in a card; one without an expiry is believed for good."""
        lasts = float("inf") if expiry_s is None else float(expiry_s)
        self._terms[agent] = Term(life, lasts, now + lasts)

    def forget(self, agent: AgentId) -> None:
        """Know nothing more of an agent."""
        self._terms.pop(agent, None)

    def renew(self, now: float) -> None:
        """Give everybody a third of a term more: after our own absence their silence says nothing."""
        self._terms = {
            agent: term._replace(ends=max(term.ends, now + term.lasts / 3)) for agent, term in self._terms.items()
        }

    def over(self, now: float) -> list[AgentId]:
        """Return the agents whose card was not said again in time."""
        return [agent for agent, term in self._terms.items() if term.ends < now]
