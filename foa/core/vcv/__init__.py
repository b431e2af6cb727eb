"""Capability vectors: the profile they come from, their parts, and which of two is newer."""
