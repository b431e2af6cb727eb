"""The ready agent foa/text/summariser: see README.md."""
