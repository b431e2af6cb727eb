"""The ready agent foa/plan/clauses: see README.md."""
