"""The ready agent foa/data/csv-profiler: see README.md."""
