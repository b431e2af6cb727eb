"""Plans drawn into files: what ``--svg`` of `foa task show` and `foa explain` does."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from foa.cli import output
from foa.cli.planning.drawing import svg
from foa.cli.watching.picture import Picture
from foa.wire.messages import Result

if TYPE_CHECKING:
    from foa.wire.messages import State

STDOUT: Final = "-"


def picture_of(message: "State | Result") -> Picture:
    """Return what is known of a task from what is retained of it."""
    if isinstance(message, Result):
        picture = Picture(message.task)
        picture.apply_result(message)
    else:
        picture = Picture(message.task.id)
        picture.apply_state(message)
    return picture


def write_svg(message: "State | Result", path: Path, *, quiet: bool) -> None:
    """Draw the plan of a task into `path` and say where it is; ConfigError if that cannot be written."""
    drawn = svg(picture_of(message))
    if str(path) == STDOUT:
        print(drawn, end="")
        return
    output.write_atomically(path, drawn.encode())
    if not quiet:
        print(path)
