"""What survives the broker: a pure `ledger` of what changed, a `store` for it, and how it comes back (`restoring`)."""
