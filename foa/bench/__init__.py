"""Measure this machine: the bus, the index, finding and choosing agents, whole tasks."""
