"""The ready agent foa/data/outliers-forest: see README.md."""
