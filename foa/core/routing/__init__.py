"""Who serves what: rendezvous, gates, scores, decisions, and the merging of lists."""
