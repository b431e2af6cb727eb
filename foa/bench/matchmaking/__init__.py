"""Who learns fastest which agent to ask: policies replayed on outcomes of every agent, one revealed per query."""
