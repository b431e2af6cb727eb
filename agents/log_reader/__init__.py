"""The ready agent foa/text/log-reader: see README.md."""
