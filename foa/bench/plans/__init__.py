"""``foa bench plans``: how near planners without a language model, and what they agree on, come to given plans."""
