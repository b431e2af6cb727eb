"""Ready agents. A folder each: profile.toml, handler.py, README.md and a test; they import `foa` alone."""
