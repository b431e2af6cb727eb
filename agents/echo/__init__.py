"""The ready agent foa/tools/echo: see README.md."""
