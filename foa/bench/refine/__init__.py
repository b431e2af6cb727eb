"""``foa bench refine``: recorded debates replayed through what a cluster's owner decides, accuracy against calls."""
