"""The ready agent foa/text/llm: see README.md."""
