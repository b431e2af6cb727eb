"""How a request, or a subtask that is not one agent's job, becomes a plan: sessions, voices, what they agree on."""
