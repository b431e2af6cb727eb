"""``foa bench chaos``: a federation of real processes at work, while one after the other is killed."""
