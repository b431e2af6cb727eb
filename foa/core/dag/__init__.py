"""Plans: how a request becomes a graph of subtasks, how several such graphs become one, what is ready to run."""
