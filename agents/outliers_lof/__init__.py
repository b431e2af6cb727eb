"""The ready agent foa/data/outliers-lof: see README.md."""
