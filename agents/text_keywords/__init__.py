"""The ready agent foa/text/keywords: see README.md."""
