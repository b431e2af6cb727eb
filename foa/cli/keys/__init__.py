"""``foa key …``: make keys, look at them, and say in the trust file what each may do."""
