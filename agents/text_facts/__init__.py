"""The ready agent foa/text/facts: see README.md."""
