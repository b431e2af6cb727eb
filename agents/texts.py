"""What a text agent is to work on: of all texts that are offered, those that are meant.

Imported by the handlers of the ready text agents. A person calls an input "letter" or "notes"; what was made of it on
the way has other names again.
"""

import re
from typing import Final

import foa

KINDS: Final = ("text/plain", "text/markdown")


class Texts(dict[str, str]):
    """Texts by name, in the order in which they were offered."""


def offered(task: foa.Assignment, *, made: bool = True) -> Texts:
    """Return the texts among the inputs of `task`; those that other subtasks made only if ``made``."""
    found = Texts()
    for name, each in task.inputs.items():
        kind = each.value.type.partition(";")[0].strip()
        if kind in KINDS and each.value.body and (made or not each.source):
            found[name] = each.value.body.decode("utf-8-sig", errors="replace")
    return found


def meant(task: foa.Assignment, *, made: bool = True) -> Texts:
    """Return those that the words of `task` name ("the new notes": the input called new), or else all.

    With no inputs it is the words themselves: what stands behind their first colon. Decline if no input is a text.
    """
    texts = offered(task, made=made)
    if not texts and task.inputs:
        raise foa.Decline("inputs", f"no text is among {', '.join(task.inputs)[:200]}")
    if not texts:
        return Texts({"text": task.text.partition(":")[2].strip() or task.text})
    words = {word.lower() for word in re.findall(r"\w+", task.text)}
    named = {name: text for name, text in texts.items() if name.lower() in words}
    return Texts(named or texts)
