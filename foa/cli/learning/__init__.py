"""``foa learn``: what coordinators learned of agents from how their work ended."""
