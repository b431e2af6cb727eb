"""``foa search`` and ``foa explain``: whom a request would go to, and why a task went where it went."""
