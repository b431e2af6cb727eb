"""``foa bench index``: the index at size, in one node and over several."""
