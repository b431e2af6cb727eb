"""``foa bench takeover``: how long tasks stand still when who runs them dies, freezes or leaves; what ran twice."""
