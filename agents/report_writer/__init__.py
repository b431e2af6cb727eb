"""The ready agent foa/data/report-writer: see README.md."""
