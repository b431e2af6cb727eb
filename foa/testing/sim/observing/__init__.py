"""What looks at a run: `coverage` counts, `watching` holds steps to `laws` and `leases`, `invariants` the rest."""
