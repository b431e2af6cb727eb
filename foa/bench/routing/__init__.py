"""How well requests find the right agents: the code of an index node on files of agents and queries."""
