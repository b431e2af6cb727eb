"""The ready agent foa/text/compare: see README.md."""
