"""The clauses planner: splits a request by its own structure, without a language model.

Called by a planner agent and by the coordinator (for the atomic test). A text is cut where both sides begin
with something one can do: at the ends of sentences, between list items, at commas, "and" and "then". Nothing is
cut inside quotations, code, numbers, conditions and lists of nouns. What is not understood stays together: a
text in another language, or without a verb we know, is one subtask. How the pieces depend on each other
is said by `references`.
"""

from foa.core.dag.clauses.planner import MAX_CLAUSES, Listing, asked_words, clauses, is_atomic, listing, propose

__all__ = ["MAX_CLAUSES", "Listing", "asked_words", "clauses", "is_atomic", "listing", "propose"]
