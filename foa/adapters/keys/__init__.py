"""Keys and trust on disk. Loaded only where ``security.*`` asks for it: without, `cryptography` is never imported."""
