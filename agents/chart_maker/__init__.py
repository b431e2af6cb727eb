"""The ready agent foa/data/chart-maker: see README.md."""
