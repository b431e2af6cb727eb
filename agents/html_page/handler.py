"""Turns Markdown and plain text into one self-contained HTML page."""

from typing import Annotated

import foa
from agents import texts

from .markdown import page


def run(task: foa.Assignment, text: str = "") -> Annotated[str, foa.Type("text/html")]:
    """Return a page of the texts that are meant: Markdown, and what others made; plain originals where that is all."""
    if not task.inputs:
        return page([("", text or task.text)])
    given = {name: each for name, each in task.inputs.items() if name in texts.offered(task)}
    shown = [name for name, each in given.items() if each.source or each.value.type.startswith("text/markdown")]
    bodies = texts.offered(task)
    if not bodies:
        raise foa.Decline("inputs", "there is no text to make a page of")
    chosen = shown or list(texts.meant(task))
    return page([(name if len(chosen) > 1 else "", bodies[name]) for name in chosen])
