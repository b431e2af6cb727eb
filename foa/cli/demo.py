"""``foa demo``."""
EXAMPLES = ""
def demo() -> None:
    """Check."""
