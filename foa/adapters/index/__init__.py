"""Vectors by key and the nearest of them: what index nodes search with. One owner, one thread: nothing here locks."""
