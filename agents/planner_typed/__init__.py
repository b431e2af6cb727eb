"""The ready agent foa/plan/typed: see README.md."""
