"""The ready agent foa/plan/cases: see README.md."""
