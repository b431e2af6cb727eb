"""The ready agent foa/data/reviewer: see README.md."""
