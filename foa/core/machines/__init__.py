"""The machines: `step(state, event, now, rng) -> (state, effects)`. They know each other only by messages."""
