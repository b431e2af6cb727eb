"""The ready agent foa/plan/model: see README.md."""
