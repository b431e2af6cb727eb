"""``python -m foa``: what the ``foa`` program is, for those who start processes by interpreter."""

from foa.cli.main import run

if __name__ == "__main__":
    run()
