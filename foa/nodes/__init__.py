"""The imperative shell: one driver for every kind of node, the kinds, and the host that runs them."""
