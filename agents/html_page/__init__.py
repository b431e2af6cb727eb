"""The ready agent foa/text/html-page: see README.md."""
