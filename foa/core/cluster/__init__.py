"""Refinement: when the members of a cluster agree, when their rounds end, and whose answer stands for all."""
