"""Who is asked and who gets the work: partitions, gates, scores, choice. Pure; used by the machines."""
