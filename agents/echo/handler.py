"""Echo: the smallest agent there is."""


async def run(text: str) -> str:
    """Return `text`."""
    return text
