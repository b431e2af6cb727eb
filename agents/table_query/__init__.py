"""The ready agent foa/data/table-query: see README.md."""
