"""``foa config``."""
import typer
EXAMPLES = ""
config = typer.Typer(help="Settings.", no_args_is_help=True, rich_markup_mode=None)
@config.command("show")
def show() -> None:
    """Show."""
def doctor() -> None:
    """Check."""
