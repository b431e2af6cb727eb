"""The ready agent foa/data/outliers-robust: see README.md."""
